"""Overview: how the answer comes about, on one page."""

import gradio as gr

from viz import figures, tokens
from viz.microscope import Microscope, Selection
from viz.panels.lens import Lens, view

NAME = "Overview"


def build(scope: Microscope, state: gr.State) -> Lens:
    with gr.Row(equal_height=True):
        lens_plot = view(
            "overview-lens",
            "When does it know?",
            "What the network would answer if it ended at each depth: its own classifier, applied to the mean token.",
            "The classifier was trained for the last depth only. A class that is not seen early may still be there, "
            "in a form that this classifier cannot read.",
        )
        votes_plot = view(
            "overview-votes",
            "Which places speak for the class?",
            "The logit that each token alone would give the class asked about, at the last depth. Their mean is the "
            "network's logit, exactly.",
            "A token at the last depth has heard from all patches. A strong vote says where the evidence ended up, not "
            "which pixels it came from.",
        )

    def draw(selection: Selection) -> list:
        trace, target = scope.look(selection.picture), selection.target
        lens = tokens.logit_lens(trace, scope.model)
        colours = [figures.class_colour(i) for i in range(len(scope.classes))]
        answer = int(lens.probabilities[-1].argmax())
        lines = figures.lines_over_depth(
            lens.probabilities,
            scope.depth_names,
            scope.classes,
            colours,
            "probability",
            selection.depth,
            sorted({answer, target}),
        )
        votes = tokens.votes(trace, scope.model, len(scope.depth_names) - 1)[:, target]
        grid = scope.grid
        return [
            lines,
            figures.over_picture(
                scope.pixels(selection.picture),
                votes.reshape(grid.rows, grid.cols),
                f"logit for {scope.classes[target]}",
                signed=True,
                chosen=grid.position(selection.patch),
            ),
        ]

    return Lens([lens_plot, votes_plot], draw)
