"""What the parameters alone say: what a unit looks for in the picture, and which patches can talk to each other."""

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
    """The token mixing of a block as if it were linear."""

    matrix: Float32[np.ndarray, "patches patches"]
    """[to, from]"""
    singular_values: Float32[np.ndarray, "patches"]
    """of the matrix, largest first"""


@dataclass(frozen=True, eq=False)
class DistanceProfile:
    """How strongly patches are connected at each distance that occurs in the grid, nearest first."""

    distance: Float32[np.ndarray, "distances"]
    """between the centres of the patches, in pixels; 0 is a patch with itself"""
    mean_weight: Float32[np.ndarray, "distances"]
    """mean of |entry| over all pairs of patches at that distance"""


def reads(model: Mixer, block: int) -> Float32[np.ndarray, "hidden rows cols"]:
    """How strongly each hidden unit of a block's token-mixing MLP weighs each patch (paper, section 3.5, Figure 5).

    These are the rows of W1. A unit has one map for all channels, and reads tokens after norm1, not pixels.
    """
    return model.config.grid.map(array(model.block_at(block).token_mixing.fc1.weight))


def writes(model: Mixer, block: int) -> Float32[np.ndarray, "hidden rows cols"]:
    """What each hidden unit, per unit of its activity, adds to each patch: the columns of W2, as maps like `reads`."""
    return model.config.grid.map(array(model.block_at(block).token_mixing.fc2.weight.mT))


def stem_filters(model: Mixer) -> Float32[np.ndarray, "channels height width 3"]:
    """The pattern in a patch that each channel of the stem answers to, as an RGB tile (paper, Figure 7).

    Signed weights on normalised pixels, not colours between 0 and 1: a figure must scale them, with 0 in the middle.
    """
    height, width = model.config.patch_size
    return array(rearrange(model.stem.weight, "c (h w k) -> c h w k", h=height, w=width, k=3))


def energy(maps: Float32[np.ndarray, "units *place"]) -> Float32[np.ndarray, "units"]:
    """Sum of the squared weights of each map."""
    return np.square(maps).reshape(len(maps), -1).sum(1)


def spatial_frequency(
    maps: Float32[np.ndarray, "units rows cols *colours"], pitch: tuple[int, int]
) -> Float32[np.ndarray, "units"]:
    """How fast each map changes across the picture, in cycles per pixel: the power-weighted mean radial frequency.

    The power is that of the orthonormal two-dimensional DCT-II, whose pattern (k, l) makes k half cycles down and l
    half cycles across the map and so has the frequency hypot(k / (2 rows pitch[0]), l / (2 cols pitch[1])). A DCT,
    because a map does not go on at the opposite edge, as an FFT takes for granted. The mean (of each colour) does not
    count, the powers of the colours are added, and a map that is constant has the frequency 0.

    pitch: (height, width) in pixels of one cell: `grid.patch_size` for reads and writes, (1, 1) for stem filters.
    """
    rows, cols = maps.shape[1:3]
    down, across = np.arange(rows) / (2 * rows * pitch[0]), np.arange(cols) / (2 * cols * pitch[1])
    coefficients = np.einsum("kr,lc,urc...->ukl...", _dct(rows), _dct(cols), maps, optimize=True)
    power = np.square(coefficients).reshape(len(maps), rows, cols, -1).sum(3)
    power[:, 0, 0] = 0
    total, weighted = power.sum((1, 2)), (power * np.hypot(down[:, None], across)).sum((1, 2))
    # below that, what is left beside the mean is the rounding of float32 weights
    varies = total > 1e-12 * energy(maps)
    return np.divide(weighted, total, out=np.zeros_like(total), where=varies).astype(np.float32)


def order(
    maps: Float32[np.ndarray, "units rows cols *colours"], by: str, pitch: tuple[int, int]
) -> Int64[np.ndarray, "units"]:
    """The numbers of the units in the order to show them in. Equal units stay in the order of their numbers.

    by: "frequency", slowest first (as the paper's Figure 5); "energy", strongest first; or "index", as they are. Any
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

    Greedy: of all units that are still free, the two with the most negative (Pearson) correlation become a pair. A
    unit for which no free unit has a negative correlation is left over, and so is a map that is constant.

    Not evidence in itself, as the best of hundreds of partners is opposite by chance too: 512 units with random weights
    on 32 patches pair up at a median of about -0.5. Only what goes well beyond an untrained network is a finding: see
    `untrained_median`.
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
    """The median correlation of `opposite_pairs` of each block's `reads`; yields how many blocks are done, at last all.

    0 where no two units are opposite.
    """
    medians = []
    for block in range(len(model.blocks)):
        medians.append(_median_pair(reads(model, block)))
        yield block + 1
    yield medians


@lru_cache(16)
def untrained_median(units: int, patches: int) -> float:
    """The median correlation of `opposite_pairs` in an untrained network of this shape: what chance alone makes.

    The same for reads and writes: torch draws both weights evenly from an interval around 0, and correlation does not
    depend on its width. One draw, as the median over so many units hardly moves. 0 where no two units are opposite.
    """
    maps = np.random.default_rng(0).uniform(-1, 1, (units, patches)).astype(np.float32)
    return _median_pair(maps)


def _median_pair(maps: Float32[np.ndarray, "units *place"]) -> float:
    _, correlation = opposite_pairs(maps)
    return float(np.median(correlation)) if len(correlation) else 0.0


def linear_summary(model: Mixer, block: int) -> LinearSummary:
    """W2 W1 of a block's token-mixing MLP: entry [to, from] is the net weight from patch to patch, without an image.

    It leaves out the GELU, both biases, norm1 and the residual path: every unit counts as if it were always fully on.
    For what the block does to one image see `viz.mixing.influence`.
    """
    mlp = model.block_at(block).token_mixing
    with torch.no_grad():
        matrix = mlp.fc2.weight.double() @ mlp.fc1.weight.double()
    return LinearSummary(array(matrix), array(torch.linalg.svdvals(matrix)))


def distance_profile(matrix: Float32[np.ndarray, "patches patches"], grid: PatchGrid) -> DistanceProfile:
    """The mean |entry| of a patches x patches matrix against the distance between the two patches.

    It does not show signs, direction or place: a shift to the right and a blur can have the same profile. One strong
    connection among many weak ones drowns in a mean, and the largest distances come from few pairs, all of them at the
    edges. Raises ValueError if the matrix is not of this grid.
    """
    if matrix.shape != (grid.patches, grid.patches):
        raise ValueError(f"a grid of {grid.patches} patches has no matrix of {matrix.shape}")
    corner = np.array([grid.position(patch) for patch in range(grid.patches)]) * grid.patch_size
    # whole numbers, so that equal distances are exactly equal
    squared = np.square(corner[:, None] - corner).sum(2)
    unique, which = np.unique(squared.ravel(), return_inverse=True)
    mean = np.bincount(which, np.abs(matrix).ravel()) / np.bincount(which)
    return DistanceProfile(np.sqrt(unique).astype(np.float32), mean.astype(np.float32))


def _dct(cells: int) -> Float64[np.ndarray, "frequencies cells"]:
    """The orthonormal DCT-II as a matrix."""
    k, n = np.arange(cells)[:, None], np.arange(cells)
    return np.cos(np.pi * k * (n + 0.5) / cells) * np.where(k == 0, np.sqrt(1 / cells), np.sqrt(2 / cells))
