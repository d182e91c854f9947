"""Sanity checks: an attribution should depend on the weights, and hardly on invisible noise; methods should agree.

Comparisons of maps are rank correlations: methods differ in scale, but should agree on the order of the patches.
"""

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

from mixer.model import Mixer
from viz.attribution.attribute import Attribution
from viz.capture import evaluating
from viz.pace import Steps, as_fast_as


@dataclass(frozen=True, eq=False)
class Randomised:
    """Similarity of an attribution to that of the trained network, with more and more random weights."""

    stages: tuple[str, ...]
    """the part that was randomised last, in addition to all earlier ones"""
    correlations: Float64[np.ndarray, "stages"]
    """the rank correlation with the attribution of the trained network, from -1 to 1; NaN if not measured yet"""
    draws: Float64[np.ndarray, "draws"]
    """correlations with all weights random: the last of `correlations`, then those of other random weights"""

    @property
    def likeness(self) -> float:
        """The mean absolute correlation with all weights random; that of one draw may be large by chance."""
        return float(np.abs(self.draws).mean())


def randomisation(
    model: Mixer,
    explain: Callable[[Mixer], Steps[Float[np.ndarray, "groups"]]],
    original: Float[np.ndarray, "groups"],
    draws: int,
    seed: int,
) -> Iterator[int | Randomised]:
    """Randomise the network from the head down and explain the picture at every stage (Adebayo et al. 2018).

    An explanation that stays the same shows the picture, not what the network has learned. Every weight, bias and
    scale is replaced by a draw from a normal distribution with the mean and standard deviation of the trained values
    of the same tensor, so that the activations keep their size. The model is copied, not changed.

    This tests the method, not the map: if a map depends on the weights, so do its negative and its values in another
    order. A map that is the same for all weights always fails.

    explain: from a model to its attribution
    original: the attribution of the trained network
    draws: number of draws of random weights for the whole network

    The stages are the head (with the pre-head LayerNorm), the blocks from last to first (counted from 1 in the names),
    and the stem. Yields the passes of each step, and the result so far after each explanation. Cost: blocks + 1 +
    draws explanations. The same seed gives the same weights.
    """
    with evaluating(model):  # otherwise the copy could have the hooks of another thread
        copy = deepcopy(model)
    as_fast_as(model, copy)
    generator, trained = torch.Generator().manual_seed(seed), _stages(model)

    def correlation(stages: Sequence[str]) -> Steps[float]:
        """The correlation after these stages are randomised."""
        for stage in stages:
            for module, like in zip(_stages(copy)[stage], trained[stage], strict=True):
                _randomise(module, like, generator)
            yield 0
        return rank_correlation(original, (yield from explain(copy)))

    line, last = np.full(len(trained), np.nan), np.full(draws, np.nan)
    for number, stage in enumerate(trained):
        line[number] = yield from correlation([stage])
        last[0] = line[-1]
        yield Randomised(tuple(trained), line.copy(), last.copy())
    for draw in range(1, draws):
        last[draw] = yield from correlation(list(trained))
        yield Randomised(tuple(trained), line, last.copy())


def sensitivity(
    explain: Callable[[Float[Tensor, "3 height width"]], Steps[Float[np.ndarray, "groups"]]],
    image: Float[Tensor, "3 height width"],
    original: Float[np.ndarray, "groups"],
    radius: float,
    draws: int,
    seed: int,
) -> Steps[float]:
    """The largest change of an explanation, as a share of its norm, under random changes of every value of the image by
    up to `radius` (sensitivity_max of Yeh et al. 2019).

    This tests that the method is stable, not that it is correct: the negative of a stable map is stable, too, and a
    map that is the same for every picture does not change at all.

    original: the explanation of the image itself
    radius: in normalised units; 0.02, about one step of 256, is invisible
    Cost: draws explanations. Raises ValueError for fewer than one draw. The same seed gives the same numbers.
    """
    if draws < 1:
        raise ValueError(f"draws must be at least 1, not {draws}")
    generator, largest = torch.Generator().manual_seed(seed), 0.0
    length = float(np.linalg.norm(original)) or 1.0
    for _ in range(draws):
        noise = torch.rand(image.shape, generator=generator, dtype=torch.float64) * 2 - 1
        change = (yield from explain(image + radius * noise.to(image))) - original
        largest = max(largest, float(np.linalg.norm(change)) / length)
    return largest


def agreement(attributions: Sequence[Attribution]) -> Float64[np.ndarray, "methods methods"]:
    """The rank correlation of each attribution with each; of absolute values if one of the two is unsigned."""
    return np.array([[_agreement(a, b) for b in attributions] for a in attributions])


def rank_correlation(a: Float[np.ndarray, "groups"], b: Float[np.ndarray, "groups"]) -> float:
    """Spearman's rank correlation, from -1 to 1; ties share their mean rank.

    If all values of one are equal, it is undefined; the result is 1 if all values of the other are equal, too, else 0.
    """
    ranks_a, ranks_b = _centred_ranks(a), _centred_ranks(b)
    if not ranks_a.any() or not ranks_b.any():
        return float(ranks_a.any() == ranks_b.any())
    return float(ranks_a @ ranks_b / np.sqrt((ranks_a @ ranks_a) * (ranks_b @ ranks_b)))


def _agreement(a: Attribution, b: Attribution) -> float:
    if a.signed and b.signed:
        return rank_correlation(a.values, b.values)
    return rank_correlation(np.abs(a.values), np.abs(b.values))


def _centred_ranks(values: Float[np.ndarray, "groups"]) -> Float64[np.ndarray, "patches"]:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (counts.cumsum() - (counts + 1) / 2)[inverse]
    return ranks - ranks.mean()


def _stages(model: Mixer) -> dict[str, list[nn.Module]]:
    head: list[nn.Module] = [model.head] if model.pre_head_norm is None else [model.head, model.pre_head_norm]
    blocks = {f"block {number}": [block] for number, block in enumerate(model.blocks, 1)}
    return {"head": head, **dict(reversed(blocks.items())), "stem": [model.stem]}


@torch.no_grad()
def _randomise(module: nn.Module, like: nn.Module, generator: torch.Generator) -> None:
    for parameter, trained in zip(module.parameters(), like.parameters(), strict=True):
        noise = torch.randn(parameter.shape, generator=generator).to(parameter)
        parameter.copy_(trained.mean() + trained.std(correction=0) * noise)
