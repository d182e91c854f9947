"""Without an image: what the weights alone carry from patch to patch."""

from functools import lru_cache
from typing import Any

import gradio as gr
import numpy as np

from viz import figures, mixing
from viz.microscope import Microscope, Selection
from viz.panels.lens import Lens, view

NAME = "Without an image"


def build(scope: Microscope, state: gr.State) -> Lens:
    with gr.Row(equal_height=True):
        matrix = view(
            "mixing-linear",
            "Which patches are wired together?",
            "W2 W1 of this block: the net weight from one patch (across) to another (down), as if every unit were "
            "always fully on. The chosen patch's row is framed.",
            "The GELU, the biases, the LayerNorm and the residual path are left out, and no picture takes part: wired "
            "is not used.",
        )
        to = view(
            "mixing-linear-to",
            "From where is the chosen patch fed?",
            "The framed row of the matrix, on the grid of the picture, which lies below only for orientation.",
            "A row of net weights: patches that feed through several units with opposite signs seem to feed little.",
        )
    with gr.Row(equal_height=True):
        values = view(
            "mixing-singular",
            "How many patterns can a block pass on?",
            "The singular values of W2 W1, largest first, of all blocks: each is the gain of one pattern over the "
            "picture, so as many patterns pass as there are large values.",
            "This is the matrix without the GELU, which lets a block tell apart more than a matrix can.",
        )
        distance = view(
            "mixing-distance",
            "How far does a block move things?",
            "The mean size of the entries of W2 W1 against the distance between the two patches, of all blocks.",
            "A mean hides single strong links, and the largest distances come from few pairs, all at the edges.",
        )

    @lru_cache(1)
    def summaries() -> list[mixing.LinearSummary]:
        return [mixing.linear_summary(scope.model, block) for block in range(len(scope.model.blocks))]

    def draw(selection: Selection) -> list[Any]:
        block, grid, row = selection.block, scope.grid, summaries()[selection.block].matrix[selection.patch]
        profiles = [mixing.distance_profile(summary.matrix, grid) for summary in summaries()]
        return [
            figures.patch_matrix(
                summaries()[block].matrix,
                grid.cols,
                "net weight",
                signed=True,
                relation="from {other} to {one}",
                chosen=selection.patch,
            ),
            figures.over_picture(
                scope.pixels(selection.picture),
                row.reshape(grid.rows, grid.cols),
                "net weight",
                signed=True,
                chosen=grid.position(selection.patch),
            ),
            figures.lines_of_blocks(
                np.arange(1, grid.patches + 1),
                np.stack([summary.singular_values for summary in summaries()]),
                block,
                "number, largest first",
                "singular value",
            ),
            figures.lines_of_blocks(
                profiles[0].distance,
                np.stack([profile.mean_weight for profile in profiles]),
                block,
                "distance in pixels",
                "mean size of a weight",
            ),
        ]

    return Lens([matrix, to, values, distance], draw)
