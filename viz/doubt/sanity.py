"""Does an attribution depend on what it should? On the weights, yes; on noise that nobody sees, hardly.

And do two methods agree? All comparisons are rank correlations: methods differ in scale, but should agree on which
patches matter more.
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


@dataclass(frozen=True)
class Randomised:
    """How alike an attribution still is to that of the trained network, with part of the weights randomised."""

    stage: str
    """what was randomised last; all stages before it still are"""
    correlation: float
    """the rank correlation with the attribution of the trained network, from -1 to 1"""
    done: int
    total: int


def randomisation(
    model: Mixer,
    explain: Callable[[Mixer], Float[np.ndarray, "patches"]],
    original: Float[np.ndarray, "patches"],
    seed: int,
) -> Iterator[Randomised]:
    """Randomise the network from the head down and explain it anew at every stage (Adebayo et al. 2018).

    An explanation that stays the same does not depend on what the network has learned: it shows the picture, not the
    reasons. Every weight, bias and scale is drawn anew from a normal distribution with the mean and the spread of the
    trained ones in the same tensor, so that the activations keep their size. The model is copied, never changed.

    explain: an attribution of the model it is given, for example
        `lambda model: attribute(model, question, "Patch ablation").values`
    original: what it gives for the trained network

    Yields for the head (with the pre-head LayerNorm), the blocks from last to first (counted from 1 in the names), and
    the stem. Cost: blocks + 2 explanations. The same seed gives the same weights.
    """
    with evaluating(model):  # so that the copy does not inherit the hooks of another thread
        copy = deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    stages = _stages(copy)
    for done, (stage, modules) in enumerate(stages.items(), 1):
        for module in modules:
            _randomise(module, generator)
        yield Randomised(stage, rank_correlation(original, explain(copy)), done, len(stages))


def sensitivity(
    explain: Callable[[Float[Tensor, "3 height width"]], Float[np.ndarray, "patches"]],
    image: Float[Tensor, "3 height width"],
    original: Float[np.ndarray, "patches"],
    radius: float,
    draws: int,
    seed: int,
) -> Iterator[float]:
    """How much an explanation changes at most, as a share of its length, when every value of the image changes by up to
    `radius` at random (sensitivity_max of Yeh et al. 2019).

    original: the explanation of the image itself
    radius: in normalised units; 0.02, about one step of 256, is invisible
    Yields the largest change so far after every draw. Cost: draws explanations. Raises ValueError for fewer than one
    draw. The same seed gives the same numbers.
    """
    if draws < 1:
        raise ValueError(f"draws must be at least 1, not {draws}")
    generator, largest = torch.Generator().manual_seed(seed), 0.0
    length = float(np.linalg.norm(original)) or 1.0
    for _ in range(draws):
        noise = torch.rand(image.shape, generator=generator, dtype=torch.float64) * 2 - 1
        change = explain(image + radius * noise.to(image)) - original
        largest = max(largest, float(np.linalg.norm(change)) / length)
        yield largest


def agreement(attributions: Sequence[Attribution]) -> Float64[np.ndarray, "methods methods"]:
    """The rank correlation of each attribution with each; of absolute values where one of the two is unsigned."""
    return np.array([[_agreement(a, b) for b in attributions] for a in attributions])


def rank_correlation(a: Float[np.ndarray, "patches"], b: Float[np.ndarray, "patches"]) -> float:
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


def _centred_ranks(values: Float[np.ndarray, "patches"]) -> Float64[np.ndarray, "patches"]:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (counts.cumsum() - (counts + 1) / 2)[inverse]
    return ranks - ranks.mean()


def _stages(model: Mixer) -> dict[str, list[nn.Module]]:
    head: list[nn.Module] = [model.head] if model.pre_head_norm is None else [model.head, model.pre_head_norm]
    blocks = {f"block {number}": [block] for number, block in enumerate(model.blocks, 1)}
    return {"head": head, **dict(reversed(blocks.items())), "stem": [model.stem]}


@torch.no_grad()
def _randomise(module: nn.Module, generator: torch.Generator) -> None:
    for parameter in module.parameters():
        noise = torch.randn(parameter.shape, generator=generator).to(parameter)
        parameter.copy_(parameter.mean() + parameter.std(correction=0) * noise)
