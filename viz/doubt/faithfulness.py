"""Does the output follow the values? Curves of deletion and insertion against random orders, and infidelity.

Patches that are gone are filled with the question's baseline; F and the notion of a walk are those of `viz.attribution.question`.
A picture with holes is unlike all that the network was trained on, so a curve alone says little: the orders are
compared with random ones, which have the same holes, and with several fillings (`viz.attribution.baselines.FILLINGS`).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from mixer.model import Mixer
from viz.attribution.question import Question, answers_with, check, ends, walk


@dataclass(frozen=True, eq=False)
class Curves:
    """F while the patches go, or come, in the order of their values: those that speak most for the class first.

    Deletion starts at the image and should fall fast: a small area is good. Insertion starts at the baseline and
    should rise fast: a large area is good (Petsiuk et al. 2018). In the reverse order, what is left after k deletions
    is what k fewer than all insertions bring: its deletion is `insertion` backwards, its insertion `deletion`
    backwards.
    """

    deletion: Float64[np.ndarray, "points"]
    """F with no patch gone, one gone, ..., all gone: patches + 1 points"""
    insertion: Float64[np.ndarray, "points"]

    @property
    def reverse(self) -> "Curves":
        """The curves of the reverse order: those that speak most against the class first."""
        return Curves(self.insertion[::-1], self.deletion[::-1])


@dataclass(frozen=True, eq=False)
class RandomOrders:
    """The same curves for random orders: what an attribution that knows nothing would get."""

    done: int
    total: int
    insertion: Float64[np.ndarray, "done points"]

    @property
    def deletion(self) -> Float64[np.ndarray, "done points"]:
        """Of the same orders backwards, which are as random."""
        return self.insertion[:, ::-1]


@dataclass(frozen=True)
class Infidelity:
    """How badly the values tell what F loses when patches go (Yeh et al. 2019)."""

    value: float
    """the mean squared error, in units of F squared, after the one scaling of the values that makes it least"""
    share: float
    """value over the mean square of the losses themselves: 0 where all are told, 1 where the values tell nothing"""


def curves(model: Mixer, question: Question, values: Float[np.ndarray, "patches"]) -> Curves:
    """Deletion and insertion of the patches, those with the largest values first; of equals, the lower number first.

    Cost: 2 patches samples, one bounded batch for each curve. Raises ValueError for a question that makes no sense.
    """
    check(model, question)
    order = np.argsort(-values, kind="stable")
    points = ends(model, question)
    deletion, insertion = (walk(model, question, o, points) for o in (order[::-1], order))
    return Curves(deletion[::-1], insertion)


def random_orders(model: Mixer, question: Question, orders: int, seed: int) -> Iterator[RandomOrders]:
    """The curves of random orders: the band for all methods that are asked this question.

    Cost: (patches - 1) orders + 2 samples, one bounded batch for each order, between which the model is free for
    other threads. Yields after every order, the last time with done = total = orders. Raises ValueError for a question
    that makes no sense or fewer than one order. The same seed gives the same numbers.
    """
    check(model, question)
    if orders < 1:
        raise ValueError(f"orders must be at least 1, not {orders}")
    generator = np.random.default_rng(seed)
    points = ends(model, question)
    walks: list[np.ndarray] = []
    for done in range(1, orders + 1):
        walks.append(walk(model, question, generator.permutation(model.config.grid.patches), points))
        yield RandomOrders(done, orders, np.stack(walks))


def area(curve: Float64[np.ndarray, "*any points"]) -> Float64[np.ndarray, "*any"]:
    """The area under curves by the trapezoidal rule, over a width of 1: a mean of F."""
    return np.asarray((curve[..., 1:] + curve[..., :-1]).mean(-1) / 2)


def band(curve: Float64[np.ndarray, "orders points"], share: float = 0.9) -> Float64[np.ndarray, "2 points"]:
    """The lower and upper bound between which the given share of the random curves lies, at every point."""
    return np.quantile(curve, [(1 - share) / 2, (1 + share) / 2], axis=0)


def better_than(own: Curves, others: RandomOrders) -> tuple[float, float]:
    """The share of random orders with a larger area at deletion, and with a smaller area at insertion."""
    deletion = np.mean(area(others.deletion) > area(own.deletion))
    insertion = np.mean(area(others.insertion) < area(own.insertion))
    return float(deletion), float(insertion)


def infidelity(
    model: Mixer, question: Question, values: Float[np.ndarray, "patches"], samples: int, seed: int
) -> Infidelity:
    """Captum's infidelity (normalised) of values per patch, for removals of about half of the patches at random.

    The input is taken to be which patches are there; the attribution of a removal is the sum of its patches' values.
    Cost: samples + 1. Raises ValueError for a question that makes no sense or fewer than one sample.
    """
    from captum.metrics import infidelity as captum_infidelity  # here, as in viz.attribution.methods

    check(model, question)
    if samples < 1:
        raise ValueError(f"samples must be at least 1, not {samples}")
    gone = torch.from_numpy(np.random.default_rng(seed).random((samples, len(values))) < 0.5).double()

    # Two inputs, alike in all but their values: the given ones, and zeros, whose error is the losses themselves. So F
    # is needed of the first half of every batch only.
    def output(there: Float[Tensor, "twice patches"]) -> Float[Tensor, "twice"]:
        present = there[: len(there) // 2].numpy() > 0.5
        return torch.from_numpy(answers_with(model, question, present)).repeat(2)

    def remove(there: Float[Tensor, "twice patches"]) -> tuple[Tensor, Tensor]:
        removed = gone.repeat(2, 1)
        return removed, there - removed

    attributions = torch.stack([torch.from_numpy(values).double(), torch.zeros(len(values), dtype=torch.float64)])
    error, losses = captum_infidelity(
        output, remove, torch.ones_like(attributions), attributions, n_perturb_samples=samples, normalize=True
    ).tolist()
    return Infidelity(error, error / losses if losses else 0.0)
