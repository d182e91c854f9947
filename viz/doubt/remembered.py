"""What was recently measured of which attribution: the checks of `faithfulness` and `sanity`, remembered."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from cachetools import LRUCache
from jaxtyping import Float32, UInt8

from mixer.model import Mixer
from viz.attribution.attribute import Attribution, attribute_in_steps
from viz.attribution.baselines import pixels
from viz.attribution.methods import METHODS, Settings
from viz.attribution.question import Question
from viz.attribution.remembered import Asked, Explanations
from viz.doubt import faithfulness, sanity
from viz.doubt.faithfulness import Curves, RandomOrders, Removals
from viz.doubt.rules import Evidence
from viz.doubt.sanity import Randomised
from viz.pace import Steps, summed
from viz.running import Measurement

ORDERS = 99
"""random orders that an attribution is held against"""
POINTS = 8
"""steps in which the patches come in these orders: as many orders of single patches are several times the work"""
DRAWS = 5
"""of random weights for the whole network"""
REMOVALS = 100
"""random removals for the infidelity"""
NOISY = 10
"""pictures with noise for the sensitivity"""
RADIUS = 0.02
"""of that noise, in normalised units: about one step of 256, which nobody sees"""
SEED = 0
KEPT = 64


@dataclass(frozen=True)
class Doubted:
    """Which attribution is doubted, in plain values."""

    asked: Asked
    """as the method hears it"""
    method: str
    filling: str
    """what stands where a patch is gone: one of `FILLINGS`"""

    @property
    def filled(self) -> Asked:
        """What the answers with patches gone are remembered by: they depend on the filling, and on no method."""
        return replace(self.asked, baseline=self.filling, block=0)


@dataclass(frozen=True, eq=False)
class Disturbed:
    """How an attribution changes with the weights and with noise."""

    randomised: Randomised
    sensitivity: float


class Doubts:
    """The checks of all attributions of one network, as far as they are remembered."""

    def __init__(self, explanations: Explanations):
        self.model, self._explanations = explanations.model, explanations
        self.stages = len(self.model.blocks) + 2  # and the head, and the stem
        self._curves: LRUCache[Doubted, Curves] = LRUCache(KEPT)
        self._orders: LRUCache[Asked, RandomOrders] = LRUCache(KEPT)
        self._removals: LRUCache[Asked, Removals] = LRUCache(KEPT)
        self._disturbed: LRUCache[tuple[Asked, str], Disturbed] = LRUCache(KEPT)

    def curves(self, doubted: Doubted) -> Curves | None:
        return self._curves.get(doubted)

    def orders(self, doubted: Doubted) -> RandomOrders | None:
        """The random orders for the same question and filling."""
        return self._orders.get(doubted.filled)

    def disturbed(self, doubted: Doubted) -> Disturbed | None:
        """The filling plays no part in it."""
        return self._disturbed.get((doubted.asked, doubted.method))

    def evidence(self, doubted: Doubted) -> Evidence:
        """All that is known of an attribution."""
        answer = self._explanations.known(doubted.asked, doubted.method)
        curves, orders, disturbed = self.curves(doubted), self.orders(doubted), self.disturbed(doubted)
        removals = self._removals.get(doubted.filled)
        deletion, insertion = faithfulness.better_than(curves, orders) if curves and orders else (None, None)
        return Evidence(
            deletion=deletion,
            insertion=insertion,
            randomisation=disturbed.randomised.likeness if disturbed else None,
            infidelity=faithfulness.tells_more_than(answer.values, removals, SEED) if answer and removals else None,
            sensitivity=disturbed.sensitivity if disturbed else None,
            gap=answer.gap_share if answer else None,
        )

    def curves_needed(self, doubted: Sequence[Doubted]) -> list[Measurement]:
        """What has to be measured before `curves` and `orders` know.

        The curves of an attribution are among it as soon as the attribution is known.
        """
        found = []
        for one in doubted:
            found += self._explanations.needed(one.asked, one.method) or self._curves_of(one)
            found += self._orders_of(one)
        return _each_once(found)

    def needed(self, doubted: Sequence[Doubted]) -> list[Measurement]:
        """What has to be measured before `evidence` is complete, but for `disturbing`."""
        removals = [measurement for one in doubted for measurement in self._removals_of(one)]
        return _each_once([*self.curves_needed(doubted), *removals])

    def disturbing(self, doubted: Doubted) -> list[Measurement]:
        """What has to be measured before `disturbed` knows, which waits until the visitor asks for it."""
        if self.disturbed(doubted):
            return []
        total = (1 + self.stages + DRAWS - 1 + NOISY) * self._explanations.passes(doubted.method)
        label = f"Randomise and disturb, {doubted.method}"
        key = "disturbed", doubted.asked, doubted.method
        return [self._measurement(key, label, total, lambda: self._disturb(doubted), asked=True)]

    def pictures(self, doubted: Doubted, count: int) -> UInt8[np.ndarray, "2 height width 3"]:
        """The picture without the first `count` patches of an attribution that is known, and with them alone."""
        question, grid = self._filled(doubted), self.model.config.grid
        first = faithfulness.falling(self._explanations.answer(doubted.asked, doubted.method).values)[:count]
        taken = np.isin(grid.mask().numpy(), first)[..., None]
        whole, empty = (pixels(image, self.model.config) for image in (question.image, question.baseline))
        return np.stack([np.where(taken, empty, whole), np.where(taken, whole, empty)])

    def _curves_of(self, one: Doubted) -> list[Measurement]:
        def steps() -> Iterator[int]:
            values = self._explanations.answer(one.asked, one.method).values
            self._curves[one] = yield from summed(faithfulness.curves_in_batches(self.model, self._filled(one), values))

        passes = 2 * self.model.config.grid.patches
        return [] if one in self._curves else [self._measurement(one, f"Curves of {one.method}", passes, steps)]

    def _orders_of(self, one: Doubted) -> list[Measurement]:
        def steps() -> Iterator[int]:
            self._orders[one.filled] = yield from summed(
                faithfulness.random_orders(self.model, self._filled(one), ORDERS, POINTS, SEED)
            )

        if one.filled in self._orders:
            return []
        points = len(faithfulness.counts_of(self.model.config.grid.patches, POINTS))
        return [self._measurement(("orders", one.filled), "Random orders", ORDERS * (points - 2) + 2, steps)]

    def _removals_of(self, one: Doubted) -> list[Measurement]:
        def steps() -> Iterator[int]:
            self._removals[one.filled] = yield from summed(
                faithfulness.random_removals(self.model, self._filled(one), REMOVALS, SEED)
            )

        if one.filled in self._removals:
            return []
        return [self._measurement(("removals", one.filled), "Random removals", REMOVALS + 1, steps)]

    def _disturb(self, one: Doubted) -> Iterator[int]:
        """Explain the picture, then with random weights, then with noise in it."""
        background = METHODS[one.method].background
        question, settings = self._explanations.question(one.asked, background), Settings(block=one.asked.block)

        def explain(model: Mixer, question: Question) -> Steps[Float32[np.ndarray, "patches"]]:
            return _values(attribute_in_steps(model, question, one.method, settings))

        def steps() -> Steps[Disturbed]:
            original = yield from _values(self._explanations.steps(one.asked, one.method))
            randomised = yield from sanity.randomisation(
                self.model, lambda model: explain(model, question), original, DRAWS, SEED
            )
            sensitivity = yield from sanity.sensitivity(
                lambda image: explain(self.model, replace(question, image=image)),
                question.image,
                original,
                RADIUS,
                NOISY,
                SEED,
            )
            return Disturbed(randomised, sensitivity)

        known = self._explanations.known(one.asked, one.method)
        self._disturbed[one.asked, one.method] = yield from summed(steps(), known.passes if known else 0)

    def _measurement(
        self, key: Hashable, label: str, passes: int, steps: Callable[[], Iterator[int]], asked: bool = False
    ) -> Measurement:
        return Measurement(key, label, "passes", passes, passes * self._explanations.seconds_per_pass, steps, asked)

    def _filled(self, doubted: Doubted) -> Question:
        """The question with the patches that are gone filled."""
        return self._explanations.question(doubted.filled)


def _values(steps: Iterator[int | Attribution]) -> Steps[Float32[np.ndarray, "patches"]]:
    """Those of an attribution that comes in steps."""
    done = 0
    for step in steps:
        if isinstance(step, int):
            yield step - done
            done = step
    assert isinstance(step, Attribution)
    return step.values


def _each_once(measurements: Sequence[Measurement]) -> list[Measurement]:
    """Those that several attributions share are made once."""
    return list({one.key: one for one in measurements}.values())
