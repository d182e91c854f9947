"""Activation patching: the tokens and updates of another picture, in the pass of this one."""

from html import escape

import numpy as np
from jaxtyping import Float32

from viz import figures
from viz.figures import with_sign
from viz.intervene.patching import LogitDifference, map_work, token_map, update_effects
from viz.intervene.sweep import sweep_work
from viz.lenses.intervene.other import other_of, other_picture, other_sample
from viz.lenses.tokens import abreast, pick_tile
from viz.lenses.view import Drawn, Lens, Numbers, View, group_place, pick_sublayer, places
from viz.measuring import Measurement
from viz.microscope import Microscope
from viz.pace import with_result
from viz.pictures import thumbnail_url
from viz.selection import Selection, groups_of

SHARE = "share of the difference that is transferred"


def between(scope: Microscope, picture: bytes, other: bytes) -> LogitDifference:
    here, there = scope.answer(picture), scope.answer(other)
    return LogitDifference(there, None if here == there else here)


def _pair(scope: Microscope, picture: bytes, other: bytes) -> str:
    """HTML: the two pictures, and their answers."""
    shown = "".join(
        f"<span><img src='{thumbnail_url(scope.pixels(each))}' alt=''>{name}: "
        f"<b>{escape(scope.classes[scope.answer(each)])}</b> ({scope.probabilities(each).max():.1%})</span>"
        for name, each in (("This", picture), ("The other", other))
    )
    return f"<span class='pair'>{shown}</span>"


def draw_updates(scope: Microscope, selection: Selection) -> Drawn:
    second = other_picture(scope, selection)
    values = scope.latest(updates_of(scope, selection))
    words = f"{_pair(scope, selection.picture, second)} {_difference_text(scope, selection.picture, second)}"
    if values is None:
        return Drawn(words=words)
    shares, names = _shares(scope, selection.picture, second, values), scope.depth_names[1:]
    most = int(shares.argmax())
    words += f" The update of <b>{names[most]}</b> transfers most of it, <b>{shares[most]:.0%}</b>."
    figure = figures.signed_bars(shares, names, SHARE, figures.SUBLAYERS, selection.depth - 1)
    return Drawn(figure, words=words, numbers=Numbers(SHARE, {"sublayer": names}, shares))


def updates_of(scope: Microscope, selection: Selection) -> Measurement[Float32[np.ndarray, "sublayers"]]:
    picture, second = selection.picture, other_picture(scope, selection)
    sublayers = len(scope.depth_names) - 1
    return scope.measurement(
        ("patched updates", picture, second),
        "Updates of the other picture",
        "sublayers",
        sweep_work(sublayers),
        lambda: with_result(
            update_effects(scope.model, scope.look(picture), scope.look(second), between(scope, picture, second))
        ),
        passes=(1 + sublayers) / 2,
    )


def draw_map(scope: Microscope, selection: Selection) -> Drawn:
    second = other_picture(scope, selection)
    values = scope.latest(map_of(scope, selection))
    if values is None:
        return Drawn(words=_difference_text(scope, selection.picture, second))
    groups, shares = groups_of(scope, selection), _shares(scope, selection.picture, second, values)
    maps, names = scope.grid.map(groups.expand(shares)), scope.depth_names
    largest = float(np.abs(maps).max()) or 1.0
    figure = figures.tiles(
        maps,
        names,
        SHARE,
        True,
        abreast(scope),
        scope.grid.patch_size,
        largest,
        groups.box(selection.patch),
    )
    depth, row, col = np.unravel_index(maps.argmax(), maps.shape)
    rows, cols = group_place(groups, scope.grid.index(int(row), int(col)))
    words = (
        f"{_difference_text(scope, selection.picture, second)} The token that transfers most of it is patch "
        f"<b>({rows}, {cols})</b> at <b>{names[depth]}</b>: {maps[depth, row, col]:.0%}."
    )
    axes = {"depth": names, **places(scope, selection.side)}
    return Drawn(figure, words=words, numbers=Numbers(SHARE, axes, groups.map(shares)))


def map_of(scope: Microscope, selection: Selection) -> Measurement[Float32[np.ndarray, "depths groups"]]:
    picture, second, side = selection.picture, other_picture(scope, selection), selection.side
    depths = len(scope.depth_names)
    work = map_work(depths, len(groups_of(scope, selection)))
    return scope.measurement(
        ("token map", picture, second, side),
        "Patching every token",
        "sublayers",
        work,
        lambda: token_map(
            scope.model, scope.input(picture), scope.input(second), between(scope, picture, second), side
        ),
        passes=work / (depths - 1),
        on_request=True,
    )


def _ends(scope: Microscope, picture: bytes, other: bytes) -> tuple[float, float]:
    """The logit difference of the two answers, for this picture and for the other."""
    here, there = (float(between(scope, picture, other).of(scope.look(each).logits)) for each in (picture, other))
    return here, there


def _shares(scope: Microscope, picture: bytes, other: bytes, changes: Float32[np.ndarray, "*any"]) -> np.ndarray:
    """Changes as shares of the difference between the two pictures; unchanged if that is 0."""
    here, there = _ends(scope, picture, other)
    return changes / np.float32(there - here or 1)


def _difference_text(scope: Microscope, picture: bytes, other: bytes) -> str:
    """HTML."""
    found, (here, there) = between(scope, picture, other), _ends(scope, picture, other)
    toward = escape(scope.classes[found.toward])
    if found.away is None:
        what = f"Both pictures get the same answer. Its logit, of {toward}, is"
    else:
        what = f"The logit of {toward} minus that of {escape(scope.classes[found.away])} is"
    return (
        f"{what} <b>{here:.2f}</b> for this picture and <b>{there:.2f}</b> for the other: "
        f"the difference is <b>{with_sign(there - here, '.2f')}</b>."
    )


UPDATES = View(
    "updates",
    "Activation patching by sublayer",
    "How much of the difference between the answers does the other picture's update of one sublayer transfer?",
    "Limits: the bars do not add up, and the background may be transferred as well as the object.",
    sees=lambda scope, s: (s.picture, s.depth, other_sample(scope, s)),
    draw=draw_updates,
    pick=pick_sublayer,
    needs=lambda scope, s: [updates_of(scope, s)],
)
MAP = View(
    "map",
    "Activation patching by token",
    "How much of the difference does one token of the other picture, at one depth, transfer?",
    "Limits: a token may matter only together with others, and one of another picture is unusual input.",
    sees=lambda scope, s: (s.picture, s.patch, s.side, other_sample(scope, s)),
    draw=draw_map,
    pick=pick_tile,
    needs=lambda scope, s: [map_of(scope, s)],
)


def lens(scope: Microscope) -> Lens:
    asks = "What if one token, or one update, came from another picture?"
    return Lens("whatif.patching", "Activation patching", asks, ((UPDATES,), (MAP,)), (other_of(scope),))
