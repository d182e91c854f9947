"""A small network's page, served for the tests that are not about numbers."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from mixer import checkpoint
from mixer.model import Mixer
from tests.conftest import small_config
from tests.served import served
from viz.microscope import Microscope


@contextmanager
def wide(
    folder: Path,
    port: int | None = None,
    image_size: tuple[int, int] = (64, 96),
    patch_size: tuple[int, int] = (16, 24),
) -> Iterator[str]:
    """The address of the page of a network of 64 x 96 pixels in 4 x 4 patches, which is left in the folder."""
    torch.manual_seed(0)
    config = replace(small_config(), image_size=image_size, patch_size=patch_size)
    if not (folder / "wide").exists():
        checkpoint.save(folder / "wide", Mixer(config), {})
    with served(Microscope.load(folder / "wide", torch.device("cpu")), port) as url:
        yield url
