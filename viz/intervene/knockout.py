"""Knock out: what becomes of the answer when a part of the network does not do its work.

A half-block that is skipped adds nothing to the tokens; one that is averaged adds what it adds to each place in the
mean over many pictures (mean ablation; Wang et al., "Interpretability in the wild", 2022), so that what is lost is only
what it says about this picture. All that lies behind it reacts.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from copy import copy
from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor

from mixer.model import Mixer
from viz.capture import Trace, array, capture, evaluating, half_blocks, run_from, trace
from viz.intervene.sweep import changed_behind_each
from viz.pace import Steps, batches, collected, due, estimated, silent, spread_out
from viz.running_stats import RunningStats, spread_of
from viz.zerogpu import on_lent_gpu

Updates = Float[Tensor, "halves patches channels"]


def mean_updates(model: Mixer, images: Float[Tensor, "images 3 height width"]) -> Iterator[int | Updates]:
    """What each half-block adds to each place, in the mean over many pictures; yields how many passed, then the means.

    The model is free for other threads between the batches.
    """
    total, done = torch.zeros(()), 0
    for batch in batches(model, images, gradients=True):
        total = total.to(batch.device) + trace(model, batch).depths.diff(dim=0).sum(1)
        done += len(batch)
        yield done
    yield total / len(images)


def ablate_half_blocks(
    model: Mixer, seen: Trace, means: Updates | None = None
) -> Steps[Float32[np.ndarray, "halves images classes"]]:
    """The change of all logits when one half-block is skipped, or adds its mean; yields the half-blocks of each step.

    seen: a pass of few images. The model is free for other threads between the steps. Cost: `sweep_work`
    """
    changed = seen.depths[:-1] if means is None else seen.depths[:-1] + means[:, None]
    return array((yield from changed_behind_each(model, changed)) - seen.logits)


@on_lent_gpu
def ablate_half_blocks_over(
    model: Mixer, images: Float[Tensor, "images 3 height width"], means: Updates | None = None
) -> Iterator[int | RunningStats]:
    """`ablate_half_blocks` of many pictures: yields how many are done, and first of a few, at last of all of them mean
    and spread, (half-blocks, classes)."""
    spread, done = RunningStats(), 0
    for some in batches(model, spread_out(images), gradients=True):
        changes = yield from silent(ablate_half_blocks(model, trace(model, images[some]), means), done)
        for change in changes.swapaxes(0, 1):
            spread.add(change.astype(np.float64))
        before, done = done, done + len(some)
        yield done
        if due(before, done):
            yield copy(spread)
    yield spread


def answers_ablated(
    model: Mixer, images: Float[Tensor, "images 3 height width"], half: int
) -> Iterator[int | tuple[int, int]]:
    """How many answers change when one half-block is skipped: yields how many pictures are done, and first of a few, at
    last of all of them changed and how many there are.

    half: counted from 0
    """

    def changes(batch: Tensor) -> Tensor:
        seen = trace(model, batch)
        with evaluating(model), torch.no_grad():
            answers = run_from(model, seen.depths[half], half + 1).argmax(1)
        return answers != seen.logits.argmax(1)

    return estimated(model, images, changes, lambda changed: (int(changed.sum()), len(changed)))


@on_lent_gpu
def ablate_units(
    model: Mixer, image: Float[Tensor, "3 height width"], block: int
) -> Iterator[int | Float32[np.ndarray, "units classes"]]:
    """The change of all logits when one hidden unit of a block's token mixing is silent: 0 in every channel.

    Yields how many units are done, at last the result. Only what lies behind the token mixing is computed again.
    """
    seen = trace(model, image[None])
    yield 0
    units = torch.arange(model.config.tokens_mlp_dim, device=image.device)
    silenced = yield from collected(model, units, lambda some: _silenced(model, seen, block, some))
    yield array(silenced - seen.logits)


def ablate(
    model: Mixer,
    images: Float[Tensor, "images 3 height width"],
    halves: Collection[int],
    units: Mapping[int, Sequence[int]],
) -> Float32[np.ndarray, "images classes"]:
    """The logits when several parts are knocked out at once.

    halves: half-blocks that are skipped, counted from 0
    units: hidden units of the token mixing that are silent, by block
    """
    names = half_blocks(model)
    changes = {names[half]: torch.zeros_like for half in halves}
    changes |= {f"blocks.{block}.token_mixing.gelu": partial(_silent, list(those)) for block, those in units.items()}
    with evaluating(model), torch.no_grad(), capture(model, [], changes):
        logits: Tensor = model(images)
    return array(logits)


def ablate_unit_over(
    model: Mixer, images: Float[Tensor, "images 3 height width"], block: int, unit: int
) -> Iterator[int | RunningStats]:
    """One unit of `ablate_units` for many pictures: yields how many are done, and first of a few, at last of all of
    them mean and spread, (classes)."""

    def changes(batch: Tensor) -> Tensor:
        seen = trace(model, batch)
        return _silenced(model, seen, block, torch.full((len(batch),), unit, device=batch.device)) - seen.logits

    return estimated(model, images, changes, lambda found: spread_of(array(found, torch.float64)))


def _silenced(model: Mixer, seen: Trace, block: int, units: Int[Tensor, "rows"]) -> Float[Tensor, "rows classes"]:
    """The logits with another unit of a block silent in each row, of one image or of as many as there are rows.

    Behind the token mixing all that is missing is what the unit adds: its column of W2 times its activations.
    """
    columns = model.block_at(block).token_mixing.fc2.weight.T[units]  # rows patches
    hidden = seen.token_hidden[block].expand(len(units), -1, -1)[torch.arange(len(units)), :, units]  # rows channels
    with evaluating(model), torch.no_grad():
        written = columns[..., None] * hidden[:, None]
        return run_from(model, seen.after_token_mixing[block] - written, 2 * block + 1)


def _silent(units: list[int], hidden: Float[Tensor, "batch channels units"]) -> Float[Tensor, "batch channels units"]:
    """The same units in every row."""
    changed = hidden.clone()
    changed[..., units] = 0
    return changed
