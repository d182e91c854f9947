"""Measurements run in steps, can be cancelled between two steps, and keep their results in a cache.

One thread runs the model (`on_model_thread`), because each further thread would need its own memory and workers. The
steps of measurements and the clicks of visitors alternate on it, so that a click waits for one step at most.
`viz.pace` limits the duration of a step.
"""

import asyncio
import time
from collections.abc import Callable, Hashable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, Generic, ParamSpec, TypeVar

from cachetools import LRUCache
from torch import Tensor

from viz.zerogpu import LENT

P = ParamSpec("P")
T = TypeVar("T")

BUDGET = 5
"""seconds of measurements that start automatically after each choice of a visitor; longer ones start on request"""

RESULTS = 1024
"""results in memory, of some KB each; an explanation has 10 KB"""
TENSORS = 8
"""tensors in memory, of up to 13 MB each with the seed network"""
UNDER_WAY = 0 if LENT else 4
"""cancelled measurements that can continue with their state; none on ZeroGPU, which lends a GPU for one call only"""

_MODEL_THREAD = ThreadPoolExecutor(1, "model")


async def on_model_thread(work: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
    """Run `work` on the thread of the model, in the order of the calls, and return its result."""
    context = copy_context()  # ZeroGPU reads the visitor from it
    return await asyncio.get_running_loop().run_in_executor(_MODEL_THREAD, lambda: context.run(work, *args, **options))


@dataclass(frozen=True, eq=False)
class Measurement(Generic[T]):
    """A measurement that a view needs, with or without its result in memory. `T` is the type of the result."""

    key: Hashable
    """the cache key: equal keys mean the same measurement"""
    label: str
    """its name on the page"""
    unit: str
    """the unit of its steps, in the plural"""
    total: int
    """the number of steps"""
    per_step: float
    """the estimated seconds of a step"""
    steps: Callable[[], Iterator[int]]
    """runs it and stores the result in memory; yields the number of steps done"""
    on_request: bool = False
    """whether it starts only at the visitor's request"""
    first: int | None = None
    """the number of steps before the first result, if it is an estimate that is refined"""
    reached_now: Callable[[], int] = lambda: 0
    """returns the number of steps behind the result in memory"""

    @property
    def reached(self) -> int:
        """The number of steps behind the result in memory."""
        return self.reached_now()

    @property
    def seconds(self) -> float:
        """The estimated duration of the missing steps."""
        return self.until(self.total)

    @property
    def milestone(self) -> int:
        """The number of steps until the next result: of an estimate, `first` and its doublings."""
        end = self.first or self.total
        while end <= self.reached and end < self.total:
            end *= 2
        return min(end, self.total)

    def until(self, steps: int) -> float:
        """The estimated seconds before this number of steps; 0 if they are done."""
        return self.per_step * max(0, min(steps, self.total) - self.reached)


@dataclass(eq=False)
class _UnderWay:
    """A measurement that has started."""

    steps: Iterator[Any]
    done: int = 0


class Memory:
    """A cache of the results of measurements and other computations; the least recently used is dropped first."""

    def __init__(self) -> None:
        self._results: LRUCache[Hashable, tuple[Any, int]] = LRUCache(RESULTS)
        self._tensors: LRUCache[Hashable, tuple[Any, int]] = LRUCache(TENSORS)
        self._under_way: LRUCache[Hashable, _UnderWay] = LRUCache(UNDER_WAY)

    def latest(self, one: Measurement[T]) -> T | None:
        """The result of a measurement, final or preliminary; None without one in memory."""
        entry = self._entry(one.key)
        return entry and entry[0]

    def finished(self, one: Measurement[T]) -> T | None:
        """The final result of a measurement; None without one in memory."""
        return None if self.missing([one]) else self.latest(one)

    def reached(self, key: Hashable) -> int:
        """The number of steps behind the result in memory; 0 without one."""
        entry = self._entry(key)
        return entry[1] if entry else 0

    def missing(self, measurements: Iterable[Measurement]) -> list[Measurement]:
        """The measurements that are not finished, without duplicates."""
        several = {one.key: one for one in measurements}.values()
        return [one for one in several if (entry := self._entry(one.key)) is None or entry[1] < one.total]

    def measured(self, one: Measurement[T]) -> T:
        """The final result of a measurement; measures it now if it is missing."""
        for each in self.missing([one]):
            for _ in each.steps():
                pass
        result = self.latest(one)
        assert result is not None
        return result

    def cached(self, key: Hashable, make: Callable[[], T]) -> T:
        """The result of `make`, from memory if possible. The key identifies the computation and its inputs."""
        entry = self._entry(key)
        return self._keep(key, make(), 0) if entry is None else entry[0]

    def resumable(self, key: Hashable, make: Callable[[], Iterator[int | T]]) -> Iterator[int]:
        """The `Measurement.steps` of a generator that yields the number of steps done, finally its result.

        An earlier result is preliminary. Results are yielded, because the return value from a lent GPU is lost. Two
        visitors share a running measurement, and a cancelled one continues.
        """
        run = self._under_way.get(key) or _UnderWay(make())
        if UNDER_WAY:
            self._under_way[key] = run
        try:
            for part in run.steps:
                if isinstance(part, int):
                    run.done = part
                    yield part
                elif (entry := self._entry(key)) is None or entry[1] <= run.done:
                    self._keep(key, part, run.done)
        except Exception:
            self._under_way.pop(key, None)
            raise
        self._under_way.pop(key, None)

    def _entry(self, key: Hashable) -> tuple[Any, int] | None:
        """A result and the number of steps behind it."""
        return self._results.get(key) or self._tensors.get(key)

    def _keep(self, key: Hashable, result: T, done: int) -> T:
        (self._tensors if isinstance(result, Tensor) else self._results)[key] = result, done
        return result


def duration(seconds: float) -> str:
    """The duration as text: 12 s, 5 min, 3 h 57 min."""
    if seconds < 59.5:
        return f"{max(1, round(seconds))} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return " ".join(f"{count} {unit}" for count, unit in ((hours, "h"), (minutes, "min")) if count)


class Clock:
    """The remaining time of a measurement: at first from its estimate, then from its progress."""

    def __init__(self, measurement: Measurement, done: int):
        self._total, self._from, self._started = measurement.total, done, time.monotonic()
        self._seconds = measurement.per_step * (measurement.total - done)

    def left(self, done: int) -> float:
        """The remaining seconds after `done` steps."""
        share = (done - self._from) / max(1, self._total - self._from)
        spent = time.monotonic() - self._started
        return (spent / share if share > 0.1 else self._seconds) * (1 - share)
