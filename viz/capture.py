"""Read and change the values that a network computes, by hooks on named modules."""

import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from weakref import WeakKeyDictionary

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from mixer.model import Mixer
from mixer.validation import check_exists

INPUT = ".input"

Change = Callable[[Tensor], Tensor]
"""from the output or input of a module to a new tensor of the same shape that replaces it"""

# Outside of the models: a lock can be neither copied nor saved, a model must be.
_LOCKS: WeakKeyDictionary[nn.Module, AbstractContextManager[bool]] = WeakKeyDictionary()
_LOCKS_GUARD = threading.Lock()


@dataclass(frozen=True, eq=False)
class Trace:
    """One forward pass of a Mixer: references to the outputs of its modules, without copies.

    The tuples hold one tensor per block. All tensors are detached and stay on the model's device.
    """

    stem: Float[Tensor, "batch patches channels"]
    """the tokens before the first block"""
    after_token_mixing: tuple[Float[Tensor, "batch patches channels"], ...]
    """the tokens halfway through each block: its input plus the update of its token-mixing MLP"""
    after_channel_mixing: tuple[Float[Tensor, "batch patches channels"], ...]
    """the output of each block"""
    token_hidden: tuple[Float[Tensor, "batch channels token_hidden"], ...]
    """the hidden units of each token-mixing MLP after GELU: one set per channel"""
    channel_hidden: tuple[Float[Tensor, "batch patches channel_hidden"], ...]
    """the hidden units of each channel-mixing MLP after GELU: one set per patch"""
    pooled: Float[Tensor, "batch channels"]
    """the mean token (after the pre-head LayerNorm, if any), which is the input of the head"""
    logits: Float[Tensor, "batch classes"]

    @cached_property
    def depths(self) -> Float[Tensor, "depths batch patches channels"]:
        """The tokens at all depths, in the order of `depth_names`. The first access stacks, hence copies them."""
        sublayers = zip(self.after_token_mixing, self.after_channel_mixing, strict=True)
        return torch.stack([self.stem, *chain.from_iterable(sublayers)])

    def image(self, index: int) -> "Trace":
        """The record of one image, with a batch dimension of 1: views, which keep the whole record in memory.

        Raises ValueError for an index that does not exist.
        """
        check_exists("image", index, len(self.logits))
        one = slice(index, index + 1)
        return Trace(
            stem=self.stem[one],
            after_token_mixing=tuple(tokens[one] for tokens in self.after_token_mixing),
            after_channel_mixing=tuple(tokens[one] for tokens in self.after_channel_mixing),
            token_hidden=tuple(hidden[one] for hidden in self.token_hidden),
            channel_hidden=tuple(hidden[one] for hidden in self.channel_hidden),
            pooled=self.pooled[one],
            logits=self.logits[one],
        )

    def single(self) -> "Trace":
        """This record, if it is of one image. Raises ValueError for several: `image` selects one."""
        if len(self.logits) != 1:
            raise ValueError(f"one image is measured at a time, the trace holds {len(self.logits)}: use trace.image(i)")
        return self


def exclusive(model: nn.Module) -> AbstractContextManager[bool]:
    """The model's lock, the same object for every caller: `with exclusive(model): ...`.

    A hook runs in every pass of its module, from any thread. So if threads share a model, each pass needs this lock,
    also without hooks. The lock is reentrant and belongs to one thread: a generator must not hold it over a `yield`,
    because Gradio may resume it in another thread.
    """
    with _LOCKS_GUARD:
        return _LOCKS.setdefault(model, threading.RLock())


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Lock the model and set eval mode; afterwards restore the mode of every module."""
    with exclusive(model):
        training = [module for module in model.modules() if module.training]
        for module in training:
            module.training = False
        try:
            yield
        finally:
            for module in training:
                module.training = True


@contextmanager
def capture(
    model: nn.Module, names: Collection[str], changes: Mapping[str, Change] | None = None
) -> Iterator[dict[str, Tensor]]:
    """Record the outputs of named modules within the context; its end removes the hooks, also after an error.

    names: as in `model.named_modules()`; with `.input` at the end, the first argument of the module instead of its
        output (`blocks.0.norm2.input`).
    changes: from a name to the function that replaces this output (or input); the record has the new value. A changed
        input is changed for that module alone, not for the residual path around it.

    Yields a dictionary from name to detached tensor, which each pass overwrites. The caller sets mode and gradients.
    The context locks the model (`exclusive`); captures may be nested.

    Raises ValueError for a name that the model does not have.
    """
    modules, changes = dict(model.named_modules()), changes or {}
    for name in (*names, *changes):
        if name.removesuffix(INPUT) not in modules:
            raise ValueError(f"no module is named {name!r}: see model.named_modules(), {INPUT!r} may be added")
    seen: dict[str, Tensor] = {}
    with exclusive(model), ExitStack() as hooks:
        for name, change in changes.items():
            module = modules[name.removesuffix(INPUT)]
            if name.endswith(INPUT):
                hooks.enter_context(module.register_forward_pre_hook(_input_changer(change)))
            else:
                hooks.enter_context(module.register_forward_hook(_output_changer(change)))
        for name in names:
            hooks.enter_context(modules[name.removesuffix(INPUT)].register_forward_hook(_recorder(seen, name)))
        yield seen


def _recorder(seen: dict[str, Tensor], name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
    def record(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        seen[name] = (args[0] if name.endswith(INPUT) else output).detach()

    return record


def _output_changer(change: Change) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]:
    return lambda module, args, output: change(output)


def _input_changer(change: Change) -> Callable[[nn.Module, tuple[Tensor, ...]], tuple[Tensor, ...]]:
    return lambda module, args: (change(args[0]), *args[1:])


def array(values: Tensor, dtype: torch.dtype = torch.float32) -> np.ndarray:
    """A copy as an array: changes of it do not affect the network."""
    return values.detach().to("cpu", dtype, copy=True).numpy()


def sublayer_names(model: Mixer) -> list[str]:
    """The names of the modules whose outputs are added to the tokens, in the order of the depths."""
    return [
        f"blocks.{block}.{sublayer}"
        for block in range(len(model.blocks))
        for sublayer in ("token_mixing", "channel_mixing")
    ]


def depth_names(num_blocks: int) -> tuple[str, ...]:
    """The names of the depths: stem, 1a (after the token mixing of block 1), 1b (after its channel mixing), ..."""
    return ("stem", *(f"{block}{sublayer}" for block in range(1, num_blocks + 1) for sublayer in "ab"))


def depth_sources(num_blocks: int) -> tuple[str, ...]:
    """The names by which `capture` reads the tokens of each depth; halfway through a block, that of norm2's input."""
    return ("stem", *chain.from_iterable((f"blocks.{b}.norm2{INPUT}", f"blocks.{b}") for b in range(num_blocks)))


def trace(model: Mixer, images: Float[Tensor, "batch 3 height width"]) -> Trace:
    """Record a forward pass of a batch in eval mode, without gradients.

    images: normalised, on the model's device. The pass preserves modes, `requires_grad` and `.grad`.
    """
    blocks = [f"blocks.{block}" for block in range(len(model.blocks))]
    depths = depth_sources(len(blocks))
    token_hidden = [f"{block}.token_mixing.gelu" for block in blocks]
    channel_hidden = [f"{block}.channel_mixing.gelu" for block in blocks]
    head = f"head{INPUT}"
    names = (*depths, *token_hidden, *channel_hidden, head)
    with evaluating(model), torch.no_grad(), capture(model, names) as seen:
        logits = model(images)
    return Trace(
        stem=seen[depths[0]],
        after_token_mixing=tuple(seen[name] for name in depths[1::2]),
        after_channel_mixing=tuple(seen[name] for name in depths[2::2]),
        token_hidden=tuple(seen[name] for name in token_hidden),
        channel_hidden=tuple(seen[name] for name in channel_hidden),
        pooled=seen[head],
        logits=logits,
    )


def run_from(
    model: Mixer, tokens: Float[Tensor, "batch patches channels"], depth: int
) -> Float[Tensor, "batch classes"]:
    """The logits from the tokens at a depth (as in `depth_names`): compute only the later layers.

    From the tokens of a pass, the result is the logits of that pass. The caller sets mode and gradients and holds the
    model's lock. Raises ValueError if the depth does not exist.
    """
    check_exists("depth", depth, 2 * len(model.blocks) + 1)
    if depth % 2:  # halfway through a block
        tokens = model.block_at(depth // 2).mix_channels(tokens)
    return model.classify(model.blocks[(depth + 1) // 2 :](tokens))
