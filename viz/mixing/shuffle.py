"""Does the answer change if the patches are permuted?"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Int, Int64
from torch import Tensor
from torch.func import functional_call

from mixer.grid import PatchGrid
from mixer.model import Mixer
from viz.capture import array, evaluating


@dataclass(frozen=True, eq=False)
class PermutationExperiment:
    """The answers to a picture, and to the same picture with its patches shuffled. Probabilities, not logits."""

    order: Int64[np.ndarray, "patches"]
    """position i of the shuffled picture has patch order[i]"""
    original: Float32[np.ndarray, "classes"]
    both_permuted: Float32[np.ndarray, "classes"]
    """the shuffled picture, by the network with its token-mixing weights in the same order"""
    patches_permuted: Float32[np.ndarray, "classes"]
    """the shuffled picture, by the unchanged network"""
    largest_logit_difference: float
    """between `original` and `both_permuted`: 0 except for rounding"""


def random_order(grid: PatchGrid, seed: int) -> Int64[np.ndarray, "patches"]:
    """A random permutation of the patches; the same seed gives the same order."""
    return np.random.default_rng(seed).permutation(grid.patches)


def permute_patches(
    image: Float[Tensor, "3 height width"], grid: PatchGrid, order: Int[np.ndarray, "patches"]
) -> Float[Tensor, "3 height width"]:
    """The image with patch order[i] at position i. Raises ValueError if the order is not a permutation."""
    return grid.to_images(grid.to_tokens(image[None])[:, _permutation(order, grid.patches)])[0]


@torch.no_grad()
def permuted_weights(model: Mixer, order: Int[np.ndarray, "patches"]) -> dict[str, Tensor]:
    """Weights with which the answer to `permute_patches(image, grid, order)` equals that to the image.

    Only the token-mixing MLPs depend on the position of a patch, so the permutation is of the columns of W1, the rows
    of W2 and the second bias of every block. It then also applies to the tokens of every depth. Raises ValueError if
    the order is not a permutation.
    """
    index = _permutation(order, model.config.grid.patches)
    return {
        f"blocks.{block}.token_mixing.{name}": weights.index_select(dim, index.to(weights.device))
        for block in range(len(model.blocks))
        for name, dim in (("fc1.weight", 1), ("fc2.weight", 0), ("fc2.bias", 0))
        for weights in [model.block_at(block).token_mixing.get_parameter(name)]
    }


def permutation_experiment(model: Mixer, image: Float[Tensor, "3 height width"], seed: int) -> PermutationExperiment:
    """Permute the patches, with and without the weights (after the paper's section 3.4, invariance to permutations).

    The paper trains on pictures with one shared permutation, and finds that a Mixer is invariant to it. The reason can
    be shown without training: permuted weights exactly undo permuted patches. With unchanged weights the answer may
    change, because the weights depend on positions.
    """
    grid = model.config.grid
    order = random_order(grid, seed)
    shuffled = permute_patches(image, grid, order)
    with torch.no_grad(), evaluating(model):
        original, patches = model(torch.stack([image, shuffled]))
        (both,) = functional_call(model, permuted_weights(model, order), shuffled[None])
    original_p, both_p, patches_p = (array(x.softmax(0)) for x in (original, both, patches))
    return PermutationExperiment(order, original_p, both_p, patches_p, (original - both).abs().max().item())


def _permutation(order: Int[np.ndarray, "patches"], patches: int) -> Tensor:
    if not np.array_equal(np.sort(order), np.arange(patches)):
        raise ValueError(f"an order must name each patch from 0 to {patches - 1} once, not {order.tolist()}")
    return torch.from_numpy(order.copy()).long()
