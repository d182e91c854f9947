"""Does the answer go with its patches, and come back with them? Curves of several methods, against chance."""

from collections.abc import Sequence

import gradio as gr
import numpy as np

from viz import figures
from viz.doubt.faithfulness import RandomOrders, area, band
from viz.doubt.remembered import Doubts
from viz.microscope import Microscope
from viz.panels.doubt.shown import Shown
from viz.panels.lens import view


def build() -> list[gr.Plot]:
    deletion = view(
        "doubt-deletion",
        "Does the answer go with its patches?",
        "Patches are removed, those that speak most for the class first. If the values are right, its logit or "
        "probability falls faster than for nearly all random orders (grey): a small area is good.",
        "A picture with holes is unlike all that the network has seen. Only the distance from the grey counts, and "
        "only what holds for several fillings.",
    )
    insertion = view(
        "doubt-insertion",
        "Does it come back with them?",
        "The other way round: patches come into an empty picture, those that speak most for the class first. The "
        "curve should rise above the grey: a large area is good.",
        "An early peak above the end means that other patches speak against the class, not that the order is bad.",
    )
    return [deletion, insertion]


def draw(scope: Microscope, doubts: Doubts, shown: Shown) -> Sequence[figures.go.Figure | None]:
    """Both figures, with the random orders where they are remembered."""
    if not shown.methods:
        return [None, None]
    own = [doubts.curves(one) for one in shown.doubted]
    reverse = [curves.reverse for curves in own]
    random = doubts.chance(shown.doubted[0])
    label = f"{shown.asked.output} for {scope.classes[shown.asked.target]}"
    found = []
    for name, steps in (("deletion", "patches gone"), ("insertion", "patches there")):
        lines, backwards = (np.stack([getattr(curves, name) for curves in kind]) for kind in (own, reverse))
        areas, chance = np.stack([area(lines), area(backwards)]), _chance(random, name)
        found.append(figures.against_chance(lines, backwards, areas, shown.methods, label, steps, chance))
    return found


def _chance(random: RandomOrders | None, name: str) -> tuple[np.ndarray, float] | None:
    if random is None:
        return None
    curves = getattr(random, name)
    return band(curves), float(area(curves).mean())
