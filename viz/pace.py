"""Batch sizes from the measured speed of a network, so that a step of a measurement takes a limited time.

A computation in batches is a generator (`Steps`). The model is free between two batches, so that a click or a
cancellation waits for one batch at most. A single pass is never divided.
"""

import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from mixer.evaluate import at_once
from mixer.model import Mixer
from viz.capture import evaluating

T = TypeVar("T")
Steps: TypeAlias = Generator[int, None, T]
"""yields the number of passes of each step (a gradient counts as two), and returns the result"""

MEMORY = 256 * 2**20
"""largest memory in bytes of one batch for the values that its blocks compute"""
BATCH = 0.2
"""target seconds of a batch: less than the limit of 0.3 s for a step, because durations vary"""
SEEN = 3
"""number of timed batches: the fastest of them counts, because other programs may slow down a batch"""

FIRST = 20
"""number of samples before the first estimate over all samples is shown; the next ones follow at each doubling"""

STALE = 10
"""seconds before another pass is timed: if the machine was busy when the network was opened, few measurements start
automatically, and only a new timing detects the higher speed"""


@dataclass
class _Speed:
    """The last timings of a model."""

    seen: deque[float] = field(default_factory=lambda: deque(maxlen=SEEN))
    """seconds per pass"""
    when: float = 0
    """the time of the last one"""
    batched: float = 1
    """the duration of an image in a batch, as a share of that of a single image"""

    @property
    def seconds(self) -> float:
        return min(self.seen)

    def note(self, seconds: float) -> None:
        self.seen.append(seconds)
        self.when = time.perf_counter()


_SPEEDS: WeakKeyDictionary[nn.Module, _Speed] = WeakKeyDictionary()  # outside of the models, like their locks
_UNDISTURBED = ContextVar("undisturbed", default=False)


def seconds_per_pass(model: Mixer) -> float:
    """The duration of a forward pass for an image in a batch, as last measured; a new network is timed for it."""
    speed = _SPEEDS.get(model)
    if speed is None:
        _time_images(model, 1)  # the first pass is the slowest
        single = _time_images(model, 1)
        size = min(batch_size(model, gradients=False), max(1, int(BATCH / single)))
        speed = _SPEEDS.setdefault(model, _Speed())
        speed.note(min(single, _time_images(model, size)))
        speed.batched = speed.seconds / single
    elif time.perf_counter() - speed.when > STALE:  # a single image, because a visitor may wait
        speed.note(speed.batched * _time_images(model, 1))
    return speed.seconds


def _time_images(model: Mixer, count: int) -> float:
    """The seconds of an image in a pass of several."""
    images = next(model.parameters()).new_zeros(count, 3, *model.config.image_size)
    with evaluating(model), torch.no_grad():
        start = time.perf_counter()
        model(images)
        return (_now(model) - start) / count


def _now(model: Mixer) -> float:
    """The time at which all passes of a model have ended."""
    if next(model.parameters()).is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter()


def as_fast_as(model: Mixer, copy: Mixer) -> None:
    """Use the measured durations of a model for its copy, too."""
    seconds_per_pass(model)
    _SPEEDS[copy] = _SPEEDS[model]


@contextmanager
def timed(model: Mixer, passes: int) -> Iterator[None]:
    """Lock the model and set eval mode for a batch of passes, and record their duration."""
    with evaluating(model):
        start = time.perf_counter()
        yield
        _SPEEDS.setdefault(model, _Speed()).note((_now(model) - start) / passes)


def batch_size(model: Mixer, gradients: bool) -> int:
    """The number of images that fit into memory: gradients need the values of all blocks, other passes of one."""
    config, device = model.config, next(model.parameters()).device
    tokens = config.grid.patches * (6 * config.hidden_dim + 2 * config.channels_mlp_dim)
    block = 4 * (tokens + 2 * config.hidden_dim * config.tokens_mlp_dim)  # bytes in float32
    return max(1, min(at_once(device), MEMORY // (block * (config.num_blocks if gradients else 1))))


@contextmanager
def undisturbed() -> Iterator[None]:
    """Within this context, no other work waits, so that only memory limits the batches."""
    token = _UNDISTURBED.set(True)
    try:
        yield
    finally:
        _UNDISTURBED.reset(token)


def batches(model: Mixer, items: Tensor, gradients: bool = False, share: float = 1) -> Iterator[Tensor]:
    """Batches of items, each as large as memory and the duration of a step permit.

    items: each needs one pass, of an image or of tokens
    gradients: whether passes keep the values of all blocks, and take twice as long
    share: the part of a pass that each item needs
    """
    done = 0
    while done < len(items):
        size = min(batch_size(model, gradients), in_time(model, share * (2 if gradients else 1)))
        yield items[done : done + size]
        done += size


def in_time(model: Mixer, passes: float) -> int:
    """The number of images, at least one, that a step has time for, if each needs this number of passes."""
    if _UNDISTURBED.get():
        return sys.maxsize
    known = _SPEEDS.get(model)
    seconds = known.seconds if known else seconds_per_pass(model)  # without a new timing within a step
    return max(1, int(BATCH / (passes * seconds)))


def due(before: int, done: int) -> bool:
    """Whether to show an estimate after `done` samples, with `before` at the previous step: after 20, 40, 80, ..."""
    return (done // FIRST).bit_length() > (before // FIRST).bit_length()


def spread_out(images: Tensor) -> Tensor:
    """The indices of all images in an order whose first few cover all classes: samples are sorted by class."""
    stride, numbers = max(1, -(-len(images) // FIRST)), torch.arange(len(images), device=images.device)
    return torch.cat([numbers[begin::stride] for begin in range(stride)])


def in_place(found: Tensor, images: Tensor) -> Tensor:
    """From results in the order of `spread_out` to the order of the images; NaN for images not computed yet."""
    placed = found.new_full((len(images), *found.shape[1:]), torch.nan)
    placed[spread_out(images)[: len(found)]] = found
    return placed


def summed(steps: Steps[T], done: int = 0) -> Steps[T]:
    """The same steps, which yield the total number of passes so far, from `done` on."""
    try:
        while True:
            done += next(steps)
            yield done
    except StopIteration as end:
        return end.value


def silent(steps: Steps[T], done: int) -> Steps[T]:
    """The same steps, which all yield `done`: they are parts of one larger step."""
    try:
        while True:
            next(steps)
            yield done
    except StopIteration as end:
        return end.value


def with_result(steps: Steps[T]) -> Iterator[int | T]:
    """As `summed`, but yields the result at the end."""
    yield (yield from summed(steps))


def estimated(
    model: Mixer,
    images: Tensor,
    compute: Callable[[Tensor], Tensor],
    result: Callable[[Tensor], T],
    gradients: bool = True,
) -> Iterator[int | T]:
    """An estimate from a value of each image, first of a few images, then of more.

    Yields the number of images done, and the `result` of the values whenever it is `due`, in the order of
    `spread_out`. gradients: as for `batches`
    """
    parts, done = list[Tensor](), 0
    for some in batches(model, spread_out(images), gradients):
        parts.append(compute(images[some]))
        before, done = done, done + len(some)
        yield done
        if due(before, done) or done == len(images):
            yield result(torch.cat(parts))


def finish(steps: Steps[T]) -> T:
    """Run all steps, and return their result."""
    try:
        while True:
            next(steps)
    except StopIteration as end:
        return end.value
