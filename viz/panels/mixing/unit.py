"""One unit: what it reads, what it writes, how active it is, and which pictures drive it."""

from typing import Any

import gradio as gr
import numpy as np
from jaxtyping import Int64

from viz import figures, mixing, units
from viz.microscope import Microscope, Selection
from viz.panels.lens import Lens, view
from viz.panels.mixing import drivers

NAME = "One unit"
OFFERED = 10


def build(scope: Microscope, state: gr.State) -> Lens:
    first, last = int(_strongest(scope, state.value)[0]), scope.model.config.tokens_mlp_dim - 1
    with gr.Row():
        unit = gr.Slider(0, last, first, step=1, label="Unit", buttons=[], elem_id="mixing-unit", min_width=280)
        strongest = gr.Dropdown(
            [], label="Those that add most to the tokens of this picture", elem_id="mixing-strongest", min_width=280
        )
    with gr.Row(equal_height=True):
        reads = view(
            "mixing-unit-reads",
            "Where does it read?",
            "The weight with which the unit reads each patch, in every channel alike.",
            "Weights apply to normalised tokens: a large weight on a patch that holds nothing moves nothing.",
        )
        writes = view(
            "mixing-unit-writes",
            "Where does it write?",
            "What the unit adds to each patch, for an activity of 1.",
            "Other units write to the same patches at the same time, and may cancel it.",
        )
        active = view(
            "mixing-unit-active",
            "How active is it on this picture?",
            "What it answers (after the GELU) to each channel.",
            "A GELU lets no answer below -0.17 through: a flat negative end means off, not against.",
        )
    samples = drivers.build(scope, state, unit)

    def draw(selection: Selection, unit: int = first) -> list[Any]:
        pixels, chosen = scope.pixels(selection.picture), scope.grid.position(selection.patch)
        maps = [look(scope.model, selection.block)[unit] for look in (mixing.reads, mixing.writes)]
        activations = units.activations(scope.look(selection.picture), selection.block, unit)
        best = _strongest(scope, selection)[:OFFERED].tolist()
        choices = [(f"{place}. unit {i}", i) for place, i in enumerate(best, 1)]
        return [
            *(figures.over_picture(pixels, weights, "weight", True, chosen) for weights in maps),
            figures.ranked(activations, "channel", "activity"),
            gr.Dropdown(choices, value=unit if unit in best else None),
            *samples.draw(selection, unit),
        ]

    def choose(unit: int, selection: Selection) -> list[Any]:
        return [unit, *draw(selection, unit)]

    outputs = [reads, writes, active, strongest, *samples.outputs]
    model: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 1, "api_visibility": "private"}
    unit.input(draw, [state, unit], outputs, trigger_mode="always_last", show_progress="hidden", **model)
    strongest.input(choose, [strongest, state], [unit, *outputs], show_progress="hidden", **model)
    return Lens(outputs, draw, [unit])


def _strongest(scope: Microscope, selection: Selection) -> Int64[np.ndarray, "units"]:
    """The units of the block by what they add to the tokens of this picture, the strongest first."""
    return np.argsort(-units.strengths(scope.model, scope.look(selection.picture), selection.block), kind="stable")
