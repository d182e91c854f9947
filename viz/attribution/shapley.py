"""What does a patch bring, on average over all orders in which the patches could come? Shapley values by sampling."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from mixer.model import Mixer
from viz.attribution.question import Question, check, ends, walk
from viz.pace import Steps
from viz.running_stats import RunningStats


@dataclass(frozen=True, eq=False)
class ShapleyEstimate:
    """The Shapley values, as far as some random orders tell."""

    values: Float64[np.ndarray, "patches"]
    """with the sum F(image) - F(baseline), after any number of orders"""
    standard_error: Float64[np.ndarray, "patches"]
    """of each value; NaN after one order, which cannot tell"""
    difference: float
    """F(image) - F(baseline)"""


def shapley(model: Mixer, question: Question, orders: int, seed: int) -> Steps[ShapleyEstimate]:
    """Shapley values, better with every random order (Castro et al. 2009; Strumbelj and Kononenko 2010).

    A patch's contribution in one order is what F gains as the patch comes in. In any one order the contributions add
    up to F(image) - F(baseline), hence so do their means. One order takes patches - 1 passes.

    Own lines, as Captum's ShapleyValueSampling tells neither a standard error nor how far it is, and draws from
    torch's global random state.

    Raises ValueError for a question that makes no sense or fewer than one order. The same seed gives the same numbers.
    """
    check(model, question)
    if orders < 1:
        raise ValueError(f"draws must be at least 1, not {orders}")
    empty, whole = yield from ends(model, question)
    generator = np.random.default_rng(seed)
    patches = model.config.grid.patches
    spread = RunningStats()
    for _ in range(orders):
        order = generator.permutation(patches)
        gains = np.empty(patches)
        gains[order] = np.diff((yield from walk(model, question, order, (empty, whole))))
        spread.add(gains)
    return ShapleyEstimate(spread.mean, spread.standard_error, whole - empty)
