"""A small network's page, served for the tests that are not about numbers."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from mixer import checkpoint
from mixer.model import Mixer
from tests.conftest import small_config
from viz.microscope import Microscope


@contextmanager
def wide(folder: Path, port: int | None = None) -> Iterator[str]:
    """The address of the page of a network of 64 x 96 pixels in 4 x 4 patches, which is left in the folder."""
    import app  # here, as only the tests that visit it need Gradio

    torch.manual_seed(0)
    config = replace(small_config(), image_size=(64, 96), patch_size=(16, 24))
    if not (folder / "wide").exists():
        checkpoint.save(folder / "wide", Mixer(config), {})
    networks = app.Networks(str(folder / "wide"), app.LAUNCH)
    page = networks.build(Microscope.load(folder / "wide", torch.device("cpu")))
    settings = app.LAUNCH | {"server_port": port, "quiet": True, "prevent_thread_lock": True}
    _, url, _ = page.launch(app_kwargs={"routes": networks.routes}, **settings)
    yield url
    page.close()
