"""The microscope in a browser: `python app.py`."""

import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import gradio as gr
import torch
import tyro
from PIL import Image

from mixer.checkpoint import DEFAULT, CheckpointError, load
from mixer.model import Mixer
from viz.microscope import Microscope, Selection
from viz.panels import attribution, doubt, mixing, model, overview, specimen, tokens
from viz.lent_gpu import LENT

LAUNCH: dict[str, Any] = {
    "theme": gr.themes.Base(primary_hue="orange", neutral_hue="slate"),
    "css_paths": Path(__file__).parent / "viz" / "panels" / "style.css",
    "max_file_size": "50mb",
    "footer_links": ["api"],
    "run_history": False,
    "enable_monitoring": False,
    "ssr_mode": False,
}


def build(scope: Microscope) -> gr.Blocks:
    """The whole page. One selection is shared by all lenses; only the open one is drawn."""
    with gr.Blocks(
        title="MLP-Mixer microscope", fill_width=True, delete_cache=(3600, 3600), analytics_enabled=False
    ) as page:
        state = gr.State(scope.first())
        gr.Markdown(f"# MLP-Mixer microscope\n{_subtitle(scope)}", elem_id="header")
        with gr.Row(elem_id="instrument"):
            with gr.Column(scale=1, min_width=320, elem_id="specimen"):
                left = specimen.build(scope, state)
            with gr.Column(scale=3, min_width=340), gr.Tabs():
                lenses = {}
                for module in (overview, tokens, mixing, attribution, doubt, model):
                    name = module.NAME
                    with gr.Tab(name) as tab:
                        lenses[name] = module.build(scope, state)
                    tab.select(_opener(name), state, state, api_visibility="private", show_progress="hidden")

        options = [option for lens in lenses.values() for option in lens.options]

        def refresh(selection: Selection, *values: Any) -> dict[Any, Any]:
            lens, value = lenses[selection.lens], dict(zip(options, values, strict=True))
            updates = dict(zip(left.outputs, left.draw(selection), strict=True))
            drawn = lens.draw(selection, *(value[option] for option in lens.options))
            return updates | dict(zip(lens.outputs, drawn, strict=True))

        outputs = [*left.outputs, *(output for lens in lenses.values() for output in lens.outputs)]
        private: dict[str, Any] = {"api_visibility": "private", "concurrency_id": "model", "concurrency_limit": 1}
        state.change(refresh, [state, *options], outputs, show_progress="hidden", **private)
        page.load(refresh, [state, *options], outputs, show_progress="hidden", **private)
    return page


def _opener(name: str) -> Callable[[Selection], Selection]:
    return lambda selection: replace(selection, lens=name)


def _subtitle(scope: Microscope) -> str:
    accuracy = scope.metrics.get("accuracy")
    known = f"{accuracy:.2%} on CIFAR-10's test set" if accuracy is not None else "not evaluated"
    count = sum(p.numel() for p in scope.model.parameters())
    return (
        "A network made of nothing but MLPs: one mixes the places of the picture, one mixes the features of a place, "
        f"in turn. See what it does.  \n`{known}` `{count:,} parameters` `on {scope.device.type.upper()}`"
    )


def main(
    host: str | None = None,
    port: int | None = None,
    network: Annotated[str, tyro.conf.arg(name="checkpoint")] = str(DEFAULT),
) -> None:
    """Serve the microscope for MLP-Mixers.

    Args:
        host: address to listen on (default 127.0.0.1; 0.0.0.0 lets other machines in)
        port: port to listen on (default: the first free one from 7860 on)
        network: folder of a trained network, or the id of a model on the Hugging Face Hub
    """
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    device = torch.device("cuda" if torch.cuda.is_available() and not LENT else "cpu")
    try:
        scope = Microscope(*load(network, Mixer), device)
    except CheckpointError as error:
        sys.exit(f"CheckpointError: {error}")
    print(f"{network} on {device.type.upper()}")
    build(scope).launch(server_name=host, server_port=port, **LAUNCH)


if __name__ == "__main__":
    tyro.cli(main)
