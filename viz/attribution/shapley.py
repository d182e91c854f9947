"""What does a patch bring, on average over all orders in which the patches could come? Shapley values by sampling."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from mixer.model import Mixer
from viz.attribution.question import Question, check, ends, walk
from viz.spread import Spread


@dataclass(frozen=True, eq=False)
class ShapleyEstimate:
    """What is known of the Shapley values after some of the orders."""

    done: int
    total: int
    values: Float64[np.ndarray, "patches"]
    """with the sum F(image) - F(baseline), after any number of orders"""
    standard_error: Float64[np.ndarray, "patches"]
    """of each value; NaN after the first order, which cannot tell"""
    difference: float
    """F(image) - F(baseline)"""


def shapley(model: Mixer, question: Question, orders: int, seed: int) -> Iterator[int | ShapleyEstimate]:
    """Shapley values, better with every random order (Castro et al. 2009; Strumbelj and Kononenko 2010).

    A patch's contribution in one order is what F gains as the patch comes in. In any one order the contributions add
    up to F(image) - F(baseline), hence so do their means. One order takes patches - 1 passes.

    Own lines, as Captum's ShapleyValueSampling tells neither a standard error nor how far it is, and draws from
    torch's global random state.

    Yields how many passes each batch took, and after every order what is known by then. Raises ValueError for a
    question that makes no sense or fewer than one order. The same seed gives the same numbers.
    """
    check(model, question)
    if orders < 1:
        raise ValueError(f"draws must be at least 1, not {orders}")
    empty, whole = yield from ends(model, question)
    generator = np.random.default_rng(seed)
    patches = model.config.grid.patches
    spread = Spread()
    for done in range(1, orders + 1):
        order = generator.permutation(patches)
        gains = np.empty(patches)
        gains[order] = np.diff((yield from walk(model, question, order, (empty, whole))))
        spread.add(gains)
        yield ShapleyEstimate(done, orders, spread.mean, spread.standard_error, whole - empty)
