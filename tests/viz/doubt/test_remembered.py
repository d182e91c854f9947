"""Each check is that of the compute layer, asked for the right question, counted beforehand, and made once."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mixer.model import MixerConfig
from tests.viz.explained import bent
from viz.attribution.attribute import attribute
from viz.attribution.methods import Settings
from viz.attribution.remembered import Asked, Explanations
from viz.doubt import faithfulness, remembered, sanity
from viz.doubt.remembered import NOISY, ORDERS, RADIUS, REMOVALS, SEED, Doubted, Doubts

PICTURE = bytes(range(256)) * 12
METHOD = "Layer Conductance"


@pytest.fixture
def explanations(tiny: MixerConfig) -> Explanations:
    def to_input(picture: bytes) -> torch.Tensor:
        return torch.tensor(list(picture), dtype=torch.float32).view(3, 32, 32) / 255

    return Explanations(bent(tiny), to_input, lambda: torch.zeros(1, 3, 32, 32))


@pytest.fixture
def checks(explanations: Explanations) -> Doubts:
    return Doubts(explanations)


def doubt(method: str = METHOD, filling: str = "blurred") -> Doubted:
    return Doubted(Asked(PICTURE, 3, "black", "logit", 1).to(method), method, filling)


def test_curves_and_infidelity_are_of_the_filling_and_values_of_the_baseline(
    checks: Doubts, explanations: Explanations
) -> None:
    one = doubt()
    values = attribute(checks.model, explanations.question(one.asked), METHOD, Settings(block=1)).values
    filled = explanations.question(replace(one.asked, baseline="blurred"))
    want = faithfulness.curves(checks.model, filled, values)
    np.testing.assert_array_equal(checks.curves(one).deletion, want.deletion)
    assert checks.curves(one) is checks.curves(one)
    *_, done = checks.measure([one])
    assert done == ORDERS * 15 + 2 + REMOVALS + 1
    evidence = checks.evidence(one)
    assert evidence.infidelity == faithfulness.infidelity(checks.model, filled, values, REMOVALS, SEED).share
    *_, orders = faithfulness.random_orders(checks.model, filled, ORDERS, SEED)
    assert (evidence.deletion, evidence.insertion) == faithfulness.better_than(want, orders)
    assert evidence.randomisation is None


def test_cost_is_known_beforehand_and_nothing_is_measured_twice(checks: Doubts) -> None:
    first, second = doubt(), doubt("Saliency")
    assert checks.cost([]) == 0
    cost = checks.cost([first, second])
    *_, done = checks.measure([first, second])
    assert done == cost == ORDERS * 15 + 2 + 2 * (REMOVALS + 1)
    assert checks.cost([first, second]) == 0
    assert list(checks.measure([first, second])) == []
    # other methods share the random orders, other fillings do not
    assert checks.cost([doubt("Patch ablation")]) == REMOVALS + 1
    assert checks.cost([doubt(filling="own mean")]) == ORDERS * 15 + 2 + REMOVALS + 1


def test_disturbing_is_randomisation_and_then_noise(checks: Doubts, explanations: Explanations) -> None:
    one = doubt()
    question, settings = explanations.question(one.asked), Settings(block=1)
    steps = list(checks.disturb(one))
    assert [step.done for step in steps] == list(range(1, 5 + NOISY + 1))
    assert {step.total for step in steps} == {5 + NOISY}
    want = sanity.randomisation(checks.model, lambda m: attribute(m, question, METHOD, settings).values, SEED)
    assert list(steps[-1].stages) == list(want)

    def explain(image: torch.Tensor) -> np.ndarray:
        return attribute(checks.model, replace(question, image=image), METHOD, settings).values

    largest = max(sanity.sensitivity(explain, question.image, RADIUS, 1, SEED + i) for i in range(NOISY))
    assert steps[-1].sensitivity == largest > 0
    assert checks.disturbed(one) is steps[-1]
    assert checks.disturbed(doubt(filling="own mean")) is steps[-1]  # which the filling does not concern
    assert checks.disturb_cost(one) == 0
    evidence = checks.evidence(one)
    assert (evidence.randomisation, evidence.sensitivity) == (steps[-1].stages[-1].correlation, largest)
    assert evidence.gap is not None


def test_what_was_given_up_is_not_remembered(checks: Doubts) -> None:
    one = doubt("Saliency")
    for run in (checks.measure([one]), checks.disturb(one)):
        next(run)
        run.close()
    assert checks.chance(one) is None
    assert checks.disturbed(one) is None
    assert checks.cost([one]) > 0
    assert checks.disturb_cost(one) == (5 + 1 + NOISY) * 4


def test_memory_is_bounded(explanations: Explanations, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "KEPT", 1)
    checks = Doubts(explanations)
    first = checks.curves(doubt())
    checks.curves(doubt("Saliency"))
    assert checks.curves(doubt()) is not first
