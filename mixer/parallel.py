"""Data-parallel training: one process per GPU. In a single process, these functions do nothing.

Each process has the whole network and computes a shard of every batch; the gradients are summed. Everything else is
identical.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.utils import parameters_to_vector, vector_to_parameters


@contextmanager
def processes() -> Iterator[None]:
    """Connect the processes of torchrun inside the context, and assign one GPU to each if there are GPUs."""
    if not dist.is_torchelastic_launched():
        yield
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def count() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def is_first() -> bool:
    """Whether this process is the first, which writes the files."""
    return not dist.is_initialized() or dist.get_rank() == 0


@contextmanager
def main_process_first() -> Iterator[None]:
    """Run the block in the first process, then in the others, which can use its files."""
    if not is_first():
        dist.barrier()
    yield
    if count() > 1 and is_first():
        dist.barrier()


def shard(batch: Tensor) -> Tensor:
    """The part of a batch (first dimension) for this process."""
    return batch.tensor_split(count())[dist.get_rank()] if count() > 1 else batch


def all_reduce_sum(tensors: Iterable[Tensor]) -> None:
    """Replace the tensors by their sums over all processes."""
    if count() > 1:
        own = list(tensors)
        flat = parameters_to_vector(own)
        dist.all_reduce(flat)
        vector_to_parameters(flat, own)


def from_first(own: str) -> str:
    """The value of the first process."""
    values = [own]
    if count() > 1:
        dist.broadcast_object_list(values, src=0)
    return values[0]


def any_process(own: bool) -> bool:
    """Whether the value is true in any process."""
    if count() == 1:
        return own
    total = torch.tensor([float(own)], device="cuda" if dist.get_backend() == "nccl" else "cpu")
    all_reduce_sum([total])
    return bool(total)
