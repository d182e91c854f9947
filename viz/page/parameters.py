"""Parameters of the endpoints: their JSON schemas, and their values parsed.

Other programs send values of any type; many send numbers, lists and booleans as text.
"""

import json
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from mixer.grid import GROUP_SIDES
from viz.attribution.methods import METHODS
from viz.attribution.query import MANY
from viz.intervene import edits as picture_edits
from viz.intervene.edits import Edit
from viz.lenses.all import Lenses
from viz.lenses.attribution.options import BASELINE, FAST, OUTPUT
from viz.microscope import Microscope
from viz.page.tools import Schema
from viz.page.upload import Refused
from viz.selection import Params, Selection, change, from_query, show

BASELINES, OUTPUTS = (tuple(name for name, _ in choice.choices) for choice in (BASELINE, OUTPUT))
SENT = "the picture in base64, plain or as a data URL"
GROUPS = "patches along each side of a group, whose patches count as one; only networks of over 64 patches have groups"
NETWORK = "as describe lists them; without it, the one that the server was started with"
FETCHED = "; or its address (http or https) on the public internet"
JSON = str.maketrans("()'", '[]"')
"""brackets and quotation marks of Python to those of JSON"""
PART = re.compile(r"""[^\s,;()\[\]'"]+""")
T = TypeVar("T")


def schemas(lenses: Lenses, fetch: bool) -> dict[str, Schema]:
    """The JSON schema of each parameter, for all networks; with a description if all endpoints have the same."""
    text: Schema = {"type": "string"}
    picture: Schema = text | {"description": SENT + (FETCHED if fetch else "")}
    block: Schema = {"type": "integer", "minimum": 1}
    unit: Schema = {"type": "integer", "minimum": 0}
    depth: Schema = text | {"pattern": "^(stem|[0-9]+[ab])$"}
    pair: Schema = {"type": "array", "minItems": 2, "maxItems": 2}
    sublayers: Schema = {"type": "array", "items": depth}
    units: Schema = {"type": "array", "items": pair | {"prefixItems": [block, unit]}}
    return {
        "picture": picture,
        "pictures": {"type": "array", "items": picture, "minItems": 1, "maxItems": MANY},
        "network": text | {"description": NETWORK},
        "label": text,
        "method": _names(tuple(METHODS)) | {"description": f"as on the page; without it, {FAST[0]}"},
        "baseline": _names(BASELINES) | {"description": f"the picture to compare with; without it, {BASELINE.default}"},
        "output": _names(OUTPUTS) | {"description": f"what to explain; without it, the {OUTPUT.default}"},
        "block": block,
        "groups": {"type": "integer", "enum": [*GROUP_SIDES], "description": GROUPS},
        "depth": depth,
        "patch": pair | {"items": {"type": "integer", "minimum": 0}},
        "vectors": {"type": "boolean"},
        "edits": text,
        "ablate_sublayers": sublayers,
        "ablate_units": units,
        "name": _names(tuple(lenses.named)),
        "words": text,
        "skip": sublayers,
        "silence": units,
    }


def _names(right: Sequence[str]) -> Schema:
    return {"type": "string", "enum": [*right]}


def params(given: object) -> Params:
    """The parameters of a link in `words`."""
    if not isinstance(given, str | None):
        raise Refused(f"Words are a text such as depth=5a&class=cat, not {str(given)[:50]!r}.")
    return from_query(given or "")


def selected(lenses: Lenses, picture: bytes | None, words: Params) -> Selection:
    """The selection of a request. picture: None if the words select a sample. Raises Refused."""
    start = show(lenses.scope, lenses.first, picture) if picture else lenses.first
    selection, wrong = change(lenses.scope, lenses.page, start, words)
    if wrong:
        raise Refused(" ".join(wrong))
    return selection


def parsed(name: str, read: Callable[[Microscope, Any], T], scope: Microscope, given: Any) -> T:
    """The value of a parameter. Raises Refused with a message that has its name."""
    try:
        return read(scope, given)
    except Refused as error:
        raise Refused(error.message if name in error.message.lower() else f"{error.message} (In {name}.)") from error


def class_number(scope: Microscope, label: object) -> int:
    with suppress(ValueError):
        return scope.class_number(str(label))
    return scope.classes.index(one_of("label", label, scope.classes))


def one_of(name: str, given: object, right: tuple[str, ...]) -> str:
    text = given if isinstance(given, str) else json.dumps(given, default=str)
    if text not in right:
        valid = f"{', '.join(right[:20])}{', ...' if len(right) > 20 else ''}"
        raise Refused(f"There is no {name} {str(given)[:50]!r} here. There are: {valid}.")
    return text


def edits(scope: Microscope, given: object) -> tuple[Edit, ...]:
    if not isinstance(given, str | None):
        raise Refused(f"Edits are a text such as mean:0,1;shuffle:7, not {str(given)[:50]!r}.")
    try:
        return picture_edits.parse(given or "", scope.grid, len(scope.samples))
    except ValueError as error:
        raise refused(str(error)) from error


def sublayers(scope: Microscope, given: object) -> list[int]:
    """The numbers of the sublayers, counted from 0."""
    names = scope.depth_names[1:]
    return [names.index(one_of("sublayer", name, names)) for name in _list("ablate_sublayers", given)]


def units(scope: Microscope, given: object) -> dict[int, list[int]]:
    """The numbers of the units, by block, both counted from 0."""
    found: dict[int, list[int]] = {}
    for pair in _list("ablate_units", given):
        if not isinstance(pair, (list, tuple)) or len(pair) != 2:
            raise Refused(f"A unit is [block, unit], not {str(pair)[:50]!r}.")
        unit = _whole("unit", pair[1], 0, scope.model.config.tokens_mlp_dim - 1)
        found.setdefault(block(scope, pair[0]), []).append(unit)
    return found


def _list(name: str, given: object) -> Sequence[object]:
    """A list, also from a text with any brackets and quotation marks: `["6a", "6b"]`, `('6a', '6b')`, `6a, 6b`."""
    if isinstance(given, str):
        read = _read(f"[{given.translate(JSON)}]")
        given = read if isinstance(read, list) else PART.findall(given)
        if len(given) == 1 and isinstance(given[0], list):
            given = given[0]
    if not isinstance(given, (list, tuple, type(None))):
        raise refused(f"{name} is a list, not {str(given)[:50]!r}")
    return given or ()


def _read(text: str) -> object:
    """The value of a JSON text; the text itself if it is not JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def truth(name: str, given: object) -> bool:
    values = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False, "none": False, "": False}
    found = values.get(str(given).strip().lower())
    if found is None:
        raise refused(f"{name} is true or false, not {str(given)[:50]!r}")
    return found


def method(name: str | None, baseline: str | None, output: str | None) -> tuple[str, str, Any]:
    """The names of method, baseline and output, with defaults for None."""
    return (
        one_of("method", name or FAST[0], tuple(METHODS)),
        one_of("baseline", baseline or BASELINE.default, BASELINES),
        one_of("output", output or OUTPUT.default, OUTPUTS),
    )


def block(scope: Microscope, given: object) -> int:
    """The number of a block, counted from 0; the last one for None."""
    count = len(scope.model.blocks)
    return count - 1 if given is None else _whole("block", given, 1, count) - 1


def groups(scope: Microscope, given: object) -> int:
    """The patches along each side of a group; 1 for None."""
    try:
        return scope.group_side(_number(given))
    except ValueError as error:
        raise refused(str(error)) from error


def patch(scope: Microscope, given: object) -> int:
    pair = _list("patch", given) if isinstance(given, (str, list, tuple)) else ()
    if len(pair) != 2:
        raise Refused(f"A patch is [row, column], not {str(given)[:50]!r}.")
    row = _whole("the row of the patch", pair[0], 0, scope.grid.rows - 1)
    return scope.grid.index(row, _whole("the column of the patch", pair[1], 0, scope.grid.cols - 1))


def _whole(name: str, given: object, low: int, high: int) -> int:
    """A whole number, also from 2.0 or a text. Raises Refused outside [low, high]."""
    number = _number(given)
    if not isinstance(number, int) or isinstance(number, bool) or not low <= number <= high:
        raise refused(f"{name} is a whole number from {low} to {high}, not {str(given)[:50]!r}")
    return number


def _number(given: object) -> object:
    """A whole number from 2.0 or a text; any other value unchanged."""
    number = _read(given) if isinstance(given, str) else given
    return int(number) if isinstance(number, float) and number.is_integer() else number


def refused(text: str) -> Refused:
    """`Refused` with the text as a sentence."""
    return Refused(f"{text[0].upper()}{text[1:]}.")
