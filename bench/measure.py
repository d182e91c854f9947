"""Interleaved timing: the compared calls alternate, so that a slow phase of the machine affects all of them."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median, quantiles

import torch

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


@dataclass(frozen=True)
class Ratio:
    """A reported ratio and its goal, if any."""

    name: str
    ratio: float
    goal: float | None = None
    more_is_better: bool = True
    note: str = ""

    @property
    def met(self) -> bool | None:
        if self.goal is None:
            return None
        return self.ratio >= self.goal if self.more_is_better else self.ratio <= self.goal


@dataclass(frozen=True)
class Timing:
    """Seconds of one call."""

    median: float
    quartiles: tuple[float, float]

    @staticmethod
    def of(seconds: Sequence[float]) -> "Timing":
        """The timing of at least two calls."""
        low, _, high = quantiles(seconds, n=4)
        return Timing(median(seconds), (low, high))

    @property
    def spread(self) -> float:
        """Half the interquartile range, relative to the median."""
        return (self.quartiles[1] - self.quartiles[0]) / 2 / self.median


def interleaved(*calls: Callable[[], object], rounds: int = 15, warmup: int = 2) -> list[Timing]:
    """Time the calls in alternation, after uncounted warm-up rounds. Includes the wait for CUDA."""
    seconds: list[list[float]] = [[] for _ in calls]
    for turn in range(warmup + rounds):
        for call, times in zip(calls, seconds, strict=True):
            begin = time.perf_counter()
            call()
            wait_for_device()
            if turn >= warmup:
                times.append(time.perf_counter() - begin)
    return list(map(Timing.of, seconds))


def spread(timings: list[Timing]) -> str:
    return f"spread {max(t.spread for t in timings):.0%}"


def wait_for_device() -> None:
    """Wait until the GPU has finished its work; on a CPU, do nothing."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
