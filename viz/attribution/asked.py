"""A question to the attribution methods in plain values, and what a method answers to it as a measurement."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from mixer.grid import Groups
from viz.attribution.attribute import Attribution, attribute_in_steps, attribute_many
from viz.attribution.baselines import BASELINES, baseline
from viz.attribution.methods import METHODS, SHAPLEY, Settings
from viz.attribution.question import Output, Question
from viz.measuring import Measurement
from viz.microscope import Microscope
from viz.pace import batches, timed

MANY = 64
"""pictures that are explained together, at most"""


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


def explain_many(
    scope: Microscope,
    pictures: Sequence[bytes],
    method: str,
    target: int | None,
    baseline: str,
    output: Output,
    block: int,
) -> Iterator[int | Attribution]:
    """The answers of a method about many pictures, as `attribute_many` gives them; `MANY` at a time fit into memory.

    target: the class; None: of each picture the one that the network answers. block: counted from 0
    Raises ValueError, in words, for a method, baseline, output or block that does not exist.
    """
    targets, done = list[int](), 0
    if target is not None:
        targets = [target] * len(pictures)
    elif pictures:
        for batch in batches(scope.model, torch.stack([scope.input(picture) for picture in pictures])):
            with timed(scope.model, len(batch)), torch.no_grad():
                targets += scope.model(batch).argmax(1).tolist()
            done += len(batch)
            yield done
    known = METHODS.get(method)
    asked = [Asked(picture, each, baseline, output, block) for picture, each in zip(pictures, targets, strict=True)]
    questions = [question(scope, one, known is not None and known.background) for one in asked]
    for found in attribute_many(scope.model, questions, method, Settings(block=block)):
        yield found + done if isinstance(found, int) else found


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
