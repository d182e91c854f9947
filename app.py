"""The microscope in a browser: `python app.py`."""

import sys
from pathlib import Path
from typing import Annotated, Any

import gradio as gr
import torch
import tyro
from gradio.themes.utils.fonts import LocalFont

from mixer.checkpoint import DEFAULT, CheckpointError, load
from mixer.model import Mixer
from viz.lent_gpu import LENT
from viz.microscope import Microscope
from viz.panels.components import head
from viz.panels.page import build

LAUNCH: dict[str, Any] = {
    # these two weights: Gradio's own choice for headings, 600, comes without Latin letters (6.31)
    "theme": gr.themes.Base(
        primary_hue="orange",
        neutral_hue="slate",
        font=(LocalFont("IBM Plex Sans", weights=(400, 700)), "ui-sans-serif", "system-ui", "sans-serif"),
        font_mono=(LocalFont("IBM Plex Mono", weights=(400, 700)), "ui-monospace", "Consolas", "monospace"),
    ),
    "head": head(),
    "css_paths": Path(__file__).parent / "viz" / "panels" / "style.css",
    "max_file_size": "50mb",
    "footer_links": ["api"],
    "run_history": False,
    "enable_monitoring": False,
    "ssr_mode": False,
}


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
    device = torch.device("cuda" if torch.cuda.is_available() and not LENT else "cpu")
    try:
        scope = Microscope(*load(network, Mixer), device)
    except CheckpointError as error:
        sys.exit(f"CheckpointError: {error}")
    print(f"{network} on {device.type.upper()}")
    build(scope).launch(server_name=host, server_port=port, **LAUNCH)


if __name__ == "__main__":
    tyro.cli(main)
