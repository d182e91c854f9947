"""Each rule of the verdict on a toy whose truth is known: the truth meets it, and what is not the truth does not.

The toy is a game: F is a function of the sum of what the patches that are there contribute. A rule that compares with
random orders or shuffled copies is met by chance by one map of twenty, as its limit says.
"""

from collections.abc import Callable
from dataclasses import asdict

import numpy as np
import pytest

from mixer.model import Mixer, MixerConfig
from tests.viz.explained import ask, contributions, straight
from viz.attribution.question import Question
from viz.doubt.checks import DRAWS, ORDERS, POINTS, REMOVALS
from viz.doubt.faithfulness import (
    Curves,
    RandomOrders,
    Removals,
    better_than,
    counts_of,
    falling,
    tells_more_than,
)
from viz.doubt.rules import Evidence, findings
from viz.doubt.sanity import randomisation, sensitivity
from viz.pace import Steps, finish

GAMES = 200
PATCHES = 16
Map = Callable[[np.random.Generator, np.ndarray], np.ndarray]
WRONG: dict[str, Map] = {
    "negative": lambda random, truth: -truth,
    "constant": lambda random, truth: np.full_like(truth, 0.3),
    "shuffled copy": lambda random, truth: random.permutation(truth),
    "random": lambda random, truth: random.standard_normal(len(truth)),
    "random and positive": lambda random, truth: random.random(len(truth)),
}
SHAPES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "straight": lambda x: x,
    "bent": lambda x: 1 / (1 + np.exp(-x)),
}


def met(**figures: float) -> bool:
    (finding,) = findings(Evidence(**{name: float(figure) for name, figure in figures.items()}))
    return finding.met


def evidence(shape: Callable[[np.ndarray], np.ndarray], gains: np.ndarray, values: np.ndarray, seed: int) -> Evidence:
    """What removing patches says of some values, where the truth is `gains`."""
    random, counts = np.random.default_rng(seed), counts_of(PATCHES, POINTS)

    def insertion(order: np.ndarray) -> np.ndarray:
        return shape(np.insert(gains[order].cumsum(-1), 0, 0, -1))

    order = falling(values)
    own = Curves(insertion(order[::-1])[::-1], insertion(order), np.arange(PATCHES + 1))
    others = insertion(random.permuted(np.tile(np.arange(PATCHES), (ORDERS, 1)), axis=1))[:, counts]
    gone = random.random((REMOVALS, PATCHES)) < 0.5
    removals = Removals(gone, shape(gains.sum()) - shape(~gone @ gains))
    deletion, insertion_ = better_than(own, RandomOrders(others, counts))
    return Evidence(deletion, insertion_, infidelity=tells_more_than(values, removals, seed))


def share_met(shape: str, positive: bool, made: Map) -> dict[str, float]:
    """For each rule, the share of games in which a map meets it."""
    counts = dict.fromkeys(("deletion", "insertion", "infidelity"), 0)
    for game in range(GAMES):
        random = np.random.default_rng([game, 7])
        gains = random.standard_normal(PATCHES) / 2
        gains = np.abs(gains) if positive else gains
        found = evidence(SHAPES[shape], gains, made(random, gains), game)
        for finding in findings(found):
            counts[finding.figure] += finding.met
    return {name: count / GAMES for name, count in counts.items()}


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_truth_meets_all_rules_on_removing_patches(shape: str, positive: bool) -> None:
    assert share_met(shape, positive, lambda random, truth: 3 * truth) == dict.fromkeys(
        ("deletion", "insertion", "infidelity"), 1
    )


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_not_the_truth_fails_them_in_nineteen_of_twenty_games(wrong: str, positive: bool) -> None:
    found = share_met("straight", positive, WRONG[wrong])
    chance = 2.5 * np.sqrt(0.05 * 0.95 / GAMES)  # in which it is met by chance alone
    assert max(found.values()) <= 0.05 + chance, found


def test_a_constant_map_and_the_negative_never_tell_what_removing_costs() -> None:
    """They did: a constant tells that more is lost where more patches go, and the negative was turned round."""
    for wrong in ("constant", "negative"):
        assert share_met("straight", True, WRONG[wrong])["infidelity"] == 0


@pytest.fixture
def model(tiny: MixerConfig) -> Mixer:
    return straight(tiny)


@pytest.fixture
def question(tiny: MixerConfig) -> Question:
    return ask(tiny)


def true_of(question: Question) -> Callable[[Mixer], Steps[np.ndarray]]:
    """A method that finds the truth, whatever the weights."""

    def explain(model: Mixer) -> Steps[np.ndarray]:
        yield 0
        return contributions(model, question).astype(np.float64)

    return explain


def test_a_map_that_is_the_same_for_all_weights_fails_whatever_it_shows(model: Mixer, question: Question) -> None:
    """Its negative, and a shuffled copy, of a METHOD that looks at the weights cannot be told by this rule."""
    random, truth = np.random.default_rng(0), contributions(model, question).astype(np.float64)

    def likeness(explain: Callable[[Mixer], Steps[np.ndarray]], original: np.ndarray) -> float:
        return [*randomisation(model, explain, original, DRAWS, 0)][-1].likeness

    assert met(randomisation=likeness(true_of(question), truth))
    for made in (lambda random, truth: truth, *WRONG.values()):
        fixed = made(random, truth)

        def explain(model: Mixer, fixed: np.ndarray = fixed) -> Steps[np.ndarray]:
            yield 0
            return fixed

        assert not met(randomisation=likeness(explain, fixed))


def test_several_draws_of_random_weights_agree_more_than_one(model: Mixer, question: Question) -> None:
    truth = contributions(model, question).astype(np.float64)
    found = [[*randomisation(model, true_of(question), truth, DRAWS, seed)][-1] for seed in range(12)]
    assert np.std([one.likeness for one in found]) < np.std([abs(one.draws[0]) for one in found]) / 1.5


def test_a_random_map_is_not_steady(question: Question) -> None:
    """One that is the same for every picture, and the negative of a steady one, are as steady as the truth."""
    random = np.random.default_rng(0)

    def explain(image: object) -> Steps[np.ndarray]:
        yield 0
        return random.standard_normal(PATCHES)

    found = [
        finish(sensitivity(explain, question.image, random.standard_normal(PATCHES), 0.02, 10, 0)) for _ in range(20)
    ]
    assert not any(met(sensitivity=one) for one in found)


@pytest.mark.parametrize("wrong", [name for name in WRONG if name != "shuffled copy"])
def test_sums_tell_what_is_not_the_truth_but_for_a_shuffled_copy(wrong: str) -> None:
    met_by_chance = 0
    for game in range(GAMES):
        random = np.random.default_rng([game, 3])
        truth = random.standard_normal(PATCHES)
        assert met(gap=0.0)
        met_by_chance += met(gap=WRONG[wrong](random, truth).sum() / truth.sum() - 1)
    assert met_by_chance <= 0.05 * GAMES


def test_every_rule_is_tried_here() -> None:
    assert set(asdict(Evidence())) == {"deletion", "insertion", "infidelity", "randomisation", "sensitivity", "gap"}
