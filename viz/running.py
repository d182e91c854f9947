"""What takes time: measurements that are made step by step, remembered, and may be given up between two steps.

One thread touches the model (`on_model_thread`): threads that take turns would each keep memory and a team of workers
of their own. So whoever measures and whoever clicks take turns, step by step, and nobody waits for a whole measurement.
How long a step takes at most, `viz.pace` sees to.
"""

import asyncio
import time
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

BUDGET = 3
"""seconds of measurements that start by themselves after each choice of a visitor; what is more, is to be asked for"""

_MODEL_THREAD = ThreadPoolExecutor(1, "model")


async def on_model_thread(work: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
    """What `work` returns, done by the one thread that touches the model, in the order in which it is asked for."""
    context = copy_context()  # ZeroGPU finds the visitor in it
    return await asyncio.get_running_loop().run_in_executor(_MODEL_THREAD, lambda: context.run(work, *args, **options))


@dataclass(frozen=True, eq=False)
class Measurement:
    """Something that a view needs and that is not known yet."""

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
    """does it and remembers the result; yields how many are done"""
    asked: bool = False
    """whether it waits until the visitor asks for it"""


def duration(seconds: float) -> str:
    """In words: 12 s, 5 min, 3 h 57 min."""
    if seconds < 59.5:
        return f"{max(1, round(seconds))} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return " ".join(f"{count} {unit}" for count, unit in ((hours, "h"), (minutes, "min")) if count)


class Clock:
    """How long the rest takes: at first as expected, soon by the pace so far."""

    def __init__(self, measurement: Measurement):
        self._measurement, self._started = measurement, time.monotonic()

    def left(self, done: int) -> float:
        """Seconds."""
        share = done / max(1, self._measurement.total)
        spent = time.monotonic() - self._started
        return (spent / share if share > 0.1 else self._measurement.seconds) * (1 - share)
