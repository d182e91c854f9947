"""A question to the attribution methods in plain values, and what a method answers to it as a measurement."""

from dataclasses import dataclass, replace

from mixer.grid import Groups
from viz.attribution.attribute import Attribution, attribute_in_steps
from viz.attribution.baselines import BASELINES, baseline
from viz.attribution.methods import METHODS, SHAPLEY, Settings
from viz.attribution.question import Output, Question
from viz.measuring import Measurement
from viz.microscope import Microscope


@dataclass(frozen=True)
class Asked:
    """A question in plain values. Why does the network give `target` so much for `picture`, as against `baseline`?"""

    picture: bytes
    """height x width x 3 bytes of RGB"""
    target: int
    baseline: str
    """one of `BASELINES`"""
    output: Output
    block: int
    """for the methods that explain the tokens after a block; counted from 0"""
    side: int = 1
    """of the groups of patches that have one value each"""

    def for_method(self, method: str) -> "Asked":
        """As a method hears it: two questions that differ only in what it does not look at are one."""
        known = METHODS[method]
        baseline = self.baseline if known.baseline else next(iter(BASELINES))
        return replace(self, baseline=baseline, block=self.block if known.block else 0)


def question(scope: Microscope, asked: Asked, background: bool = False) -> Question:
    """The same in tensors. Raises ValueError for a baseline that does not exist. background: whether it is needed"""
    image = scope.input(asked.picture)
    against = baseline(asked.baseline, image, scope.model.config)
    others = scope.sample_inputs if background else None
    return Question(image, against, asked.target, asked.output, others, asked.side)


def passes(scope: Microscope, method: str, side: int) -> int:
    """What an answer costs."""
    return METHODS[method].passes(len(Groups(scope.grid, side)), Settings())


def explanation(scope: Microscope, asked: Asked, method: str) -> Measurement[Attribution]:
    """The answer of a method, as `attribute` gives it."""
    seen, known = asked.for_method(method), METHODS[method]
    return scope.measurement(
        (seen, method),
        method,
        "passes",
        passes(scope, method, asked.side),
        lambda: attribute_in_steps(
            scope.model, question(scope, seen, known.background), method, Settings(block=seen.block)
        ),
        first=known.passes(len(Groups(scope.grid, asked.side)), Settings(draws=1)) if method == SHAPLEY else None,
    )
