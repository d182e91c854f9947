"""Stem filters: what each channel answers to in a patch."""

from functools import lru_cache

import gradio as gr
import numpy as np

from viz import figures, mixing
from viz.microscope import Microscope, Selection
from viz.panels.lens import Lens, view

NAME = "Stem filters"
ORDERS = [("strongest first", "energy"), ("slowest pattern first", "frequency"), ("by number", "index")]


def build(scope: Microscope, state: gr.State) -> Lens:
    order = gr.Radio(ORDERS, value="energy", label="Order", render=False, elem_id="mixing-filter-order")
    words = gr.Markdown(render=False)
    height, width = scope.grid.patch_size
    plot = view(
        "mixing-stem",
        "What does a channel start from?",
        f"Before the first block, each channel weighs the {height} x {width} pixels of a patch, the same way for every "
        "patch. Each tile shows the weights of one channel.",
        "Signed weights on normalised pixels, not colours of a picture: a channel answers to the pattern and, with the "
        "other sign, to its negative.",
        within=[order, words],
    )

    @lru_cache
    def drawn(order: str) -> tuple[figures.go.Figure, str]:
        filters = mixing.stem_filters(scope.model)
        span = float(np.percentile(np.abs(filters), 99)) or 1.0
        shown = mixing.order(filters, order, (1, 1))
        columns = figures.tile_columns(len(filters), height + 1, width + 1)
        figure = figures.filter_tiles(filters[shown], [f"channel {i}" for i in shown], columns, span)
        return figure, (
            f"{len(filters)} channels, line by line, all on one scale: mid grey is 0, full colour {span:.3f} or more, "
            f"none of it {-span:.3f} or less (1 % of the weights are beyond)."
        )

    def draw(selection: Selection, order: str = "energy") -> tuple[figures.go.Figure, str]:
        return drawn(order)

    order.input(draw, [state, order], [plot, words], api_visibility="private", show_progress_on=plot)
    return Lens([plot, words], draw, [order])
