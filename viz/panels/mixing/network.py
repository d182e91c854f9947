"""Through all blocks: who acts on whom from the stem to the last block, estimated on demand."""

from collections.abc import Iterator
from typing import Any

import gradio as gr
import numpy as np

from viz import figures
from viz.influence import NetworkInfluence, network_influence
from viz.microscope import Microscope, Selection
from viz.panels.lens import Lens, view
from viz.panels.mixing.influence import GAIN, from_view, influence_figures, matrix_view, to_view
from viz.panels.waiting import Watch, cancel_button
from viz.recent import Recent

NAME = "Through all blocks"
PROBES = 16
SEED = 0
KEPT_PICTURES = 16
RATE = 9e9
"""multiplications per second on two CPU cores, for the expected time"""


def build(scope: Microscope, state: gr.State) -> Lens:
    expected = _expected_seconds(scope)
    gr.Markdown(
        "The same question for the whole network: how a small change of a stem token changes a token after the last "
        f"block, over all paths. There are too many derivatives to take them all, so {PROBES} random probes estimate "
        f"it: about {expected:.0f} s on two CPU cores. You can go on looking meanwhile."
    )
    with gr.Row():
        start = gr.Button(f"Send {PROBES} probes", variant="primary", elem_id="mixing-start", scale=0, min_width=160)
        cancel = cancel_button("mixing-cancel")
    progress = gr.HTML(elem_id="mixing-progress", elem_classes="waiting")
    words = gr.Markdown(elem_id="mixing-network-words")
    with gr.Column(visible=False) as found:
        with gr.Row(equal_height=True):
            matrix = matrix_view(
                "mixing-network",
                "Who acts on whom through the network?",
                "How strongly a small change of one patch's stem token (across) changes another's token after the last "
                "block (down), for this picture. The identity would be a gain of 1 on the diagonal.",
            )
            to = to_view("mixing-network")
        with gr.Row(equal_height=True):
            source = from_view("mixing-network")
            error = view(
                "mixing-network-error",
                "How sure is each entry?",
                "The standard error of each entry of the matrix, from the scatter of the probes.",
                "It tells only of the probes' chance. That the gains are those of small changes, it does not tell.",
            )
    known: Recent[bytes, NetworkInfluence] = Recent(KEPT_PICTURES)

    def draw(selection: Selection) -> list[Any]:
        result = known.get(selection.picture)
        if result is None or result.done == 1:
            return ["Not estimated for this picture yet.", gr.Column(visible=False), *[gr.skip()] * 4]
        return [
            _in_words(result),
            gr.Column(visible=True),
            *influence_figures(scope, selection, result.influence, result.standard_error),
            _error_figure(scope, selection, result.standard_error),
        ]

    def estimate(selection: Selection) -> Iterator[tuple[str, Any, Any]]:
        watch, busy = Watch(PROBES, "probes", expected), (gr.Button(visible=False), gr.Button(visible=True))
        yield watch.bar(0), *busy
        for result in network_influence(scope.model, scope.input(selection.picture), PROBES, SEED):
            known[selection.picture] = result
            yield watch.bar(result.done), *busy
        yield "", gr.Button(visible=True), gr.Button(visible=False)

    outputs = [words, found, matrix, to, source, error]
    plain: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    buttons = [progress, start, cancel]
    # not in the line of the events that draw: they go on between the probes
    run = start.click(estimate, state, buttons, concurrency_id="probes", concurrency_limit=1, **plain)
    cancel.click(
        lambda: ("", gr.Button(visible=True), gr.Button(visible=False)),
        None,
        buttons,
        cancels=run,
        queue=False,
        **plain,
    )
    # the visitor may look at another patch or picture meanwhile: always draw what is known of what is shown
    progress.change(draw, state, outputs, concurrency_id="model", concurrency_limit=1, **plain)
    return Lens(outputs, draw)


def _expected_seconds(scope: Microscope) -> float:
    """Every probe goes back through the network once for each patch, at about the cost of one pass."""
    config, patches = scope.model.config, scope.grid.patches
    one_pass = config.num_blocks * 2 * patches * config.hidden_dim * (config.tokens_mlp_dim + config.channels_mlp_dim)
    return PROBES * patches * one_pass / RATE


def _in_words(result: NetworkInfluence) -> str:
    relative = result.standard_error / result.influence.clip(1e-12)
    return (
        f"After {result.done} of {result.total} probes: the standard error of an entry is {np.median(relative):.1%} of "
        f"it in the median, {relative.max():.1%} at most. Point at an entry to see its own."
    )


def _error_figure(scope: Microscope, selection: Selection, error: np.ndarray) -> figures.go.Figure:
    relation, cols = "from {other} to {one}", scope.grid.cols
    return figures.patch_matrix(error, cols, f"standard error of the {GAIN}", False, relation, selection.patch)
