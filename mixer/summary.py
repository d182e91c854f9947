"""The layer table of a network, in the format of the seed."""

import torch
from torch import Tensor, nn

from mixer.model import Mixer, MixerBlock


def rows(model: Mixer) -> list[tuple[str, list[int], int]]:
    """(layer, output shape with -1 for the batch, own parameters) of each layer and block, in order of execution."""
    table: list[tuple[str, list[int], int]] = []

    def record(module: nn.Module, _: object, output: Tensor) -> None:
        own = sum(p.numel() for p in module.parameters(recurse=False))
        table.append((f"{type(module).__name__}-{len(table) + 1}", [-1, *output.shape[1:]], own))

    layers = [m for m in model.modules() if isinstance(m, MixerBlock) or not list(m.children())]
    hooks = [layer.register_forward_hook(record) for layer in layers]
    try:
        with torch.inference_mode():
            model(torch.zeros(1, 3, *model.config.image_size, device=model.head.weight.device))
    finally:
        for hook in hooks:
            hook.remove()
    return table


def summary(model: Mixer) -> str:
    """The table with one line per layer, and the totals."""
    lines = ["Layer (type)  Output Shape  Param #", "=" * 64]
    lines += [f"{layer}  {shape}  {own:,}" for layer, shape, own in rows(model)]
    total = sum(p.numel() for p in model.parameters())
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    lines += ["=" * 64, f"Total params: {total:,}", f"Trainable params: {trainable:,}"]
    return "\n".join([*lines, f"Non-trainable params: {total - trainable:,}"])
