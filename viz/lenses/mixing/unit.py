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
        "Enter its number, or select one of those with the largest updates for this picture. The number beside each "
        "unit is the norm of its update.",
        "Limits: the norms of two units do not add up, as their updates may cancel.",
        sees=lambda s: (s.picture, s.block, s.unit),
        draw=draw_which,
    )
    active = View(
        "active",
        "Unit activations",
        "How active is the unit in each channel? The line shows its activation (after the GELU) in every channel.",
        'The output of a GELU is never below -0.17: a flat negative end means "off", not opposition.',
        sees=lambda s: (s.picture, s.block, s.unit),
        draw=draw_active,
    )
    reads = _map_view(
        "reads",
        "Read weights (W1)",
        "Where does the unit read? The map shows the weight on each patch, which is the same in every channel.",
        "Weights apply to normalised tokens: a large weight has no effect where the token is near zero.",
    )
    writes = _map_view(
        "writes",
        "Write weights (W2)",
        "Where does the unit write? The map shows the update of each patch for an activation of 1.",
        "Limits: other units write to the same patches at the same time, and may cancel this update.",
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
    numbers = Numbers("activation", {"channel": range(len(values))}, values)
    return Drawn(figures.ranked(values, "channel", "activation"), numbers=numbers)


def draw_which(scope: Microscope, selection: Selection) -> Drawn:
    strengths, unit = chosen.strengths(scope, selection), unit_of(scope, selection)
    offered = np.argsort(-strengths, kind="stable")[:OFFERED].tolist()
    place = int((strengths > strengths[unit]).sum()) + 1
    words = (
        f"{block.in_words(scope, selection)} Unit <b>{unit}</b> is number {place} of {len(strengths)} by the norm of "
        "its update."
    )
    number = number_field("unit", "Unit", unit, len(strengths))
    buttons = "".join(
        f"<li><button type='button' data-words='unit={i}' aria-pressed='{'true' if i == unit else 'false'}'>"
        f"unit {i}</button> {strengths[i]:.3g}</li>"
        for i in offered
    )
    numbers = Numbers("norm of the unit's update", {"unit": range(len(strengths))}, strengths)
    return Drawn(html=f"{number}<ol class='offered'>{buttons}</ol>", words=words, numbers=numbers)
