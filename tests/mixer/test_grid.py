import numpy as np
import pytest
import torch
from einops import rearrange

from mixer.grid import Groups, PatchGrid

GRID = PatchGrid((6, 15), (2, 5))  # 3 rows, 3 columns


def test_default_is_the_seed_s_token_table() -> None:
    grid = PatchGrid()
    assert (grid.rows, grid.cols, grid.patches, grid.values) == (8, 4, 32, 96)
    rows = PatchGrid(patch_size=(1, 32))
    assert (rows.patches, rows.values) == (32, 96)


def test_tokens_hold_the_pixels_of_their_patch() -> None:
    image = torch.arange(3 * 6 * 15.0).reshape(1, 3, 6, 15)
    tokens = GRID.to_tokens(image)
    for patch in range(GRID.patches):
        rows, cols = GRID.pixels(patch)
        assert torch.equal(tokens[0, patch], rearrange(image[0, :, rows, cols], "k h w -> (h w k)"))
    assert torch.equal(GRID.to_images(tokens), image)


def test_every_pixel_is_in_one_patch_whichever_way_one_asks() -> None:
    mask = GRID.mask()
    for y in range(6):
        for x in range(15):
            patch = GRID.patch_at(y, x)
            assert mask[y, x] == patch == GRID.index(y // 2, x // 5)
            assert GRID.position(patch) == (y // 2, x // 5)
            rows, cols = GRID.pixels(patch)
            assert y in range(6)[rows]
            assert x in range(15)[cols]


def test_a_map_has_the_value_of_each_patch_in_its_place() -> None:
    grid = PatchGrid((6, 20), (2, 4))  # 3 rows, 5 columns
    values = np.arange(2 * 15).reshape(2, 15)
    for line, tile in zip(values, grid.map(values), strict=True):
        assert [[line[grid.index(row, col)] for col in range(5)] for row in range(3)] == tile.tolist()
        assert grid.map(line).tolist() == tile.tolist()


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: GRID.position(9), "patch 9 does not exist: there are 9"),
        (lambda: GRID.position(-1), "patch -1 does not exist"),
        (lambda: GRID.index(3, 0), r"patch \(3, 0\) does not exist: there are 3 rows, 3 columns"),
        (lambda: GRID.patch_at(0, 15), r"patch \(0, 3\) does not exist"),
        (lambda: GRID.map(np.zeros((3, 6))), r"9 patches has no map of \(3, 6\)"),
        (lambda: Groups(GRID, 2).expand(np.zeros((4, 9))), r"4 groups of patches have no values of \(4, 9\)"),
        (lambda: PatchGrid((32, 32), (5, 8)), r"\(32, 32\) .* cannot be divided into \(5, 8\)"),
        (lambda: PatchGrid((32, 32), (0, 8)), "patch_size must be .* at least 1"),
    ],
)
def test_places_that_do_not_exist_are_refused(ask, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ask()


def test_a_map_may_have_more_axes_than_that_of_the_patches() -> None:
    values = np.arange(2 * GRID.patches * 5).reshape(2, GRID.patches, 5)
    laid_out = GRID.map(values, axis=1)
    assert laid_out.shape == (2, GRID.rows, GRID.cols, 5)
    for patch, (row, col) in enumerate(GRID.positions):
        np.testing.assert_array_equal(laid_out[:, row, col], values[:, patch])
        assert GRID.index(row, col) == patch


@pytest.mark.parametrize(("side", "rows", "cols"), [(1, 14, 14), (2, 7, 7), (4, 4, 4)])
def test_groups_are_squares_of_neighbours_that_hold_each_patch_once(side: int, rows: int, cols: int) -> None:
    grid = PatchGrid((28, 42), (2, 3))
    groups = Groups(grid, side)
    assert (groups.rows, groups.cols, len(groups)) == (rows, cols, rows * cols)
    assert sorted(groups.patches(*range(len(groups)))) == list(range(196))
    for patch, (row, col) in enumerate(grid.positions):
        top, left, height, width = groups.box(patch)
        inside = {grid.index(y, x) for y in range(top, top + height) for x in range(left, left + width)}
        assert patch in inside
        assert set(groups.patches(int(groups.of[patch]))) == inside
        assert (top, left) == (row - row % side, col - col % side)
    assert groups.sizes.sum() == 196
    assert groups.box(195)[2:] == ((2, 2) if side == 4 else (side, side))  # 14 is no multiple of 4


def test_sums_over_groups_lose_nothing_and_come_back_to_their_patches() -> None:
    groups = Groups(PatchGrid((10, 18), (2, 2)), 4)  # 5 x 9 patches in 2 x 3 groups
    values = torch.arange(2 * 45.0, dtype=torch.float64).reshape(2, 45)
    sums = groups.sum(values)
    for group in range(6):
        assert torch.equal(sums[:, group], values[:, list(groups.patches(group))].sum(1))
    spread = groups.expand(sums.numpy())
    laid_out = groups.map(sums.numpy())
    for patch, (row, col) in enumerate(groups.grid.positions):
        assert spread[1, patch] == laid_out[1, row // 4, col // 4] == sums[1, int(groups.of[patch])]


def test_single_patches_are_groups_of_their_own() -> None:
    groups, values = Groups(GRID), np.arange(9.0)
    assert groups.expand(values).tolist() == values.tolist()
    assert groups.sum(torch.from_numpy(values)).tolist() == values.tolist()
    assert groups.map(values).tolist() == GRID.map(values).tolist()
    assert [groups.box(patch) for patch in range(9)] == [(*place, 1, 1) for place in GRID.positions]


@pytest.mark.parametrize(
    ("rows", "cols", "sides", "side"),
    [(8, 4, (1,), 1), (8, 8, (1,), 1), (14, 14, (1, 2, 4), 2), (28, 28, (1, 2, 4), 4), (5, 13, (1, 2, 4), 2)],
)
def test_only_many_patches_are_grouped_and_as_finely_as_makes_few(
    rows: int, cols: int, sides: tuple[int, ...], side: int
) -> None:
    grid = PatchGrid((2 * rows, 3 * cols), (2, 3))
    assert (grid.sides, grid.side) == (sides, side)
