"""Ablation: the change of the answer without a part of the network.

Zero ablation removes the update of a sublayer. Mean ablation replaces it by its mean over many pictures at each
patch (Wang et al., "Interpretability in the wild", 2022), which removes only the information about this picture. All
later layers are computed again.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from copy import copy
from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor

from mixer.model import Mixer
from viz.capture import Trace, array, capture, evaluating, run_from, sublayer_names, trace
from viz.intervene.sweep import changed_behind_each
from viz.pace import Steps, batches, due, estimated, silent, spread_out
from viz.running_stats import RunningStats, spread_of
from viz.zerogpu import on_lent_gpu

Updates = Float[Tensor, "sublayers patches channels"]


def mean_updates(model: Mixer, images: Float[Tensor, "images 3 height width"]) -> Iterator[int | Updates]:
    """The mean update of each patch by each sublayer over many pictures; yields the number done, then the means.

    The model is free for other threads between the batches.
    """
    total, done = torch.zeros(()), 0
    for batch in batches(model, images, gradients=True):
        total = total.to(batch.device) + trace(model, batch).depths.diff(dim=0).sum(1)
        done += len(batch)
        yield done
    yield total / len(images)


def ablate_sublayers(
    model: Mixer, seen: Trace, means: Updates | None = None
) -> Steps[Float32[np.ndarray, "sublayers images classes"]]:
    """The change of all logits after zero or mean ablation of each sublayer; yields the sublayers of each step.

    seen: a pass of few images. means: for mean ablation, from `mean_updates`
    The model is free for other threads between the steps. Cost: `sweep_work`
    """
    changed = seen.depths[:-1] if means is None else seen.depths[:-1] + means[:, None]
    return array((yield from changed_behind_each(model, changed)) - seen.logits)


@on_lent_gpu
def ablate_sublayers_over(
    model: Mixer, images: Float[Tensor, "images 3 height width"], means: Updates | None = None
) -> Iterator[int | RunningStats]:
    """Mean and deviation of `ablate_sublayers` over many pictures, (sublayers, classes); yields the number of
    pictures done, and the result: first of a few, finally of all."""
    spread, done = RunningStats(), 0
    for some in batches(model, spread_out(images), gradients=True):
        changes = yield from silent(ablate_sublayers(model, trace(model, images[some]), means), done)
        for change in changes.swapaxes(0, 1):
            spread.add(change.astype(np.float64))
        before, done = done, done + len(some)
        yield done
        if due(before, done):
            yield copy(spread)
    yield spread


def answers_ablated(
    model: Mixer, images: Float[Tensor, "images 3 height width"], sublayer: int
) -> Iterator[int | tuple[int, int]]:
    """The number of answers that zero ablation of one sublayer changes.

    Yields the number of pictures done, and (changed answers, pictures): first of a few pictures, finally of all.

    sublayer: counted from 0
    """

    def changes(batch: Tensor) -> Tensor:
        seen = trace(model, batch)
        with evaluating(model), torch.no_grad():
            answers = run_from(model, seen.depths[sublayer], sublayer + 1).argmax(1)
        return answers != seen.logits.argmax(1)

    return estimated(model, images, changes, lambda changed: (int(changed.sum()), len(changed)))


@on_lent_gpu
def ablate_units(
    model: Mixer, image: Float[Tensor, "3 height width"], block: int
) -> Iterator[int | Float32[np.ndarray, "units classes"]]:
    """The change of all logits if one hidden unit of a block's token mixing is set to 0 in every channel.

    Yields the number of units done, finally the result. Only the layers after the token mixing are computed again.
    """
    seen = trace(model, image[None])
    parts, done = list[Tensor](), 0
    yield done
    for units in batches(model, torch.arange(model.config.tokens_mlp_dim, device=image.device)):
        parts.append(_without_units(model, seen, block, units))
        done += len(units)
        yield done
    yield array(torch.cat(parts) - seen.logits)


def ablate(
    model: Mixer,
    images: Float[Tensor, "images 3 height width"],
    sublayers: Collection[int],
    units: Mapping[int, Sequence[int]],
) -> Float32[np.ndarray, "images classes"]:
    """The logits after ablation of several parts together.

    sublayers: sublayers without an update, counted from 0
    units: hidden units of the token mixing that are set to 0, by block
    """
    names = sublayer_names(model)
    changes = {names[sublayer]: torch.zeros_like for sublayer in sublayers}
    changes |= {f"blocks.{block}.token_mixing.gelu": partial(_zeroed, list(those)) for block, those in units.items()}
    with evaluating(model), torch.no_grad(), capture(model, [], changes):
        logits: Tensor = model(images)
    return array(logits)


def ablate_unit_over(
    model: Mixer, images: Float[Tensor, "images 3 height width"], block: int, unit: int
) -> Iterator[int | RunningStats]:
    """Mean and deviation of `ablate_units` for one unit over many pictures, (classes); yields the number of pictures
    done, and the result: first of a few, finally of all."""

    def changes(batch: Tensor) -> Tensor:
        seen = trace(model, batch)
        return _without_units(model, seen, block, torch.full((len(batch),), unit, device=batch.device)) - seen.logits

    return estimated(model, images, changes, lambda found: spread_of(array(found, torch.float64)))


def _without_units(model: Mixer, seen: Trace, block: int, units: Int[Tensor, "rows"]) -> Float[Tensor, "rows classes"]:
    """The logits with one unit of a block set to 0 in each row, of one image or of one image per row.

    The ablation subtracts the unit's contribution after the token mixing: its column of W2 times its activations.
    """
    columns = model.block_at(block).token_mixing.fc2.weight.T[units]  # rows patches
    hidden = seen.token_hidden[block].expand(len(units), -1, -1)[torch.arange(len(units)), :, units]  # rows channels
    with evaluating(model), torch.no_grad():
        written = columns[..., None] * hidden[:, None]
        return run_from(model, seen.after_token_mixing[block] - written, 2 * block + 1)


def _zeroed(units: list[int], hidden: Float[Tensor, "batch channels units"]) -> Float[Tensor, "batch channels units"]:
    """The activations with these units set to 0 in every row."""
    changed = hidden.clone()
    changed[..., units] = 0
    return changed
