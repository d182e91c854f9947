"""One unit: what it reads, what it writes, how active it is, and which pictures drive it."""

from functools import partial

import numpy as np

from viz import figures
from viz.lenses.mixing import block, chosen, drivers
from viz.lenses.mixing.chosen import unit_of
from viz.lenses.mixing.units import MAPS
from viz.lenses.view import Drawn, Lens, Numbers, View, number_field, pick_patch, places
from viz.microscope import Microscope
from viz.mixing import units
from viz.selection import Selection

OFFERED = 10


def lens(scope: Microscope) -> Lens:
    which = View(
        "which",
        "Unit selection",
        "Which unit contributes most here? "
        "Give its number, or choose one of those that add most to the tokens of this picture. Beside each: the length "
        "of what it adds.",
        "The lengths of two units cannot be added: one may take away what the other adds.",
        sees=lambda s: (s.picture, s.block, s.unit),
        draw=draw_which,
    )
    active = View(
        "active",
        "Unit activations",
        "How active is the unit in each channel? What it answers (after the GELU) to each channel.",
        "A GELU lets no answer below -0.17 through: a flat negative end means off, not against.",
        sees=lambda s: (s.picture, s.block, s.unit),
        draw=draw_active,
    )
    reads = _map_view(
        "reads",
        "Read weights (W1)",
        "Where does the unit read? The weight with which the unit reads each patch, in every channel alike.",
        "Weights apply to normalised tokens: a large weight on a patch that holds nothing moves nothing.",
    )
    writes = _map_view(
        "writes",
        "Write weights (W2)",
        "Where does the unit write? What the unit adds to each patch, for an activity of 1.",
        "Other units write to the same patches at the same time, and may cancel it.",
    )
    asks = f"What does one hidden unit of the token mixing do? {block.FOLLOWS}"
    return Lens("mixing.unit", "One unit", asks, ((which, active), (reads, writes), (drivers.view(scope),)))


def _map_view(side: str, title: str, question: str, caution: str) -> View:
    draw = partial(draw_map, side)
    return View(
        side, title, question, caution, lambda s: (s.picture, s.patch, s.block, s.unit), draw=draw, pick=pick_patch
    )


def draw_map(side: str, scope: Microscope, selection: Selection) -> Drawn:
    """side: one of `MAPS`"""
    values = MAPS[side](scope.model, selection.block)[unit_of(scope, selection)]
    pixels, place = scope.pixels(selection.picture), scope.grid.position(selection.patch)
    figure = figures.over_picture(pixels, values, "weight", True, place)
    return Drawn(figure, numbers=Numbers("weight", places(scope), values))


def draw_active(scope: Microscope, selection: Selection) -> Drawn:
    values = units.activations(scope.look(selection.picture), selection.block, unit_of(scope, selection))
    numbers = Numbers("activity", {"channel": range(len(values))}, values)
    return Drawn(figures.ranked(values, "channel", "activity"), numbers=numbers)


def draw_which(scope: Microscope, selection: Selection) -> Drawn:
    strengths, unit = chosen.strengths(scope, selection), unit_of(scope, selection)
    offered = np.argsort(-strengths, kind="stable")[:OFFERED].tolist()
    place = int((strengths > strengths[unit]).sum()) + 1
    words = (
        f"{block.in_words(scope, selection)} Unit <b>{unit}</b> is number {place} of {len(strengths)} by what it adds."
    )
    number = number_field("unit", "Unit", unit, len(strengths))
    buttons = "".join(
        f"<li><button type='button' data-words='unit={i}' aria-pressed='{'true' if i == unit else 'false'}'>"
        f"unit {i}</button> {strengths[i]:.3g}</li>"
        for i in offered
    )
    numbers = Numbers("length of what the unit adds", {"unit": range(len(strengths))}, strengths)
    return Drawn(html=f"{number}<ol class='offered'>{buttons}</ol>", words=words, numbers=numbers)
