"""The checks of `faithfulness` and `sanity` for an attribution, as measurements, and their combined evidence."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, UInt8

from mixer.grid import Groups
from mixer.model import Mixer
from viz.attribution.attribute import Attribution, attribute_in_steps
from viz.attribution.baselines import pixels
from viz.attribution.methods import METHODS, Settings
from viz.attribution.query import AttributionQuery, explanation, passes, question
from viz.attribution.question import Question
from viz.doubt import faithfulness, sanity
from viz.doubt.faithfulness import Curves, RandomOrders, Removals
from viz.doubt.rules import Evidence
from viz.doubt.sanity import Randomised
from viz.measuring import Measurement
from viz.microscope import Microscope
from viz.pace import Steps, summed

ORDERS = 99
"""random orders, with which an attribution is compared"""
POINTS = 8
"""steps of these orders: with steps of one patch, they would cost several times as much"""
DRAWS = 5
"""draws of random weights for the whole network"""
REMOVALS = 100
"""random removals for the infidelity"""
NOISY = 10
"""pictures with noise for the sensitivity"""
RADIUS = 0.02
"""largest noise, in normalised units: about one step of 256, which is invisible"""
SEED = 0


@dataclass(frozen=True)
class CheckQuery:
    """The attribution to check, in plain values."""

    query: AttributionQuery
    """the question, as its `for_method` returns it"""
    method: str
    filling: str
    """the replacement of removed patches: one of `FILLINGS`"""

    @property
    def filled(self) -> AttributionQuery:
        """The question with the filling as its baseline; measurements of it are the same for all methods."""
        return replace(self.query, baseline=self.filling, block=0)

    def groups(self, scope: Microscope) -> Groups:
        """The groups of patches that are removed together."""
        return Groups(scope.grid, self.query.side)


@dataclass(frozen=True, eq=False)
class Robustness:
    """Changes of an attribution with random weights and with noise."""

    randomised: Randomised
    sensitivity: float


def curves(scope: Microscope, one: CheckQuery) -> Measurement[Curves]:
    """Deletion and insertion curves of a finished attribution."""
    explained = explanation(scope, one.query, one.method)
    return scope.measurement(
        one,
        f"Curves of {one.method}",
        "passes",
        2 * len(one.groups(scope)) - 2,
        lambda: faithfulness.refined_curves(
            scope.model, question(scope, one.filled), scope.measured(explained).values, POINTS
        ),
        first=2 * POINTS - 2,
    )


def orders(scope: Microscope, one: CheckQuery) -> Measurement[RandomOrders]:
    """Curves of random orders, for all attributions with the same question and filling."""
    points = len(faithfulness.counts_of(len(one.groups(scope)), POINTS))
    return scope.measurement(
        ("orders", one.filled),
        "Random orders",
        "passes",
        ORDERS * (points - 2),
        lambda: faithfulness.random_orders(scope.model, question(scope, one.filled), ORDERS, POINTS, SEED),
        first=faithfulness.FEWEST * (points - 2),
    )


def removals(scope: Microscope, one: CheckQuery) -> Measurement[Removals]:
    """Random removals, for all attributions with the same question and filling."""
    return scope.measurement(
        ("removals", one.filled),
        "Random removals",
        "passes",
        REMOVALS,
        lambda: faithfulness.random_removals(scope.model, question(scope, one.filled), REMOVALS, SEED),
    )


def robustness(scope: Microscope, one: CheckQuery) -> Measurement[Robustness]:
    """The tests with random weights and noise, which do not depend on the filling."""
    explained, cost = explanation(scope, one.query, one.method), passes(scope, one.method, one.query.side)
    return scope.measurement(
        ("robustness", one.query, one.method),
        f"Randomise and disturb, {one.method}",
        "passes",
        cost + (stages(scope) + DRAWS - 1 + NOISY) * (cost + 2),  # for other weights and images, F is unknown
        lambda: _robustness(scope, one, explained),
        on_request=True,
    )


def stages(scope: Microscope) -> int:
    """The number of stages of the randomisation: the head, the blocks, the stem."""
    return len(scope.model.blocks) + 2


def all_curves(scope: Microscope, queries: Sequence[CheckQuery]) -> list[Measurement]:
    """The attributions, their curves and random orders; the curves only after the attributions are finished."""
    found = list[Measurement]()
    for one in queries:
        explained = explanation(scope, one.query, one.method)
        found += [explained] if scope.missing([explained]) else [explained, curves(scope, one)]
        found.append(orders(scope, one))
    return found


def all_checks(scope: Microscope, queries: Sequence[CheckQuery]) -> list[Measurement]:
    """All measurements for `evidence`."""
    others = [check(scope, one) for check in (removals, robustness) for one in queries]
    return [*all_curves(scope, queries), *others]


def evidence(scope: Microscope, one: CheckQuery) -> Evidence:
    """The figures of all finished checks of an attribution."""
    answer = scope.finished(explanation(scope, one.query, one.method))
    own, random = scope.finished(curves(scope, one)), scope.finished(orders(scope, one))
    removed, robust = scope.latest(removals(scope, one)), scope.finished(robustness(scope, one))
    deletion, insertion = faithfulness.better_than(own, random) if own and random else (None, None)
    return Evidence(
        deletion=deletion,
        insertion=insertion,
        randomisation=robust.randomised.likeness if robust else None,
        infidelity=faithfulness.tells_more_than(answer.values, removed, SEED) if answer and removed else None,
        sensitivity=robust.sensitivity if robust else None,
        gap=answer.gap_share if answer else None,
    )


def pictures(scope: Microscope, one: CheckQuery, count: int) -> UInt8[np.ndarray, "2 height width 3"]:
    """The picture without the top `count` groups of a finished attribution, and with these groups alone."""
    filled = question(scope, one.filled)
    first = faithfulness.falling(scope.measured(explanation(scope, one.query, one.method)).values)[:count]
    taken = np.isin(scope.grid.mask().numpy(), one.groups(scope).patches(*first))[..., None]
    whole, empty = (pixels(image, scope.model.config) for image in (filled.image, filled.baseline))
    return np.stack([np.where(taken, empty, whole), np.where(taken, whole, empty)])


def _robustness(scope: Microscope, one: CheckQuery, explained: Measurement[Attribution]) -> Iterator[int | Robustness]:
    """Explain the picture, then again with random weights, then with noise."""
    tensors, settings = question(scope, one.query, METHODS[one.method].background), Settings(block=one.query.block)
    attribution = scope.finished(explained)

    def explain(model: Mixer, question: Question) -> Steps[Float32[np.ndarray, "patches"]]:
        return _values(attribute_in_steps(model, question, one.method, settings))

    done = passes(scope, one.method, one.query.side)
    original = attribution.values if attribution else (yield from summed(explain(scope.model, tensors)))
    other = replace(tensors, ends=None)
    for found in sanity.randomisation(scope.model, lambda model: explain(model, other), original, DRAWS, SEED):
        if isinstance(found, int):
            done += found
            yield done
        else:
            randomised = found
            yield Robustness(randomised, np.nan)
    sensitivity = yield from summed(
        sanity.sensitivity(
            lambda image: explain(scope.model, replace(other, image=image)),
            tensors.image,
            original,
            RADIUS,
            NOISY,
            SEED,
        ),
        done,
    )
    yield Robustness(randomised, sensitivity)


def _values(steps: Iterator[int | Attribution]) -> Steps[Float32[np.ndarray, "patches"]]:
    """The values of an attribution that is computed in steps."""
    done = 0
    for step in steps:
        if isinstance(step, int):
            yield step - done
            done = step
    assert isinstance(step, Attribution)
    return step.values
