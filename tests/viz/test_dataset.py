"""Many pictures at once: each has the numbers that it has alone."""

import gc
import tracemalloc
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

from tests.viz.looking import microscope
from viz import dataset, tokens
from viz.attribution.attribute import attribute
from viz.attribution.question import Question
from viz.microscope import Microscope


@pytest.fixture(scope="module")
def scope() -> Microscope:
    return microscope()


def test_each_picture_has_the_answer_depth_and_votes_of_its_own_pass(scope: Microscope) -> None:
    *counts, found = dataset.answers(scope.model, 20, lambda part: scope.sample_inputs[part])
    assert found.known.all()
    assert counts == sorted(counts)
    assert counts[-1] == 20
    assert isinstance(found, dataset.Answers)
    for sample in (0, 7, 19):
        picture = scope.sample_picture(sample)
        np.testing.assert_allclose(found.probabilities[sample], scope.probabilities(picture), rtol=1e-4, atol=1e-6)
        assert found.answer[sample] == scope.answer(picture)
        assert found.decided[sample] == scope.decided_at(picture)
        votes = tokens.votes(scope.look(picture), scope.model, len(scope.depth_names) - 1)[:, scope.answer(picture)]
        np.testing.assert_allclose(found.votes[sample], votes, rtol=1e-3, atol=1e-4)
        assert found.top_patch[sample] == votes.argmax()
        best = np.sort(scope.probabilities(picture))
        assert found.margin[sample] == pytest.approx(best[-1] - best[-2], abs=1e-5)


def test_the_components_are_those_of_the_first_pictures_and_each_has_the_scores_of_its_mean_token(
    scope: Microscope, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dataset, "FITTED", 10)
    *_, found = dataset.answers(scope.model, 20, lambda part: scope.sample_inputs[part])
    assert isinstance(found, dataset.Answers)
    means = torch.stack([scope.look(scope.sample_picture(i)).depths[:, 0].mean(1) for i in range(20)], 1).double()
    centred = means[2] - means[2, :16].mean(0)  # batches of 8: the second one has the tenth
    _, sizes, axes = torch.linalg.svd(centred[:16], full_matrices=False)
    want = (centred @ axes[:2].T).abs().numpy()  # a component has no sign of its own
    np.testing.assert_allclose(np.abs(found.scores[:, 2, :2]), want, rtol=1e-2, atol=1e-3)
    share = (sizes.square() / sizes.square().sum())[:2].numpy()
    np.testing.assert_allclose(found.components.explained[2, :2], share, rtol=1e-3)


def test_answers_to_some_pictures_of_each_part_come_first(scope: Microscope, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("viz.pace.FIRST", 5)
    steps = list(dataset.answers(scope.model, 20, lambda part: scope.sample_inputs[part]))
    *some, end = [step for step in steps if isinstance(step, dataset.Answers)]
    assert [one.known.sum() for one in some] == [step for step in steps if isinstance(step, int)][: len(some)]
    assert some
    assert end.known.all()
    for one in some:
        assert one.components is None
        known = np.flatnonzero(one.known)
        assert np.diff(known).max() <= 5, "spread out over all"
        np.testing.assert_array_equal(one.answer[known], end.answer[known])
        np.testing.assert_array_equal(one.votes[known], end.votes[known])


def test_gradients_of_many_are_those_of_each(scope: Microscope) -> None:
    targets = np.array([scope.answer(scope.sample_picture(sample)) for sample in range(20)])
    *_, found = dataset.gradients_x_input(scope.model, targets, lambda part: scope.sample_inputs[part])
    assert not isinstance(found, int)
    for sample in (0, 11):
        image = scope.sample_inputs[sample]
        question = Question(image, torch.zeros_like(image), scope.answer(scope.sample_picture(sample)))
        want = attribute(scope.model, question, "Gradient x input").values
        np.testing.assert_allclose(found[sample], want, rtol=1e-3, atol=1e-5)


def answers(scope: Microscope, count: int) -> Iterator[object]:
    return dataset.answers(scope.model, count, lambda part: scope.sample_inputs[[i % 20 for i in part]])


def gradients(scope: Microscope, count: int) -> Iterator[object]:
    targets = np.zeros(count, np.int64)
    return dataset.gradients_x_input(scope.model, targets, lambda part: scope.sample_inputs[[i % 20 for i in part]])


@pytest.mark.parametrize("measure", [answers, gradients])
def test_only_the_arrays_of_the_results_grow_with_the_number_of_pictures(
    scope: Microscope, measure: Callable[[Microscope, int], Iterator[object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dataset, "FITTED", 10)
    list(measure(scope, 20))  # what is made once
    gc.freeze()  # what was there before is not counted
    tracemalloc.start()
    held = np.array([kept() for step in measure(scope, 80) if isinstance(step, int)])
    tracemalloc.stop()
    gc.unfreeze()
    early, late = np.array_split(held[3:], 2)  # the first ones wait for the components
    assert len(late) >= 3
    assert (late.max(0) <= early.max(0)).all()


def kept() -> tuple[int, int]:
    """The number of tensors, and the bytes of arrays."""
    gc.collect()
    arrays = tracemalloc.DomainFilter(True, np.lib.tracemalloc_domain)
    traces = tracemalloc.take_snapshot().filter_traces([arrays]).traces
    return sum(isinstance(each, torch.Tensor) for each in gc.get_objects()), sum(each.size for each in traces)
