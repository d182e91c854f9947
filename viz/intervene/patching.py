"""Patching (causal tracing): what one picture's pass computed is put into the pass of another.

After Vig et al., "Causal mediation analysis" (2020), and Meng et al., "Locating and editing factual associations in
GPT" (2022). How much of the difference between the two answers comes along says how much of it passes that place.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from mixer.grid import Groups
from mixer.model import Mixer
from viz.capture import array, capture, evaluating, half_blocks, run_from, trace
from viz.pace import Steps, batches, timed
from viz.zerogpu import on_lent_gpu


@dataclass(frozen=True)
class LogitDifference:
    """What tells two answers apart: the logit of one class less the logit of another."""

    toward: int
    away: int | None
    """None where both pictures get one answer: then the logit of that class is looked at"""

    def of(self, logits: Float[Tensor, "batch classes"]) -> Float[Tensor, "batch"]:
        return logits[:, self.toward] - (0 if self.away is None else logits[:, self.away])


def map_work(depths: int, groups: int) -> int:
    """Half-blocks that `token_map` computes, the tokens of one group at a time; the classifier counts as one."""
    return groups * depths * (depths + 1) // 2


@on_lent_gpu
def token_map(
    model: Mixer,
    this: Float[Tensor, "3 height width"],
    other: Float[Tensor, "3 height width"],
    between: LogitDifference,
    side: int = 1,
) -> Iterator[int | Float32[np.ndarray, "depths groups"]]:
    """The change of `between` when the tokens of one group of patches, at one depth, are the other picture's.

    side: of the groups, in patches

    Only what lies behind the depth is computed again. Yields how many half-blocks are computed, at last the result.
    The model is free for other threads between the batches.
    """
    here = trace(model, this[None])
    yield 0
    there = trace(model, other[None])
    yield 0
    before, mine, others = between.of(here.logits), here.depths[:, 0], there.depths[:, 0]
    groups, found, done = Groups(model.config.grid, side), [], 0
    of = torch.from_numpy(groups.of).to(mine.device)
    for depth, (tokens, put) in enumerate(zip(mine, others, strict=True)):
        for some in batches(model, torch.arange(len(groups), device=tokens.device)):
            changed = torch.where((of == some[:, None])[..., None], put, tokens)
            with evaluating(model), torch.no_grad():
                found.append(between.of(run_from(model, changed, depth)) - before)
            done += len(some) * (len(mine) - depth)
            yield done
    yield array(torch.cat(found).reshape(len(mine), -1))


def update_effects(
    model: Mixer,
    this: Float[Tensor, "3 height width"],
    other: Float[Tensor, "3 height width"],
    between: LogitDifference,
) -> Steps[Float32[np.ndarray, "halves"]]:
    """The change of `between` when one half-block adds to all tokens what it adds for the other picture.

    The rest of the pass reacts to it. In each row of a batch another half-block is changed. Cost: half-blocks + 2
    passes.
    """
    names, found = half_blocks(model), []
    with timed(model, 1), torch.no_grad():
        before = between.of(model(this[None]))
    yield 1
    with timed(model, 1), torch.no_grad(), capture(model, names) as updates:
        model(other[None])
    yield 1
    for part in batches(model, torch.arange(len(names))):
        changes = {names[i]: partial(_with_row, row, updates[names[i]][0]) for row, i in enumerate(part.tolist())}
        with timed(model, len(part)), torch.no_grad(), capture(model, [], changes):
            found.append(between.of(model(this.repeat(len(part), 1, 1, 1))) - before)
        yield len(part)
    return array(torch.cat(found))


def _with_row(row: int, put: Tensor, output: Tensor) -> Tensor:
    changed = output.clone()
    changed[row] = put
    return changed
