"""Influence of patches on patches as three views: the matrix, and the chosen patch's share in it over the picture."""

import gradio as gr
import numpy as np
from jaxtyping import Float32

from viz import figures
from viz.microscope import Microscope, Selection
from viz.panels.lens import view

SCALE = (
    "Both maps have the same scale. It ends at the strongest link of this patch with another; itself may lie beyond."
)
GAIN = "gain"


def matrix_view(elem_id: str, title: str, question: str) -> gr.Plot:
    return view(
        elem_id,
        title,
        f"{question} The chosen patch's row is framed.",
        "Of small changes, and without sign or content: who is heard, not what is said, nor whether it counts. The "
        "scale ends at the strongest link between two patches; that of a patch with itself may lie beyond.",
    )


def to_view(elem_id: str) -> gr.Plot:
    return view(
        f"{elem_id}-to", "Who acts on the chosen patch?", "The framed row of the matrix, over the picture.", SCALE
    )


def from_view(elem_id: str) -> gr.Plot:
    return view(f"{elem_id}-from", "On whom does it act?", "The chosen patch's column, over the picture.", SCALE)


def influence_figures(
    scope: Microscope,
    selection: Selection,
    influence: Float32[np.ndarray, "patches patches"],
    error: Float32[np.ndarray, "patches patches"] | None = None,
) -> list[figures.go.Figure]:
    """The figures of `matrix_view`, `to_view` and `from_view`. influence: [to, from]"""
    grid, patch = scope.grid, selection.patch
    others = np.where(np.eye(grid.patches, dtype=bool), 0, influence)
    matrix = figures.patch_matrix(
        influence, grid.cols, GAIN, False, "from {other} to {one}", patch, span=float(others.max()), error=error
    )
    span = float(max(others[patch].max(), others[:, patch].max()))
    maps = (line.reshape(grid.rows, grid.cols) for line in (influence[patch], influence[:, patch]))
    pixels, chosen = scope.pixels(selection.picture), grid.position(patch)
    return [matrix, *(figures.over_picture(pixels, values, GAIN, False, chosen, span) for values in maps)]
