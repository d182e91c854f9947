"""An ablated part contributes nothing, as if its weights were zero, and nothing else changes."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import Tensor

from mixer.model import Mixer, MixerConfig
from tests.viz.explained import bent, hooks_on
from viz.capture import trace
from viz.intervene import ablation
from viz.intervene.sweep import sweep_work
from viz.pace import finish, with_result


@pytest.fixture
def model(tiny: MixerConfig) -> Mixer:
    return bent(tiny)


@pytest.fixture
def images() -> Tensor:
    return torch.randn(19, 3, 32, 32, generator=torch.Generator().manual_seed(2))


def logits(model: Mixer, images: Tensor) -> Tensor:
    with torch.no_grad():
        return model(images)


def silent(model: Mixer, block: int, mlp: str, unit: int | None = None) -> Mixer:
    """A copy in which an MLP writes nothing; or one of its hidden units."""
    copy = deepcopy(model)
    fc2 = getattr(copy.block_at(block), mlp).fc2
    with torch.no_grad():
        if unit is None:
            fc2.weight.zero_()
            fc2.bias.zero_()
        else:
            fc2.weight[:, unit] = 0
    return copy


def test_an_ablated_sublayer_is_one_whose_weights_are_zero(model: Mixer, images: Tensor) -> None:
    *done, found = with_result(ablation.ablate_sublayers(model, trace(model, images[:2])))
    assert done[-1] == 2 * sweep_work(6)  # two images
    assert found.shape == (6, 2, 10)
    for sublayer in range(6):
        copy = silent(model, sublayer // 2, ("token_mixing", "channel_mixing")[sublayer % 2])
        expected = logits(copy, images[:2]) - logits(model, images[:2])
        np.testing.assert_allclose(found[sublayer], expected, atol=1e-4)


def test_a_sublayer_that_adds_what_it_adds_anyway_changes_nothing(model: Mixer, images: Tensor) -> None:
    *done, own = ablation.mean_updates(model, images[:1])
    assert done == [1]
    torch.testing.assert_close(own, trace(model, images[:1]).depths.diff(dim=0)[:, 0])
    changes = finish(ablation.ablate_sublayers(model, trace(model, images[:1]), own))
    np.testing.assert_allclose(changes, 0, atol=1e-5)


def test_means_are_over_all_pictures(model: Mixer, images: Tensor) -> None:
    *done, means = ablation.mean_updates(model, images)
    assert done == [8, 16, 19]
    torch.testing.assert_close(means, trace(model, images).depths.diff(dim=0).mean(1), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("averaged", [False, True])
def test_mean_and_spread_are_those_of_the_pictures(model: Mixer, images: Tensor, averaged: bool) -> None:
    means = list(ablation.mean_updates(model, images))[-1] if averaged else None
    steps = list(ablation.ablate_sublayers_over(model, images, means))
    done, spread = [step for step in steps if isinstance(step, int)], steps[-1]
    assert sorted(done) == done
    assert set(done) == {0, 8, 16, 19}  # between the sublayers of a batch, the model is free, too
    each = finish(ablation.ablate_sublayers(model, trace(model, images), means))
    np.testing.assert_allclose(spread.mean, each.mean(1), atol=1e-4)
    np.testing.assert_allclose(spread.deviation, each.std(1, ddof=1), atol=1e-4)


@pytest.mark.parametrize("block", [0, 2])
def test_a_silent_unit_is_one_that_writes_nothing(model: Mixer, images: Tensor, block: int) -> None:
    *done, found = ablation.ablate_units(model, images[0], block)
    assert done[-1] == 13
    assert found.shape == (13, 10)
    for unit in (0, 5, 12):
        changed = logits(silent(model, block, "token_mixing", unit), images) - logits(model, images)
        np.testing.assert_allclose(found[unit], changed[0], atol=1e-4)
    *done, spread = ablation.ablate_unit_over(model, images, block, 12)
    assert done == [8, 16, 19]
    np.testing.assert_allclose(spread.mean, changed.mean(0), atol=1e-4)
    np.testing.assert_allclose(spread.deviation, changed.std(0), atol=1e-4)
    assert hooks_on(model) == 0
