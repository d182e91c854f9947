"""Several processes, one for each GPU, that train one network together. Alone, all of this does nothing.

Each has the whole network and takes its part of every batch; their gradients are added. Everything else is identical.
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
    """Within, the processes that torchrun started know each other, and each has its GPU, if there are any."""
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
    """Whether this process is the one that writes files."""
    return not dist.is_initialized() or dist.get_rank() == 0


@contextmanager
def main_process_first() -> Iterator[None]:
    """The others enter when the first has left, and find what it has made."""
    if not is_first():
        dist.barrier()
    yield
    if count() > 1 and is_first():
        dist.barrier()


def shard(batch: Tensor) -> Tensor:
    """The images of a batch, along its first dimension, that are this process's."""
    return batch.tensor_split(count())[dist.get_rank()] if count() > 1 else batch


def all_reduce_sum(tensors: Iterable[Tensor]) -> None:
    """Replace the tensors by their sums over all processes."""
    if count() > 1:
        own = list(tensors)
        flat = parameters_to_vector(own)
        dist.all_reduce(flat)
        vector_to_parameters(flat, own)


def of_first(own: str) -> str:
    """What the first process says in place of this."""
    said = [own]
    if count() > 1:
        dist.broadcast_object_list(said, src=0)
    return said[0]


def any_process(own: bool) -> bool:
    """Whether it is true on any process."""
    if count() == 1:
        return own
    there = torch.tensor([float(own)], device="cuda" if dist.get_backend() == "nccl" else "cpu")
    all_reduce_sum([there])
    return bool(there)
