"""Does it depend on what was learned? Attributions while the weights are randomised."""

import gradio as gr
import numpy as np

from viz import figures
from viz.doubt.remembered import Doubts
from viz.panels.doubt.shown import Shown
from viz.panels.lens import view


def build(doubts: Doubts) -> gr.Plot:
    return view(
        "doubt-randomisation",
        "Does it depend on what was learned?",
        f"The attribution again while the weights are randomised, from the head down, in {doubts.stages} stages: how "
        "far it still puts the patches into the same order (Adebayo et al. 2018). The button above starts it.",
        "A line that stays near 1 shows the picture, not the network's reasons. One that falls may still be wrong.",
    )


def draw(doubts: Doubts, shown: Shown) -> figures.go.Figure | None:
    """None until something is measured."""
    known = {one.method: found for one in shown.doubted if (found := doubts.disturbed(one))}
    if not known:
        return None
    lines = np.array([[stage.correlation for stage in found.stages] for found in known.values()])
    stages = [stage.stage for stage in next(iter(known.values())).stages]
    return figures.randomised(stages, lines, list(known))
