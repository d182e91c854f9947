"""What is estimated is shown after a few samples or draws, and becomes better in place."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.viz.looking import microscope
from tests.viz.test_pace import Clock, clock
from viz import tokens
from viz.capture import trace
from viz.intervene import ablation
from viz.microscope import Microscope
from viz.mixing import units
from viz.mixing.influence import mean_token_jacobian
from viz.pace import FIRST, due, estimated, spread_out
from viz.page.instrument import Instrument
from viz.page.session import Session
from viz.selection import first

__all__ = ["clock"]


@pytest.fixture(scope="module")
def scope() -> Microscope:
    return microscope(num_blocks=2)


@pytest.fixture(scope="module")
def images(scope: Microscope) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(90, 3, *scope.grid.image_size, generator=generator)


def test_samples_are_shown_from_twenty_on_whenever_they_have_doubled() -> None:
    shown = [done for done in range(1, 400) if due(done - 1, done)]
    assert shown == [20, 40, 80, 160, 320]
    assert due(19, 70)
    assert not due(45, 79)


def test_the_first_samples_are_from_everywhere_and_each_comes_once() -> None:
    for count in (7, 20, 90, 200):
        order = spread_out(torch.zeros(count)).tolist()
        assert sorted(order) == list(range(count))
        of_class = {number * 10 // count for number in order[:FIRST]}  # ten classes, one after the other
        assert len(of_class) == min(10, count)


@pytest.mark.parametrize(
    "question",
    [
        lambda model, images: tokens.sample_stats(model, images),
        lambda model, images: ablation.ablate_sublayers_over(model, images),
        lambda model, images: ablation.ablate_unit_over(model, images, 1, 3),
        lambda model, images: ablation.answers_ablated(model, images, 1),
        lambda model, images: mean_token_jacobian(model, images, 1),
    ],
)
def test_what_is_known_so_far_is_what_the_first_samples_alone_say(
    scope: Microscope, images: Tensor, question: Callable[..., Iterator[Any]]
) -> None:
    done, found = 0, dict[int, Any]()
    for part in question(scope.model, images):
        if isinstance(part, int):
            done = part
        else:
            found[done] = part
    assert min(found) < 2 * FIRST
    assert max(found) == 90
    assert len(found) == 4
    for count, part in found.items():
        *_, alone = question(scope.model, images[spread_out(images)[:count]])
        for mine, its in zip(numbers(part), numbers(alone), strict=True):
            np.testing.assert_allclose(mine, its, atol=1e-4)


def numbers(result: Any) -> list[np.ndarray]:
    if isinstance(result, (np.ndarray, tuple)):
        return [np.asarray(result)]
    names = ("mean", "deviation") if hasattr(result, "deviation") else ("images", "norms", "votes", "leads", "decided")
    return [np.asarray(getattr(result, name)) for name in names]


def test_an_estimate_is_of_all_images_at_last(scope: Microscope, images: Tensor) -> None:
    *_, found = estimated(scope.model, images, lambda some: some.sum((1, 2, 3)), lambda sums: float(sums.sum()))
    assert found == pytest.approx(float(images.sum()), abs=1e-2)


def test_shapley_values_are_drawn_better_and_better_and_stay_after_cancel(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many orders start by themselves as five seconds allow; the rest when it is asked for, from there on."""
    monkeypatch.setattr("viz.page.instrument.REDRAW", -1)
    scope = microscope(image_size=(16, 32))
    clock.slow_down(scope.model, 0.1)  # 8 patches: an order takes 0.7 s, all twenty of them 14
    page, passes = Instrument(scope), list[int]()
    scope.model.blocks[0].register_forward_hook(lambda module, args, output: passes.append(len(output)))
    visit = Session(first(scope, page.page))
    page.answer(visit, {"words": {"lens": "attribution", "methods": "Shapley values"}})

    def said() -> str:
        return page.answer(visit, {"redraw": True, "again": True})["attribution-maps"]["words"]

    async def run(stop: int | None = None) -> list[str]:
        seen = list[str]()
        async for update in page.run(visit):
            if "redraw" in update:
                seen.append(said())
                if len(seen) == stop:
                    page.answer(visit, {"stop": True})
        return seen

    begun = asyncio.run(run())
    assert "Shapley values: so far 28 of 140 passes." in begun[-1]
    assert not page.to_run(visit)
    page.answer(visit, {"measure": "attribution-maps"})
    asyncio.run(run(stop=2))
    assert "Shapley values: so far 42 of 140 passes." in said()
    saved = page.answer(visit, {"csv": "attribution-maps"})["status"]["file"]["text"]
    assert "# estimates: Shapley values: so far 42 of 140 passes." in saved
    assert "Median standard error" in said()
    passes.clear()
    page.answer(visit, {"measure": "attribution-maps"})
    refined = asyncio.run(run())
    assert "so far" not in refined[-1]
    assert len(set(refined)) > 10
    assert sum(passes) <= 140 - 42 + 1  # nothing anew; one pass may be timed


def test_curves_are_of_finished_values_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """An order of patches that still changes is tested by no curve."""
    monkeypatch.setattr("viz.measuring.BUDGET", 0)
    scope = microscope(image_size=(16, 32))
    page = Instrument(scope)
    visit = Session(first(scope, page.page))
    page.answer(visit, {"words": {"lens": "doubt", "methods": "Shapley values"}})
    shapley = next(one for one in page._needs(visit, "doubt-deletion") if one.label == "Shapley values")
    steps = shapley.steps()
    while not scope.reached(shapley.key):
        next(steps)
    assert scope.latest(shapley) is not None
    assert not [one for one in page._needs(visit, "doubt-deletion") if one.label.startswith("Curves")]
    list(steps)
    assert [one for one in page._needs(visit, "doubt-deletion") if one.label.startswith("Curves")]


def test_the_mean_tokens_of_a_part_of_the_samples_say_how_many_they_are(scope: Microscope, images: Tensor) -> None:
    parts = [part for part in tokens.sample_stats(scope.model, images) if not isinstance(part, int)]
    few = images[spread_out(images)[: parts[0].images]]
    seen = trace(scope.model, few)
    np.testing.assert_allclose(parts[0].norms[0], seen.stem.norm(dim=-1).mean(0).numpy(), rtol=1e-4)


def test_tokens_and_strengths_of_the_first_samples_stand_at_their_own_numbers(
    scope: Microscope, images: Tensor
) -> None:
    for question in (
        lambda: tokens.sample_tokens(scope.model, images, 2),
        lambda: units.strengths_everywhere(scope.model, images),
    ):
        first, *_, whole = (np.asarray(part) for part in question() if not isinstance(part, int))
        known = spread_out(images)[: np.isfinite(first).all((1, 2)).sum()].tolist()
        assert FIRST <= len(known) < 2 * FIRST
        assert np.isfinite(whole).all()
        np.testing.assert_allclose(first[known], whole[known], atol=1e-5)
        assert np.isnan(np.delete(first, known, 0)).all()


def test_neighbours_are_of_the_images_that_are_read(scope: Microscope, images: Tensor) -> None:
    bank, *_ = (part for part in tokens.sample_tokens(scope.model, images, 2) if isinstance(part, Tensor))
    read = spread_out(images)[: int(bank.isfinite().all(2).all(1).sum())]
    found = tokens.neighbours(bank, bank[read[3], 5], 10)
    assert set(found.images) <= set(read.tolist())
    among = tokens.neighbours(bank[read.sort().values], bank[read[3], 5], 10)
    np.testing.assert_array_equal(found.cosines, among.cosines)
    assert (found.images[0], found.patches[0]) == (int(read[3]), 5)
