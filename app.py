"""The microscope in a browser: `python app.py`."""

import errno
import os
import socket
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro
from PIL import Image

from mixer.checkpoint import DEFAULT, load
from mixer.model import Mixer
from mixer.outside import in_words, without_proxies
from viz.microscope import Microscope, Selection
from viz.zerogpu import LENT

with in_words(), without_proxies():
    import gradio as gr

    from viz.panels import attribution, doubt, mixing, model, overview, specimen, tokens

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
    check_address(host, port)
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    device = torch.device("cuda" if torch.cuda.is_available() and not LENT else "cpu")
    scope = Microscope(*load(network, Mixer), device)
    print(f"{network} on {device.type.upper()}")
    if host and ":" in host:
        host = f"[{host.strip('[]')}]"  # as Gradio wants the new kind of address (IPv6)
    with without_proxies():
        build(scope).launch(server_name=host, server_port=port, **LAUNCH)


def check_address(host: str | None, port: int | None) -> None:
    """Raise ValueError, in words, where nothing can listen: Gradio only says that it found no free port.

    What is None is taken from $GRADIO_SERVER_NAME and $GRADIO_SERVER_PORT, as Gradio does, where they are set.
    """
    name = host or os.environ.get("GRADIO_SERVER_NAME") or "127.0.0.1"
    number = port if port is not None else int(os.environ.get("GRADIO_SERVER_PORT") or 0)
    if (port is not None and number == 0) or not 0 <= number <= 65_535:
        raise ValueError(f"port must be from 1 to 65535, not {number}; without --port, a free one is found")
    try:
        family, kind, *_, address = socket.getaddrinfo(name.strip("[]"), number, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except (OSError, UnicodeError) as error:
        taken = isinstance(error, OSError) and error.errno in (errno.EADDRINUSE, errno.EACCES)
        if not taken:
            raise ValueError(f"{name} is no address of this machine: --host 0.0.0.0 listens on all it has") from error
        if port is not None:
            why = "taken by another program" if error.errno == errno.EADDRINUSE else "for the system's administrator"
            raise ValueError(f"port {port} is {why}: choose another --port; without it, a free one is found") from error


if __name__ == "__main__":
    with in_words():
        tyro.cli(main)
