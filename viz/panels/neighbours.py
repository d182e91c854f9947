"""The places in the shipped samples whose tokens are most like the chosen one, as pictures with the place framed."""

from html import escape

import gradio as gr

from mixer.data import CLASSES
from viz import tokens
from viz.microscope import Microscope, Selection
from viz.panels.patch_picker import png_url

SHOWN = 12


def nearest(scope: Microscope, selection: Selection, progress: gr.Progress) -> str:
    """HTML. Takes about 2 s at a depth that was not asked about lately, the specimen itself is left out."""
    bank = scope.bank(
        selection.depth, lambda batches: progress.tqdm(batches, desc="Reading the samples", unit="batches")
    )
    token = scope.look(selection.picture).depths[selection.depth, 0, selection.patch]
    found = tokens.neighbours(bank, token, SHOWN, selection.sample)
    row, col = scope.grid.position(selection.patch)
    crops = map(_crop, [scope] * SHOWN, found.images.tolist(), found.patches.tolist(), found.cosines.tolist())
    return (
        f"<p>Most like patch ({row}, {col}) at depth {scope.depth_names[selection.depth]}, best first:</p>"
        f"<ol class='crops'>{''.join(crops)}</ol>"
    )


def _crop(scope: Microscope, sample: int, patch: int, cosine: float) -> str:
    (row, col), grid = scope.grid.position(patch), scope.grid
    name = escape(CLASSES[scope.samples.labels[sample]])
    pixels = scope.pixels(scope.picture_of(scope.sample_image(sample)))
    place = (
        f"left: {col / grid.cols:.2%}; top: {row / grid.rows:.2%}; "
        f"width: {1 / grid.cols:.2%}; height: {1 / grid.rows:.2%}"
    )
    return (
        f"<li><div><img src='{png_url(pixels)}' alt='{name}, patch ({row}, {col}) framed'>"
        f"<span style='{place}'></span></div>{name}<br>({row}, {col}) · {cosine:.3f}</li>"
    )
