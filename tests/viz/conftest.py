"""A page of a small network, whose sizes are pairwise distinct."""

import pytest
import torch

from mixer.model import Mixer
from viz.microscope import Microscope
from viz.page.instrument import Instrument


@pytest.fixture(scope="session")
def small() -> Microscope:
    from tests.conftest import small_config

    torch.manual_seed(0)
    return Microscope(Mixer(small_config()), {}, torch.device("cpu"))


@pytest.fixture(scope="session")
def instrument(small: Microscope) -> Instrument:
    return Instrument(small)
