"""A question to the attribution methods in plain values, and its attributions as measurements."""

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
"""largest number of pictures that are explained together, because of memory"""


@dataclass(frozen=True)
class Asked:
    """Why is F of `target` higher for `picture` than for `baseline`? The question in plain values, see `Question`."""

    picture: bytes
    """height x width x 3 bytes of RGB"""
    target: int
    baseline: str
    """one of `BASELINES`"""
    output: Output
    block: int
    """for the methods that explain the tokens after a block; counted from 0"""
    side: int = 1
    """patches along each side of a group; each group has one value"""

    def for_method(self, method: str) -> "Asked":
        """Set all that the method ignores to a fixed value, so that equal questions share a cache entry."""
        known = METHODS[method]
        baseline = self.baseline if known.baseline else next(iter(BASELINES))
        return replace(self, baseline=baseline, block=self.block if known.block else 0)


def question(scope: Microscope, asked: Asked, background: bool = False) -> Question:
    """The question in tensors. Raises ValueError for a baseline that does not exist.

    background: whether to include the samples as background
    """
    image = scope.input(asked.picture)
    against = baseline(asked.baseline, image, scope.model.config)
    others = scope.sample_inputs if background else None
    return Question(image, against, asked.target, asked.output, others, asked.side)


def passes(scope: Microscope, method: str, side: int) -> int:
    """The cost of an attribution, in passes."""
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
    """Attributions of up to `MANY` pictures: yields the passes done and each result, as `attribute_many`.

    target: the class (None: each picture's answer). block: counted from 0
    Raises ValueError for a method, baseline, output or block that does not exist.
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
    """The attribution of one question by one method, as a measurement."""
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
