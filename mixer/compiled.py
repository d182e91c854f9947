"""On a GPU, networks run as few large kernels instead of many small ones."""

from typing import cast

import torch
from torch import nn


def compiled(model: nn.Module, device: torch.device) -> nn.Module:
    """The model as `torch.compile` makes it, with the same parameters, where that helps and works here; else itself.

    It helps on a GPU: on two cores it was slower (74 images/s instead of 80, forward and backward). It wants a GPU of
    2018 or newer, Triton and a C compiler, and costs half a minute or so at the first step.
    """
    if device.type != "cuda":
        return model
    try:
        torch.compile(nn.GELU())(torch.ones(8, device=device))
    except Exception as error:  # each part that may be missing has errors of its own
        print(f"The training is not compiled, so it is slower: {str(error).strip().partition(chr(10))[0]}")
        return model
    return cast(nn.Module, torch.compile(model))
