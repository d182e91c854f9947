"""A page of a small network, whose sizes are pairwise distinct; estimates by few draws."""

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


@pytest.fixture
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Estimates take a fraction of their draws: for tests of every view, not of what is estimated."""
    for name, draws in (("ORDERS", 19), ("REMOVALS", 5), ("NOISY", 1), ("DRAWS", 2)):
        monkeypatch.setattr(f"viz.doubt.checks.{name}", draws)
    monkeypatch.setattr("viz.lenses.mixing.network.PROBES", 3)
