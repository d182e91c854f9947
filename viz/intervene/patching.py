"""Activation patching (causal tracing): values from the pass of one picture replace those in the pass of another.

After Vig et al., "Causal mediation analysis" (2020), and Meng et al., "Locating and editing factual associations in
GPT" (2022). The transferred share of the difference between the two answers shows which parts carry it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from mixer.grid import Groups
from mixer.model import Mixer
from viz.capture import Trace, array, evaluating, run_from, trace
from viz.intervene.sweep import changed_behind_each
from viz.pace import Steps, batches
from viz.zerogpu import on_lent_gpu


@dataclass(frozen=True)
class LogitDifference:
    """The logit of one class minus that of another, to compare two answers."""

    toward: int
    away: int | None
    """None if both pictures have the same answer: then only the logit of that class counts"""

    def of(self, logits: Float[Tensor, "batch classes"]) -> Float[Tensor, "batch"]:
        return logits[:, self.toward] - (0 if self.away is None else logits[:, self.away])


def map_work(depths: int, groups: int) -> int:
    """The number of sublayers that `token_map` computes; the classifier counts as one."""
    return groups * depths * (depths + 1) // 2


@on_lent_gpu
def token_map(
    model: Mixer,
    this: Float[Tensor, "3 height width"],
    other: Float[Tensor, "3 height width"],
    between: LogitDifference,
    side: int = 1,
) -> Iterator[int | Float32[np.ndarray, "depths groups"]]:
    """The change of `between` if the tokens of one group of patches, at one depth, are the other picture's.

    side: of the groups, in patches

    Only the layers after the depth are computed again. Yields the number of sublayers done, finally the result. The
    model is free for other threads between the batches.
    """
    here = trace(model, this[None])
    yield 0
    there = trace(model, other[None])
    yield 0
    before, mine, others = between.of(here.logits), here.depths[:, 0], there.depths[:, 0]
    groups, found, done = Groups(model.config.grid, side), [], 0
    of = torch.from_numpy(groups.of).to(mine.device)
    for depth, (tokens, donated) in enumerate(zip(mine, others, strict=True)):
        for some in batches(model, torch.arange(len(groups), device=tokens.device)):
            changed = torch.where((of == some[:, None])[..., None], donated, tokens)
            with evaluating(model), torch.no_grad():
                found.append(between.of(run_from(model, changed, depth)) - before)
            done += len(some) * (len(mine) - depth)
            yield done
    yield array(torch.cat(found).reshape(len(mine), -1))


def update_effects(
    model: Mixer, this: Trace, other: Trace, between: LogitDifference
) -> Steps[Float32[np.ndarray, "sublayers"]]:
    """The change of `between` if the update of one sublayer is that of the other picture, for all tokens.

    Later layers are computed again. Yields the sublayers of each step, `sweep_work` in all.
    """
    logits = yield from changed_behind_each(model, this.depths[:-1] + other.depths.diff(dim=0))
    return array(between.of(logits[:, 0]) - between.of(this.logits))
