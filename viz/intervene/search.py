"""The smallest change: the fewest patches from another picture that reach a goal for the answer.

The greedy search adds the patch with the largest gain at each step. Its result may not be the smallest set; a proof
tries all smaller sets, if they are few enough. With many patches, the search starts with large groups and continues
with smaller groups within the result.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, islice
from math import comb

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32
from torch import Tensor

from mixer.grid import Groups
from mixer.model import Mixer
from viz.attribution.question import logits_with
from viz.capture import array
from viz.pace import Steps, batch_size, finish, summed
from viz.zerogpu import on_lent_gpu

AFFORDABLE = 6000
"""the largest number of sets in a proof: of 32 patches, all sets of up to three"""


@dataclass(frozen=True, eq=False)
class Goal:
    """Two pictures, and the goal for the answer to the base with patches of the donor."""

    base: Float[Tensor, "3 height width"]
    donor: Float[Tensor, "3 height width"]
    target: int
    keep: bool
    """whether the answer should be the target, or any other class"""

    def margin(self, logits: Float[Tensor, "batch classes"]) -> Float[Tensor, "batch"]:
        """The target's logit minus the largest other, or its negative unless `keep`: above 0 if the goal is reached."""
        others = logits.clone()
        others[:, self.target] = -torch.inf
        lead = logits[:, self.target] - others.amax(1)
        return lead if self.keep else -lead


@dataclass(frozen=True)
class Found:
    """A set of patches that reaches the goal, or the beginning of one."""

    groups: tuple[int, ...] | None
    """in the order of the search; None if all groups together do not reach the goal"""
    tried: int
    """the size up to which all sets, other than the result, were tried"""
    side: int = 1
    """of the groups, in patches"""
    enough: bool = True
    """whether the goal is reached; False while a search continues"""

    @property
    def proven(self) -> bool:
        """Whether every smaller set was tried and failed."""
        return self.enough and self.groups is not None and len(self.groups) <= self.tried + 1


def most_passes(*counts: int) -> int:
    """The largest cost of `greedy`, in passes. counts: the number of groups in each search"""
    return 1 + sum(count * (count + 1) // 2 for count in counts)


@on_lent_gpu
def greedy(model: Mixer, goal: Goal, sides: Sequence[int] = (1,)) -> Iterator[int | Found]:
    """Add groups of patches, one after the other, until the goal is reached.

    Yields the passes so far, the set after each addition in the first search, and the result of each search, finally
    the last one. The last number of passes is `most_passes`, also if it needed fewer.

    sides: of the groups, in patches, the largest first. Each later search is within the result of the previous one.
    """
    searches = [Groups(model.config.grid, side) for side in sides]
    start, done = finish(margins(model, goal, searches[0], np.zeros((1, len(searches[0])), bool)))[0], 1
    yield done
    found, within = Found(None, 0), np.ones(model.config.grid.patches, bool)
    for groups in searches:
        chosen, best, left = list[int](), start, np.unique(groups.of[within]).tolist()
        tried = 1 if within.all() else 0
        while best <= 0 and left:
            sets = np.zeros((len(left), len(groups)), bool)
            sets[:, chosen] = True
            sets[np.arange(len(left)), left] = True
            gained = yield from summed(margins(model, goal, groups, sets), done)
            best, done = gained.max(), done + len(left)
            chosen.append(left.pop(int(gained.argmax())))
            if best <= 0 and left and found.groups is None:
                yield Found(tuple(chosen), tried, groups.side, enough=False)
        found = Found(tuple(chosen) if best > 0 else None, tried, groups.side)
        if not found.groups:
            break
        yield found
        within = np.isin(groups.of, chosen)
    yield most_passes(*map(len, searches))
    yield found


def smaller_sets(groups: int, found: Found) -> int:
    """The number of sets that `prove` tries at most: all of fewer groups, except those that `greedy` tried."""
    if found.proven or found.groups is None:
        return 0
    return sum(comb(groups, size) for size in range(found.tried + 1, len(found.groups)))


@on_lent_gpu
def prove(model: Mixer, goal: Goal, found: Found) -> Iterator[int | Found]:
    """Try all smaller sets, the smallest first; yields the number tried, finally a proven smallest set.

    The last number is `smaller_sets`, also if it tried fewer. The model is free for other threads between the batches.
    """
    assert found.groups is not None
    groups, done = Groups(model.config.grid, found.side), 0
    for size in range(found.tried + 1, len(found.groups)):
        several = combinations(range(len(groups)), size)
        while batch := list(islice(several, batch_size(model, gradients=False))):
            sets = np.zeros((len(batch), len(groups)), bool)
            np.put_along_axis(sets, np.array(batch), True, 1)
            enough = (yield from summed(margins(model, goal, groups, sets), done)) > 0
            done += len(batch)
            if enough.any():
                yield smaller_sets(len(groups), found)
                yield replace(found, groups=batch[int(enough.argmax())], tried=size - 1)
                return
    yield replace(found, tried=len(found.groups) - 1)


def margins(
    model: Mixer, goal: Goal, groups: Groups, sets: Bool[np.ndarray, "sets groups"]
) -> Steps[Float32[np.ndarray, "sets"]]:
    """`Goal.margin` of the base picture with each set of groups from the donor."""
    return array(goal.margin((yield from logits_with(model, goal.base, goal.donor, groups, sets))))
