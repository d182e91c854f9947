"""Which attributions are doubted."""

from dataclasses import dataclass

from viz.attribution.remembered import Asked
from viz.doubt.remembered import Doubted


@dataclass(frozen=True)
class Shown:
    """In plain values: what was asked, which methods answer, and what stands where a patch is gone."""

    asked: Asked
    methods: tuple[str, ...]
    filling: str

    @property
    def doubted(self) -> list[Doubted]:
        return [Doubted(self.asked.to(method), method, self.filling) for method in self.methods]
