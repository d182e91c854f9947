"""Influence of patches on patches for one image: exact through one block, estimated through all blocks.

Each entry is a root mean square gain: a small random change of a token, of size e in every channel, changes the other
token by entry x e in every channel, in the root mean square. The identity (the residual path) has the gain 1.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor, nn

from mixer.grid import Groups
from mixer.model import Mixer
from mixer.validation import check_exists
from viz.capture import array, evaluating
from viz.pace import due, in_time, spread_out
from viz.running_stats import RunningStats
from viz.zerogpu import on_lent_gpu

OUTPUTS_AT_ONCE = 32
"""number of products in one backward pass: bounds the memory for networks with many patches"""


@dataclass(frozen=True, eq=False)
class NetworkInfluence:
    """The estimated influence of patches, or of groups of patches, on each other after some of the probes."""

    probes: Int64[np.ndarray, "groups"]
    """the number of probes of each row"""
    influence: Float32[np.ndarray, "groups groups"]
    """[to, from], estimated; NaN in rows without a probe"""
    standard_error: Float32[np.ndarray, "groups groups"]
    """of each entry; NaN in rows with fewer than two probes, which give no error"""


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
    model: Mixer, image: Float[Tensor, "3 height width"], probes: int, seed: int, side: int = 1, first: int = 0
) -> Iterator[int | NetworkInfluence]:
    """Estimate the influence of each group's stem tokens on each group's tokens after the last block, for this image.

    Entry [to, from] estimates ||J||_F / sqrt(values in last[to]) of J = d last[to] / d stem[from], of all channels of
    all patches of two groups (before `pre_head_norm`; with all residual paths). For a random vector v of signs E ||J^T
    v||^2 = ||J||_F^2 (Hutchinson 1989), and one vector-Jacobian product gives J^T v for all of `from`. The root of a
    mean is slightly low for few probes; its standard error is that of the mean divided by twice the root (the delta
    method).

    side: of the groups, in patches
    first: the group whose row is estimated first; each row has two probes before any has three

    Yields after each batch of vector-Jacobian products their number so far, and the current estimate once a row has
    two probes, or all it gets. The model is free for other threads at each yield. Raises ValueError for an image of the
    wrong size, fewer than one probe, or a group that does not exist. The same seed gives the same final numbers.
    """
    groups = Groups(model.config.grid, side)
    check_exists("group", first, len(groups))
    if probes < 1:
        raise ValueError(f"probes must be at least 1, not {probes}")
    with torch.inference_mode(False), evaluating(model):
        with torch.no_grad():
            stem = _stem_tokens(model, image)
        with torch.enable_grad():
            last = model.blocks(stem.requires_grad_())
    signs = torch.randint(2, (probes, *stem.shape[1:]), generator=torch.Generator().manual_seed(seed)) * 2 - 1
    spreads, done = [RunningStats() for _ in range(len(groups))], 0
    order, numbers = sorted(range(len(groups)), key=lambda row: row != first), range(probes)
    todo = [(row, probe) for pair in range(0, probes, 2) for row in order for probe in numbers[pair : pair + 2]]
    while done < len(todo):
        rows, of = zip(*todo[done : done + min(OUTPUTS_AT_ONCE, in_time(model, 1))], strict=True)
        for row, gain in zip(rows, _squared_gains(stem, last, signs[[*of]], groups, rows), strict=True):
            spreads[row].add(gain)
        done += len(rows)
        yield done
        if done >= min(2, probes):
            yield _estimate(spreads)


def _squared_gains(
    stem: Float[Tensor, "1 patches channels"],
    last: Float[Tensor, "1 patches channels"],
    signs: Int64[Tensor, "products patches channels"],
    groups: Groups,
    rows: Sequence[int],
) -> Float[np.ndarray, "products groups"]:
    """||J^T v||^2 / values in `to` for each from, where v are the signs of the patches of one group, `to`."""
    inside = torch.from_numpy(groups.of == np.array(rows)[:, None])[..., None]  # products patches 1
    probe = torch.where(inside, signs, 0).to(last)[:, None]
    (gradient,) = torch.autograd.grad(last, stem, probe, retain_graph=True, is_grads_batched=True)
    gains = groups.sum(gradient[:, 0].double().square().mean(2))
    return gains.cpu().numpy() / groups.sizes[[*rows], None]


def _estimate(spreads: Sequence[RunningStats]) -> NetworkInfluence:
    """The estimate from the squared gains of each row. The standard error of the root is 0 where the mean is 0."""
    unknown = np.full(len(spreads), np.nan)
    mean = np.stack([spread.mean if spread.draws else unknown for spread in spreads])
    error = np.stack([spread.standard_error if spread.draws else unknown for spread in spreads])
    root = np.sqrt(mean)
    error = np.divide(error, 2 * root, out=0 * error, where=root > 0)
    probes = np.array([spread.draws for spread in spreads])
    return NetworkInfluence(probes, root.astype(np.float32), error.astype(np.float32))


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
