"""What was recently explained of which picture, shared by all that shows an explanation or doubts it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from cachetools import LRUCache
from jaxtyping import Float
from torch import Tensor

from mixer.model import Mixer
from viz.attribution.attribute import Attribution, attribute_in_steps
from viz.attribution.baselines import BASELINES, baseline
from viz.attribution.methods import METHODS, Settings
from viz.attribution.question import Output, Question
from viz.pace import seconds_per_pass
from viz.running import Measurement

KEPT = 512
"""explanations that are remembered, about 10 KB each"""


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

    def to(self, method: str) -> "Asked":
        """As a method hears it: two questions that differ only in what it does not look at are one."""
        known = METHODS[method]
        baseline = self.baseline if known.baseline else next(iter(BASELINES))
        return replace(self, baseline=baseline, block=self.block if known.block else 0)


class Explanations:
    """The answers of all methods for one network, as far as they are remembered."""

    def __init__(
        self,
        model: Mixer,
        to_input: Callable[[bytes], Float[Tensor, "3 height width"]],
        background: Callable[[], Float[Tensor, "images 3 height width"]],
    ):
        self.model, self._input, self._background = model, to_input, background
        self._known: LRUCache[tuple[Asked, str], Attribution] = LRUCache(KEPT)

    def question(self, asked: Asked, background: bool = False) -> Question:
        """The same in tensors, with the background where it is wanted. Raises ValueError for no baseline of ours."""
        image = self._input(asked.picture)
        against = baseline(asked.baseline, image, self.model.config)
        return Question(image, against, asked.target, asked.output, self._background() if background else None)

    def known(self, asked: Asked, method: str) -> Attribution | None:
        """The answer of a method, where it is remembered."""
        return self._known.get((asked.to(method), method))

    def needed(self, asked: Asked, method: str) -> list[Measurement]:
        """What has to be measured before `known` knows: nothing, or the answer."""
        if self.known(asked, method) is not None:
            return []
        passes = self.passes(method)
        return [
            Measurement(
                (asked.to(method), method),
                method,
                "passes",
                passes,
                passes * self.seconds_per_pass,
                lambda: (found for found in self.steps(asked, method) if isinstance(found, int)),
            )
        ]

    def answer(self, asked: Asked, method: str) -> Attribution:
        """The answer of a method, from memory where it is remembered."""
        *_, found = self.steps(asked, method)
        assert isinstance(found, Attribution)
        return found

    def passes(self, method: str) -> int:
        """What an answer costs."""
        return METHODS[method].passes(self.model.config.grid.patches, Settings())

    @property
    def seconds_per_pass(self) -> float:
        """As it was seen last."""
        return seconds_per_pass(self.model)

    def steps(self, asked: Asked, method: str) -> Iterator[int | Attribution]:
        """As `attribute_in_steps`; what it ends with is remembered, unless the caller turns away before."""
        known = self.known(asked, method)
        if known is not None:
            yield known
            return
        asked = asked.to(method)
        question = self.question(asked, METHODS[method].background)
        for found in attribute_in_steps(self.model, question, method, Settings(block=asked.block)):
            yield found
        assert isinstance(found, Attribution)
        self._known[asked, method] = found
