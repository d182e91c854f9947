"""A GPU on loan: Hugging Face's ZeroGPU lends one for the length of a call. Anywhere else, nothing happens here.

The call runs in a process of its own. What it takes and gives is pickled, and what it stores elsewhere is lost. So the
page, with all that it remembers, stays on the CPU. There the network answers in some hundredths of a second, sooner
than a GPU can be lent, and the visitor's daily quota is spared. Only questions that take seconds borrow one. The
weights (27 MB) go along with each: the advice to place them on the GPU at the start would take them from the page.
https://huggingface.co/docs/hub/spaces-zerogpu
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import torch
from torch import Tensor

from mixer.model import Mixer, MixerConfig

LENT = os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")
"""whether this is a Space where GPUs are lent; as the package `spaces` itself tells it"""
DEVICE = torch.device("cuda")

if LENT:
    import spaces  # type: ignore[missing-import]

P = ParamSpec("P")
T = TypeVar("T")
Question = Callable[Concatenate[Mixer, P], Iterator[T]]


def on_lent_gpu(question: Question[P, T]) -> Question[P, T]:
    """Decorates a generator over plain values that takes the model; and tensors, dataclasses of them, lists."""
    if not LENT:
        return question

    @spaces.GPU
    def there(config: MixerConfig, weights: dict[str, Tensor], args: Any, options: Any) -> Iterator[Any]:
        model = Mixer(config).to(DEVICE).eval()
        model.load_state_dict(weights)
        args, options = [_moved(v) for v in args], {name: _moved(v) for name, v in options.items()}
        yield from question(model, *args, **options)  # type: ignore[invalid-param-spec]

    @wraps(question)
    def here(model: Mixer, *args: P.args, **options: P.kwargs) -> Iterator[T]:
        # not the model itself: another thread may have hooks in it just now, which cannot be pickled
        yield from there(model.config, model.state_dict(), args, options)

    return here


def _moved(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.to(DEVICE)
    if isinstance(value, list):
        return [_moved(each) for each in value]
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{field.name: _moved(getattr(value, field.name)) for field in fields(value)})
    return value
