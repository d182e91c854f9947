"""GPUs of Hugging Face's ZeroGPU, which lends one for the duration of a call. Outside of ZeroGPU, this does nothing.

The call runs in a separate process: arguments and results are pickled, other changes are lost. So the page and its
cache stay on the CPU, where a pass takes some hundredths of a second, less than the start of a GPU, and uses no daily
quota of the visitor. Only computations that take seconds use a GPU. Each sends the weights (27 MB): weights that are
on the GPU from the start, as ZeroGPU advises, would not be available to the page.
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
"""whether this is a Space with ZeroGPU; the same test as in the package `spaces`"""
DEVICE = torch.device("cuda")

if LENT:
    import spaces  # type: ignore[missing-import]

P = ParamSpec("P")
T = TypeVar("T")
Question = Callable[Concatenate[Mixer, P], Iterator[T]]


def on_lent_gpu(question: Question[P, T]) -> Question[P, T]:
    """Run a generator function on a lent GPU.

    question: its arguments are the model and plain values, tensors, lists and dataclasses of these; it yields plain
        values
    """
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
        # not the model itself: it may have hooks of another thread, and pickle does not support hooks
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
