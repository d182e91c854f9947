"""A question to the attribution methods in plain values, and its attributions as measurements."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

import torch

from mixer.grid import Groups
from viz.attribution.attribute import Attribution, attribute_in_steps, attribute_many
from viz.attribution.baselines import BASELINES, baseline
from viz.attribution.methods import METHODS, Settings
from viz.attribution.question import Output, Question, logits_of, with_ends
from viz.capture import array
from viz.measuring import Measurement
from viz.microscope import Microscope
from viz.pace import finish, summed

MANY = 64
"""largest number of pictures that are explained together, because of memory"""


@dataclass(frozen=True)
class AttributionQuery:
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

    def for_method(self, method: str) -> "AttributionQuery":
        """Set all that the method ignores to a fixed value, so that equal questions share a cache entry."""
        row = METHODS[method]
        baseline = self.baseline if row.baseline else next(iter(BASELINES))
        return replace(self, baseline=baseline, block=self.block if row.block else 0)


def question(scope: Microscope, query: AttributionQuery, background: bool = False) -> Question:
    """The question in tensors, with its `ends`: the network passes each picture and each baseline once.

    background: whether to include the samples as background
    Raises ValueError for a baseline that does not exist.
    """
    one = _tensors(scope, query, background)
    key = "logits", array(one.baseline).tobytes()
    # an array, because the memory has room for few tensors
    empty = scope.cached(key, lambda: array(finish(logits_of(scope.model, one.baseline[None]))))
    logits = scope.look(query.picture).logits
    return replace(one, ends=torch.cat([torch.from_numpy(empty).to(logits), logits]))


def _tensors(scope: Microscope, query: AttributionQuery, background: bool) -> Question:
    image = scope.input(query.picture)
    against = baseline(query.baseline, image, scope.model.config)
    others = scope.sample_inputs if background else None
    return Question(image, against, query.target, query.output, others, query.side)


def passes(scope: Microscope, method: str, side: int) -> int:
    """The cost of an attribution, in passes."""
    return METHODS[method].passes(len(Groups(scope.grid, side)), Settings())


def explain_many(
    scope: Microscope,
    pictures: Iterable[bytes],
    method: str,
    target: int | None,
    baseline: str,
    output: Output,
    block: int,
    side: int = 1,
) -> Iterator[int | Attribution]:
    """Attributions of pictures, which it takes `MANY` at a time: yields the passes done with these, and each result.

    target: the class (None: each picture's answer). block: counted from 0. side: patches along each side of a group
    Raises ValueError for a method, baseline, output or block that does not exist.
    """
    row, rest = METHODS.get(method), iter(pictures)
    while part := list(islice(rest, MANY)):
        queries = [AttributionQuery(picture, target or 0, baseline, output, block, side) for picture in part]
        questions = [_tensors(scope, one, row is not None and row.background) for one in queries]
        done = sum(one.unknown for one in questions)
        questions = yield from summed(with_ends(scope.model, questions))
        if target is None:
            questions = [replace(one, target=one.answer) for one in questions]
        for found in attribute_many(scope.model, questions, method, Settings(block=block)):
            yield found + done if isinstance(found, int) else found


def explanation(scope: Microscope, query: AttributionQuery, method: str) -> Measurement[Attribution]:
    """The attribution of one question by one method, as a measurement."""
    seen, row = query.for_method(method), METHODS[method]
    return scope.measurement(
        (seen, method),
        method,
        "passes",
        passes(scope, method, query.side),
        lambda: attribute_in_steps(
            scope.model, question(scope, seen, row.background), method, Settings(block=seen.block)
        ),
        first=row.first and row.passes(len(Groups(scope.grid, query.side)), Settings(draws=row.first)),
    )
