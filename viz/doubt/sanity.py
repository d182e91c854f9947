"""Does an attribution depend on what it should? On the weights, yes; on noise that nobody sees, hardly.

And do two methods agree? All comparisons are rank correlations: methods differ in scale, but should agree on which
patches matter more.
"""

from collections.abc import Callable, Sequence
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
    """How alike an attribution still is to that of the trained network, with more and more of the weights random."""

    stages: tuple[str, ...]
    """what was randomised last; all stages before it still are"""
    correlations: Float64[np.ndarray, "stages"]
    """the rank correlation with the attribution of the trained network, from -1 to 1"""
    draws: Float64[np.ndarray, "draws"]
    """the last of them, with all weights random; and the same for other random weights"""

    @property
    def likeness(self) -> float:
        """The mean size of the correlation with all weights random: that of one draw may be large by chance alone."""
        return float(np.abs(self.draws).mean())


def randomisation(
    model: Mixer,
    explain: Callable[[Mixer], Steps[Float[np.ndarray, "groups"]]],
    original: Float[np.ndarray, "groups"],
    draws: int,
    seed: int,
) -> Steps[Randomised]:
    """Randomise the network from the head down and explain it anew at every stage (Adebayo et al. 2018).

    An explanation that stays the same does not depend on what the network has learned: it shows the picture, not the
    reasons. Every weight, bias and scale is drawn anew from a normal distribution with the mean and the spread of the
    trained ones in the same tensor, so that the activations keep their size. The model is copied, never changed.

    What is tested is the method, not the map: of a map that follows from the weights its negative, and its values in
    other places, follow from them as well. A map that is the same for all weights fails, whatever it shows.

    explain: an attribution of the model it is given
    original: what it gives for the trained network
    draws: of random weights for the whole network

    The stages are the head (with the pre-head LayerNorm), the blocks from last to first (counted from 1 in the names),
    and the stem. Cost: blocks + 1 + draws explanations. The same seed gives the same weights.
    """
    with evaluating(model):  # so that the copy does not inherit the hooks of another thread
        copy = deepcopy(model)
    as_fast_as(model, copy)
    generator, trained = torch.Generator().manual_seed(seed), _stages(model)

    def correlation(stages: Sequence[str]) -> Steps[float]:
        """With these stages drawn anew."""
        for stage in stages:
            for module, like in zip(_stages(copy)[stage], trained[stage], strict=True):
                _randomise(module, like, generator)
            yield 0
        return rank_correlation(original, (yield from explain(copy)))

    line, last = np.empty(len(trained)), np.empty(draws)
    for number, stage in enumerate(trained):
        line[number] = yield from correlation([stage])
    last[0] = line[-1]
    for draw in range(1, draws):
        last[draw] = yield from correlation(list(trained))
    return Randomised(tuple(trained), line, last)


def sensitivity(
    explain: Callable[[Float[Tensor, "3 height width"]], Steps[Float[np.ndarray, "groups"]]],
    image: Float[Tensor, "3 height width"],
    original: Float[np.ndarray, "groups"],
    radius: float,
    draws: int,
    seed: int,
) -> Steps[float]:
    """How much an explanation changes at most, as a share of its length, when every value of the image changes by up to
    `radius` at random (sensitivity_max of Yeh et al. 2019).

    What is tested is that the method is steady, not that it is right: the negative of a steady map is as steady, and a
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
    """The rank correlation of each attribution with each; of absolute values where one of the two is unsigned."""
    return np.array([[_agreement(a, b) for b in attributions] for a in attributions])


def rank_correlation(a: Float[np.ndarray, "groups"], b: Float[np.ndarray, "groups"]) -> float:
    """Spearman's: the correlation of the ranks, equals sharing theirs; from -1 to 1.

    Where all values are equal there is nothing to correlate: 1 with another such, else 0.
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
