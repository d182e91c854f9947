"""Shapley values by sampling: the mean contribution of each patch over random orders of insertion."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from mixer.model import Mixer
from viz.attribution.question import Question, complete, walk
from viz.pace import summed
from viz.running_stats import RunningStats


@dataclass(frozen=True, eq=False)
class ShapleyEstimate:
    """Shapley values, estimated from random orders."""

    orders: int
    """the number of orders so far"""
    values: Float64[np.ndarray, "groups"]
    """their sum is F(image) - F(baseline), after any number of orders"""
    standard_error: Float64[np.ndarray, "groups"]
    """of each value; NaN after one order, which gives no error"""
    difference: float
    """F(image) - F(baseline)"""


def shapley(model: Mixer, question: Question, orders: int, seed: int) -> Iterator[int | ShapleyEstimate]:
    """Estimate Shapley values from random orders (Castro et al. 2009; Strumbelj and Kononenko 2010).

    A group's contribution in one order is the gain of F at its insertion. In each order the contributions add up to
    F(image) - F(baseline), and so do their means. One order costs groups - 1 passes, after `Question.unknown`.

    Yields the passes so far, and after each order the current estimate.

    Captum's ShapleyValueSampling is not used: it has no standard error and no progress, and draws from torch's global
    random state.

    Raises ValueError for an invalid question or fewer than one order. The same seed gives the same numbers.
    """
    if orders < 1:
        raise ValueError(f"draws must be at least 1, not {orders}")
    done, question = question.unknown, (yield from summed(complete(model, question)))
    empty, whole = question.scores
    generator = np.random.default_rng(seed)
    count = len(question.groups(model))
    spread = RunningStats()
    for _ in range(orders):
        order = generator.permutation(count)
        gains = np.empty(count)
        gains[order] = np.diff((yield from summed(walk(model, question, order), done)))
        done += count - 1
        spread.add(gains)
        yield ShapleyEstimate(spread.draws, spread.mean, spread.standard_error, whole - empty)
