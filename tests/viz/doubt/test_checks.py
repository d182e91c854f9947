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
from viz.attribution.query import AttributionQuery, explanation, passes, question
from viz.doubt import checks, faithfulness, sanity
from viz.doubt.checks import DRAWS, NOISY, ORDERS, POINTS, RADIUS, REMOVALS, SEED, CheckQuery
from viz.doubt.rules import Evidence
from viz.measuring import Measurement
from viz.microscope import Microscope
from viz.pace import Steps, finish

PICTURE = bytes(range(256)) * 12
METHOD = "Layer Conductance"
CHECKS = (checks.curves, checks.orders, checks.removals)


@pytest.fixture
def scope(tiny: MixerConfig) -> Microscope:
    return Microscope(bent(tiny), {}, torch.device("cpu"))


def doubt(method: str = METHOD, filling: str = "blurred") -> CheckQuery:
    return CheckQuery(AttributionQuery(PICTURE, 3, "black", "logit", 1).for_method(method), method, filling)


def labels(measurements: list[Measurement]) -> list[str]:
    return [one.label for one in measurements]


def needed(scope: Microscope, doubted: list[CheckQuery]) -> list[Measurement]:
    """But for what waits to be asked for."""
    return [one for one in scope.missing(checks.all_checks(scope, doubted)) if not one.on_request]


def make(measurements: list[Measurement]) -> None:
    """As the page does. All steps are counted."""
    for one in measurements:
        done = list(one.steps())
        assert done == sorted(done)
        assert done[-1] == one.total


def test_curves_and_infidelity_are_of_the_filling_and_values_of_the_baseline(scope: Microscope) -> None:
    one = doubt()
    make(needed(scope, [one]))  # the attribution, without which there are no curves
    assert scope.latest(checks.curves(scope, one)) is None
    make(needed(scope, [one]))
    assert needed(scope, [one]) == []
    values = attribute(scope.model, question(scope, one.query), METHOD, Settings(block=1)).values
    filled = question(scope, replace(one.query, baseline="blurred"))
    want = faithfulness.curves(scope.model, filled, values)
    np.testing.assert_allclose(scope.latest(checks.curves(scope, one)).deletion, want.deletion, atol=1e-6)
    evidence = checks.evidence(scope, one)
    *_, removals = faithfulness.random_removals(scope.model, filled, REMOVALS, SEED)
    assert evidence.infidelity == faithfulness.tells_more_than(values, removals, SEED)
    *_, orders = faithfulness.random_orders(scope.model, filled, ORDERS, POINTS, SEED)
    assert (evidence.deletion, evidence.insertion) == faithfulness.better_than(want, orders)
    assert evidence.gap == scope.measured(explanation(scope, one.query, METHOD)).gap_share
    assert evidence.randomisation is evidence.sensitivity is None


def test_nothing_is_known_of_what_was_not_measured(scope: Microscope) -> None:
    assert checks.evidence(scope, doubt()) == Evidence()
    assert needed(scope, []) == []


def test_each_thing_is_measured_once_and_what_methods_share_for_all(scope: Microscope) -> None:
    first, second = doubt(), doubt("Saliency")
    assert labels(needed(scope, [first, second])) == [METHOD, "Random orders", "Saliency", "Random removals"]
    for one in (first, second):
        scope.measured(explanation(scope, one.query, one.method))
    todo = needed(scope, [first, second])
    assert labels(todo) == [f"Curves of {METHOD}", "Random orders", "Curves of Saliency", "Random removals"]
    assert [one.total for one in todo] == [30, ORDERS * (POINTS - 1), 30, REMOVALS]
    assert len({one.key for one in todo}) == 4
    assert labels(scope.missing(checks.all_curves(scope, [second]))) == ["Curves of Saliency", "Random orders"]
    make(todo)
    assert needed(scope, [first, second]) == []
    assert labels(needed(scope, [doubt("Patch ablation")])) == ["Patch ablation"]
    assert labels(needed(scope, [doubt(filling="own mean")])) == [
        f"Curves of {METHOD}",
        "Random orders",
        "Random removals",
    ]


def test_disturbing_is_randomisation_and_then_noise(scope: Microscope) -> None:
    one = doubt()
    put, settings = question(scope, one.query), Settings(block=1)
    asked = checks.robustness(scope, one)
    assert asked.on_request
    cost = passes(scope, METHOD, 1)
    assert (asked.unit, asked.total) == ("passes", cost + (4 + DRAWS + NOISY) * (cost + 2))
    make([asked])
    found = scope.latest(checks.robustness(scope, one))
    original = attribute(scope.model, put, METHOD, settings).values

    def explain(model: Mixer, image: torch.Tensor) -> Steps[np.ndarray]:
        yield 0
        return attribute(model, replace(put, image=image, ends=None), METHOD, settings).values

    *_, want = sanity.randomisation(scope.model, lambda m: explain(m, put.image), original, DRAWS, SEED)
    assert found.randomised.correlations.tolist() == want.correlations.tolist()
    assert found.randomised.draws.tolist() == want.draws.tolist()
    explained = sanity.sensitivity(lambda x: explain(scope.model, x), put.image, original, RADIUS, NOISY, SEED)
    largest = finish(explained)
    assert found.sensitivity == largest > 0
    refilled = doubt(filling="own mean")
    assert scope.latest(checks.robustness(scope, refilled)) is found  # which the filling does not concern
    assert scope.missing([asked]) == []
    evidence = checks.evidence(scope, one)
    assert (evidence.randomisation, evidence.sensitivity) == (found.randomised.likeness, largest)


def test_nothing_is_passed_twice_by_all_methods_and_checks(scope: Microscope, monkeypatch: pytest.MonkeyPatch) -> None:
    """The picture itself and what replaces its patches, too."""
    monkeypatch.setattr("viz.pace.STALE", np.inf)
    one, count = doubt("Saliency"), 0
    scope.look(PICTURE)
    ablation = explanation(scope, one.filled, "Patch ablation")
    measurements = [explanation(scope, one.query, "Saliency"), ablation, *(check(scope, one) for check in CHECKS)]

    def add(module: torch.nn.Module, args: tuple[torch.Tensor, ...]) -> None:
        nonlocal count
        count += len(args[0])

    scope.model.blocks[0].register_forward_pre_hook(add)
    make(measurements)
    assert count == 1 + sum(one.total for one in measurements[1:]) + 2  # the mean colour and the filling


def test_what_was_given_up_is_not_remembered(scope: Microscope) -> None:
    one = doubt("Saliency")
    scope.measured(explanation(scope, one.query, one.method))
    for measurement in (*needed(scope, [one])[1:], checks.robustness(scope, one)):
        steps = measurement.steps()
        assert next(steps) < measurement.total
        steps.close()
    assert scope.latest(checks.orders(scope, one)) is None
    assert scope.latest(checks.robustness(scope, one)) is None
    assert checks.evidence(scope, one) == Evidence()
    assert len(needed(scope, [one])) == 3


def test_the_picture_loses_its_patches_in_the_order_of_the_values(scope: Microscope) -> None:
    one = doubt("Saliency")
    first = np.argsort(-scope.measured(explanation(scope, one.query, one.method)).values, kind="stable")[:5]
    without, alone = checks.pictures(scope, one, 5)
    filled, grid = question(scope, one.filled), scope.model.config.grid
    whole, empty = (pixels(image, scope.model.config) for image in (filled.image, filled.baseline))
    for patch in range(16):
        there, gone = (alone, without) if patch in first else (without, alone)
        np.testing.assert_array_equal(there[grid.pixels(patch)], whole[grid.pixels(patch)])
        np.testing.assert_array_equal(gone[grid.pixels(patch)], empty[grid.pixels(patch)])
    np.testing.assert_array_equal(checks.pictures(scope, one, 0), np.stack([whole, empty]))
