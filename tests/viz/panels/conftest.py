"""A page of a small network, whose sizes are pairwise distinct, and measurements made to their end."""

from collections.abc import Callable

import pytest
import torch

from mixer.model import Mixer
from viz.microscope import Microscope
from viz.panels.page import Instrument
from viz.panels.view import View
from viz.selection import Selection


@pytest.fixture(scope="session")
def small() -> Microscope:
    from tests.conftest import small_config

    torch.manual_seed(0)
    return Microscope(Mixer(small_config()), {}, torch.device("cpu"))


@pytest.fixture(scope="session")
def instrument(small: Microscope) -> Instrument:
    made = Instrument(small)
    made.build()
    return made


@pytest.fixture(scope="session")
def measure(small: Microscope) -> Callable[[View, Selection], None]:
    """Measures all that a view needs."""

    def complete(view: View, selection: Selection) -> None:
        for measurement in view.needs(small, selection):
            for _ in measurement.steps():
                pass
        assert not view.needs(small, selection), view.title

    return complete
