"""Each check is that of the compute layer, asked for the right question, counted beforehand, and made once."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mixer.model import Mixer, MixerConfig
from tests.viz.explained import bent
from viz.attribution.attribute import attribute
from viz.attribution.baselines import pixels
from viz.attribution.methods import Settings
from viz.attribution.remembered import Asked, Explanations
from viz.doubt import faithfulness, remembered, sanity
from viz.doubt.remembered import DRAWS, NOISY, ORDERS, POINTS, RADIUS, REMOVALS, SEED, Doubted, Doubts
from viz.doubt.rules import Evidence
from viz.pace import Steps, finish
from viz.running import Measurement

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


def labels(measurements: list[Measurement]) -> list[str]:
    return [one.label for one in measurements]


def make(measurements: list[Measurement]) -> None:
    """As the page does. All steps are counted."""
    for one in measurements:
        done = list(one.steps())
        assert done == sorted(done)
        assert done[-1] == one.total


def test_curves_and_infidelity_are_of_the_filling_and_values_of_the_baseline(
    checks: Doubts, explanations: Explanations
) -> None:
    one = doubt()
    make(checks.needed([one]))  # the attribution, without which there are no curves
    assert checks.curves(one) is None
    make(checks.needed([one]))
    assert checks.needed([one]) == []
    values = attribute(checks.model, explanations.question(one.asked), METHOD, Settings(block=1)).values
    filled = explanations.question(replace(one.asked, baseline="blurred"))
    want = faithfulness.curves(checks.model, filled, values)
    np.testing.assert_array_equal(checks.curves(one).deletion, want.deletion)
    evidence = checks.evidence(one)
    removals = finish(faithfulness.random_removals(checks.model, filled, REMOVALS, SEED))
    assert evidence.infidelity == faithfulness.tells_more_than(values, removals, SEED)
    orders = finish(faithfulness.random_orders(checks.model, filled, ORDERS, POINTS, SEED))
    assert (evidence.deletion, evidence.insertion) == faithfulness.better_than(want, orders)
    assert evidence.gap == explanations.known(one.asked, METHOD).gap_share
    assert evidence.randomisation is evidence.sensitivity is None


def test_nothing_is_known_of_what_was_not_measured(checks: Doubts) -> None:
    assert checks.evidence(doubt()) == Evidence()
    assert checks.needed([]) == []


def test_each_thing_is_measured_once_and_what_methods_share_for_all(checks: Doubts, explanations: Explanations) -> None:
    first, second = doubt(), doubt("Saliency")
    assert labels(checks.needed([first, second])) == [METHOD, "Random orders", "Saliency", "Random removals"]
    for one in (first, second):
        explanations.answer(one.asked, one.method)
    needed = checks.needed([first, second])
    assert labels(needed) == [f"Curves of {METHOD}", "Random orders", "Curves of Saliency", "Random removals"]
    assert [one.total for one in needed] == [32, ORDERS * (POINTS - 1) + 2, 32, REMOVALS + 1]
    assert len({one.key for one in needed}) == 4
    assert labels(checks.curves_needed([second])) == ["Curves of Saliency", "Random orders"]
    make(needed)
    assert checks.needed([first, second]) == []
    assert labels(checks.needed([doubt("Patch ablation")])) == ["Patch ablation"]
    assert labels(checks.needed([doubt(filling="own mean")])) == [
        f"Curves of {METHOD}",
        "Random orders",
        "Random removals",
    ]


def test_disturbing_is_randomisation_and_then_noise(checks: Doubts, explanations: Explanations) -> None:
    one = doubt()
    question, settings = explanations.question(one.asked), Settings(block=1)
    (asked,) = checks.disturbing(one)
    assert asked.asked
    assert (asked.unit, asked.total) == ("passes", (5 + DRAWS + NOISY) * explanations.passes(METHOD))
    make([asked])
    found = checks.disturbed(one)
    original = attribute(checks.model, question, METHOD, settings).values

    def explain(model: Mixer, image: torch.Tensor) -> Steps[np.ndarray]:
        yield 0
        return attribute(model, replace(question, image=image), METHOD, settings).values

    want = finish(sanity.randomisation(checks.model, lambda m: explain(m, question.image), original, DRAWS, SEED))
    assert found.randomised.correlations.tolist() == want.correlations.tolist()
    assert found.randomised.draws.tolist() == want.draws.tolist()
    explained = sanity.sensitivity(lambda x: explain(checks.model, x), question.image, original, RADIUS, NOISY, SEED)
    largest = finish(explained)
    assert found.sensitivity == largest > 0
    assert checks.disturbed(doubt(filling="own mean")) is found  # which the filling does not concern
    assert checks.disturbing(one) == []
    evidence = checks.evidence(one)
    assert (evidence.randomisation, evidence.sensitivity) == (found.randomised.likeness, largest)
    assert evidence.gap is not None


def test_what_was_given_up_is_not_remembered(checks: Doubts, explanations: Explanations) -> None:
    one = doubt("Saliency")
    explanations.answer(one.asked, one.method)
    for measurement in (*checks.needed([one])[1:], *checks.disturbing(one)):
        steps = measurement.steps()
        assert next(steps) < measurement.total
        steps.close()
    assert checks.orders(one) is None
    assert checks.disturbed(one) is None
    assert checks.evidence(one) == Evidence()
    assert len(checks.needed([one])) == 3


def test_the_picture_loses_its_patches_in_the_order_of_the_values(checks: Doubts, explanations: Explanations) -> None:
    one = doubt("Saliency")
    first = np.argsort(-explanations.answer(one.asked, one.method).values, kind="stable")[:5]
    without, alone = checks.pictures(one, 5)
    filled, grid = explanations.question(one.filled), checks.model.config.grid
    whole, empty = (pixels(image, checks.model.config) for image in (filled.image, filled.baseline))
    for patch in range(16):
        there, gone = (alone, without) if patch in first else (without, alone)
        np.testing.assert_array_equal(there[grid.pixels(patch)], whole[grid.pixels(patch)])
        np.testing.assert_array_equal(gone[grid.pixels(patch)], empty[grid.pixels(patch)])
    np.testing.assert_array_equal(checks.pictures(one, 0), np.stack([whole, empty]))


def test_memory_is_bounded(explanations: Explanations, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "KEPT", 1)
    checks = Doubts(explanations)
    for method in (METHOD, "Saliency"):
        explanations.answer(doubt(method).asked, method)
        make(checks.curves_needed([doubt(method)]))
    assert checks.curves(doubt("Saliency")) is not None
    assert checks.curves(doubt()) is None
