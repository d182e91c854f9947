"""What was lately measured of which attribution: the checks of `faithfulness` and `sanity`, remembered."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from viz.attribution.attribute import Attribution, attribute
from viz.attribution.methods import METHODS, Settings
from viz.attribution.question import Question
from viz.attribution.remembered import Asked, Explanations
from viz.doubt import faithfulness, sanity
from viz.doubt.faithfulness import Curves, RandomOrders
from viz.doubt.rules import Evidence
from viz.doubt.sanity import Randomised
from viz.recent import Recent

ORDERS = 20
"""random orders that an attribution is held against"""
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
    method: str
    filling: str
    """what stands where a patch is gone: one of `FILLINGS`"""


@dataclass(frozen=True, eq=False)
class Disturbed:
    """How an attribution changes with the weights and with noise, as far as it is known."""

    stages: tuple[Randomised, ...]
    sensitivity: float | None
    """None before the first noisy picture"""
    done: int
    total: int
    """attributions: one for each stage, one for each noisy picture"""


class Doubts:
    """The checks of all attributions of one network, from memory where they were lately made."""

    def __init__(self, explanations: Explanations):
        self.model, self._explanations = explanations.model, explanations
        self.stages = len(self.model.blocks) + 2  # and the head, and the stem
        self._curves: Recent[Doubted, Curves] = Recent(KEPT)
        self._infidelity: Recent[Doubted, float] = Recent(KEPT)
        self._chance: Recent[Asked, RandomOrders] = Recent(KEPT)
        self._disturbed: Recent[tuple[Asked, str], Disturbed] = Recent(KEPT)

    def curves(self, doubted: Doubted) -> Curves:
        """Its curves of deletion and insertion. Cost: 2 patches samples, and the attribution."""
        found = self._curves.get(doubted)
        if found is None:
            found = faithfulness.curves(self.model, self._filled(doubted), self._answer(doubted).values)
            self._curves[doubted] = found
        return found

    def chance(self, doubted: Doubted) -> RandomOrders | None:
        """The random orders for the same question and filling, where they are remembered."""
        return self._chance.get(self._key(doubted))

    def cost(self, doubted: Sequence[Doubted]) -> int:
        """How many samples `measure` takes for attributions that differ in their method only."""
        walks = 0 if not doubted or self.chance(doubted[0]) else ORDERS * (self.model.config.grid.patches - 1) + 2
        return walks + (REMOVALS + 1) * sum(one not in self._infidelity for one in doubted)

    def measure(self, doubted: Sequence[Doubted]) -> Iterator[int]:
        """Hold attributions against chance that differ in their method only. Yields the samples done so far."""
        done = 0
        if doubted and self.chance(doubted[0]) is None:
            question, patches = self._filled(doubted[0]), self.model.config.grid.patches
            for orders in faithfulness.random_orders(self.model, question, ORDERS, SEED):
                done = orders.done * (patches - 1) + 2
                yield done
            self._chance[self._key(doubted[0])] = orders
        for one in doubted:
            if one not in self._infidelity:
                values = self._answer(one).values
                found = faithfulness.infidelity(self.model, self._filled(one), values, REMOVALS, SEED)
                self._infidelity[one] = found.share
                done += REMOVALS + 1
                yield done

    def disturbed(self, doubted: Doubted) -> Disturbed | None:
        """What `disturb` found, where it is remembered; the filling plays no part."""
        return self._disturbed.get((doubted.asked, doubted.method))

    def disturb(self, doubted: Doubted) -> Iterator[Disturbed]:
        """Randomise the weights, then add noise to the picture. Yields after every attribution.

        Cost: stages + 1 + NOISY attributions. What it ends with is remembered, unless the caller turns away before.
        """
        question, settings = self._explanations.question(doubted.asked), Settings(block=doubted.asked.block)
        total, largest, stages = self.stages + NOISY, 0.0, []
        for stage in sanity.randomisation(
            self.model, lambda model: attribute(model, question, doubted.method, settings).values, SEED
        ):
            stages.append(stage)
            yield Disturbed(tuple(stages), None, stage.done, total)
        original = self._answer(doubted).values

        def explain(image: Float[Tensor, "3 height width"]) -> Float32[np.ndarray, "patches"]:
            if torch.equal(image, question.image):
                return original
            return attribute(self.model, replace(question, image=image), doubted.method, settings).values

        for noisy in range(NOISY):  # one by one, so that the visitor sees how far it is
            largest = max(largest, sanity.sensitivity(explain, question.image, RADIUS, 1, SEED + noisy))
            found = Disturbed(tuple(stages), largest, self.stages + noisy + 1, total)
            yield found
        self._disturbed[doubted.asked, doubted.method] = found

    def disturb_cost(self, doubted: Doubted) -> int:
        """How many samples that takes."""
        each = METHODS[doubted.method].samples(self.model.config.grid.patches, Settings())
        return 0 if self.disturbed(doubted) else (self.stages + 1 + NOISY) * each

    def evidence(self, doubted: Doubted) -> Evidence:
        """All that is remembered of an attribution whose curves are."""
        answer, orders, disturbed = self._answer(doubted), self.chance(doubted), self.disturbed(doubted)
        gap = abs(answer.gap / answer.difference) if answer.gap is not None and answer.difference else None
        deletion, insertion = faithfulness.better_than(self.curves(doubted), orders) if orders else (None, None)
        return Evidence(
            deletion=deletion,
            insertion=insertion,
            randomisation=disturbed.stages[-1].correlation if disturbed else None,
            infidelity=self._infidelity.get(doubted),
            sensitivity=disturbed.sensitivity if disturbed else None,
            gap=gap,
        )

    def _answer(self, doubted: Doubted) -> Attribution:
        *_, answer = self._explanations.steps(doubted.asked, doubted.method)
        return answer

    def _filled(self, doubted: Doubted) -> Question:
        """The question with the patches that are gone filled."""
        return self._explanations.question(self._key(doubted))

    def _key(self, doubted: Doubted) -> Asked:
        """What random orders are remembered by: they know no method."""
        return replace(doubted.asked, baseline=doubted.filling, block=0)
