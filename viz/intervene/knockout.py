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
from jaxtyping import Float, Float32
from torch import Tensor

from mixer.model import Mixer
from viz.capture import array, capture, evaluating, half_blocks, run_from, trace
from viz.pace import batches, collected, due, estimated, spread_out
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
    model: Mixer, images: Float[Tensor, "images 3 height width"], means: Updates | None = None
) -> Iterator[int | Float32[np.ndarray, "halves images classes"]]:
    """The change of all logits when one half-block is skipped, or adds its mean.

    images: few, which pass together. Yields how many half-blocks are done, at last the result. The model is free for
    other threads between the half-blocks.
    """
    seen, changes = trace(model, images), []
    for half, tokens in enumerate(seen.depths[:-1]):
        with evaluating(model), torch.no_grad():
            logits = run_from(model, tokens if means is None else tokens + means[half], half + 1)
        changes.append(logits - seen.logits)
        yield half + 1
    yield array(torch.stack(changes))


@on_lent_gpu
def ablate_half_blocks_over(
    model: Mixer, images: Float[Tensor, "images 3 height width"], means: Updates | None = None
) -> Iterator[int | RunningStats]:
    """`ablate_half_blocks` of many pictures: yields how many are done, and first of a few, at last of all of them mean
    and spread, (half-blocks, classes)."""
    spread, done = RunningStats(), 0
    for some in batches(model, spread_out(images), gradients=True):
        for step in ablate_half_blocks(model, images[some], means):
            if isinstance(step, int):
                yield done
            else:
                for change in step.swapaxes(0, 1):
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

    Yields how many units are done, at last the result. Only what lies behind the block's input is computed again.
    """
    seen = trace(model, image[None])
    enters, units = seen.depths[2 * block], torch.arange(model.config.tokens_mlp_dim, device=image.device)
    yield 0
    silenced = yield from collected(
        model, units, lambda some: _zeroed(model, enters.expand(len(some), -1, -1), block, some)
    )
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
        seen, units = trace(model, batch), torch.full((len(batch),), unit, device=batch.device)
        return _zeroed(model, seen.depths[2 * block], block, units) - seen.logits

    return estimated(model, images, changes, lambda found: spread_of(array(found, torch.float64)))


def _zeroed(
    model: Mixer, enters: Float[Tensor, "batch patches channels"], block: int, units: Tensor
) -> Float[Tensor, "batch classes"]:
    """The logits from the tokens that enter a block, in each row with another unit silent."""
    changes = {f"blocks.{block}.token_mixing.gelu": partial(_without, units)}
    with evaluating(model), torch.no_grad(), capture(model, [], changes):
        return run_from(model, enters, 2 * block)


def _silent(units: list[int], hidden: Float[Tensor, "batch channels units"]) -> Float[Tensor, "batch channels units"]:
    """The same units in every row."""
    changed = hidden.clone()
    changed[..., units] = 0
    return changed


def _without(units: Tensor, hidden: Float[Tensor, "batch channels units"]) -> Float[Tensor, "batch channels units"]:
    changed = hidden.clone()
    changed[torch.arange(len(units)), :, units] = 0
    return changed
