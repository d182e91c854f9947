"""ZeroGPU, with a stand-in for it: what goes in and comes out is pickled, as if it crossed to another process."""

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mixer.model import Mixer
from tests.viz.explained import ask
from viz import zerogpu
from viz.attribution.attribute import Attribution, attribute_in_steps
from viz.attribution.methods import SHAPLEY, Settings
from viz.attribution.question import Question
from viz.capture import capture
from viz.intervene import ablation, patching, search
from viz.mixing import influence
from viz.running_stats import RunningStats
from viz.zerogpu import on_lent_gpu

ROOT = Path(__file__).parent.parent.parent
STAND_IN = """
tasks = []

def GPU(task):
    tasks.append(task)
    return task
"""
APP = """
import spaces, torch
torch.cuda.is_available = lambda: True  # so it seems on ZeroGPU
import app
app.Networks = lambda network, scope, *more: print(scope.device, len(spaces.tasks)) or exit()
app.main()
"""


@pytest.fixture
def lent(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The calls that were made on a lent GPU, as they arrived there."""
    monkeypatch.setattr("viz.pace.BATCH", 1000)  # or batches, and with them rounding, would follow the machine's pace
    calls = []

    def gpu(task: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        def call(*args: Any) -> Iterator[Any]:
            arrived = pickle.loads(pickle.dumps(args))
            calls.append(arrived)
            for answer in task(*arrived):
                yield pickle.loads(pickle.dumps(answer))

        return call

    monkeypatch.setattr(zerogpu, "LENT", True)
    monkeypatch.setattr(zerogpu, "DEVICE", torch.device("cpu"))
    monkeypatch.setattr(zerogpu, "spaces", SimpleNamespace(GPU=gpu), raising=False)
    return calls


def test_elsewhere_nothing_is_changed() -> None:
    def question(model: Mixer) -> Iterator[int]:
        yield 1

    assert on_lent_gpu(question) is question


@pytest.mark.parametrize("method", ["Integrated Gradients", SHAPLEY])
def test_attributions_are_the_same_on_a_lent_gpu(lent: list[Any], network: Mixer, method: str) -> None:
    question, settings = ask(network.config), Settings(draws=3, steps=4)
    want = list(attribute_in_steps(network, question, method, settings))
    with capture(network, ["stem"]):  # as another thread may be doing
        got = list(on_lent_gpu(attribute_in_steps)(network, question, method, settings=settings))
    assert len(lent) == 1
    assert [one for one in got if isinstance(one, int)] == [one for one in want if isinstance(one, int)]
    pairs = [pair for pair in zip(got, want, strict=True) if isinstance(pair[0], Attribution)]
    assert len(pairs) == (3 if method == SHAPLEY else 1)  # after each order
    for one, other in pairs:
        np.testing.assert_array_equal(one.values, other.values)
        assert one.gap == other.gap


def test_influence_is_the_same_on_a_lent_gpu(lent: list[Any], network: Mixer) -> None:
    image = torch.randn(3, 32, 32, generator=torch.Generator().manual_seed(1))
    got = list(on_lent_gpu(influence.network_influence)(network, image, 3, seed=5))
    want = list(influence.network_influence(network, image, 3, seed=5))
    assert [one for one in got if isinstance(one, int)] == [32, 48]
    assert len(got) == len(want) == 4
    np.testing.assert_array_equal(got[-1].influence, want[-1].influence)


def test_interventions_are_the_same_on_a_lent_gpu(lent: list[Any], network: Mixer) -> None:
    this, other = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    wanted = search.Goal(this, other, 3, keep=False)
    for question, *args in (
        (patching.token_map, this, other, patching.LogitDifference(3, 7)),
        (ablation.ablate_units, this, 1),
        (ablation.ablate_sublayers_over, torch.stack([this, other])),
        (search.greedy, wanted),
        (search.prove, wanted, search.Found((1, 2, 3), tried=1)),
    ):
        *_, got = on_lent_gpu(question)(network, *args)
        *_, want = question(network, *args)
        if isinstance(want, np.ndarray):
            np.testing.assert_array_equal(got, want)
        elif isinstance(want, RunningStats):
            np.testing.assert_array_equal([got.mean, got.deviation], [want.mean, want.deviation])
        else:
            assert got == want
    assert len(lent) == 5


def test_all_tensors_go_to_the_gpu_and_the_page_keeps_its_own(
    lent: list[Any], network: Mixer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def question(model: Mixer, image: Tensor, asked: Question, name: str) -> Iterator[Any]:
        tensors = (*model.parameters(), image, asked.image, asked.baseline, asked.background)
        yield {tensor.device.type for tensor in tensors}, model.training, asked.target, name

    monkeypatch.setattr(zerogpu, "DEVICE", torch.device("meta"))
    asked = ask(network.config)
    monkeypatch.setattr(Mixer, "load_state_dict", lambda *_: None)  # nothing can be put on "meta"
    (found,) = on_lent_gpu(question)(network, asked.image, asked, name="a")
    assert found == ({"meta"}, False, asked.target, "a")
    assert {p.device.type for p in network.parameters()} == {asked.image.device.type} == {"cpu"}


@pytest.mark.process
def test_on_zerogpu_the_page_stays_on_the_cpu_and_seven_questions_borrow(tmp_path: Path) -> None:
    (tmp_path / "spaces.py").write_text(STAND_IN, encoding="utf-8")
    environ = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}", "SPACES_ZERO_GPU": "true"}
    command = [sys.executable, "-c", APP]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", cwd=ROOT, env=environ, timeout=120)
    assert done.stdout.splitlines()[-1:] == ["cpu 7"], done.stderr
