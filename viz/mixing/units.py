"""Activations and contributions of the hidden units of the token-mixing MLPs."""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from mixer.model import Mixer
from viz.capture import Trace, array, capture, evaluating
from viz.pace import estimated, in_place


def activations(trace: Trace, block: int, unit: int) -> Float32[np.ndarray, "channels"]:
    """The activation of a unit (after GELU) in each channel of the first image; all channels share its weights."""
    return array(trace.token_hidden[block][0, :, unit])


def strengths(model: Mixer, trace: Trace, block: int) -> Float32[np.ndarray, "units"]:
    """The norm of each unit's contribution to the tokens of the first image: see `_strengths`."""
    return array(_strengths(model, block, trace.token_hidden[block])[0])


def strengths_everywhere(
    model: Mixer, images: Float[Tensor, "images 3 height width"]
) -> Iterator[int | Float32[np.ndarray, "images blocks units"]]:
    """`strengths` of each image in all blocks; yields the number of images done, and the result: first of a few images
    (NaN for the others), finally of all."""
    names = [f"blocks.{block}.token_mixing.gelu" for block in range(len(model.blocks))]

    def of(batch: Tensor) -> Tensor:
        with evaluating(model), torch.no_grad(), capture(model, names) as seen:
            model(batch)
        return torch.stack([_strengths(model, block, seen[name]) for block, name in enumerate(names)], 1)

    return estimated(model, images, of, lambda found: array(in_place(found, images)))


@torch.no_grad()
def _strengths(
    model: Mixer, block: int, hidden: Float[Tensor, "images channels units"]
) -> Float[Tensor, "images units"]:
    """The norm of a unit's contribution to the tokens: its column of W2 times its activations, patches x channels.

    The norm of an outer product is the product of the norms. Contributions can cancel, so their norms do not add up.
    """
    written = model.block_at(block).token_mixing.fc2.weight.norm(dim=0)
    return hidden.norm(dim=1) * written
