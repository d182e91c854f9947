"""Influence of patches on patches for one image: exact through one block, estimated through all blocks.

Each entry is a root mean square gain: a small random change of a token, of size e in every channel, changes the other
token by entry x e in every channel, in the root mean square. The identity (the residual path) has the gain 1.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from mixer.grid import Groups
from mixer.model import Mixer
from viz.capture import array, evaluating
from viz.pace import Steps, due, in_time, spread_out, summed
from viz.running_stats import RunningStats
from viz.zerogpu import on_lent_gpu

OUTPUTS_AT_ONCE = 32
"""number of groups in one backward pass: bounds the memory for networks with many patches"""


@dataclass(frozen=True, eq=False)
class NetworkInfluence:
    """The estimated influence of patches, or of groups of patches, on each other after some of the probes."""

    done: int
    total: int
    influence: Float32[np.ndarray, "groups groups"]
    """[to, from], estimated"""
    standard_error: Float32[np.ndarray, "groups groups"]
    """of each entry; NaN after the first probe, which gives no error"""


def token_jacobian(
    model: Mixer, image: Float[Tensor, "3 height width"], block: int
) -> Float32[np.ndarray, "patches patches"]:
    """The influence of each patch on each patch through the token mixing of a block, for this image; exact.

    Entry [to, from] is ||d u[to] / d x[from]||_F / sqrt(channels), over all pairs of channels, where x are the tokens
    before the block (counted from 0) and u = token_mixing(norm1(x)) is its update. So it includes norm1, but not the
    residual path, which would add 1 to each channel's own derivative for to = from.

    The token-mixing MLP processes each channel separately, so with n = norm1(x), hidden units h and channels c, d
        d u[to, c] / d n[from, c] = sum_h W2[to, h] gelu'(a[h, c]) W1[h, from]
        d n[from, c] / d x[from, d] = row c of the Jacobian of a LayerNorm
    and a squared norm is the sum over c of the first, squared, times the squared norm of that row.

    Raises ValueError for an image of the wrong size or a block that does not exist.
    """
    layer = model.block_at(block)
    mlp = layer.token_mixing
    with torch.no_grad(), evaluating(model):
        x = model.blocks[:block](_stem_tokens(model, image))[0]  # patches channels
        slope = _slope(mlp.gelu, mlp.fc1(layer.norm1(x).mT))  # channels hidden
        lengths = _norm_row_lengths(layer.norm1, x).mT  # channels patches, squared
        rows = [((w * slope) @ mlp.fc1.weight).square().mul(lengths).sum(0) for w in mlp.fc2.weight]
        return array((torch.stack(rows) / x.shape[1]).sqrt())


def mean_token_jacobian(
    model: Mixer, images: Float[Tensor, "images 3 height width"], block: int
) -> Iterator[int | Float32[np.ndarray, "patches patches"]]:
    """The mean of `token_jacobian` over many images; yields the number done, and the mean: first of a few, finally of
    all."""
    spread = RunningStats()
    for number in spread_out(images).tolist():
        spread.add(token_jacobian(model, images[number], block).astype(np.float64))
        yield spread.draws
        if due(spread.draws - 1, spread.draws) or spread.draws == len(images):
            yield spread.mean.astype(np.float32)


@on_lent_gpu
def network_influence(
    model: Mixer, image: Float[Tensor, "3 height width"], probes: int, seed: int, side: int = 1
) -> Iterator[int | NetworkInfluence]:
    """Estimate the influence of each group's stem tokens on each group's tokens after the last block, for this image.

    Entry [to, from] estimates ||J||_F / sqrt(values in last[to]) of J = d last[to] / d stem[from], of all channels of
    all patches of two groups (before `pre_head_norm`; with all residual paths). For a random vector v of signs E ||J^T
    v||^2 = ||J||_F^2 (Hutchinson 1989), and one vector-Jacobian product gives J^T v for all of `from`. The root of a
    mean is slightly low for few probes; its standard error is that of the mean divided by twice the root (the delta
    method).

    side: of the groups, in patches

    Yields after each batch of groups the number of probes done, and after each probe the current estimate. The model
    is free for other threads at each yield. Raises ValueError for an image of the wrong size or fewer than one probe.
    The same seed gives the same numbers.
    """
    if probes < 1:
        raise ValueError(f"probes must be at least 1, not {probes}")
    with torch.inference_mode(False), evaluating(model):
        with torch.no_grad():
            stem = _stem_tokens(model, image)
        with torch.enable_grad():
            last = model.blocks(stem.requires_grad_())
    generator = torch.Generator().manual_seed(seed)
    groups, spread = Groups(model.config.grid, side), RunningStats()
    for done in range(probes):
        signs = torch.randint(2, stem.shape[1:], generator=generator) * 2 - 1
        spread.add((yield from summed(_squared_gain(model, stem, last, signs.to(last), groups), done)))
        yield spread.draws
        influence = np.sqrt(spread.mean, dtype=np.float32)
        yield NetworkInfluence(spread.draws, probes, influence, _standard_error(spread))


def _squared_gain(
    model: Mixer,
    stem: Float[Tensor, "1 patches channels"],
    last: Float[Tensor, "1 patches channels"],
    signs: Float[Tensor, "patches channels"],
    groups: Groups,
) -> Steps[Float[np.ndarray, "groups groups"]]:
    """||J^T v||^2 / values in `to` for each (to, from), where v are the signs of the patches of `to`.

    Yields 0 between the batches, which are parts of one probe.
    """
    rows, of = list[Tensor](), torch.from_numpy(groups.of).to(signs.device)
    for to in torch.arange(len(groups), device=signs.device).split(min(OUTPUTS_AT_ONCE, in_time(model, 1))):
        if rows:
            yield 0
        probe = torch.where((of == to[:, None])[..., None], signs, 0)[:, None]
        (gradient,) = torch.autograd.grad(last, stem, probe, retain_graph=True, is_grads_batched=True)
        rows.append(groups.sum(gradient[:, 0].double().square().mean(2)))
    return torch.cat(rows).cpu().numpy() / groups.sizes[:, None]


def _standard_error(spread: RunningStats) -> Float32[np.ndarray, "patches patches"]:
    """The standard error of the root of the mean; 0 where the mean is 0."""
    error, root = spread.standard_error, 2 * np.sqrt(spread.mean)
    return np.divide(error, root, out=0 * error, where=root > 0).astype(np.float32)


def _stem_tokens(model: Mixer, image: Float[Tensor, "3 height width"]) -> Float[Tensor, "1 patches channels"]:
    if image.shape != (3, *model.config.image_size):
        raise ValueError(f"expected an image of (3, {model.config.image_size}), not {tuple(image.shape)}")
    return model.stem(model.patches(image[None]))


def _slope(gelu: nn.GELU, x: Float[Tensor, "channels hidden"]) -> Float[Tensor, "channels hidden"]:
    """The derivative of the activation at x, for any form of GELU."""
    with torch.inference_mode(False), torch.enable_grad():
        x = x.clone().requires_grad_()
        return torch.autograd.grad(gelu(x).sum(), x)[0]


def _norm_row_lengths(norm: nn.LayerNorm, x: Float[Tensor, "patches channels"]) -> Float[Tensor, "patches channels"]:
    """The squared norm of each row of a LayerNorm's Jacobian at each token.

    With z the token before scale and shift, row c is gamma_c / sigma (e_c - 1/C - z_c z / C), where sigma^2 = variance
    + eps. Because z sums to 0 and its squares to C m (m just below 1, because of eps), its squared norm is
    gamma_c^2 / sigma^2 (1 - 1/C - z_c^2 (2 - m) / C).
    """
    channels = x.shape[1]
    variance, mean = torch.var_mean(x, 1, correction=0, keepdim=True)
    sigma = (variance + norm.eps).sqrt()
    z = (x - mean) / sigma
    m = z.square().mean(1, keepdim=True)
    # rounding can make the norm of a zero row slightly negative
    return (norm.weight / sigma).square() * (1 - 1 / channels - z.square() * (2 - m) / channels).clamp(min=0)
