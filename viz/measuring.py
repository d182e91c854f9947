"""What takes time: measurements that are made step by step, kept in one memory, and may be cancelled between two steps.

One thread touches the model (`on_model_thread`): threads that take turns would each keep memory and a team of workers
of their own. So whoever measures and whoever clicks take turns, step by step, and nobody waits for a whole measurement.
How long a step takes at most, `viz.pace` sees to.
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

BUDGET = 3
"""seconds of measurements that start by themselves after each choice of a visitor; what is more, is to be asked for"""

RESULTS = 1024
"""results in memory, of some KB each; an explanation has 10 KB"""
TENSORS = 8
"""tensors in memory, of up to 13 MB each with the seed network"""
UNDER_WAY = 0 if LENT else 4
"""measurements that were cancelled and can go on, with all that they have computed; a GPU is lent for one call only"""

_MODEL_THREAD = ThreadPoolExecutor(1, "model")


async def on_model_thread(work: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
    """What `work` returns, done by the one thread that touches the model, in the order in which it is asked for."""
    context = copy_context()  # ZeroGPU finds the visitor in it
    return await asyncio.get_running_loop().run_in_executor(_MODEL_THREAD, lambda: context.run(work, *args, **options))


@dataclass(frozen=True, eq=False)
class Measurement(Generic[T]):
    """Something that a view needs, whether its result is in memory or not. `T` is the type of the result."""

    key: Hashable
    """what is measured: two with one key are the same measurement"""
    label: str
    """what it is called on the page"""
    unit: str
    """what its steps count, in the plural"""
    total: int
    """how many of them"""
    seconds: float
    """how long it will take, as far as one can know beforehand"""
    steps: Callable[[], Iterator[int]]
    """does it and keeps the result in memory; yields how many are done"""
    on_request: bool = False
    """whether it waits until the visitor asks for it"""
    first: float | None = None
    """seconds until it has a first result, where it is an estimate that is refined"""
    reached: int = 0
    """how many steps the result in memory is made of, so far"""


@dataclass(eq=False)
class _UnderWay:
    """A measurement that was begun."""

    steps: Iterator[Any]
    done: int = 0


class Memory:
    """The results of measurements, and what else was computed recently. What was not used for longest goes first."""

    def __init__(self) -> None:
        self._results: LRUCache[Hashable, tuple[Any, int]] = LRUCache(RESULTS)
        self._tensors: LRUCache[Hashable, tuple[Any, int]] = LRUCache(TENSORS)
        self._under_way: LRUCache[Hashable, _UnderWay] = LRUCache(UNDER_WAY)

    def known(self, one: Measurement[T]) -> T | None:
        """The result of a measurement, or what it has come to so far; None where there is none in memory."""
        entry = self._entry(one.key)
        return entry and entry[0]

    def finished(self, one: Measurement[T]) -> T | None:
        """The result of a measurement; None where there is none, or only what it has come to so far."""
        return None if self.missing([one]) else self.known(one)

    def reached(self, key: Hashable) -> int:
        """How many steps were done for what is known of a measurement."""
        entry = self._entry(key)
        return entry[1] if entry else 0

    def missing(self, measurements: Iterable[Measurement]) -> list[Measurement]:
        """Those that are not finished, each once."""
        several = {one.key: one for one in measurements}.values()
        return [one for one in several if (entry := self._entry(one.key)) is None or entry[1] < one.total]

    def made(self, one: Measurement[T]) -> T:
        """The result of a measurement, which is made at once where it is missing."""
        for each in self.missing([one]):
            for _ in each.steps():
                pass
        result = self.known(one)
        assert result is not None
        return result

    def remembered(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` gives, from memory where it was made recently. The key says what it is, and of what."""
        entry = self._entry(key)
        return self._keep(key, make(), 0) if entry is None else entry[0]

    def kept(self, key: Hashable, make: Callable[[], Iterator[int | T]]) -> Iterator[int]:
        """The `Measurement.steps` of what yields how many steps are done, and at last its result.

        A result that comes earlier counts until a better one is there. It is yielded, not returned, as what a lent GPU
        returns would be lost. Whoever wants what somebody else measures, or what was cancelled, goes on with that.
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
        """A result, and how many steps were done for it."""
        return self._results.get(key) or self._tensors.get(key)

    def _keep(self, key: Hashable, result: T, done: int) -> T:
        (self._tensors if isinstance(result, Tensor) else self._results)[key] = result, done
        return result


def duration(seconds: float) -> str:
    """In words: 12 s, 5 min, 3 h 57 min."""
    if seconds < 59.5:
        return f"{max(1, round(seconds))} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return " ".join(f"{count} {unit}" for count, unit in ((hours, "h"), (minutes, "min")) if count)


class Clock:
    """How long the rest takes: at first as expected, soon by the pace so far."""

    def __init__(self, measurement: Measurement):
        self._measurement, self._started, self._from = measurement, time.monotonic(), measurement.reached

    def left(self, done: int) -> float:
        """Seconds."""
        share = (done - self._from) / max(1, self._measurement.total - self._from)
        spent = time.monotonic() - self._started
        return (spent / share if share > 0.1 else self._measurement.seconds) * (1 - share)
