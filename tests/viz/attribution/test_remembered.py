import numpy as np
import pytest
import torch

from mixer.model import Mixer
from viz.attribution import remembered
from viz.attribution.attribute import attribute
from viz.attribution.baselines import baseline
from viz.attribution.methods import METHODS, SHAPLEY, Settings
from viz.attribution.question import Question
from viz.attribution.remembered import Asked, Explanations

PICTURE = bytes(range(256)) * 12


@pytest.fixture
def known(network: Mixer) -> Explanations:
    def to_input(picture: bytes) -> torch.Tensor:
        return torch.tensor(list(picture), dtype=torch.float32).view(3, 32, 32) / 255

    return Explanations(network, to_input, lambda: torch.linspace(-1, 1, 30).view(30, 1, 1, 1).expand(30, 3, 32, 32))


def ask(**changes) -> Asked:
    return Asked(**{"picture": PICTURE, "target": 3, "baseline": "black", "output": "logit", "block": 1, **changes})


def last(known: Explanations, asked: Asked, method: str):
    *_, found = known.steps(asked, method)
    return found


@pytest.mark.parametrize("method", METHODS)
def test_it_answers_as_the_method_itself_and_then_from_memory(known: Explanations, method: str) -> None:
    asked = ask()
    image = known.question(asked).image
    question = Question(
        image, baseline("black", image, known.model.config), 3, "logit", known.question(asked).background
    )
    assert known.cost(asked, [method]) == METHODS[method].samples(16, Settings())
    found = last(known, asked, method)
    np.testing.assert_array_equal(found.values, attribute(known.model, question, method, Settings(block=1)).values)
    assert known.cost(asked, [method]) == 0
    assert last(known, asked, method) is found


def test_only_what_a_method_looks_at_makes_another_question(known: Explanations) -> None:
    plain, layered = last(known, ask(), "Saliency"), last(known, ask(), "Token Grad-CAM")
    assert last(known, ask(block=2), "Saliency") is plain
    assert not np.array_equal(last(known, ask(block=2), "Token Grad-CAM").values, layered.values)
    assert not np.array_equal(last(known, ask(target=4), "Saliency").values, plain.values)


def test_what_was_given_up_is_not_taken_for_an_answer(known: Explanations) -> None:
    steps = known.steps(ask(), SHAPLEY)
    assert next(steps).samples < METHODS[SHAPLEY].samples(16, Settings())
    steps.close()
    assert known.cost(ask(), [SHAPLEY]) > 0


def test_the_oldest_is_forgotten(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    monkeypatch.setattr(remembered, "KEPT", 2)
    known = request.getfixturevalue("known")
    for target in (0, 1, 2):
        last(known, ask(target=target), "Saliency")
    assert [known.cost(ask(target=target), ["Saliency"]) > 0 for target in (0, 1, 2)] == [True, False, False]


def test_a_baseline_that_does_not_exist_is_named(known: Explanations) -> None:
    with pytest.raises(ValueError, match="no baseline is named 'pink'"):
        last(known, ask(baseline="pink"), "Saliency")
    assert known.seconds_per_pass > 0
