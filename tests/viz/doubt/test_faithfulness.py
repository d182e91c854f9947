"""Curves, bands and infidelity on networks for which they can be told by hand."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

import numpy as np
import pytest
import torch
from captum.metrics import infidelity as captum_infidelity

from mixer.model import Mixer, MixerConfig
from tests.viz.explained import ask, bent, contributions, ends, straight
from viz.attribution.question import Question
from viz.doubt.faithfulness import (
    Curves,
    RandomOrders,
    Removals,
    area,
    band,
    better_than,
    counts_of,
    curves,
    falling,
    infidelity,
    random_orders,
    random_removals,
    refined_curves,
)
from viz.doubt.sanity import rank_correlation
from viz.pace import seconds_per_pass, undisturbed

T = TypeVar("T")


def last(parts: Iterable[T]) -> T:
    *_, found = parts
    return found


@pytest.fixture
def question(tiny: MixerConfig) -> Question:
    return ask(tiny)


@pytest.fixture
def linear(tiny: MixerConfig) -> Mixer:
    return straight(tiny)


@pytest.fixture
def model(tiny: MixerConfig) -> Mixer:
    return bent(replace(tiny, pre_head_norm=True))


def error(model: Mixer, question: Question, values: np.ndarray, removals: int) -> tuple[float, float]:
    """The infidelity, and as a share of the mean square of what is lost: 1 where the values predict nothing."""
    removed = last(random_removals(model, question, removals, seed=0))
    (found,), all_lost = infidelity(values[None], removed), np.mean(removed.losses**2)
    return float(found), float(found / all_lost) if all_lost else 0.0


def test_curves_of_an_additive_network(linear: Mixer, question: Question):
    gains = contributions(linear, question)
    empty, whole = ends(linear, question)
    found = curves(linear, question, gains)
    falling = np.sort(gains)[::-1]
    np.testing.assert_allclose(found.insertion, empty + np.concatenate([[0], np.cumsum(falling)]), atol=1e-5)
    np.testing.assert_allclose(found.deletion, whole - np.concatenate([[0], np.cumsum(falling)]), atol=1e-5)
    # each gain counts for the part of the curve on which it is there: the k-th largest from step k on, half of step k
    there = (16 - np.arange(16) - 0.5) / 16
    assert area(found.insertion) == pytest.approx(empty + falling @ there, abs=1e-5)
    assert area(found.deletion) == pytest.approx(whole - falling @ there, abs=1e-5)


def test_curves_follow_the_order_that_is_given(model: Mixer, question: Question):
    values = np.random.default_rng(0).permutation(16).astype(np.float32)
    found = curves(model, question, values)
    grid = model.config.grid
    image = question.image.clone()
    for step, patch in enumerate(np.argsort(-values)):
        with torch.no_grad():
            assert found.deletion[step] == pytest.approx(model(image[None])[0, 3].item(), abs=1e-4)
        rows, cols = grid.pixels(int(patch))
        image[:, rows, cols] = question.baseline[:, rows, cols]
    assert found.deletion[16] == found.insertion[0] == ends(model, question)[0]
    assert found.deletion[0] == found.insertion[16] == ends(model, question)[1]


def test_the_reverse_order_needs_no_passes(model: Mixer, question: Question):
    values = np.random.default_rng(0).standard_normal(16)
    own, other = curves(model, question, values), curves(model, question, -values)
    np.testing.assert_allclose(own.reverse.deletion, other.deletion, atol=1e-5)
    np.testing.assert_allclose(own.reverse.insertion, other.insertion, atol=1e-5)
    assert area(own.reverse.deletion) == pytest.approx(area(own.insertion))


def test_equals_go_in_an_order_that_is_no_place_in_the_picture_and_the_same_every_time():
    values = np.repeat([1.0, 3.0, 2.0], 30)
    order = falling(values)
    assert order.tolist() == falling(values).tolist()
    assert values[order].tolist() == sorted(values, reverse=True)
    for part in np.split(order, 3):
        assert abs(rank_correlation(part.astype(float), np.arange(30.0))) < 0.5


def test_the_right_order_beats_all_others_on_an_additive_network(linear: Mixer, question: Question):
    gains = contributions(linear, question)
    others = last(random_orders(linear, question, orders=20, steps=16, seed=0))
    assert better_than(curves(linear, question, gains), others) == (20 / 21, 20 / 21)  # it is one of 21 orders
    assert better_than(curves(linear, question, -gains), others) == (0, 0)
    noise = np.random.default_rng(5).standard_normal(16)
    deletion, insertion = better_than(curves(linear, question, noise), others)
    assert 0 < deletion < 1
    assert 0 < insertion < 1


def test_random_orders_of_an_additive_network(linear: Mixer, question: Question):
    empty, whole = ends(linear, question)
    found = last(random_orders(linear, question, orders=150, steps=16, seed=0))
    expected = np.linspace(empty, whole, 17)
    error = found.insertion.std(0, ddof=1)[1:-1] / np.sqrt(150)
    assert np.abs((found.insertion.mean(0) - expected)[1:-1] / error).max() < 4
    np.testing.assert_array_equal(found.deletion, found.insertion[:, ::-1])
    low, high = band(found.insertion)
    assert (low <= expected + 1e-6).all()
    assert (high >= expected - 1e-6).all()


@pytest.mark.parametrize("orders", [19, 20, 39, 99, 100])
def test_the_band_holds_the_share_of_new_orders_that_it_says(orders: int):
    """Whatever they are drawn from: here their logarithms are normal."""
    generator = np.random.default_rng(0)
    held = []
    for _ in range(400):
        low, high = band(np.exp(generator.standard_normal((orders, 7))))
        new = np.exp(generator.standard_normal((20, 7)))
        held.append(((low < new) & (new < high)).mean())
    assert 0.89 < np.mean(held) < 0.91 + 2 / (orders + 1)


def test_too_few_orders_make_no_band():
    with pytest.raises(ValueError, match="18 random orders are too few for a band that holds 90%"):
        band(np.zeros((18, 3)))


@pytest.mark.parametrize(("patches", "steps"), [(16, 5), (11, 8), (7, 3), (1, 8), (32, 8), (196, 8), (6, None)])
def test_patches_come_and_go_in_steps_that_are_the_same_backwards(patches: int, steps: int | None):
    counts = counts_of(patches, steps)
    assert counts.tolist() == (patches - counts[::-1]).tolist()
    assert (counts[0], counts[-1]) == (0, patches)
    assert (np.diff(counts) > 0).all()
    assert len(counts) <= (steps or patches) + 3


def test_orders_in_steps_are_points_of_orders_patch_by_patch(model: Mixer, question: Question):
    few, many = (last(random_orders(model, question, 3, steps, seed=0)) for steps in (5, 16))
    assert few.counts.tolist() == [0, 3, 6, 10, 13, 16]
    np.testing.assert_allclose(few.insertion, many.insertion[:, few.counts], atol=1e-5)
    own = curves(model, question, np.arange(16.0))
    areas = area(own.insertion[few.counts], few.counts), area(few.insertion, few.counts)
    assert better_than(own, few)[1] == (areas[1] < areas[0]).sum() / 4


def test_random_orders_are_the_same_with_the_same_seed(model: Mixer, question: Question):
    first, again, other = (last(random_orders(model, question, 3, 16, seed)).insertion for seed in (0, 0, 1))
    assert first.shape == (3, 17)
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert len(np.unique(first[:, 8])) == 3


@pytest.mark.parametrize(("steps", "points"), [(8, 9), (5, 6), (16, 17)])
def test_curves_are_known_at_some_points_first_and_none_is_computed_twice(
    model: Mixer, question: Question, steps: int, points: int
):
    values = np.random.default_rng(1).normal(size=16)
    expected = curves(model, question, values)
    *parts, found = refined_curves(model, question, values, steps)
    known = [part for part in (*parts, found) if not isinstance(part, int)]
    assert len(known[0].counts) == points
    for part in known:
        np.testing.assert_allclose(part.deletion, expected.deletion[part.counts], atol=1e-5)
        np.testing.assert_allclose(part.insertion, expected.insertion[part.counts], atol=1e-5)
    assert found.counts.tolist() == list(range(17))
    passes = [part for part in parts if isinstance(part, int)]
    assert passes == sorted(passes)
    assert passes[-1] == 2 * 15 + 2


def test_random_orders_are_known_as_soon_as_they_make_a_band(model: Mixer, question: Question):
    *parts, found = random_orders(model, question, 45, 4, seed=0)
    known = [part.insertion for part in (*parts, found) if not isinstance(part, int)]
    assert [len(part) for part in known] == [19, 38, 45]
    for part in known:
        np.testing.assert_array_equal(part, found.insertion[: len(part)])
        assert band(part).shape == (2, 5)
    passes = [part for part in parts if isinstance(part, int)]
    assert passes == sorted(passes)
    assert passes[-1] == 45 * 3 + 2


def test_others_get_the_model_between_the_batches(model: Mixer, question: Question):
    steps = random_orders(model, question, 2, 16, seed=0)
    assert [next(steps) for _ in range(2)] == [2, 2]
    assert next(steps) > 2
    with ThreadPoolExecutor(1) as other:
        other.submit(curves, model, question, np.zeros(16)).result(timeout=5)


def test_area_and_ties_by_hand():
    assert area(np.array([4.0, 2.0, 0.0, 2.0])) == pytest.approx((3 + 1 + 1) / 3)
    assert area(np.array([[1.0, 1.0], [0.0, 4.0]])).tolist() == [1, 2]
    own = Curves(np.array([2.0, 1.0, 0.0]), np.array([0.0, 1.0, 2.0]), np.arange(3))
    others = RandomOrders(np.array([[0.0, y, 2.0] for y in (0.0, 1.0, 3.0, 4.0)]), np.arange(3))
    assert better_than(own, others) == (2 / 5, 1 / 5)  # equal is not better


def test_cost_in_passes_and_batches(model: Mixer, question: Question):
    seconds_per_pass(model)  # measured before the batches are counted
    batches: list[int] = []
    hook = model.blocks[-1].register_forward_hook(lambda module, args, output: batches.append(len(output)))
    curves(model, question, np.arange(16.0))
    assert batches == [2, *[8, 7] * 2]  # 8 at once: what suits a CPU
    batches.clear()
    last(random_orders(model, question, 4, 16, seed=0))
    assert batches == [2, *[8, 7] * 4]
    batches.clear()
    last(random_removals(model, question, 7, seed=0))
    assert batches == [2, 7]
    hook.remove()


def test_batches_are_bounded(model: Mixer, question: Question, monkeypatch: pytest.MonkeyPatch):
    expected = curves(model, question, np.arange(16.0))
    monkeypatch.setattr("viz.pace.at_once", lambda device: 6)
    batches: list[int] = []
    hook = model.blocks[-1].register_forward_hook(lambda module, args, output: batches.append(len(output)))
    found = curves(model, question, np.arange(16.0))
    hook.remove()
    assert max(batches) == 6
    np.testing.assert_allclose(found.deletion, expected.deletion, atol=1e-5)


def test_infidelity_of_the_truth_at_any_scale(linear: Mixer, question: Question):
    gains = contributions(linear, question)
    for scale in (1, 1000, 1e-3):
        _, share = error(linear, question, scale * gains, 30)
        assert share == pytest.approx(0, abs=1e-6)
    assert error(linear, question, -gains, 30)[1] == 1  # with the wrong sign, nothing is told
    assert error(linear, question, np.zeros(16), 30)[1] == pytest.approx(1)


def test_infidelity_by_hand(model: Mixer, question: Question):
    values = np.random.default_rng(3).standard_normal(16)
    gone = np.random.default_rng(0).random((7, 16)) < 0.5
    mask = model.config.grid.mask()
    images = torch.stack([torch.where(torch.from_numpy(g)[mask], question.baseline, question.image) for g in gone])
    with torch.no_grad():
        losses = (model(question.image[None]) - model(images))[:, 3].double().numpy()
    told = gone @ values
    beta = told @ losses / (told @ told)
    assert beta > 0
    expected = np.mean((beta * told - losses) ** 2)
    found, share = error(model, question, values, 7)
    assert found == pytest.approx(expected, rel=1e-4)
    assert share == pytest.approx(expected / np.mean(losses**2), rel=1e-4)
    assert 0 < share < 1
    # and as Captum has it on pixels, the values spread over the pixels of their patches as w (x - b) would be
    there = torch.from_numpy(values)[mask].float().expand(3, 32, 32) / (question.image - question.baseline) / 192
    removed = question.image - images
    other = captum_infidelity(
        lambda x: model(x)[:, 3],
        lambda x: (removed, x - removed),
        question.image[None],
        there[None],
        n_perturb_samples=7,
        normalize=True,
    )
    assert found == pytest.approx(other.item(), rel=1e-2)


def test_patches_may_go_several_at_a_time(model: Mixer, question: Question):
    values = np.random.default_rng(0).permutation(16).astype(np.float32)
    whole, few = curves(model, question, values), curves(model, question, values, steps=5)
    assert few.counts.tolist() == [0, 3, 6, 10, 13, 16]
    np.testing.assert_allclose(few.deletion, whole.deletion[few.counts], atol=1e-5)
    np.testing.assert_allclose(few.insertion, whole.insertion[few.counts], atol=1e-5)
    trapezes = np.diff(few.counts) * (few.insertion[1:] + few.insertion[:-1]) / 2
    assert few.areas[1] == pytest.approx(trapezes.sum() / 16)
    backwards = curves(model, question, -values, steps=5)
    np.testing.assert_allclose(few.reverse.deletion, backwards.deletion, atol=1e-5)
    np.testing.assert_allclose(few.reverse.areas, backwards.areas, atol=1e-5)


def test_uneven_steps_are_turned_round_with_their_curve():
    own = Curves(np.array([4.0, 2.0, 0.0]), np.array([0.0, 1.0, 4.0]), np.array([0, 1, 4]))
    assert own.areas == ((1 * 3 + 3 * 1) / 4, (1 * 0.5 + 3 * 2.5) / 4)
    assert own.reverse.counts.tolist() == [0, 3, 4]
    assert own.reverse.areas == own.areas[::-1]


def test_removals_come_in_batches_and_are_the_same_with_the_same_seed(model: Mixer, question: Question):
    with undisturbed():  # or the batches depend on the machine
        steps = list(random_removals(model, question, 20, seed=0))
    assert [part for part in steps if isinstance(part, int)] == [
        2,
        2,
        10,
        18,
        21,
        22,
    ]  # first the whole and the filling
    few, first = (part for part in steps if isinstance(part, Removals))
    np.testing.assert_array_equal(few.losses, first.losses[:19])
    again, other = (last(random_removals(model, question, 20, seed)) for seed in (0, 1))
    assert first.losses.shape == (20,)
    np.testing.assert_allclose(first.losses, again.losses, atol=1e-5)
    assert (first.losses != other.losses).any()


def test_nothing_to_explain(model: Mixer, question: Question):
    same = replace(question, image=question.baseline)
    found, share = error(model, same, np.arange(16.0), 5)
    assert found == pytest.approx(0, abs=1e-9)
    assert 0 <= share <= 1


def test_wrong_values(model: Mixer, question: Question):
    with pytest.raises(ValueError, match="orders must be at least 1, not 0"):
        last(random_orders(model, question, 0, 16, seed=0))
    with pytest.raises(ValueError, match="removals must be at least 1, not 0"):
        last(random_removals(model, question, 0, seed=0))
    wrong = replace(question, target=10)
    for call in (
        lambda: curves(model, wrong, np.zeros(16)),
        lambda: last(random_orders(model, wrong, 1, 16, seed=0)),
        lambda: last(random_removals(model, wrong, 3, seed=0)),
    ):
        with pytest.raises(ValueError, match="class 10 does not exist"):
            call()
