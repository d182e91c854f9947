"""Compilation of networks for a GPU: few large kernels instead of many small ones."""

from typing import cast

import torch
from torch import nn


def compiled(model: nn.Module, device: torch.device) -> nn.Module:
    """The compiled model on a GPU, with the same parameters; the model itself on a CPU or if compilation fails.

    On two CPU cores, the compiled model was slower (74 images/s instead of 80, forward and backward). Compilation needs
    a GPU of 2018 or newer, Triton and a C compiler, and takes about half a minute at the first step.
    """
    if device.type != "cuda":
        return model
    try:
        torch.compile(nn.GELU())(torch.ones(8, device=device))
    except Exception as error:  # each missing component raises another type
        print(f"Training runs without compilation, which is slower: {str(error).strip().partition(chr(10))[0]}")
        return model
    return cast(nn.Module, torch.compile(model))
