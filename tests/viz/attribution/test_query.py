import numpy as np
import pytest
import torch

from mixer.model import Mixer
from viz.attribution.attribute import attribute
from viz.attribution.baselines import baseline
from viz.attribution.methods import METHODS, SHAPLEY, Settings
from viz.attribution.query import AttributionQuery, explanation, passes, question
from viz.microscope import Microscope

PICTURE = bytes(range(256)) * 12


@pytest.fixture
def scope(network: Mixer) -> Microscope:
    return Microscope(network, {}, torch.device("cpu"))


def ask(**changes) -> AttributionQuery:
    return AttributionQuery(
        **{"picture": PICTURE, "target": 3, "baseline": "black", "output": "logit", "block": 1, **changes}
    )


@pytest.mark.parametrize("method", METHODS)
def test_it_answers_as_the_method_itself_and_then_from_memory(scope: Microscope, method: str) -> None:
    asked = ask()
    one = explanation(scope, asked, method)
    assert scope.latest(one) is None
    assert (one.key, one.label, one.unit, one.on_request) == (
        (asked.for_method(method), method),
        method,
        "passes",
        False,
    )
    assert one.total == METHODS[method].passes(16, Settings()) == passes(scope, method, 1)
    assert one.seconds > 0
    done = list(one.steps())
    assert done == sorted(done)
    assert done[-1] == one.total
    found, put = scope.latest(one), question(scope, asked, background=True)
    assert found is not None
    np.testing.assert_array_equal(found.values, attribute(scope.model, put, method, Settings(block=1)).values)
    assert scope.missing([one]) == []
    assert scope.measured(explanation(scope, asked, method)) is found


def test_a_question_has_what_is_asked_in_tensors(scope: Microscope) -> None:
    put = question(scope, ask())
    torch.testing.assert_close(put.baseline, baseline("black", put.image, scope.model.config))
    assert (put.target, put.output, put.background) == (3, "logit", None)


def test_only_what_a_method_looks_at_makes_another_question(scope: Microscope) -> None:
    def answer(method: str, **changes):
        return scope.measured(explanation(scope, ask(**changes), method))

    plain, layered = answer("Saliency"), answer("Token Grad-CAM")
    assert answer("Saliency", block=2) is plain
    assert answer("Saliency", baseline="blurred") is plain
    assert answer("Token Grad-CAM", baseline="blurred") is layered
    assert not np.array_equal(answer("Token Grad-CAM", block=2).values, layered.values)
    assert not np.array_equal(answer("Saliency", target=4).values, plain.values)


def test_what_was_given_up_is_not_taken_for_an_answer(scope: Microscope) -> None:
    one = explanation(scope, ask(), SHAPLEY)
    steps = one.steps()
    for _ in range(5):
        assert next(steps) < one.total
    steps.close()
    assert scope.finished(one) is None
    assert scope.missing([one]) == [one]


def test_a_baseline_that_does_not_exist_is_named(scope: Microscope) -> None:
    with pytest.raises(ValueError, match="no baseline is named 'pink'"):
        scope.measured(explanation(scope, ask(baseline="pink"), "Patch ablation"))


def test_baselines_of_many_pictures_leave_the_tokens_of_the_samples_in_memory(scope: Microscope) -> None:
    bank = scope.sample_tokens(0)
    scope.measured(bank)
    for sample in range(12):
        question(scope, AttributionQuery(scope.sample_picture(sample), 0, "own mean", "logit", 0))
    assert not scope.missing([bank])
