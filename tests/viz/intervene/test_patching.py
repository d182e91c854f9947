"""Patching carries over what is known to be there, exactly; and nothing where nothing is changed."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from mixer.model import Mixer, MixerConfig
from tests.viz.explained import bent, hooks_on, straight
from viz.capture import capture, evaluating, run_from, sublayer_names, trace
from viz.intervene.patching import LogitDifference, map_work, token_map, update_effects
from viz.intervene.sweep import sweep_work
from viz.pace import finish

BETWEEN = LogitDifference(toward=3, away=7)


@pytest.fixture
def two() -> Tensor:
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(2))


@pytest.fixture(params=[False, True], ids=["", "pre-head norm"])
def model(request: pytest.FixtureRequest, tiny: MixerConfig) -> Mixer:
    return bent(replace(tiny, pre_head_norm=request.param))


def effects(model: Mixer, this: Tensor, other: Tensor) -> np.ndarray:
    return finish(update_effects(model, trace(model, this[None]), trace(model, other[None]), BETWEEN))


def test_the_update_of_the_other_picture_takes_the_place_of_each_sublayers_own(model: Mixer, two: Tensor) -> None:
    """By hooks, in passes of their own; and the sweep computes half of what these do."""
    names, there = sublayer_names(model), trace(model, two[1:]).depths.diff(dim=0)
    found = effects(model, two[0], two[1])
    with evaluating(model), torch.no_grad():
        before = BETWEEN.of(model(two[:1]))
        for sublayer, name in enumerate(names):
            put = (
                there[sublayer].clone() if sublayer % 2 else there[sublayer].mT.clone()
            )  # token mixing works on columns
            with capture(model, [], {name: lambda own, put=put: put}):
                assert found[sublayer] == pytest.approx(float(BETWEEN.of(model(two[:1])) - before), abs=1e-4)
    steps = update_effects(model, trace(model, two[:1]), trace(model, two[1:]), BETWEEN)
    assert sum(steps) == sweep_work(6) == 21


def test_all_tokens_of_any_depth_give_the_answer_of_their_picture_exactly(model: Mixer, two: Tensor) -> None:
    other = trace(model, two[1:])
    for depth, tokens in enumerate(other.depths):
        with evaluating(model), torch.no_grad():
            assert torch.equal(run_from(model, tokens, depth), other.logits)


@pytest.mark.parametrize("depth", [-1, 7])
def test_there_is_nothing_behind_a_depth_that_does_not_exist(model: Mixer, two: Tensor, depth: int) -> None:
    with pytest.raises(ValueError, match=f"depth {depth} does not exist: there are 7"):
        run_from(model, trace(model, two).stem, depth)


def test_a_map_is_what_a_whole_pass_with_that_token_gives(model: Mixer, two: Tensor) -> None:
    this, other = trace(model, two[:1]), trace(model, two[1:])
    *done, found = token_map(model, two[0], two[1], BETWEEN)
    assert done[-1] == map_work(7, 16)
    assert found.shape == (7, 16)
    before = BETWEEN.of(this.logits)
    for depth, name in ((0, "stem"), (4, "blocks.1"), (6, "blocks.2")):
        for patch in (0, 11):

            def put(output: Tensor, depth: int = depth, patch: int = patch) -> Tensor:
                return output.index_copy(1, torch.tensor([patch]), other.depths[depth][:, [patch]])

            with evaluating(model), torch.no_grad(), capture(model, [], {name: put}):
                whole = BETWEEN.of(model(two[:1])) - before
            assert found[depth, patch] == pytest.approx(float(whole), abs=1e-4)
    # halfway through a block, the tokens are what token mixing added to
    mixing = "blocks.1.token_mixing"

    def add(output: Tensor) -> Tensor:
        changed = output.clone()
        changed[..., 5] = (other.depths[3] - this.depths[2])[:, 5]
        return changed

    with evaluating(model), torch.no_grad(), capture(model, [], {mixing: add}):
        whole = BETWEEN.of(model(two[:1])) - before
    assert found[3, 5] == pytest.approx(float(whole), abs=1e-4)
    assert hooks_on(model) == 0


def test_a_picture_patched_with_itself_stays_as_it_is(model: Mixer, two: Tensor) -> None:
    *_, found = token_map(model, two[0], two[0], BETWEEN)
    np.testing.assert_allclose(found, 0, atol=1e-5)
    np.testing.assert_allclose(effects(model, two[0], two[0]), 0, atol=1e-5)


def test_where_blocks_do_nothing_every_token_carries_its_share_at_every_depth(tiny: MixerConfig, two: Tensor) -> None:
    """A straight network is a mean over its tokens: a token carries over what it says more, at whichever depth."""
    model = straight(tiny)
    this, other = trace(model, two[:1]), trace(model, two[1:])
    *_, found = token_map(model, two[0], two[1], BETWEEN)
    weight = (model.head.weight[3] - model.head.weight[7]).detach()
    expected = ((other.stem - this.stem)[0] @ weight / 16).numpy()
    np.testing.assert_allclose(found, np.tile(expected, (7, 1)), atol=1e-6)
    np.testing.assert_allclose(found.sum(1), float(BETWEEN.of(other.logits) - BETWEEN.of(this.logits)), atol=1e-5)
    np.testing.assert_allclose(effects(model, two[0], two[1]), 0, atol=1e-6)


def test_what_the_last_sublayer_adds_goes_straight_to_the_head(tiny: MixerConfig, two: Tensor) -> None:
    """Its effect is the head's, of the mean difference."""
    model = bent(tiny)
    with capture(model, sublayer_names(model)) as updates, torch.no_grad():
        model(two)
    weight = (model.head.weight[3] - model.head.weight[7]).detach()
    this, other = updates["blocks.2.channel_mixing"]
    found = effects(model, two[0], two[1])
    assert found.shape == (6,)
    assert found[5] == pytest.approx(float((other - this).mean(0) @ weight), abs=1e-4)


def test_one_answer_of_both_is_told_by_its_logit(model: Mixer, two: Tensor) -> None:
    logits = trace(model, two).logits
    torch.testing.assert_close(LogitDifference(3, None).of(logits), logits[:, 3])
