"""The smallest change: the fewest patches to take from another picture until the answer is as wanted.

Greedy: the patch that helps most comes first, then the one that helps most beside it, and so on. That need not be the
smallest set; where all smaller sets can be tried, they are, and what is found is then proven.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, islice
from math import comb

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32
from torch import Tensor

from mixer.model import Mixer
from viz.capture import array
from viz.pace import Steps, batch_size, batches, finish, summed, timed
from viz.zerogpu import on_lent_gpu

AFFORDABLE = 6000
"""sets that a proof may try: of 32 patches, all of up to three"""


@dataclass(frozen=True, eq=False)
class Goal:
    """Two pictures, and the answer that is wanted while patches of the one are put into the other."""

    base: Float[Tensor, "3 height width"]
    donor: Float[Tensor, "3 height width"]
    target: int
    keep: bool
    """whether the answer is to be the target, or any other class"""

    def margin(self, logits: Float[Tensor, "batch classes"]) -> Float[Tensor, "batch"]:
        """Above 0 where the answer is as wanted: the target's logit less the largest other, or the other way round."""
        others = logits.clone()
        others[:, self.target] = -torch.inf
        lead = logits[:, self.target] - others.amax(1)
        return lead if self.keep else -lead


@dataclass(frozen=True)
class Found:
    """A set of patches that gives the wanted answer."""

    patches: tuple[int, ...] | None
    """in the order in which they were found; None where no number of them is enough"""
    proven: bool
    """whether every smaller set was tried, and fails"""


def most_passes(patches: int) -> int:
    """What `greedy` costs at most."""
    return 1 + patches * (patches + 1) // 2


@on_lent_gpu
def greedy(model: Mixer, wanted: Goal) -> Iterator[int | Found]:
    """Patches, one after the other, until the answer is as wanted; yields the passes so far, at last what is found.

    It ends with `most_passes`, also where it needed fewer. A set of up to two patches needs no proof: none, and each
    single one, were tried on the way.
    """
    count = model.config.grid.patches
    chosen, done = list[int](), 1
    best = margins(model, wanted, np.zeros((1, count), bool))[0]
    yield done
    while best <= 0 and len(chosen) < count:
        left = [patch for patch in range(count) if patch not in chosen]
        sets = np.zeros((len(left), count), bool)
        sets[:, chosen] = True
        sets[np.arange(len(left)), left] = True
        found = yield from summed(_margins(model, wanted, sets), done)
        chosen.append(left[int(found.argmax())])
        best, done = found.max(), done + len(left)
    yield most_passes(count)
    yield Found(tuple(chosen) if best > 0 else None, bool(best > 0) and len(chosen) < 3)


def smaller_sets(patches: int, found: Found) -> int:
    """How many sets `prove` would have to try: those of fewer patches, but for the empty one and the single ones,
    which `greedy` tried."""
    if found.proven or found.patches is None:
        return 0
    return sum(comb(patches, size) for size in range(2, len(found.patches)))


@on_lent_gpu
def prove(model: Mixer, wanted: Goal, found: Found) -> Iterator[int | Found]:
    """Try all smaller sets, the smallest first; yields how many are tried, at last a smallest set, proven.

    It ends with `smaller_sets`, also where it needed fewer. The model is free for other threads between the batches.
    """
    assert found.patches is not None
    count, done = model.config.grid.patches, 0
    for size in range(2, len(found.patches)):
        several = combinations(range(count), size)
        while batch := list(islice(several, batch_size(model, gradients=False))):
            sets = np.zeros((len(batch), count), bool)
            np.put_along_axis(sets, np.array(batch), True, 1)
            enough = (yield from summed(_margins(model, wanted, sets), done)) > 0
            done += len(batch)
            if enough.any():
                yield smaller_sets(count, found)
                yield Found(batch[int(enough.argmax())], True)
                return
    yield Found(found.patches, True)


def margins(model: Mixer, wanted: Goal, sets: Bool[np.ndarray, "sets patches"]) -> Float32[np.ndarray, "sets"]:
    """`Goal.margin` with each set of patches put in."""
    return finish(_margins(model, wanted, sets))


def _margins(model: Mixer, wanted: Goal, sets: Bool[np.ndarray, "sets patches"]) -> Steps[Float32[np.ndarray, "sets"]]:
    grid, found = model.config.grid, []
    into, put = (grid.to_tokens(image[None]) for image in (wanted.base, wanted.donor))
    for part in batches(model, torch.from_numpy(sets)[..., None].to(into.device)):
        with timed(model, len(part)), torch.no_grad():
            found.append(array(wanted.margin(model(grid.to_images(torch.where(part, put, into))))))
        yield len(part)
    return np.concatenate(found)
