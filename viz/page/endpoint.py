"""The endpoints for other programs: see docs/endpoints.md.

With the package `gradio[mcp]`, they are tools of an MCP server, too.
"""

import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from html import unescape
from typing import Any, TypedDict, TypeVar

import gradio as gr
import numpy as np
from gradio.context import Context
from gradio.utils import get_function_description
from jaxtyping import Float32

from viz import tokens as token_questions
from viz.attribution.asked import Asked, explanation
from viz.attribution.methods import METHODS
from viz.intervene.edits import Edit
from viz.intervene.edits import parse as edits_of
from viz.intervene.knockout import ablate
from viz.lenses.all import Lenses, now_at
from viz.lenses.attribution.options import BASELINE, FAST, OUTPUT
from viz.lenses.view import Numbers, View
from viz.measuring import Measurement, on_model_thread
from viz.microscope import Microscope
from viz.mixing.influence import token_jacobian
from viz.page.sent import Sent, taken_from
from viz.page.tools import Schema
from viz.page.upload import Refused
from viz.selection import Params, Selection, change, from_query, show

BASELINES, OUTPUTS = (tuple(name for name, _ in choice.choices) for choice in (BASELINE, OUTPUT))
FIRST = "how.network"
"""the view that a program gets without a name"""
SENT = "the picture in base64, plain or as a data URL"
FETCHED = "; or its address (http or https) on the public internet"
MAX_NAMED = 100
"""classes that a tool lists"""
NULL: Schema = {"type": "null"}
"""may be left out: told last, as in `str | None`"""
T = TypeVar("T")

Map = list[list[float]]
"""a number for each patch: rows of columns, from the top left"""


class Confidence(TypedDict):
    label: str
    confidence: float


class Answer(TypedDict):
    label: str
    """the most probable class"""
    confidences: list[Confidence]
    """of all classes, the most probable first"""
    notes: list[str]
    """what was left out or changed of the picture, in sentences"""


class Attributed(TypedDict):
    label: str
    """the class that is explained"""
    method: str
    baseline: str
    output: str
    """what is explained: the logit or the probability of the class"""
    values: Map
    """what each patch contributes; of saliencies, how strongly each counts, without sign"""
    total: float
    """the sum of the values"""
    difference: float
    """the output for the picture minus that for the baseline: the total of a complete method"""
    passes: int
    """the cost, in passes of one picture through the network"""
    notes: list[str]


class Tokens(TypedDict):
    depth: str
    channels: int
    lengths: Map
    """the Euclidean norm of each token"""
    answers: list[list[str]]
    """the class that the network's classifier would give each token alone"""
    similarity: Map | None
    """the cosine similarity of each token with that of the given patch"""
    vectors: list[list[list[float]]] | None
    """the tokens themselves, on request: rows of columns of channels"""
    notes: list[str]


class Mixing(TypedDict):
    block: int
    patches: list[list[int]]
    """[row, column] of each patch, in the order of the influence's rows and columns"""
    influence: Map
    """how strongly each patch (column) influences each patch (row) through the token mixing, for this picture"""
    notes: list[str]


class Side(TypedDict):
    """The answer on one side of an intervention."""

    answer: str
    """the most probable class"""
    logit: float
    """of the class to explain"""
    probability: float


class Intervened(TypedDict):
    label: str
    """the class that is explained"""
    before: Side
    after: Side
    change: float
    """of the logit of the class"""
    notes: list[str]


class Listed(TypedDict):
    views: dict[str, str]
    """the names of all views, and the question of each"""


class Seen(TypedDict):
    """A view of the page, in numbers and words."""

    view: str
    title: str
    question: str
    words: str
    """the sentence made of its numbers"""
    caution: str
    """what it does not show"""
    quantity: str
    """what the values are; empty where the view is a text"""
    axes: dict[str, list[str]]
    """for each dimension of the values its name, and what stands at its places"""
    values: Any
    """nested lists, as deep as there are axes; null for what is no number"""
    notes: list[str]


def add(lenses: Lenses, fetch: bool) -> None:
    """Put the endpoints on the page that is being built. fetch: whether pictures may be named by public addresses"""
    scope = lenses.scope
    size = scope.grid.image_size

    async def classify(picture: Sent = None) -> Answer:
        """Classify a picture.

        The picture is cropped to the largest centred part of the network's shape and resized, as on the page.

        Args:
            picture: base64, plain or as a data URL; over HTTP, also an uploaded file
        """
        pixels, notes = await taken_from(picture, size, fetch)
        return await on_model_thread(_classified, scope, pixels, notes)

    async def attribute(
        picture: Sent = None,
        label: str | None = None,
        method: str | None = None,
        baseline: str | None = None,
        output: str | None = None,
        block: int | None = None,
    ) -> Attributed:
        """Which patches support the class? One value for each patch.

        Args:
            picture: as for classify
            label: the class to explain; without it, the answer
            method: as on the page, such as Integrated Gradients; without it, Gradient x input
            baseline: the picture to compare with, as on the page; without it, mean colour
            output: logit or probability; without it, logit
            block: for methods that explain tokens, the block after which, counted from 1; without it, the last
        """
        pixels, notes = await taken_from(picture, size, fetch)
        number = await on_model_thread(scope.answer, pixels) if label is None else _class(scope, label)
        kind = _one_of("method", method or FAST[0], tuple(METHODS))
        against = _one_of("baseline", baseline or BASELINE.default, BASELINES)
        of: Any = _one_of("output", output or OUTPUT.default, OUTPUTS)
        asked = Asked(pixels, number, against, of, _block(scope, block))
        await _measured(scope.missing([explanation(scope, asked, kind)]))
        return await on_model_thread(_attributed, scope, asked, kind, notes)

    async def tokens(
        picture: Sent = None, depth: str | None = None, patch: list[int] | None = None, vectors: bool | None = None
    ) -> Tokens:
        """What does each token contain, at a depth?

        Args:
            picture: as for classify
            depth: stem, 1a (after token mixing), 1b (after channel mixing), 2a, ...; without it, the last
            patch: [row, column], counted from 0 at the top left: compare all tokens with this one
            vectors: whether to return the tokens themselves, too
        """
        pixels, notes = await taken_from(picture, size, fetch)
        at = scope.depth_names.index(_one_of("depth", depth or scope.depth_names[-1], scope.depth_names))
        one = None if patch is None else _patch(scope, patch)
        return await on_model_thread(_tokens, scope, pixels, at, one, _truth("vectors", vectors), notes)

    async def mixing(picture: Sent = None, block: int | None = None) -> Mixing:
        """Which patch influences which in a block, for this picture? The gain of each patch on each, without sign.

        A small random change of a patch's token by e in every channel changes the update of another by gain x e.

        Args:
            picture: as for classify
            block: counted from 1; without it, the last
        """
        pixels, notes = await taken_from(picture, size, fetch)
        return await on_model_thread(_mixing, scope, pixels, _block(scope, block), notes)

    async def intervene(
        picture: Sent = None,
        edits: str | None = None,
        skip: list[str] | None = None,
        silence: list[list[int]] | None = None,
        label: str | None = None,
    ) -> Intervened:
        """What if the picture were different, or a part of the network were ablated? All changes apply at once.

        Args:
            picture: as for classify
            edits: changes of the picture, as in a link, such as mean:3,1;swap:0,1-2,2;shuffle:7;paste:12@3,1
            skip: half-blocks whose update is set to zero, by the depth after them: 1a, 1b, 2a, ...
            silence: token-mixing units that are set to zero: [block, unit], blocks counted from 1, units from 0
            label: the class to explain; without it, the answer before the intervention
        """
        pixels, notes = await taken_from(picture, size, fetch)
        number = await on_model_thread(scope.answer, pixels) if label is None else _class(scope, label)
        halves, units = _of("skip", _halves, scope, skip), _of("silence", _units, scope, silence)
        changed = await on_model_thread(scope.edited, pixels, _of("edits", _edits, scope, edits))
        return await on_model_thread(_intervened, scope, pixels, changed, halves, units, number, notes)

    async def views() -> Listed:
        """Which views are there? Their names, for `view`, and the question that each answers."""
        return {"views": {name: view.question for name, (_, view) in lenses.named.items()}}

    async def view(picture: Sent = None, name: str | None = None, words: str | None = None) -> Seen:
        """What does a view of the page show? Its numbers with named axes, and what it says of them.

        Args:
            picture: as for classify
            name: as views lists them, such as tokens.norms; without it, how.network
            words: what is selected, as in a link of the page, such as depth=5a&patch=3,1&class=cat&methods=Saliency
        """
        pixels, notes = await taken_from(picture, size, fetch)
        now, moved = now_at(scope, name or FIRST)
        _, found = lenses.named[_one_of("view", now, tuple(lenses.named))]
        selection = await on_model_thread(_selected, lenses, pixels, moved, words)
        while waiting := await on_model_thread(found.missing, scope, selection):
            await _measured(waiting[:1])
        return await on_model_thread(_seen, scope, now, found, selection, notes)

    parameters = _parameters(lenses, fetch)
    for function, returned in (
        (classify, "answer"),
        (attribute, "attribution"),
        (tokens, "tokens"),
        (mixing, "mixing"),
        (intervene, "intervention"),
        (views, "list"),
        (view, "seen"),
    ):
        _publish(function, returned, parameters)


async def _measured(wanted: Sequence[Measurement[Any]]) -> None:
    for measurement in wanted:
        steps = measurement.steps()
        while await on_model_thread(next, steps, None) is not None:
            pass  # the page's visitors have their turn between two steps


def _publish(function: Callable[..., Awaitable[Any]], returned: str, parameters: Mapping[str, Schema]) -> None:
    """Make an endpoint of it, whose parameters and result have their names, and what is said of them, in `view_api`."""
    page: Any = Context.root_block  # Gradio states neither labels nor parameters
    _, said, _ = get_function_description(function)
    added = gr.api(function, api_name=function.__name__)
    names = [*function.__annotations__][: len(added["inputs"])]
    for number, name in zip((*added["inputs"], *added["outputs"]), (*names, returned), strict=True):
        block = page.blocks[number]
        block.label = name  # where Gradio writes "1st"
        if name in said:
            may = {kind: sorted(each, key=NULL.__eq__) for kind, each in block.api_info().items() if kind == "oneOf"}
            about = dict.fromkeys(("description", "additional_description"), said[name])  # of JSON Schema, and Gradio's
            block._api_info = block.api_info() | may | about
    page.parameters[function.__name__] = {name: parameters[name] for name in names}


def _parameters(lenses: Lenses, fetch: bool) -> dict[str, Schema]:
    """What each parameter may be (JSON Schema), beside what its endpoint says of it."""
    scope = lenses.scope
    block: Schema = {"type": "integer", "minimum": 1, "maximum": len(scope.model.blocks)}
    unit: Schema = {"type": "integer", "minimum": 0, "maximum": scope.model.config.tokens_mlp_dim - 1}
    pair: Schema = {"type": "array", "minItems": 2, "maxItems": 2}
    return {
        "picture": {"type": "string", "description": SENT + (FETCHED if fetch else "")},
        "label": _names(scope.classes),
        "method": _names(tuple(METHODS)),
        "baseline": _names(BASELINES),
        "output": _names(OUTPUTS),
        "block": block,
        "depth": _names(scope.depth_names),
        "patch": pair | {"items": {"type": "integer", "minimum": 0}},
        "vectors": {"type": "boolean"},
        "edits": {"type": "string"},
        "skip": {"type": "array", "items": _names(scope.depth_names[1:])},
        "silence": {"type": "array", "items": pair | {"prefixItems": [block, unit]}},
        "name": _names(tuple(lenses.named)),
        "words": {"type": "string"},
    }


def _names(right: tuple[str, ...]) -> Schema:
    """A list of a thousand classes would be longer than all else that a program reads of a tool."""
    return {"type": "string"} | ({"enum": list(right)} if len(right) <= MAX_NAMED else {})


def _classified(scope: Microscope, picture: bytes, notes: list[str]) -> Answer:
    probabilities, best = scope.probabilities(picture), scope.leading(picture, len(scope.classes))
    confidences: list[Confidence] = [{"label": scope.classes[i], "confidence": float(probabilities[i])} for i in best]
    return {"label": confidences[0]["label"], "confidences": confidences, "notes": notes}


def _attributed(scope: Microscope, asked: Asked, method: str, notes: list[str]) -> Attributed:
    found = scope.made(explanation(scope, asked, method))
    return {
        "label": scope.classes[asked.target],
        "method": method,
        "baseline": asked.baseline,
        "output": asked.output,
        "values": _map(scope, found.values),
        "total": found.total,
        "difference": found.difference,
        "passes": found.passes,
        "notes": notes,
    }


def _tokens(
    scope: Microscope, picture: bytes, depth: int, patch: int | None, vectors: bool, notes: list[str]
) -> Tokens:
    seen = scope.look(picture)
    best = scope.grid.map(token_questions.votes(seen, scope.model, depth).argmax(1))
    held = seen.depths[depth, 0].cpu().numpy()
    return {
        "depth": scope.depth_names[depth],
        "channels": held.shape[1],
        "lengths": _map(scope, token_questions.norms(seen)[depth]),
        "answers": [[scope.classes[number] for number in row] for row in best],
        "similarity": None if patch is None else _map(scope, token_questions.similarity(seen, patch)[depth]),
        "vectors": scope.grid.map(held, axis=0).tolist() if vectors else None,
        "notes": notes,
    }


def _mixing(scope: Microscope, picture: bytes, block: int, notes: list[str]) -> Mixing:
    gains = token_jacobian(scope.model, scope.input(picture), block)
    places = [list(position) for position in scope.grid.positions]
    return {"block": block + 1, "patches": places, "influence": gains.tolist(), "notes": notes}


def _intervened(
    scope: Microscope,
    picture: bytes,
    changed: bytes,
    halves: list[int],
    units: dict[int, list[int]],
    target: int,
    notes: list[str],
) -> Intervened:
    before = ablate(scope.model, scope.input(picture)[None], (), {})
    after = ablate(scope.model, scope.input(changed)[None], halves, units)
    sides = [_side(scope, logits, target) for (logits,) in (before, after)]
    change = sides[1]["logit"] - sides[0]["logit"]
    return {"label": scope.classes[target], "before": sides[0], "after": sides[1], "change": change, "notes": notes}


def _side(scope: Microscope, logits: Float32[np.ndarray, "classes"], target: int) -> Side:
    shares = np.exp(logits - logits.max(), dtype=np.float64)
    answer, probability = scope.classes[logits.argmax()], float(shares[target] / shares.sum())
    return {"answer": answer, "logit": float(logits[target]), "probability": probability}


def _selected(lenses: Lenses, picture: bytes, moved: Params, given: object) -> Selection:
    """moved: what an older name of the view says, too"""
    if not isinstance(given, str | None):
        raise Refused(f"Words are a text such as depth=5a&class=cat, not {str(given)[:50]!r}.")
    start = show(lenses.scope, lenses.first, picture)
    selection, wrong = change(lenses.scope, lenses.page, start, {**moved, **from_query(given or "")})
    if wrong:
        raise Refused(" ".join(wrong))
    return selection


def _seen(scope: Microscope, name: str, view: View, selection: Selection, notes: list[str]) -> Seen:
    drawn = view.draw(scope, selection)
    numbers = drawn.numbers or Numbers("", {}, np.array(np.nan))
    values = numbers.values.astype(object)
    if numbers.values.dtype.kind == "f":
        values[~np.isfinite(numbers.values)] = None
    return {
        "view": name,
        "title": view.title,
        "question": view.question,
        "words": " ".join(unescape(re.sub("<[^>]*>", "", drawn.words)).split()),
        "caution": view.caution,
        "quantity": numbers.name,
        "axes": {axis: [*map(str, places)] for axis, places in numbers.axes.items()},
        "values": values.tolist(),
        "notes": notes,
    }


def _map(scope: Microscope, values: np.ndarray) -> Map:
    return scope.grid.map(values).tolist()


# what was chosen: other programs send anything, and many send numbers, lists and truth values as text


def _of(name: str, read: Callable[[Microscope, Any], T], scope: Microscope, given: Any) -> T:
    """What was given by a parameter. Raises Refused with its name, where the sentence does not have it."""
    try:
        return read(scope, given)
    except Refused as error:
        raise Refused(error.message if name in error.message.lower() else f"{error.message} (In {name}.)") from error


def _class(scope: Microscope, label: object) -> int:
    return scope.classes.index(_one_of("label", label, scope.classes))


def _one_of(name: str, given: object, right: tuple[str, ...]) -> str:
    text = given if isinstance(given, str) else json.dumps(given, default=str)
    if text not in right:
        known = f"{', '.join(right[:20])}{', ...' if len(right) > 20 else ''}"
        raise Refused(f"There is no {name} {str(given)[:50]!r} here. There are: {known}.")
    return text


def _edits(scope: Microscope, given: object) -> tuple[Edit, ...]:
    if not isinstance(given, str | None):
        raise Refused(f"Edits are a text such as mean:0,1;shuffle:7, not {str(given)[:50]!r}.")
    try:
        return edits_of(given or "", scope.grid, len(scope.samples))
    except ValueError as error:
        raise _refused(str(error)) from error


def _halves(scope: Microscope, given: object) -> list[int]:
    """Their numbers, counted from 0."""
    names = scope.depth_names[1:]
    return [names.index(_one_of("half-block", name, names)) for name in _list("skip", given)]


def _units(scope: Microscope, given: object) -> dict[int, list[int]]:
    """Their numbers, by block, both counted from 0."""
    found: dict[int, list[int]] = {}
    for pair in _list("silence", given):
        if not isinstance(pair, (list, tuple)) or len(pair) != 2:
            raise Refused(f"A unit is [block, unit], not {str(pair)[:50]!r}.")
        unit = _whole("unit", pair[1], 0, scope.model.config.tokens_mlp_dim - 1)
        found.setdefault(_block(scope, pair[0]), []).append(unit)
    return found


def _list(name: str, given: object) -> Sequence[object]:
    """A list, or a text such as `["6a", "6b"]` or `6a, 6b`."""
    if isinstance(given, str):
        read = _read(given if given.strip().startswith("[") else f"[{given}]")
        given = read if isinstance(read, list) else [part.strip() for part in given.split(",")]
    if not isinstance(given, (list, tuple, type(None))):
        raise _refused(f"{name} is a list, not {str(given)[:50]!r}")
    return given or ()


def _read(text: str) -> object:
    """What a text says as JSON; itself where it says nothing."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _truth(name: str, given: object) -> bool:
    said = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False, "none": False, "": False}
    found = said.get(str(given).strip().lower())
    if found is None:
        raise _refused(f"{name} is true or false, not {str(given)[:50]!r}")
    return found


def _block(scope: Microscope, given: object) -> int:
    """Its number, counted from 0."""
    count = len(scope.model.blocks)
    return count - 1 if given is None else _whole("block", given, 1, count) - 1


def _patch(scope: Microscope, given: object) -> int:
    pair = _list("patch", given) if isinstance(given, (str, list, tuple)) else ()
    if len(pair) != 2:
        raise Refused(f"A patch is [row, column], not {str(given)[:50]!r}.")
    row = _whole("the row of the patch", pair[0], 0, scope.grid.rows - 1)
    return scope.grid.index(row, _whole("the column of the patch", pair[1], 0, scope.grid.cols - 1))


def _whole(name: str, given: object, low: int, high: int) -> int:
    """A whole number, be it 2, 2.0 or a text that says so."""
    number = _read(given) if isinstance(given, str) else given
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if not isinstance(number, int) or isinstance(number, bool) or not low <= number <= high:
        raise _refused(f"{name} is a whole number from {low} to {high}, not {str(given)[:50]!r}")
    return number


def _refused(text: str) -> Refused:
    """The text as a sentence."""
    return Refused(f"{text[0].upper()}{text[1:]}.")
