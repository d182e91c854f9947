"""Patching: the tokens and updates of another picture, in the pass of this one."""

from collections.abc import Iterator, Sequence
from functools import partial
from html import escape

import numpy as np

from viz import figures
from viz.intervene.patching import Between, map_work, token_map, update_effects
from viz.microscope import Microscope
from viz.panels.intervene.other import other_of, other_picture
from viz.panels.tokens import COLUMNS
from viz.panels.view import Drawn, Lens, Numbers, Point, View, picture_name, places, sample_name
from viz.running import Measurement
from viz.selection import Choice, Selection, Words


def lens(scope: Microscope) -> Lens:
    other = other_of(scope)
    pair = View(
        "pair",
        "Which two pictures?",
        "This picture, and the other one that its tokens and updates are taken from.",
        "The two differ in everything at once: what is carried over can be the background as well as the thing.",
        sees=lambda s: (s.picture, s.sample, s.edits, other.of(s)),
        draw=partial(draw_pair, other),
        pick=pick_pair,
    )
    updates = View(
        "updates",
        "Which half-block carries it over?",
        "One half-block adds to all tokens what it adds for the other picture; everything behind it reacts. How far "
        "that moves the answer towards the other picture's.",
        "The bars do not add up to the whole difference: half-blocks can say the same thing twice, or undo each other.",
        sees=lambda s: (s.picture, s.depth, other.of(s)),
        draw=partial(draw_updates, other),
        pick=pick_half,
        needs=partial(updates_needed, other),
    )
    tokens = View(
        "map",
        "Where and when is the answer carried?",
        "The token of one place, at one depth, is the other picture's; all else is this picture's until then. How far "
        "that moves the answer towards the other picture's. Full red carries the whole difference over.",
        "A place that carries nothing alone may be needed together with others. And a token put into a foreign pass "
        "is one that the network never met there.",
        sees=lambda s: (s.picture, s.patch, other.of(s)),
        draw=partial(draw_map, other),
        pick=pick_map,
        needs=partial(map_needed, other),
    )
    asks = "What if one token, or one update, were another picture's? So it is seen where the answer is carried."
    return Lens("whatif.patching", "Patching", asks, ((pair, updates), (tokens,)), (other,))


def between(scope: Microscope, picture: bytes, other: bytes) -> Between:
    here, there = scope.answer(picture), scope.answer(other)
    return Between(there, None if here == there else here)


def draw_pair(other: Choice, scope: Microscope, selection: Selection) -> Drawn:
    second = other_picture(scope, other, selection)
    pixels = np.stack([scope.pixels(each) for each in (selection.picture, second)])
    inside = [figures.place(*scope.grid.position(patch)) for patch in scope.grid.mask().flatten().tolist()]
    names = picture_name(scope, selection), sample_name(scope, int(other.of(selection)))
    numbers = np.stack([scope.probabilities(each) for each in (selection.picture, second)])
    said = " ".join(
        f"{name}: <b>{escape(scope.classes[line.argmax()])}</b> ({line.max():.1%})."
        for name, line in zip(("This", "The other"), numbers, strict=True)
    )
    return Drawn(
        figures.pictures(pixels, names, [inside] * 2),
        words=said,
        numbers=Numbers("probability", {"picture": ("this", "the other"), "class": scope.classes}, numbers),
    )


def pick_pair(scope: Microscope, selection: Selection, point: Point) -> Words:
    row, col = point.index
    _, y, x = figures.picture_at((row, col), (2, *scope.grid.image_size))
    row, col = scope.grid.position(scope.grid.patch_at(y, x))
    return {"patch": f"{row},{col}"}


def draw_updates(other: Choice, scope: Microscope, selection: Selection) -> Drawn:
    second = other_picture(scope, other, selection)
    values = scope.recall(("patched updates", selection.picture, second))
    if values is None:
        return Drawn()
    names, label = scope.depth_names[1:], _label(scope, between(scope, selection.picture, second))
    figure = figures.effects(values, names, f"change of {label}", figures.HALVES, selection.depth - 1)
    words = _difference_in_words(scope, selection.picture, second)
    return Drawn(figure, words=words, numbers=Numbers(f"change of {label}", {"half-block": names}, values))


def updates_needed(other: Choice, scope: Microscope, selection: Selection) -> Sequence[Measurement]:
    picture, second = selection.picture, other_picture(scope, other, selection)
    key, halves = ("patched updates", picture, second), len(scope.depth_names) - 1

    def steps() -> Iterator[int]:
        found = between(scope, picture, second)
        scope.remember(key, update_effects(scope.model, scope.input(picture), scope.input(second), found))
        yield halves

    if scope.recall(key) is not None:
        return ()
    seconds = (halves + 2) * scope.explanations.seconds_per_pass
    return [Measurement(key, "Updates of the other picture", "half-blocks", halves, seconds, steps)]


def pick_half(scope: Microscope, selection: Selection, point: Point) -> Words:
    (half,) = point.index
    return {"depth": scope.depth_names[1:][half]}


def draw_map(other: Choice, scope: Microscope, selection: Selection) -> Drawn:
    second = other_picture(scope, other, selection)
    values = scope.recall(("token map", selection.picture, second))
    if values is None:
        return Drawn(words=_difference_in_words(scope, selection.picture, second))
    label, whole = _label(scope, between(scope, selection.picture, second)), _whole(scope, selection.picture, second)
    maps, names, signed = scope.grid.map(values), scope.depth_names, np.sign(whole) or 1.0
    figure = figures.tiles(
        maps * np.float32(signed),
        names,
        f"change of {label}, towards the other",
        True,
        COLUMNS,
        scope.grid.patch_size,
        span=abs(whole),
        chosen=scope.grid.position(selection.patch),
    )
    depth, row, col = np.unravel_index((maps * signed).argmax(), maps.shape)
    share = f" (<b>{maps[depth, row, col] / whole:.0%}</b>)" if whole else ""
    words = (
        f"{_difference_in_words(scope, selection.picture, second)} The one token that carries most: patch "
        f"<b>({row}, {col})</b> at <b>{names[depth]}</b>, {maps[depth, row, col]:+.2f}{share}."
    )
    return Drawn(figure, words=words, numbers=Numbers(f"change of {label}", {"depth": names, **places(scope)}, maps))


def map_needed(other: Choice, scope: Microscope, selection: Selection) -> Sequence[Measurement]:
    picture, second = selection.picture, other_picture(scope, other, selection)
    key, depths = ("token map", picture, second), len(scope.depth_names)

    def steps() -> Iterator[int]:
        found = between(scope, picture, second)
        return scope.keep(key, token_map(scope.model, scope.look(picture), scope.look(second), found))

    if scope.recall(key) is not None:
        return ()
    work = map_work(depths, scope.grid.patches)
    seconds = work / (depths - 1) * scope.explanations.seconds_per_pass
    return [Measurement(key, "Patching every token", "half-blocks", work, seconds, steps, asked=True)]


def pick_map(scope: Microscope, selection: Selection, point: Point) -> Words:
    """A click on a map: the depth, and the patch."""
    shape = len(scope.depth_names), scope.grid.rows, scope.grid.cols
    depth, row, col = figures.tile_at(point.index, shape, COLUMNS)
    return {"depth": scope.depth_names[depth], "patch": f"{row},{col}"}


def _whole(scope: Microscope, picture: bytes, other: bytes) -> float:
    """What the other picture has more of it."""
    found = between(scope, picture, other)
    here, there = (float(found.of(scope.look(each).logits)) for each in (picture, other))
    return there - here


def _label(scope: Microscope, found: Between) -> str:
    toward = f"logit of {scope.classes[found.toward]}"
    return toward if found.away is None else f"{toward} less that of {scope.classes[found.away]}"


def _difference_in_words(scope: Microscope, picture: bytes, other: bytes) -> str:
    """HTML."""
    found = between(scope, picture, other)
    here, there = (float(found.of(scope.look(each).logits)) for each in (picture, other))
    one = " Both pictures have one answer." if found.away is None else ""
    return (
        f"The {escape(_label(scope, found))} is <b>{here:.2f}</b> for this picture and <b>{there:.2f}</b> for the "
        f"other: <b>{there - here:+.2f}</b> is to be carried over.{one}"
    )
