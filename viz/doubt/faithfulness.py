"""Does the output follow the values? Curves of deletion and insertion against random orders, and infidelity.

Patches that are gone are filled with the question's baseline; F and walks are those of `viz.attribution.question`. A
picture with holes is unlike all that the network was trained on, so a curve alone says little: the orders are compared
with random ones, which have the same holes, and with several fillings (`viz.attribution.baselines.FILLINGS`).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

from mixer.model import Mixer
from viz.attribution.question import Question, answers_with, check, ends, walk

BATCH = 32
"""removals between which the model is free"""


@dataclass(frozen=True, eq=False)
class Curves:
    """F while the patches go, or come, in the order of their values: those that speak most for the class first.

    Deletion starts at the image and should fall fast: a small area is good. Insertion starts at the baseline and
    should rise fast: a large area is good (Petsiuk et al. 2018). In the reverse order, what is left after k deletions
    is what k fewer than all insertions bring: its deletion is `insertion` backwards, its insertion `deletion`
    backwards.
    """

    deletion: Float64[np.ndarray, "points"]
    """F with none of the patches gone, then with more and more, at last with all"""
    insertion: Float64[np.ndarray, "points"]
    counts: Int64[np.ndarray, "points"]
    """how many patches are gone, or there, at each point: 0, 1, ..., patches, unless they go several at a time"""

    @property
    def reverse(self) -> "Curves":
        """The curves of the reverse order: those that speak most against the class first."""
        return Curves(self.insertion[::-1], self.deletion[::-1], self.counts[-1] - self.counts[::-1])

    @property
    def areas(self) -> tuple[float, float]:
        """Under deletion and insertion."""
        return float(area(self.deletion, self.counts)), float(area(self.insertion, self.counts))


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


@dataclass(frozen=True, eq=False)
class Removals:
    """What F loses when about half of the patches go, chosen at random."""

    gone: Bool[np.ndarray, "removals patches"]
    losses: Float64[np.ndarray, "removals"]


@dataclass(frozen=True)
class Infidelity:
    """How badly the values tell what F loses when patches go (Yeh et al. 2019)."""

    value: float
    """the mean squared error, in units of F squared, after the one scaling of the values that makes it least"""
    share: float
    """value over the mean square of the losses themselves: 0 where all are told, 1 where the values tell nothing"""


def falling(values: Float[np.ndarray, "patches"]) -> Int64[np.ndarray, "patches"]:
    """The patches in the order of their values, the largest first; of equals, the lower number first."""
    return np.argsort(-values, kind="stable")


def curves(model: Mixer, question: Question, values: Float[np.ndarray, "patches"], steps: int | None = None) -> Curves:
    """Deletion and insertion of the patches, `falling`.

    steps: in how many they go and come; without it, one patch at a time
    Cost: 2 (steps - 1) + 2 passes, one bounded batch for each curve. Raises ValueError for a question that makes no
    sense.
    """
    check(model, question)
    order, patches, points = falling(values), len(values), ends(model, question)
    counts = np.unique(np.linspace(0, patches, (steps or patches) + 1).round().astype(int))
    insertion = walk(model, question, order, points, counts)
    deletion = walk(model, question, order[::-1], points, patches - counts[::-1])[::-1]
    return Curves(deletion, insertion, counts)


def random_orders(model: Mixer, question: Question, orders: int, seed: int) -> Iterator[RandomOrders]:
    """The curves of random orders: the band for all methods that are asked this question.

    Cost: (patches - 1) orders + 2 passes, one bounded batch for each order, between which the model is free for
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


def area(
    curve: Float64[np.ndarray, "*any points"], counts: Int64[np.ndarray, "points"] | None = None
) -> Float64[np.ndarray, "*any"]:
    """The area under curves by the trapezoidal rule, over a width of 1: a mean of F.

    counts: where the points lie; without it, at equal distances
    """
    widths = np.diff(np.arange(curve.shape[-1]) if counts is None else counts)
    return np.asarray((curve[..., 1:] + curve[..., :-1]) / 2 @ widths / widths.sum())


def band(curve: Float64[np.ndarray, "orders points"], share: float = 0.9) -> Float64[np.ndarray, "2 points"]:
    """The lower and upper bound between which the given share of the random curves lies, at every point."""
    return np.quantile(curve, [(1 - share) / 2, (1 + share) / 2], axis=0)


def better_than(own: Curves, others: RandomOrders) -> tuple[float, float]:
    """The share of random orders with a larger area at deletion, and with a smaller area at insertion."""
    deletion, insertion = own.areas
    worse = np.mean(area(others.deletion) > deletion), np.mean(area(others.insertion) < insertion)
    return float(worse[0]), float(worse[1])


def random_removals(model: Mixer, question: Question, removals: int, seed: int) -> Iterator[Removals]:
    """What F loses in random removals: for all methods that are asked this question.

    Cost: removals + 1 passes, in bounded batches, between which the model is free. Yields after every batch what is
    known by then. Raises ValueError for a question that makes no sense or fewer than one removal. The same seed gives
    the same numbers.
    """
    check(model, question)
    if removals < 1:
        raise ValueError(f"removals must be at least 1, not {removals}")
    patches, losses = model.config.grid.patches, np.empty(0)
    gone = np.random.default_rng(seed).random((removals, patches)) < 0.5
    whole = answers_with(model, question, np.ones((1, patches), bool))
    for batch in np.split(gone, range(BATCH, removals, BATCH)):
        losses = np.append(losses, whole - answers_with(model, question, ~batch))
        yield Removals(gone[: len(losses)], losses)


def infidelity(values: Float[np.ndarray, "patches"], removals: Removals) -> Infidelity:
    """How far the sum of a removal's values is from what F loses (normalised; Captum's `infidelity` of patches)."""
    told, losses = removals.gone @ values.astype(np.float64), removals.losses
    scaling = told @ losses / (told @ told) if told.any() else 0.0
    error, all_lost = np.mean((scaling * told - losses) ** 2), np.mean(losses**2)
    return Infidelity(float(error), float(error / all_lost) if all_lost else 0.0)
