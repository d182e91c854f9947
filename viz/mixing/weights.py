"""Analysis of the weights without an image: the maps of units, and the connections between patches."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float32, Float64, Int64

from mixer.grid import PatchGrid
from mixer.model import Mixer
from viz.capture import array


@dataclass(frozen=True, eq=False)
class LinearSummary:
    """The token mixing of a block without its nonlinearity."""

    matrix: Float32[np.ndarray, "patches patches"]
    """[to, from]"""
    singular_values: Float32[np.ndarray, "patches"]
    """of the matrix, largest first"""


@dataclass(frozen=True, eq=False)
class DistanceProfile:
    """The mean connection of patches at each distance of the grid, nearest first."""

    distance: Float32[np.ndarray, "distances"]
    """between the centres of the patches, in pixels; 0: a patch with itself"""
    mean_weight: Float32[np.ndarray, "distances"]
    """mean of |entry| over all pairs of patches at that distance"""


def reads(model: Mixer, block: int) -> Float32[np.ndarray, "hidden rows cols"]:
    """The read weights of each hidden unit of a block's token-mixing MLP for each patch (paper, section 3.5, Figure 5).

    These are the rows of W1. A unit has one map for all channels, and reads tokens after norm1, not pixels.
    """
    return model.config.grid.map(array(model.block_at(block).token_mixing.fc1.weight))


def writes(model: Mixer, block: int) -> Float32[np.ndarray, "hidden rows cols"]:
    """The write weights of each hidden unit for each patch: the columns of W2, as maps like `reads`."""
    return model.config.grid.map(array(model.block_at(block).token_mixing.fc2.weight.mT))


def stem_filters(model: Mixer) -> Float32[np.ndarray, "channels height width 3"]:
    """The weights of each channel of the stem on the pixels of a patch, as an RGB tile (paper, Figure 7).

    The weights are signed and for normalised pixels: a figure must scale them, with 0 in the middle.
    """
    height, width = model.config.patch_size
    return array(rearrange(model.stem.weight, "c (h w k) -> c h w k", h=height, w=width, k=3))


def energy(maps: Float32[np.ndarray, "units *place"]) -> Float32[np.ndarray, "units"]:
    """The sum of the squared weights of each map."""
    return np.square(maps).reshape(len(maps), -1).sum(1)


def spatial_frequency(
    maps: Float32[np.ndarray, "units rows cols *colours"], pitch: tuple[int, int]
) -> Float32[np.ndarray, "units"]:
    """The power-weighted mean radial frequency of each map, in cycles per pixel.

    The power is that of the orthonormal two-dimensional DCT-II, whose pattern (k, l) has k half cycles down and l half
    cycles across the map and so the frequency hypot(k / (2 rows pitch[0]), l / (2 cols pitch[1])). An FFT would assume
    periodic maps. The mean (of each colour) does not count, the powers of the colours are added, and a constant map
    has the frequency 0.

    pitch: (height, width) in pixels of one cell: `grid.patch_size` for reads and writes, (1, 1) for stem filters.
    """
    rows, cols = maps.shape[1:3]
    down, across = np.arange(rows) / (2 * rows * pitch[0]), np.arange(cols) / (2 * cols * pitch[1])
    coefficients = np.einsum("kr,lc,urc...->ukl...", _dct(rows), _dct(cols), maps, optimize=True)
    power = np.square(coefficients).reshape(len(maps), rows, cols, -1).sum(3)
    power[:, 0, 0] = 0
    total, weighted = power.sum((1, 2)), (power * np.hypot(down[:, None], across)).sum((1, 2))
    # smaller power is rounding of float32 weights
    varies = total > 1e-12 * energy(maps)
    return np.divide(weighted, total, out=np.zeros_like(total), where=varies).astype(np.float32)


def order(
    maps: Float32[np.ndarray, "units rows cols *colours"], by: str, pitch: tuple[int, int]
) -> Int64[np.ndarray, "units"]:
    """The numbers of the units in the order for display. Equal units keep the order of their numbers.

    by: "frequency", lowest first (as in the paper's Figure 5); "energy", highest first; or "index", unchanged. Any
        other raises ValueError.
    pitch: see `spatial_frequency`.
    """
    if by == "frequency":
        return np.argsort(spatial_frequency(maps, pitch), kind="stable")
    if by == "energy":
        return np.argsort(-energy(maps), kind="stable")
    if by == "index":
        return np.arange(len(maps))
    raise ValueError(f"units can be ordered by frequency, energy or index, not {by!r}")


def strength_at(maps: Float32[np.ndarray, "units rows cols"], rows: slice, cols: slice) -> Float32[np.ndarray, "units"]:
    """The mean absolute weight of each unit on the patches of a region."""
    return np.abs(maps[:, rows, cols]).mean((1, 2))


def opposite_pairs(
    maps: Float32[np.ndarray, "units *place"],
) -> tuple[Int64[np.ndarray, "pairs 2"], Float32[np.ndarray, "pairs"]]:
    """Pairs of units with opposite phase and their correlations, the most opposite first (paper, section 3.5).

    Greedy: of all free units, the two with the most negative (Pearson) correlation become a pair. A unit without a
    negative correlation with any free unit stays single, and so does a constant map.

    Pairs alone are not evidence, because the best of hundreds of partners is opposite by chance, too: 512 units with
    random weights on 32 patches have a median of about -0.5. Compare it with `untrained_median`.
    """
    centred = maps.reshape(len(maps), -1).astype(np.float64)
    centred -= centred.mean(1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    unit = np.divide(centred, length, out=np.zeros_like(centred), where=length > 0)
    correlation = np.triu(unit @ unit.T, 1)
    candidates = np.flatnonzero(correlation < 0)
    candidates = candidates[correlation.ravel()[candidates].argsort(kind="stable")]
    free, pairs = [True] * len(maps), []
    for a, b in zip(*(units.tolist() for units in np.divmod(candidates, len(maps))), strict=True):
        if free[a] and free[b]:
            free[a] = free[b] = False
            pairs.append((a, b))
    chosen = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return chosen, correlation[tuple(chosen.T)].astype(np.float32)


def median_pairs(model: Mixer) -> Iterator[int | list[float]]:
    """The median correlation of `opposite_pairs` of each block's `reads`, 0 without pairs.

    Yields the number of blocks done, finally the list of all medians.
    """
    medians = []
    for block in range(len(model.blocks)):
        medians.append(_median_pair(reads(model, block)))
        yield block + 1
    yield medians


@lru_cache(16)
def untrained_median(units: int, patches: int) -> float:
    """The median correlation of `opposite_pairs` in an untrained network of this shape, 0 without pairs.

    It is the same for reads and writes: torch draws both weights uniformly from an interval around 0, and correlation
    does not depend on its width. One draw is enough, because the median over many units varies little.
    """
    maps = np.random.default_rng(0).uniform(-1, 1, (units, patches)).astype(np.float32)
    return _median_pair(maps)


def _median_pair(maps: Float32[np.ndarray, "units *place"]) -> float:
    _, correlation = opposite_pairs(maps)
    return float(np.median(correlation)) if len(correlation) else 0.0


def linear_summary(model: Mixer, block: int) -> LinearSummary:
    """W2 W1 of a block's token-mixing MLP: entry [to, from] is the net weight from patch to patch, without an image.

    It omits the GELU, both biases, norm1 and the residual path. For the influence in one image see
    `viz.mixing.influence`.
    """
    mlp = model.block_at(block).token_mixing
    with torch.no_grad():
        matrix = mlp.fc2.weight.double() @ mlp.fc1.weight.double()
    return LinearSummary(array(matrix), array(torch.linalg.svdvals(matrix)))


def distance_profile(matrix: Float32[np.ndarray, "patches patches"], grid: PatchGrid) -> DistanceProfile:
    """The mean |entry| of a patches x patches matrix against the distance between the two patches.

    It does not show sign, direction or position: a shift to the right and a blur can have the same profile. A mean
    hides one strong connection among many weak ones, and the largest distances have few pairs, all of them at the
    edges. Raises ValueError if the matrix does not match the grid.
    """
    if matrix.shape != (grid.patches, grid.patches):
        raise ValueError(f"a grid of {grid.patches} patches has no matrix of {matrix.shape}")
    corner = np.array([grid.position(patch) for patch in range(grid.patches)]) * grid.patch_size
    # integers, so that equal distances are exactly equal
    squared = np.square(corner[:, None] - corner).sum(2)
    unique, which = np.unique(squared.ravel(), return_inverse=True)
    mean = np.bincount(which, np.abs(matrix).ravel()) / np.bincount(which)
    return DistanceProfile(np.sqrt(unique).astype(np.float32), mean.astype(np.float32))


def _dct(cells: int) -> Float64[np.ndarray, "frequencies cells"]:
    """The orthonormal DCT-II as a matrix."""
    k, n = np.arange(cells)[:, None], np.arange(cells)
    return np.cos(np.pi * k * (n + 0.5) / cells) * np.where(k == 0, np.sqrt(1 / cells), np.sqrt(2 / cells))
