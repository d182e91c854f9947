"""One unit: its read and write weights, its activations, and its top-activating samples."""

import numpy as np

from viz import figures
from viz.lenses.mixing import block, selected_unit, top_samples
from viz.lenses.mixing.selected_unit import unit_of
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
        "Which unit contributes most to this picture?",
        "Limits: the norms of two units do not add up, as their updates may cancel.",
        sees=lambda scope, s: (s.picture, s.block, s.unit),
        draw=draw_which,
    )
    active = View(
        "active",
        "Unit activations",
        "How active is the unit in each channel, after the GELU?",
        'The output of a GELU is never below -0.17: a flat negative end means "off", not opposition.',
        sees=lambda scope, s: (s.picture, s.block, s.unit),
        draw=draw_active,
    )
    weights = View(
        "weights",
        "Read and write weights (W1, W2)",
        "Which patches does the unit read, and to which does it write?",
        "Limits: a large read weight has no effect where the token is near zero, and other units may cancel an update.",
        sees=lambda scope, s: (s.picture, s.patch, s.block, s.unit),
        draw=draw_weights,
        pick=pick_patch,
    )
    asks = f"What does one hidden unit of the token mixing do? {block.FOLLOWS}"
    return Lens("mixing.unit", "One unit", asks, ((which, active), (weights, top_samples.view(scope))))


def draw_weights(scope: Microscope, selection: Selection) -> Drawn:
    unit = unit_of(scope, selection)
    maps = [weights(scope.model, selection.block)[unit] for weights in MAPS.values()]
    grid = scope.grid
    figure = figures.overlays(
        scope.pixels(selection.picture),
        maps,
        [f"{side} (W{layer})" for layer, side in enumerate(MAPS, 1)],
        [True] * len(maps),
        "weight, the same in every channel",
        (grid.rows, grid.cols),
        grid.position(selection.patch),
    )
    return Drawn(figure, numbers=Numbers("weight", {"side": list(MAPS), **places(scope)}, np.stack(maps)))


def draw_active(scope: Microscope, selection: Selection) -> Drawn:
    values = units.activations(scope.look(selection.picture), selection.block, unit_of(scope, selection))
    numbers = Numbers("activation", {"channel": range(len(values))}, values)
    return Drawn(figures.sorted_line(values, "channel", "activation"), numbers=numbers)


def draw_which(scope: Microscope, selection: Selection) -> Drawn:
    strengths, unit = selected_unit.strengths(scope, selection), unit_of(scope, selection)
    offered = np.argsort(-strengths, kind="stable")[:OFFERED].tolist()
    place = int((strengths > strengths[unit]).sum()) + 1
    words = (
        f"{block.text(scope, selection)} Unit <b>{unit}</b> is number {place} of {len(strengths)} by the norm of "
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
