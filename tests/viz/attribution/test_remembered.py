import numpy as np
import pytest
import torch

from mixer.model import Mixer
from viz.attribution import remembered
from viz.attribution.attribute import attribute
from viz.attribution.baselines import baseline
from viz.attribution.methods import METHODS, SHAPLEY, Settings
from viz.attribution.remembered import Asked, Explanations

PICTURE = bytes(range(256)) * 12


@pytest.fixture
def known(network: Mixer) -> Explanations:
    def to_input(picture: bytes) -> torch.Tensor:
        return torch.tensor(list(picture), dtype=torch.float32).view(3, 32, 32) / 255

    return Explanations(network, to_input, lambda: torch.linspace(-1, 1, 30).view(30, 1, 1, 1).expand(30, 3, 32, 32))


def ask(**changes) -> Asked:
    return Asked(**{"picture": PICTURE, "target": 3, "baseline": "black", "output": "logit", "block": 1, **changes})


@pytest.mark.parametrize("method", METHODS)
def test_it_answers_as_the_method_itself_and_then_from_memory(known: Explanations, method: str) -> None:
    asked = ask()
    question = known.question(asked, background=True)
    assert known.known(asked, method) is None
    (one,) = known.needed(asked, method)
    assert (one.key, one.label, one.unit, one.asked) == ((asked.to(method), method), method, "passes", False)
    assert one.total == METHODS[method].passes(16, Settings()) == known.passes(method)
    assert one.seconds > 0
    done = list(one.steps())
    assert done == sorted(done)
    assert done[-1] == one.total
    found = known.known(asked, method)
    np.testing.assert_array_equal(found.values, attribute(known.model, question, method, Settings(block=1)).values)
    assert known.needed(asked, method) == []
    assert known.answer(asked, method) is found


def test_a_question_has_what_is_asked_in_tensors(known: Explanations) -> None:
    question = known.question(ask())
    torch.testing.assert_close(question.baseline, baseline("black", question.image, known.model.config))
    assert (question.target, question.output, question.background) == (3, "logit", None)


def test_only_what_a_method_looks_at_makes_another_question(known: Explanations) -> None:
    plain, layered = known.answer(ask(), "Saliency"), known.answer(ask(), "Token Grad-CAM")
    assert known.known(ask(block=2), "Saliency") is plain
    assert known.known(ask(baseline="blurred"), "Saliency") is plain
    assert known.known(ask(baseline="blurred"), "Token Grad-CAM") is layered
    assert not np.array_equal(known.answer(ask(block=2), "Token Grad-CAM").values, layered.values)
    assert not np.array_equal(known.answer(ask(target=4), "Saliency").values, plain.values)


def test_what_was_given_up_is_not_taken_for_an_answer(known: Explanations) -> None:
    (one,) = known.needed(ask(), SHAPLEY)
    steps = one.steps()
    assert next(steps) < one.total
    steps.close()
    assert known.known(ask(), SHAPLEY) is None
    assert len(known.needed(ask(), SHAPLEY)) == 1


def test_the_oldest_is_forgotten(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    monkeypatch.setattr(remembered, "KEPT", 2)
    known = request.getfixturevalue("known")
    for target in (0, 1, 2):
        known.answer(ask(target=target), "Saliency")
    assert [known.known(ask(target=target), "Saliency") is None for target in (0, 1, 2)] == [True, False, False]


def test_a_baseline_that_does_not_exist_is_named(known: Explanations) -> None:
    with pytest.raises(ValueError, match="no baseline is named 'pink'"):
        known.answer(ask(baseline="pink"), "Patch ablation")
    assert known.seconds_per_pass > 0
