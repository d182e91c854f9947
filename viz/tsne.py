"""t-SNE (van der Maaten and Hinton 2008): points in a plane such that neighbours stay neighbours.

The exact form, for hundreds of points. scikit-learn's form for more points is not used: it has no progress, and its
threads slow down those of torch.
"""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64
from torch import Tensor

FEWEST = 4
"""points"""
PERPLEXITY = 30
"""the effective number of neighbours of a point, at most a third of all other points"""
ITERATIONS, EXAGGERATED = 750, 250
"""iterations in all; in the first of them, 12 times stronger attraction makes groups come together"""
STEP = 25
"""iterations between two results"""


def tsne(points: Float32[np.ndarray, "points dims"]) -> Iterator[int | Float32[np.ndarray, "points 2"]]:
    """Yields the number of iterations done, and the places so far: the first two dimensions are the start.

    Directions, distances between groups and their sizes have no meaning. The same points give the same places, except
    for rounding. Raises ValueError for fewer than `FEWEST` points.
    """
    if len(points) < FEWEST:
        raise ValueError(f"t-SNE needs at least {FEWEST} points, not {len(points)}")
    x = torch.from_numpy(points).double()
    attraction = affinities(x, min(PERPLEXITY, (len(x) - 1) / 3))
    y = 1e-4 * x[:, :2] / x[:, 0].std().clamp_min(1e-12)
    speed = torch.zeros_like(y)
    for done in range(1, ITERATIONS + 1):
        early = done <= EXAGGERATED
        speed = (0.5 if early else 0.8) * speed - len(x) / 12 * gradient(attraction * (12 if early else 1), y)
        y = y + speed
        if done % STEP == 0:
            yield done
            yield y.float().numpy()


def affinities(x: Float64[Tensor, "points dims"], perplexity: float) -> Float64[Tensor, "points points"]:
    """The symmetric probabilities P of pairs (section 2), from normal distributions with this perplexity."""
    distances = torch.cdist(x, x).square().fill_diagonal_(torch.inf)
    low, high = x.new_zeros(len(x), 1), x.new_full((len(x), 1), torch.inf)
    precision = 1 / distances.median(1, keepdim=True).values.clamp_min(1e-12)
    for _ in range(50):
        p = (-precision * distances).softmax(1)
        wide = -torch.special.xlogy(p, p).sum(1, keepdim=True) > np.log(perplexity)
        low, high = torch.where(wide, precision, low), torch.where(wide, high, precision)
        precision = torch.where(high.isinf(), 2 * precision, (low + high) / 2)
    return (p + p.T) / (2 * len(x))


def gradient(p: Float64[Tensor, "points points"], y: Float64[Tensor, "points 2"]) -> Float64[Tensor, "points 2"]:
    """dKL(P || Q) / dy, equation 5, with Q from Student's t-distribution."""
    near = 1 / (1 + torch.cdist(y, y).square())
    near.fill_diagonal_(0)
    weights = (p - near / near.sum()) * near
    return 4 * (weights.sum(1, keepdim=True) * y - weights @ y)


def neighbours_kept(
    points: Float32[np.ndarray, "points dims"], places: Float32[np.ndarray, "points 2"], count: int
) -> float:
    """The share of the `count` nearest places of a point that are also its nearest points; the check of a projection.

    Raises ValueError for fewer than `count` other points.
    """
    if len(points) <= count:
        raise ValueError(f"{count} neighbours need more than {len(points)} points")

    def nearest(x: Float32[np.ndarray, "points any"]) -> Bool[Tensor, "points points"]:
        apart = torch.cdist(*2 * [torch.from_numpy(x).double()]).fill_diagonal_(torch.inf)
        return torch.zeros_like(apart, dtype=torch.bool).scatter_(1, apart.topk(count, largest=False).indices, True)

    return float((nearest(points) & nearest(places)).sum() / (count * len(points)))
