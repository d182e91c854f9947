"""Which patches speak for the class? The values of several methods over the picture."""

from collections.abc import Sequence

import gradio as gr

from viz import figures
from viz.attribution.attribute import Attribution
from viz.microscope import Microscope
from viz.panels.attribution.shown import PIXELS, Shown
from viz.panels.lens import view


def build() -> gr.Plot:
    return view(
        "attribution-maps",
        "Which patches speak for the class?",
        "What each patch adds to the class asked about, as against the same place in the baseline: red speaks for it, "
        "blue against it. All signed methods are on one scale; an unsigned one says how much, not in which direction, "
        "and has its own.",
        "Each method answers a question of its own, and a picture of it looks right whether it is or not: read the "
        "gap below, and what Doubt finds.",
    )


def draw(scope: Microscope, shown: Shown, answers: Sequence[Attribution], room: int) -> figures.go.Figure | None:
    """room: how wide the figure will be, in the pixels of a screen"""
    if not answers:
        return None
    fine, grid = shown.resolution == PIXELS, scope.grid
    area = grid.patch_size[0] * grid.patch_size[1] if fine else 1
    coarse = [answer.values.reshape(grid.rows, grid.cols) / area for answer in answers]
    values = [
        answer.pixels if fine and answer.pixels is not None else patch
        for answer, patch in zip(answers, coarse, strict=True)
    ]
    return figures.overlays(
        scope.pixels(shown.selection.picture),
        values,
        [answer.method if answer.signed else f"{answer.method} (unsigned)" for answer in answers],
        [answer.signed for answer in answers],
        f"{shown.output} for {scope.classes[shown.selection.target]}, per {'pixel' if fine else 'patch'}",
        shown.opacity,
        (grid.rows, grid.cols),
        grid.position(shown.selection.patch),
        room,
    )
