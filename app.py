"""The microscope in a browser: run `python app.py`, or `mixer-microscope` after an installation by pip."""

# ruff: noqa: E402 (signals come first)

import errno
import os
import signal
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Annotated, Any


def stop(number: int, frame: FrameType | None = None) -> None:
    """End the process at once, also during a computation: it has no state to save."""
    os.write(2, b"Stopped.\n")
    os._exit(128 + number)


STOPS = (signal.SIGINT, signal.SIGTERM)
# Before the slow imports. Without handlers, signals do not end process 1 of a container.
if __name__ in ("__main__", "mixer_microscope.app"):
    for each in STOPS:
        signal.signal(each, stop)

import socket

import tyro

from mixer import malloc
from mixer.checkpoint import DEFAULT
from mixer.errors import readable_errors, without_proxies
from viz.microscope import Microscope

with readable_errors(), without_proxies():
    try:
        import gradio as gr
    except ValueError as error:  # Gradio reads numbers from the environment during its import
        settings = ", ".join(f"{name}={text}" for name, text in os.environ.items() if name.startswith("GRADIO_"))
        raise ValueError(f"{error}: correct or unset Gradio's settings in the environment ({settings})") from error
    from gradio.route_utils import delete_files_created_by_app
    from gradio.themes.utils.fonts import LocalFont

    from viz.page.app import build
    from viz.page.markup import STYLES, head
    from viz.page.networks import LOCAL, ROUTES, Networks
    from viz.page.upload import storage_error

LAUNCH: dict[str, Any] = {
    # Gradio's default weight of headings, 600, has no Latin letters (6.31)
    "theme": gr.themes.Base(
        primary_hue="blue",
        neutral_hue="slate",
        font=(LocalFont("IBM Plex Sans", weights=(400, 700)), "ui-sans-serif", "system-ui", "sans-serif"),
        font_mono=(LocalFont("IBM Plex Mono", weights=(400, 700)), "ui-monospace", "Consolas", "monospace"),
    ),
    "head": head(),
    "css_paths": STYLES,
    "max_file_size": "50mb",
    "footer_links": ["api"],
    "run_history": False,
    "enable_monitoring": False,
    "ssr_mode": False,
    "mcp_server": find_spec("mcp") is not None,  # the extra gradio[mcp] makes the endpoints tools, too
}


def main(
    host: str | None = None,
    port: int | None = None,
    network: Annotated[str, tyro.conf.arg(name="checkpoint")] = str(DEFAULT),
    hub: tuple[str, ...] | None = None,
    fetch: bool = False,
    samples: Path | None = None,
    data_root: Path | None = None,
) -> None:
    """Serve the microscope for MLP-Mixers.

    Args:
        host: address to listen on (default 127.0.0.1; 0.0.0.0 lets other machines in)
        port: port to listen on (default: the first free one from 7860 on)
        network: a network: the folder of a checkpoint or of a run, weights of timm's or the authors', or the id of a
            model on the Hugging Face Hub
        hub: ids of models on the Hub that visitors may open, in addition to the folders checkpoints and runs. Without
            it, they may open any network, also files of this machine, if only this machine can reach the page;
            otherwise no others
        fetch: let other programs send public internet addresses of pictures, which this machine then downloads
        samples: a folder of pictures, with or without a folder for each class, that replaces the samples of every
            network
        data_root: folder that holds cifar-10-batches-py or cifar-100-python, for a view of all test images, not only
            the samples (default: $CIFAR10_ROOT, then ./data)
    """
    check_address(host, port)
    if why := storage_error():
        print(f"Visitors cannot upload pictures: {why}. GRADIO_TEMP_DIR names another folder for them.", flush=True)
    pictures = {"samples": samples, "data_root": data_root}
    scope = Microscope.load(network, **pictures)
    print(f"{network} on {scope.device.type.upper()}")
    if hub is None and not is_private(host):
        hub = ()
    if host and ":" in host:
        host = f"[{host.strip('[]')}]"  # Gradio requires brackets around an IPv6 address
    with without_proxies():
        page = build(Networks(network, scope, hub, pictures), fetch)

        def end(number: int, frame: FrameType | None) -> None:
            """Delete the uploads of visitors, then `stop`."""
            with suppress(OSError):
                delete_files_created_by_app(page, age=None)
            stop(number)

        for number in STOPS:
            signal.signal(number, end)
        page.launch(server_name=host, server_port=port, app_kwargs={"routes": ROUTES}, **LAUNCH)


def is_private(host: str | None) -> bool:
    """Whether only this machine can reach the page. A reverse proxy, known by $GRADIO_ROOT_PATH, makes it public."""
    name = (host or os.environ.get("GRADIO_SERVER_NAME") or "127.0.0.1").strip("[]")
    return name in LOCAL and not os.environ.get("GRADIO_ROOT_PATH")


def check_address(host: str | None, port: int | None) -> None:
    """Raise ValueError with the reason if the address cannot be used: Gradio only reports that no port is free.

    $GRADIO_SERVER_NAME and $GRADIO_SERVER_PORT replace None, as in Gradio.
    """
    root = os.environ.get("GRADIO_ROOT_PATH", "")
    if root and not root.startswith(("/", "http://", "https://")):
        raise ValueError(f"GRADIO_ROOT_PATH is where a reverse proxy serves the page, such as /mixer, not {root!r}")
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
        code = getattr(error, "errno", None)
        if code not in (errno.EADDRINUSE, errno.EACCES):
            raise ValueError(
                f"{name} is not an address of this machine: --host 0.0.0.0 listens on all of them"
            ) from error
        if port is not None:
            why = "taken by another program" if code == errno.EADDRINUSE else "for the system's administrator"
            raise ValueError(f"port {port} is {why}: choose another --port; without it, a free one is found") from error


def command() -> None:
    """Entry point of the command line and of `mixer-microscope`."""
    with readable_errors():
        tyro.cli(main)


if __name__ == "__main__":
    malloc.keep()
    command()
