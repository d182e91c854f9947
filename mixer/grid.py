"""The geometry of patches and groups of patches: numbers, rows, columns and pixels."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from einops import rearrange
from einops.layers.torch import Rearrange
from jaxtyping import Float, Int, Int64, Shaped
from torch import Tensor

from mixer.validation import check_exists

GROUP_SIDES = (1, 2, 4)
"""possible sides of a group, in patches"""
MAX_GROUPS = 64
"""largest number of patches without grouping, and of groups by default"""


@dataclass(frozen=True)
class PatchGrid:
    """An image divided into equal patches, numbered row by row from the top left.

    Sizes are (height, width) in pixels. The default, 4 x 8 on a 32 x 32 image, has 8 rows x 4 columns = 32 tokens of 96
    values, like the seed network. The code of the seed used image rows (1 x 32) as tokens, which is the preset
    `seed-rows`; a 4 x 8 patch is the default because a person can locate it in the picture.
    """

    image_size: tuple[int, int] = (32, 32)
    patch_size: tuple[int, int] = (4, 8)

    def __post_init__(self):
        for size, name in ((self.image_size, "image_size"), (self.patch_size, "patch_size")):
            if len(size) != 2 or min(size) < 1:
                raise ValueError(f"{name} must be (height, width), both at least 1, not {size}")
        if self.image_size[0] % self.patch_size[0] or self.image_size[1] % self.patch_size[1]:
            raise ValueError(f"an image of {self.image_size} (height, width) cannot be divided into {self.patch_size}")

    @property
    def rows(self) -> int:
        return self.image_size[0] // self.patch_size[0]

    @property
    def cols(self) -> int:
        return self.image_size[1] // self.patch_size[1]

    @property
    def patches(self) -> int:
        return self.rows * self.cols

    @property
    def values(self) -> int:
        """Values of an RGB patch."""
        return 3 * self.patch_size[0] * self.patch_size[1]

    def to_tokens(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch patches values"]:
        """Pixel values of each patch, ordered by pixel row, pixel column, colour (like the authors' stem)."""
        return self.layer()(images)

    def to_images(self, tokens: Float[Tensor, "batch patches values"]) -> Float[Tensor, "batch 3 height width"]:
        """The inverse of `to_tokens`."""
        (height, width), rows = self.patch_size, self.rows
        return rearrange(tokens, "b (r c) (h w k) -> b k (r h) (c w)", r=rows, h=height, w=width)

    def layer(self) -> Rearrange:
        """`to_tokens` as a module."""
        height, width = self.patch_size
        return Rearrange("b k (r h) (c w) -> b (r c) (h w k)", h=height, w=width)

    def mask(self) -> Int[Tensor, "height width"]:
        """The patch number of each pixel."""
        index = torch.arange(self.patches).reshape(self.rows, self.cols)
        return index.repeat_interleave(self.patch_size[0], 0).repeat_interleave(self.patch_size[1], 1)

    def map(self, values: Shaped[np.ndarray, "..."], axis: int = -1) -> Shaped[np.ndarray, "..."]:
        """Values as a map: the axis of the patches becomes (rows, cols). Raises ValueError for a wrong length."""
        axis %= values.ndim
        if values.shape[axis] != self.patches:
            raise ValueError(f"a grid of {self.patches} patches has no map of {values.shape}")
        return values.reshape(*values.shape[:axis], self.rows, self.cols, *values.shape[axis + 1 :])

    @property
    def positions(self) -> list[tuple[int, int]]:
        """(row, column) of every patch, in the order of their numbers."""
        return [self.position(patch) for patch in range(self.patches)]

    def position(self, patch: int) -> tuple[int, int]:
        """(row, column) of a patch, counted from 0 at the top left."""
        check_exists("patch", patch, self.patches)
        return divmod(patch, self.cols)

    def index(self, row: int, col: int) -> int:
        """The number of the patch at (row, column)."""
        if not (0 <= row < self.rows and 0 <= col < self.cols):
            raise ValueError(f"patch ({row}, {col}) does not exist: there are {self.rows} rows, {self.cols} columns")
        return row * self.cols + col

    def patch_at(self, y: float, x: float) -> int:
        """The number of the patch that holds the pixel at row y, column x of the image."""
        return self.index(int(y // self.patch_size[0]), int(x // self.patch_size[1]))

    def pixels(self, patch: int) -> tuple[slice, slice]:
        """The pixel rows and columns of a patch: `image[..., *grid.pixels(patch)]`."""
        row, col = self.position(patch)
        height, width = self.patch_size
        return slice(row * height, (row + 1) * height), slice(col * width, (col + 1) * width)

    @property
    def sides(self) -> tuple[int, ...]:
        """Possible sides of groups; 1 only if the grid has few patches."""
        return GROUP_SIDES if self.patches > MAX_GROUPS else GROUP_SIDES[:1]

    @property
    def side(self) -> int:
        """The smallest side with at most `MAX_GROUPS` groups: 2 for 14 x 14 patches (49 groups)."""
        return next((side for side in self.sides if len(Groups(self, side)) <= MAX_GROUPS), self.sides[-1])


@dataclass(frozen=True)
class Groups:
    """Square groups of neighbouring patches, numbered row by row; smaller at the right and lower edge.

    With a side of 1, each patch is a group with the same number.
    """

    grid: PatchGrid
    side: int = 1
    """patches along each side of a group"""

    @property
    def rows(self) -> int:
        return -(-self.grid.rows // self.side)

    @property
    def cols(self) -> int:
        return -(-self.grid.cols // self.side)

    def __len__(self) -> int:
        return self.rows * self.cols

    def position(self, group: int) -> tuple[int, int]:
        """(row, column) of a group, counted in groups."""
        return divmod(group, self.cols)

    @cached_property
    def of(self) -> Int64[np.ndarray, "patches"]:
        """The group number of each patch."""
        row, col = np.divmod(np.arange(self.grid.patches), self.grid.cols)
        return row // self.side * self.cols + col // self.side

    @cached_property
    def sizes(self) -> Int64[np.ndarray, "groups"]:
        """Patches in each group."""
        return np.bincount(self.of)

    def patches(self, *groups: int) -> tuple[int, ...]:
        """The patches of these groups, group by group."""
        return tuple(int(patch) for group in groups for patch in np.flatnonzero(self.of == group))

    def expand(self, values: Shaped[np.ndarray, "..."], axis: int = -1) -> Shaped[np.ndarray, "..."]:
        """The value of its group for each patch: the axis of the groups becomes that of the patches.

        Raises ValueError for a wrong length of the axis.
        """
        if values.shape[axis] != len(self):
            raise ValueError(f"{len(self)} groups of patches have no values of {values.shape}")
        return values.take(self.of, axis)

    def sum(self, values: Float[Tensor, "*any patches"]) -> Float[Tensor, "*any groups"]:
        """Sum over the patches of each group."""
        sums = values.new_zeros(*values.shape[:-1], len(self))
        return sums.index_add_(-1, torch.from_numpy(self.of).to(values.device), values)

    def map(self, values: Shaped[np.ndarray, "..."], axis: int = -1) -> Shaped[np.ndarray, "..."]:
        """Values as a map: the axis of the groups becomes (rows, cols)."""
        axis %= values.ndim
        return values.reshape(*values.shape[:axis], self.rows, self.cols, *values.shape[axis + 1 :])

    def box(self, patch: int) -> tuple[int, int, int, int]:
        """(row, column, height, width), in patches, of the group of a patch."""
        row, col = (self.side * (place // self.side) for place in self.grid.position(patch))
        return row, col, min(self.side, self.grid.rows - row), min(self.side, self.grid.cols - col)
