"""What was lately explained of which picture, shared by all panels that show an explanation or doubt it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from jaxtyping import Float
from torch import Tensor

from mixer.model import Mixer
from viz.attribution.attribute import Attribution, attribute_in_steps, seconds_per_pass
from viz.attribution.baselines import baseline
from viz.attribution.methods import METHODS, Settings
from viz.attribution.question import Output, Question
from viz.recent import Recent

KEPT = 512
"""explanations that are remembered, about 10 KB each"""
ENOUGH = 30
"""samples from which on a method tells how long one takes"""


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
        return self if METHODS[method].block else replace(self, block=0)


class Explanations:
    """The answers of all methods for one network, from memory where they were lately found."""

    def __init__(
        self,
        model: Mixer,
        to_input: Callable[[bytes], Float[Tensor, "3 height width"]],
        background: Callable[[], Float[Tensor, "images 3 height width"]],
    ):
        self.model, self._input, self._background = model, to_input, background
        self._known: Recent[tuple[Asked, str], Attribution] = Recent(KEPT)
        self._pace: float | None = None

    def question(self, asked: Asked) -> Question:
        """The same in tensors. Raises ValueError for a baseline that does not exist."""
        image = self._input(asked.picture)
        against = baseline(asked.baseline, image, self.model.config)
        return Question(image, against, asked.target, asked.output, self._background())

    def cost(self, asked: Asked, methods: list[str]) -> int:
        """How many samples it takes to explain with these methods what is not remembered."""
        patches, settings = self.model.config.grid.patches, Settings()
        missing = [name for name in methods if (asked.to(name), name) not in self._known]
        return sum(METHODS[name].samples(patches, settings) for name in missing)

    @property
    def seconds_per_pass(self) -> float:
        """As lately as it was seen."""
        if self._pace is None:
            self._pace = seconds_per_pass(self.model)
        return self._pace

    def steps(self, asked: Asked, method: str) -> Iterator[Attribution]:
        """As `attribute_in_steps`; what it ends with is remembered, unless the caller turns away before."""
        key = asked.to(method), method
        found = self._known.get(key)
        if found is not None:
            yield found
            return
        for found in attribute_in_steps(self.model, self.question(asked), method, Settings(block=asked.block)):
            yield found
        assert found is not None
        self._known[key] = found
        if found.samples >= ENOUGH:
            self._pace = found.seconds / found.samples
