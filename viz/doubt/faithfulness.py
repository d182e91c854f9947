"""Faithfulness of attributions: deletion and insertion curves compared with random orders, and infidelity.

The question's baseline replaces removed groups of patches; `viz.attribution.question` defines F and walks. Pictures
with removed patches differ from the training images, so a curve alone is weak evidence: compare it with random orders,
which remove patches, too, and for several fillings (`viz.attribution.baselines.FILLINGS`).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

from mixer.model import Mixer
from viz.attribution.question import Question, answers_with, complete, walk
from viz.pace import Steps, finish, summed

HELD = 0.9
"""smallest probability that the band of random orders contains a new one"""
FEWEST = 19
"""smallest number of random orders for a band, and of random removals for an estimate"""
SHUFFLES = 999
"""shuffled copies, with which an attribution is compared; they cost no passes"""


@dataclass(frozen=True, eq=False)
class Curves:
    """F during the removal, or the insertion, of patches in the order of their values, the largest first.

    Deletion starts at the image and should fall fast: a small area is good. Insertion starts at the baseline and
    should rise fast: a large area is good (Petsiuk et al. 2018). In the reverse order, the patches that remain after k
    deletions are those of all but k insertions: its deletion is `insertion` backwards, its insertion `deletion`
    backwards.
    """

    deletion: Float64[np.ndarray, "points"]
    """F with no patches removed, then with more and more, finally with all"""
    insertion: Float64[np.ndarray, "points"]
    counts: Int64[np.ndarray, "points"]
    """the number of removed, or inserted, groups at each point: 0, 1, ..., all, or in larger steps"""

    @property
    def reverse(self) -> "Curves":
        """The curves of the reverse order: the smallest values first."""
        return Curves(self.insertion[::-1], self.deletion[::-1], self.counts[-1] - self.counts[::-1])

    @property
    def areas(self) -> tuple[float, float]:
        """The areas under deletion and insertion."""
        return float(area(self.deletion, self.counts)), float(area(self.insertion, self.counts))


@dataclass(frozen=True, eq=False)
class RandomOrders:
    """The same curves for random orders: those of an uninformative attribution."""

    insertion: Float64[np.ndarray, "orders points"]
    counts: Int64[np.ndarray, "points"]
    """the number of inserted groups at each point; bands and areas need fewer points than groups"""

    @property
    def deletion(self) -> Float64[np.ndarray, "orders points"]:
        """The curves of the same orders backwards, which are random, too. The counts are symmetric."""
        return self.insertion[:, ::-1]


@dataclass(frozen=True, eq=False)
class Removals:
    """The decrease of F after the removal of a random half of the groups."""

    removed: Bool[np.ndarray, "removals groups"]
    losses: Float64[np.ndarray, "removals"]


def falling(values: Float[np.ndarray, "groups"]) -> Int64[np.ndarray, "groups"]:
    """The groups in the order of their values, the largest first; ties in a fixed random order.

    Ties in reading order would favour the upper left, whose patches may matter more, or less, than others.
    """
    return np.lexsort((np.random.default_rng(0).permutation(len(values)), -values))


def curves(model: Mixer, question: Question, values: Float[np.ndarray, "groups"], steps: int | None = None) -> Curves:
    """Deletion and insertion of the patches in the order of `falling`.

    steps: the number of steps (default: one for each group)
    Cost: 2 (steps - 1) passes, and `Question.unknown`. Raises ValueError for an invalid question.
    """
    question = finish(complete(model, question))
    return finish(_curves_at(model, question, falling(values), counts_of(len(values), steps)))


def refined_curves(
    model: Mixer, question: Question, values: Float[np.ndarray, "groups"], steps: int
) -> Iterator[int | Curves]:
    """As `curves`, first in about `steps` steps, then with all points; no point is computed twice.

    Yields the passes so far, and the curves.
    """
    order, few, counts = falling(values), counts_of(len(values), steps), counts_of(len(values))
    done, question = question.unknown, (yield from summed(complete(model, question)))
    first = yield from summed(_curves_at(model, question, order, few), done)
    yield first
    if len(few) == len(counts):
        return
    others = np.union1d(np.setdiff1d(counts, few), counts[[0, -1]])
    rest = yield from summed(_curves_at(model, question, order, others), done + 2 * len(few) - 4)
    found = Curves(np.empty(len(counts)), np.empty(len(counts)), counts)
    for part in (first, rest):
        found.deletion[part.counts], found.insertion[part.counts] = part.deletion, part.insertion
    yield found


def _curves_at(
    model: Mixer,
    question: Question,
    order: Int64[np.ndarray, "groups"],
    counts: Int64[np.ndarray, "points"],
) -> Steps[Curves]:
    """The curves at some counts, of a question with its `ends`."""
    insertion = yield from walk(model, question, order, counts)
    deletion = yield from walk(model, question, order[::-1], len(order) - counts[::-1])
    return Curves(deletion[::-1], insertion, counts)


def counts_of(groups: int, steps: int | None = None) -> Int64[np.ndarray, "points"]:
    """Counts from 0 to groups in about `steps` steps (default: single steps), symmetric about the middle."""
    counts = np.linspace(0, groups, (steps or groups) + 1).round().astype(np.int64)
    return np.unique([counts, groups - counts])


def random_orders(model: Mixer, question: Question, orders: int, steps: int, seed: int) -> Iterator[int | RandomOrders]:
    """The curves of random orders: the band of all methods for this question.

    Yields the passes so far, and the orders so far at each multiple of `FEWEST` and at the end.

    steps: the approximate number of steps (`counts_of`)
    Cost: (steps - 1) orders passes, and `Question.unknown`. Raises ValueError for an invalid question or fewer than
    one order. The same seed gives the same orders.
    """
    if orders < 1:
        raise ValueError(f"orders must be at least 1, not {orders}")
    done, question = question.unknown, (yield from summed(complete(model, question)))
    generator, groups = np.random.default_rng(seed), len(question.groups(model))
    counts = counts_of(groups, steps)
    walks = np.empty((orders, len(counts)))
    for number in range(orders):
        order = generator.permutation(groups)
        walks[number] = yield from summed(walk(model, question, order, counts), done)
        done += len(counts) - 2
        if (number + 1) % FEWEST == 0 or number + 1 == orders:
            yield RandomOrders(walks[: number + 1].copy(), counts)


def area(
    curve: Float[np.ndarray, "*any points"], counts: Int64[np.ndarray, "points"] | None = None
) -> Float[np.ndarray, "*any"]:
    """The area under curves by the trapezoidal rule, over a width of 1: a mean of F.

    counts: the positions of the points (default: at equal distances)
    """
    widths = np.diff(np.arange(curve.shape[-1]) if counts is None else counts)
    return np.asarray((curve[..., 1:] + curve[..., :-1]) / 2 @ widths / widths.sum())


def band(curve: Float[np.ndarray, "orders points"]) -> Float[np.ndarray, "2 points"]:
    """Bounds that contain a new random order, at every point, with a probability of at least `HELD`.

    Of n orders and a new one, each has the same chance to be the k-th smallest. So the new one lies between the k-th
    smallest and the k-th largest of the n with probability 1 - 2k / (n + 1), for any distribution; quantiles of the n
    contain fewer new ones. Raises ValueError if there are too few orders for such bounds.
    """
    orders = len(curve)
    outside = int(round((1 - HELD) * (orders + 1) / 2, 9))
    if outside < 1:
        raise ValueError(f"{orders} random orders are too few for a band that holds {HELD:.0%}")
    return np.sort(curve, axis=0)[[outside - 1, orders - outside]]


def better_than(own: Curves, others: RandomOrders) -> tuple[float, float]:
    """The share of orders with a larger area at deletion, and with a smaller area at insertion.

    The areas are over the points of the random orders. The number of orders includes the order itself, so that a
    random one is better than a share of s or more with a probability of at most 1 - s.
    """
    at = np.searchsorted(own.counts, others.counts)
    deletion, insertion = (area(curve[at], others.counts) for curve in (own.deletion, own.insertion))
    worse = area(others.deletion, others.counts) > deletion, area(others.insertion, others.counts) < insertion
    return _among(worse[0]), _among(worse[1])


def random_removals(model: Mixer, question: Question, removals: int, seed: int) -> Iterator[int | Removals]:
    """The decrease of F in random removals, for all methods with this question.

    Yields the passes so far, and the first `FEWEST` removals, then more and more, finally all.

    Cost: removals passes, and `Question.unknown`. Raises ValueError for an invalid question or fewer than one
    removal. The same seed gives the same removals.
    """
    if removals < 1:
        raise ValueError(f"removals must be at least 1, not {removals}")
    removed = np.random.default_rng(seed).random((removals, len(question.groups(model)))) < 0.5
    done, question = question.unknown, (yield from summed(complete(model, question)))
    left = np.empty(0)
    for some in np.split(removed, range(FEWEST, removals, FEWEST)):
        left = np.append(left, (yield from summed(answers_with(model, question, ~some), done + len(left))))
        yield Removals(removed[: len(left)], question.scores[1] - left)


def tells_more_than(values: Float[np.ndarray, "groups"], removals: Removals, seed: int) -> float:
    """The share of shuffled copies of the values whose infidelity is larger.

    Every positive map predicts a larger decrease for more removed patches. A map that locates the important patches
    must predict better than its own values in a random order. As in `better_than`, the copies include the values.
    """
    shuffled = np.random.default_rng(seed).permuted(np.tile(values, (SHUFFLES, 1)), axis=1)
    own, *others = infidelity(np.concatenate([values[None], shuffled]), removals)
    # sums of equal values in another order differ by rounding
    return _among(np.array(others) > own + 1e-9 * np.mean(removals.losses**2))


def infidelity(maps: Float[np.ndarray, "maps groups"], removals: Removals) -> Float64[np.ndarray, "maps"]:
    """The mean squared error of each map as a prediction of the decrease of F, in units of F squared (Yeh et al. 2019).

    Each map is scaled by the nonnegative number that minimises its error, so that values with the wrong sign predict 0.
    """
    predicted = maps.astype(np.float64) @ removals.removed.T
    sizes = np.square(predicted).sum(1)
    scalings = np.divide(predicted @ removals.losses, sizes, out=np.zeros_like(sizes), where=sizes > 0).clip(0)
    return np.square(scalings[:, None] * predicted - removals.losses).mean(1)


def _among(worse: Bool[np.ndarray, "others"]) -> float:
    """The share of worse ones among the others and the compared one."""
    return float(worse.sum() / (len(worse) + 1))
