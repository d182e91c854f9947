"""Does the network mind when the patches trade places?"""

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
    """place i of the shuffled picture holds patch order[i]"""
    original: Float32[np.ndarray, "classes"]
    both_permuted: Float32[np.ndarray, "classes"]
    """the shuffled picture, seen by the network whose token-mixing weights are shuffled alike"""
    patches_permuted: Float32[np.ndarray, "classes"]
    """the shuffled picture, seen by the network as it is"""
    largest_logit_difference: float
    """between `original` and `both_permuted`: 0 but for rounding"""


def random_order(grid: PatchGrid, seed: int) -> Int64[np.ndarray, "patches"]:
    """Place i gets patch order[i]; the same for the same seed."""
    return np.random.default_rng(seed).permutation(grid.patches)


def permute_patches(
    image: Float[Tensor, "3 height width"], grid: PatchGrid, order: Int[np.ndarray, "patches"]
) -> Float[Tensor, "3 height width"]:
    """The image with its patches shuffled: place i gets patch order[i]. Raises ValueError if that is no permutation."""
    return grid.to_images(grid.to_tokens(image[None])[:, _permutation(order, grid.patches)])[0]


@torch.no_grad()
def permuted_weights(model: Mixer, order: Int[np.ndarray, "patches"]) -> dict[str, Tensor]:
    """With these, the network answers to `permute_patches(image, grid, order)` what it answers to image.

    Only the token-mixing MLPs know one patch from another, so in every block the columns of W1, the rows of W2 and the
    second bias are put into the new order, and nothing else. The tokens of every depth come out in the new order too.
    Raises ValueError if that is no permutation.
    """
    index = _permutation(order, model.config.grid.patches)
    return {
        f"blocks.{block}.token_mixing.{name}": weights.index_select(dim, index.to(weights.device))
        for block in range(len(model.blocks))
        for name, dim in (("fc1.weight", 1), ("fc2.weight", 0), ("fc2.bias", 0))
        for weights in [model.block_at(block).token_mixing.get_parameter(name)]
    }


def permutation_experiment(model: Mixer, image: Float[Tensor, "3 height width"], seed: int) -> PermutationExperiment:
    """Shuffle the patches, and the network alike (after the paper's section 3.4, invariance to input permutations).

    The paper shuffles the patches of every image and trains anew, and finds that a Mixer does not mind. Its reason can
    be shown without training: shuffled weights undo shuffled patches, exactly. The network as it is does mind, since
    it has learned where things are.
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
