"""What the hidden units of the token-mixing MLPs do for pictures: how active each is, and how much it adds."""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from mixer.model import Mixer
from viz.capture import Trace, array, capture, evaluating
from viz.pace import estimated, in_place


def activations(trace: Trace, block: int, unit: int) -> Float32[np.ndarray, "channels"]:
    """What a unit answers (after GELU) to each channel of the first image, as it looks at all channels alike."""
    return array(trace.token_hidden[block][0, :, unit])


def strengths(model: Mixer, trace: Trace, block: int) -> Float32[np.ndarray, "units"]:
    """How much each unit of a block adds to the tokens of the first image: see `_strengths`."""
    return array(_strengths(model, block, trace.token_hidden[block])[0])


def strengths_everywhere(
    model: Mixer, images: Float[Tensor, "images 3 height width"]
) -> Iterator[int | Float32[np.ndarray, "images blocks units"]]:
    """`strengths` of each image in all blocks; yields how many images are done, and the result: first of a few images
    (NaN for the others), at last of all."""
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
    """The norm of what a unit adds to the tokens: of its column of W2 times its activations, patches x channels.

    The norm of an outer product is the product of the norms. Units can add up or cancel: the norms of two do not add.
    """
    written = model.block_at(block).token_mixing.fc2.weight.norm(dim=0)
    return hidden.norm(dim=1) * written
