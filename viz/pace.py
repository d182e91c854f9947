"""How fast a network is, here and now: so a batch is as large as a step of a measurement may take long.

What is computed batch by batch is a generator (`Steps`). Between two batches the model is free, so that whoever clicks
or cancels waits for one batch, however slow the network is. A single pass is never divided.
"""

import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeAlias, TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from mixer.evaluate import at_once
from mixer.model import Mixer
from viz.capture import evaluating

T = TypeVar("T")
Steps: TypeAlias = Generator[int, None, T]
"""yields how many passes each step took (a gradient counts as two), and returns the result"""

MEMORY = 256 * 2**20
"""bytes that one batch may take for what its blocks compute"""
BATCH = 0.2
"""seconds that a batch should take: less than the 0.3 s that a step may, as no two batches take equally long"""
SEEN = 3
"""batches that are remembered: the fastest of them counts, as a machine may be busy with something else for a moment"""

FIRST = 20
"""samples after which what is estimated over all of them is first shown; then whenever there are twice as many"""

STALE = 10
"""seconds after which one more pass is timed: where the machine was busy when a network was opened, little starts by
itself, so that nothing else would show that it is faster by now"""

_SEEN: WeakKeyDictionary[nn.Module, deque[float]] = WeakKeyDictionary()  # beside the models, as their locks are
_UNDISTURBED = ContextVar("undisturbed", default=False)
_WHEN: WeakKeyDictionary[nn.Module, float] = WeakKeyDictionary()


def seconds_per_pass(model: Mixer) -> float:
    """How long a forward pass of one image takes, as it was seen last; for a network that is new, after two."""
    if model not in _SEEN:
        _time_a_pass(model)  # slower than any other
        _time_a_pass(model)
    elif time.perf_counter() - _WHEN[model] > STALE:
        _time_a_pass(model)
    return min(_SEEN[model])


def _time_a_pass(model: Mixer) -> None:
    image = next(model.parameters()).new_zeros(1, 3, *model.config.image_size)
    with timed(model, 1), torch.no_grad():
        model(image)


def as_fast_as(model: Mixer, copy: Mixer) -> None:
    """What is known of a model's pace holds for its copy, too."""
    seconds_per_pass(model)
    _SEEN[copy], _WHEN[copy] = _SEEN[model], _WHEN[model]


@contextmanager
def timed(model: Mixer, passes: int) -> Iterator[None]:
    """The model alone for this thread, in eval mode, for a batch: how long its passes take is remembered."""
    with evaluating(model):
        start = time.perf_counter()
        yield
        if next(model.parameters()).is_cuda:
            torch.cuda.synchronize()
        _SEEN.setdefault(model, deque(maxlen=SEEN)).append((time.perf_counter() - start) / passes)
        _WHEN[model] = time.perf_counter()


def batch_size(model: Mixer, gradients: bool) -> int:
    """How many images fit: for gradients what all blocks compute is kept, else that of one."""
    config, device = model.config, next(model.parameters()).device
    tokens = config.grid.patches * (6 * config.hidden_dim + 2 * config.channels_mlp_dim)
    block = 4 * (tokens + 2 * config.hidden_dim * config.tokens_mlp_dim)  # bytes in float32
    return max(1, min(at_once(device), MEMORY // (block * (config.num_blocks if gradients else 1))))


@contextmanager
def undisturbed() -> Iterator[None]:
    """Within, nobody waits between two batches: each is as large as fits, however long it takes."""
    token = _UNDISTURBED.set(True)
    try:
        yield
    finally:
        _UNDISTURBED.reset(token)


def batches(model: Mixer, items: Tensor, gradients: bool = False, share: float = 1) -> Iterator[Tensor]:
    """Parts of some items, each as large as fits and passes in a step, one after the other as they are asked for.

    items: with one pass each, of an image or of tokens
    gradients: whether a pass keeps what all blocks compute, and takes twice as long
    share: of a pass that each takes
    """
    done = 0
    while done < len(items):
        size = min(batch_size(model, gradients), in_time(model, share * (2 if gradients else 1)))
        yield items[done : done + size]
        done += size


def in_time(model: Mixer, passes: float) -> int:
    """How many images make a batch, if each takes so many passes; at least one."""
    if _UNDISTURBED.get():
        return sys.maxsize
    seconds = min(_SEEN[model]) if model in _SEEN else seconds_per_pass(model)  # within a step, no pass is added
    return max(1, int(BATCH / (passes * seconds)))


def due(before: int, done: int) -> bool:
    """Whether what is estimated is to be shown, now that so many samples are done: after 20, 40, 80, ..."""
    return (done // FIRST).bit_length() > (before // FIRST).bit_length()


def spread_out(images: Tensor) -> Tensor:
    """The numbers of all images in an order in which the first few are from everywhere: samples lie class by class."""
    stride, numbers = max(1, -(-len(images) // FIRST)), torch.arange(len(images), device=images.device)
    return torch.cat([numbers[begin::stride] for begin in range(stride)])


def in_place(found: Tensor, images: Tensor) -> Tensor:
    """What was computed in the order of `spread_out`, in that of the images; NaN for those whose turn has not come."""
    placed = found.new_full((len(images), *found.shape[1:]), torch.nan)
    placed[spread_out(images)[: len(found)]] = found
    return placed


def summed(steps: Steps[T], done: int = 0) -> Steps[T]:
    """The same steps, of which each yields how many passes there were so far."""
    try:
        while True:
            done += next(steps)
            yield done
    except StopIteration as end:
        return end.value


def silent(steps: Steps[T], done: int) -> Steps[T]:
    """The same steps, each of which says that no more is done: they are parts of one."""
    try:
        while True:
            next(steps)
            yield done
    except StopIteration as end:
        return end.value


def with_result(steps: Steps[T], done: int = 0) -> Iterator[int | T]:
    """As `summed`; the result comes last."""
    yield (yield from summed(steps, done))


def collected(
    model: Mixer, items: Tensor, compute: Callable[[Tensor], Tensor], gradients: bool = False
) -> Generator[int, None, Tensor]:
    """What is computed of each item, batch by batch: yields how many items are done, and returns all of it.

    The model is free for other threads between the batches. gradients: as for `batches`
    """
    parts, done = [], 0
    for batch in batches(model, items, gradients):
        parts.append(compute(batch))
        done += len(batch)
        yield done
    return torch.cat(parts)


def estimated(
    model: Mixer,
    images: Tensor,
    compute: Callable[[Tensor], Tensor],
    result: Callable[[Tensor], T],
    gradients: bool = True,
) -> Iterator[int | T]:
    """What follows from what is computed of many images, first of a few of them, then of more.

    Yields how many images are done, and the result whenever it is `due`: of what was computed in the order of
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
    """What steps return, without a break between them."""
    try:
        while True:
            next(steps)
    except StopIteration as end:
        return end.value
