"""Units: what all hidden units of a block read and write."""

from functools import lru_cache

import gradio as gr
import numpy as np
from jaxtyping import Float32

from viz import figures, mixing
from viz.microscope import Microscope, Selection
from viz.panels.lens import Lens, view

NAME = "Units"
READS, WRITES = "reads (W1)", "writes (W2)"
PAIRS = "pairs"
ORDERS = [
    ("slowest pattern first", "frequency"),
    ("strongest first", "energy"),
    ("by number", "index"),
    ("opposite pairs", PAIRS),
]
KEPT_FIGURES = 16  # 0.7 MB each


def build(scope: Microscope, state: gr.State) -> Lens:
    with gr.Row(render=False) as choices:
        side = gr.Radio([READS, WRITES], value=READS, label="What a unit", elem_id="mixing-side", min_width=160)
        order = gr.Radio(ORDERS, value="frequency", label="Order", elem_id="mixing-order", min_width=160)
    words = gr.Markdown(render=False)
    plot = view(
        "mixing-units",
        "Where do the units look, and where do they write?",
        "Each tile is one hidden unit of this block, on the grid of the picture: how strongly it reads each patch (a "
        "row of W1), or writes to it (a column of W2). All on one scale; red is positive, blue is negative.",
        "A unit reads normalised tokens, not pixels, and every channel by the same map: a map says where a unit looks, "
        "not what for.",
        within=[choices, words],
    )

    @lru_cache(KEPT_FIGURES)
    def drawn(block: int, side: str, order: str) -> tuple[figures.go.Figure, str]:
        maps = mixing.reads(scope.model, block) if side == READS else mixing.writes(scope.model, block)
        return _pairs(scope, maps, side) if order == PAIRS else _ordered(scope, maps, side, order)

    def draw(selection: Selection, side: str = READS, order: str = "frequency") -> tuple[figures.go.Figure, str]:
        return drawn(selection.block, side, order)

    gr.on(
        [side.input, order.input],
        draw,
        [state, side, order],
        [plot, words],
        api_visibility="private",
        show_progress_on=plot,
    )
    return Lens([plot, words], draw, [side, order])


Maps = Float32[np.ndarray, "units rows cols"]


def _ordered(scope: Microscope, maps: Maps, side: str, order: str) -> tuple[figures.go.Figure, str]:
    pitch = scope.grid.patch_size
    shown = mixing.order(maps, order, pitch)
    speed = mixing.spatial_frequency(maps, pitch)
    names = [f"unit {i}, {speed[i]:.3f} cycles per pixel" for i in shown]
    words = f"{len(maps)} units, line by line."
    if order == "frequency":
        words += f" From {speed.min():.3f} to {speed.max():.3f} cycles per pixel."
    return _figure(scope, maps[shown], names, side, 1), words


def _pairs(scope: Microscope, maps: Maps, side: str) -> tuple[figures.go.Figure, str]:
    """The two units of a pair side by side, the most opposite first; at the end those that found no partner."""
    pairs, correlation = mixing.opposite_pairs(maps)
    single = np.setdiff1d(np.arange(len(maps)), pairs)
    names = [f"unit {i}, correlation {r:.2f}" for pair, r in zip(pairs, correlation, strict=True) for i in pair]
    names += [f"unit {i}, without a partner" for i in single]
    chance = mixing.untrained_median(len(maps), scope.grid.patches)
    words = (
        f"{len(pairs)} pairs, the most opposite first. Median correlation **{np.median(correlation):.2f}**; in an "
        f"untrained network of this shape **{chance:.2f}**: so much is chance, as each unit takes the best of many."
    )
    return _figure(scope, maps[[*pairs.ravel(), *single]], names, side, 2), words


def _figure(scope: Microscope, maps: Maps, names: list[str], side: str, group: int) -> figures.go.Figure:
    grid = scope.grid
    columns = figures.tile_columns(len(maps), *grid.image_size)
    return figures.tiles(maps, names, f"weight: {side}", True, columns, grid.patch_size, labelled=False, group=group)
