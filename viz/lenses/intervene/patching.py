"""Activation patching: the tokens and updates of another picture, in the pass of this one."""

from functools import partial
from html import escape
from typing import Any

import numpy as np
from jaxtyping import Float32

from viz import figures
from viz.figures import with_sign
from viz.intervene.patching import Between, map_work, token_map, update_effects
from viz.lenses.intervene.other import other_of, other_picture
from viz.lenses.tokens import COLUMNS
from viz.lenses.view import (
    Drawn,
    Lens,
    Numbers,
    Point,
    View,
    pick_half,
    pick_in_pictures,
    picture_name,
    places,
    sample_name,
)
from viz.measuring import Measurement
from viz.microscope import Microscope
from viz.pace import with_result
from viz.selection import Choice, Selection, Words

SHARE = "share of the difference that is transferred"


def lens(scope: Microscope) -> Lens:
    other = other_of(scope)
    pair = View(
        "pair",
        "The two pictures",
        "What is compared? Tokens and updates of this picture are replaced by those of the other.",
        "Limits: the two pictures differ in everything at once, so the background may be transferred as well as the "
        "object.",
        sees=lambda s: (s.picture, s.sample, s.edits, other.of(s)),
        draw=partial(draw_pair, other),
        pick=pick_in_pictures(2),
    )
    updates = View(
        "updates",
        "Activation patching by half-block",
        "Which part carries the answer? "
        "The update of one half-block is replaced by the other picture's; later parts are recomputed. The bars show "
        "how much of the difference between the two answers this transfers.",
        "Limits: the bars do not add up to the whole difference. Half-blocks can do the same work twice, or cancel "
        "each other.",
        sees=lambda s: (s.picture, s.depth, other.of(s)),
        draw=partial(draw_updates, other),
        pick=pick_half,
        needs=lambda scope, s: [updates_of(other, scope, s)],
    )
    tokens = View(
        "map",
        "Activation patching by token",
        "Which token carries the answer, and at which depth? "
        "One token at one depth is replaced by the other picture's; later parts are recomputed. The maps show how much "
        "of the difference between the two answers this transfers. The colour scale ends at the largest share.",
        "Limits: a token that transfers nothing alone may be needed together with others. A token inserted into "
        "another picture is unlike those the network was trained on.",
        sees=lambda s: (s.picture, s.patch, other.of(s)),
        draw=partial(draw_map, other),
        pick=pick_map,
        needs=lambda scope, s: [map_of(other, scope, s)],
    )
    asks = "What if one token, or one update, came from another picture? This shows where the answer is decided."
    return Lens("whatif.patching", "Activation patching", asks, ((pair, updates), (tokens,)), (other,))


def between(scope: Microscope, picture: bytes, other: bytes) -> Between:
    here, there = scope.answer(picture), scope.answer(other)
    return Between(there, None if here == there else here)


def draw_pair(other: Choice, scope: Microscope, selection: Selection) -> Drawn:
    second = other_picture(scope, other, selection)
    pixels = np.stack([scope.pixels(each) for each in (selection.picture, second)])
    names = picture_name(scope, selection), sample_name(scope, int(other.of(selection)))
    numbers = np.stack([scope.probabilities(each) for each in (selection.picture, second)])
    said = " ".join(
        f"{name}: <b>{escape(scope.classes[line.argmax()])}</b> ({line.max():.1%})."
        for name, line in zip(("This", "The other"), numbers, strict=True)
    )
    return Drawn(
        figures.pictures(pixels, names, (scope.grid.rows, scope.grid.cols)),
        words=said,
        numbers=Numbers("probability", {"picture": ("this", "the other"), "class": scope.classes}, numbers),
    )


def draw_updates(other: Choice, scope: Microscope, selection: Selection) -> Drawn:
    second = other_picture(scope, other, selection)
    values = scope.known(updates_of(other, scope, selection))
    if values is None:
        return Drawn()
    shares, names = _shares(scope, selection.picture, second, values), scope.depth_names[1:]
    figure = figures.effects(shares, names, SHARE, figures.HALVES, selection.depth - 1)
    words = _difference_in_words(scope, selection.picture, second)
    return Drawn(figure, words=words, numbers=Numbers(SHARE, {"half-block": names}, shares))


def updates_of(other: Choice, scope: Microscope, selection: Selection) -> Measurement[Float32[np.ndarray, "halves"]]:
    picture, second = selection.picture, other_picture(scope, other, selection)
    return scope.measurement(
        ("patched updates", picture, second),
        "Updates of the other picture",
        "passes",
        len(scope.depth_names) - 1 + 2,
        lambda: with_result(update_effects(scope.model, *_inputs(scope, picture, second))),
    )


def draw_map(other: Choice, scope: Microscope, selection: Selection) -> Drawn:
    second = other_picture(scope, other, selection)
    values = scope.known(map_of(other, scope, selection))
    if values is None:
        return Drawn(words=_difference_in_words(scope, selection.picture, second))
    maps, names = scope.grid.map(_shares(scope, selection.picture, second, values)), scope.depth_names
    chosen = scope.grid.position(selection.patch)
    largest = float(np.abs(maps).max()) or 1.0
    figure = figures.tiles(maps, names, SHARE, True, COLUMNS, scope.grid.patch_size, largest, chosen)
    depth, row, col = np.unravel_index(maps.argmax(), maps.shape)
    words = (
        f"{_difference_in_words(scope, selection.picture, second)} The token that transfers most of it is patch "
        f"<b>({row}, {col})</b> at <b>{names[depth]}</b>: {maps[depth, row, col]:.0%}."
    )
    return Drawn(figure, words=words, numbers=Numbers(SHARE, {"depth": names, **places(scope)}, maps))


def map_of(
    other: Choice, scope: Microscope, selection: Selection
) -> Measurement[Float32[np.ndarray, "depths patches"]]:
    picture, second = selection.picture, other_picture(scope, other, selection)
    depths = len(scope.depth_names)
    work = map_work(depths, scope.grid.patches)
    return scope.measurement(
        ("token map", picture, second),
        "Patching every token",
        "half-blocks",
        work,
        lambda: token_map(scope.model, *_inputs(scope, picture, second)),
        passes=work / (depths - 1),
        asked=True,
    )


def _inputs(scope: Microscope, picture: bytes, other: bytes) -> tuple[Any, Any, Between]:
    return scope.input(picture), scope.input(other), between(scope, picture, other)


def pick_map(scope: Microscope, selection: Selection, point: Point) -> Words:
    """A click on a map: the depth, and the patch."""
    shape = len(scope.depth_names), scope.grid.rows, scope.grid.cols
    depth, row, col = figures.tile_at(point.index, shape, COLUMNS)
    return {"depth": scope.depth_names[depth], "patch": f"{row},{col}"}


def _ends(scope: Microscope, picture: bytes, other: bytes) -> tuple[float, float]:
    """What tells the two answers apart, for this picture and for the other."""
    here, there = (float(between(scope, picture, other).of(scope.look(each).logits)) for each in (picture, other))
    return here, there


def _shares(scope: Microscope, picture: bytes, other: bytes, changes: Float32[np.ndarray, "*any"]) -> np.ndarray:
    """Changes as shares of the whole difference between the pictures; as they are where there is none."""
    here, there = _ends(scope, picture, other)
    return changes / np.float32(there - here or 1)


def _difference_in_words(scope: Microscope, picture: bytes, other: bytes) -> str:
    """HTML."""
    found, (here, there) = between(scope, picture, other), _ends(scope, picture, other)
    toward = escape(scope.classes[found.toward])
    if found.away is None:
        what = f"Both pictures get the same answer. Its logit, of {toward}, is"
    else:
        what = f"The logit of {toward} minus that of {escape(scope.classes[found.away])} is"
    return (
        f"{what} <b>{here:.2f}</b> for this picture and <b>{there:.2f}</b> for the other: "
        f"<b>{with_sign(there - here, '.2f')}</b> is the difference to transfer."
    )
