"""Which patches support the class? The values of several methods over the picture."""

from collections.abc import Hashable, Mapping
from html import escape
from textwrap import wrap

import numpy as np
from jaxtyping import Float32

from mixer.grid import Groups
from viz import figures
from viz.attribution.attribute import Attribution
from viz.attribution.methods import METHODS
from viz.doubt.checks import CheckQuery, evidence
from viz.doubt.rules import findings
from viz.figures import AGAINST, FOR
from viz.lenses.attribution.options import (
    cache_keys,
    cached,
    checks_of,
    missing_note,
    needs,
    passed_text,
    selected,
    unit_label,
)
from viz.lenses.view import Drawn, Numbers, Point, View, part_text, places
from viz.microscope import Microscope
from viz.selection import Choice, Params, Selection, groups_of

PATCHES, PIXELS = "patches", "pixels"
RESOLUTION = Choice("resolution", "Resolution", ((PATCHES, "patches"), (PIXELS, "pixels")), PATCHES)
LETTERS = 19
"""letters in a line of a method's name over its map: the width of a phone"""
NOT_MEASURED = "not measured yet"


def sees(scope: Microscope, selection: Selection) -> Hashable:
    # and the test results, which may change while this view is closed
    keys = cache_keys(selection, selected(scope, selection)), RESOLUTION.value(selection), selection.patch
    return keys, tuple(_marks(scope, selection).values())


def pick(scope: Microscope, selection: Selection, point: Point) -> Params:
    """A click on a cell of any map selects its patch."""
    method = selected(scope, selection)[point.curve // 2]
    fine = RESOLUTION.value(selection) == PIXELS and METHODS[method].pixels
    grid, (down, across) = scope.grid, point.index
    patches = grid.rows, grid.cols
    row, col = figures.overlay_patch(grid.image_size if fine else patches, patches, (down, across))
    return {"patch": f"{row},{col}"}


def _marks(scope: Microscope, selection: Selection) -> dict[str, str]:
    """The results of each method's reliability tests, in short."""
    return {one.method: _mark(scope, one) for one in checks_of(selection, selected(scope, selection))}


def _mark(scope: Microscope, one: CheckQuery) -> str:
    found = findings(evidence(scope, one))
    tested = any(finding.figure != "gap" for finding in found)  # the map itself provides the gap
    return passed_text(found if tested else ())


def draw(scope: Microscope, selection: Selection) -> Drawn:
    """Each map is titled with its method and the results of its reliability tests."""
    names, grid, marks = selected(scope, selection), scope.grid, _marks(scope, selection)
    answers = cached(scope, selection)
    words = [missing_note(scope, selection, answers)]
    if not names:
        return Drawn(words=words[0])
    fine = RESOLUTION.value(selection) == PIXELS
    groups = groups_of(scope, selection)
    maps = [_values(groups, answers[name], fine) if name in answers else None for name in names]
    signed = [METHODS[name].signed for name in names]
    label = f"{unit_label(scope, selection)}, per {'pixel' if fine else part_text(selection.side)}"
    figure = figures.overlays(
        scope.pixels(selection.picture),
        maps,
        [_title(name, marks[name] if name in answers else NOT_MEASURED) for name in names],
        signed,
        label,
        (grid.rows, grid.cols),
        groups.box(selection.patch),
    )
    if any(METHODS[name].signed for name in answers):
        words.append("Signed maps share one colour scale, so weak ones look pale.")
    of_unsigned = [
        f"{escape(name)} {values.max():.3g}"
        for name, values in zip(names, maps, strict=True)
        if values is not None and not METHODS[name].signed
    ]
    if of_unsigned:
        words.append(f"Unsigned maps show sizes, from 0 to: {', '.join(of_unsigned)}.")
    errors = [
        f"{escape(name)} ± {np.nanmedian(one.standard_error):.2g}"
        for name, one in answers.items()
        if one.standard_error is not None and np.isfinite(one.standard_error).any()  # a single draw gives no error
    ]
    if errors:
        words.append(f"Median standard error of sampled values: {', '.join(errors)}.")
    words.append(_of_block(scope, selection, names))
    words.append(
        "Under each name: the tests that it passes in <a href='#' data-words='lens=doubt'>Reliability of maps</a>."
    )
    return Drawn(figure, words=" ".join(filter(None, words)), numbers=_numbers(scope, groups, answers, label, fine))


def _title(name: str, mark: str) -> str:
    lines = wrap(name if METHODS[name].signed else f"{name} (unsigned)", LETTERS)
    return "<br>".join([*lines, mark] if mark else lines)


def _values(groups: Groups, answer: Attribution, fine: bool) -> Float32[np.ndarray, "_rows _cols"]:
    """A value for each patch, that of its group. fine: for each pixel; without values per pixel, those of a group are
    equal."""
    if not fine:
        return groups.grid.map(groups.expand(answer.values))
    if answer.pixels is not None:
        return answer.pixels
    height, width = groups.grid.patch_size
    return groups.grid.map(groups.expand(answer.values / (groups.sizes * height * width).astype(np.float32)))


def _numbers(
    scope: Microscope, groups: Groups, answers: Mapping[str, Attribution], label: str, fine: bool
) -> Numbers | None:
    if not answers:
        return None
    if not fine:
        maps = np.stack([groups.map(answer.values) for answer in answers.values()])
        return Numbers(label, {"method": list(answers), **places(scope, groups.side)}, maps)
    values = [_values(groups, answer, fine) for answer in answers.values()]
    (height, width), (dy, dx) = groups.grid.image_size, groups.grid.patch_size
    pixels = [one if one.shape == (height, width) else one.repeat(dy, 0).repeat(dx, 1) for one in values]
    axes = {"method": list(answers), "pixel row": range(height), "pixel column": range(width)}
    return Numbers(label, axes, np.stack(pixels))


def _of_block(scope: Microscope, selection: Selection, names: tuple[str, ...]) -> str:
    """HTML: which methods explain the tokens of which block."""
    layered = [escape(name) for name in names if METHODS[name].block]
    if not layered:
        return ""
    verb = "explain" if len(layered) > 1 else "explains"
    block, count = selection.block + 1, len(scope.model.blocks)
    return f"{' and '.join(layered)} {verb} the tokens after block {block} of {count}: the depth selects the block."


VIEW = View(
    "maps",
    "Attribution maps",
    f"Which patches support ({FOR}) or oppose ({AGAINST}) the selected class, compared with the baseline?",
    "Limits: each method answers a different question, and a map can look plausible and be wrong: compare the gap and "
    "the tests.",
    sees,
    draw,
    options=(RESOLUTION,),
    pick=pick,
    needs=needs,
)
