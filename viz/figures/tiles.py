"""Grids of small maps and pictures (tiles)."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float32, Int, UInt8

from viz.figures.style import (
    BAR,
    BEFORE,
    GUTTER,
    HERE,
    Box,
    caption,
    colorbar_below,
    frame_box,
    picture_figure,
    places,
    scale,
    smallest_dtype,
    sublayers_above,
)
from viz.pictures import png_url

CAPTION = 3 * GUTTER
"""number of cells above a tile with a caption"""

Point: TypeAlias = Sequence[int]
"""(row, column) of a cell, from a browser"""
Shape: TypeAlias = tuple[int, ...]
"""(tiles, rows, columns)"""


def tile_columns(count: int, height: float, width: float) -> int:
    """The number of tiles in a line with which the whole figure is about twice as wide as high.

    It is even, and fills the last line if a number nearby does. height, width: of a tile with its gap
    """
    ideal = (2 * count * height / width) ** 0.5
    near = [columns for columns in range(2, 2 * count, 2) if ideal / 1.15 <= columns <= 1.15 * ideal]
    return min(near, key=lambda columns: (-count % columns, max(columns / ideal, ideal / columns)), default=2)


def tiles(
    maps: Float32[np.ndarray, "tiles rows cols"],
    names: Sequence[str],
    label: str,
    signed: bool,
    columns: int,
    cell: tuple[int, int],
    span: float | None = None,
    chosen: Box | None = None,
) -> go.Figure:
    """Many maps with a common colour scale, as a single heatmap with gaps between them.

    cell: (height, width) of a patch in pixels, so that every tile has the shape of the picture
    span: the end of a signed scale; default: the 99th percentile
    chosen: the patch or group to frame in every tile
    """
    shown = _layout(maps.shape, columns, CAPTION)
    heat, corners = _heatmap(maps, shown, cell, label, signed, span)
    heat.update(customdata=smallest_dtype(shown[..., 1:]), hovertemplate=f"{HERE}: %{{z:.3g}}<extra></extra>")
    captions = [caption(name, *corner) for name, corner in zip(names, corners, strict=True)]
    lines = sublayers_above(names, corners, maps.shape[2] * cell[1])
    return picture_figure(
        heat, (_ratio(heat), BAR, 640), annotations=captions, shapes=[*lines, *_framed(corners, cell, chosen)]
    )


def tile_at(point: Point, shape: Shape, columns: int) -> tuple[int, int, int]:
    """(tile, row, column) of a cell of `tiles`. shape: of its maps. Raises ValueError for a gap."""
    return _shown_at(point, _layout(shape, columns, CAPTION))


def unit_tiles(
    maps: Float32[np.ndarray, "tiles rows cols"],
    units: Int[np.ndarray, "tiles"],
    label: str,
    columns: int,
    cell: tuple[int, int],
    chosen: tuple[int, int],
    group: int = 1,
) -> go.Figure:
    """`tiles` for hundreds of signed maps, without captions; hover texts use numbers, which need fewer bytes.

    units: the number of each map's unit
    group: number of tiles before a wider gap
    """
    shown = _layout(maps.shape, columns, GUTTER, group)
    heat, corners = _heatmap(maps, shown, cell, label, True, None)
    hover = np.dstack([units[shown[..., 0]], shown[..., 1:]]).clip(0)
    heat.update(
        customdata=smallest_dtype(hover),
        hovertemplate="unit %{customdata[0]}, patch (%{customdata[1]}, %{customdata[2]}): %{z:.3g}<extra></extra>",
    )
    thin = _framed(corners, cell, chosen)[-1] | {"line": {"color": "black", "width": 1}}  # cells have but some pixels
    return picture_figure(heat, (_ratio(heat), BAR, 900), shapes=[thin])


def unit_tile_at(point: Point, shape: Shape, columns: int, group: int) -> tuple[int, int, int]:
    """`tile_at` for `unit_tiles`."""
    return _shown_at(point, _layout(shape, columns, GUTTER, group))


def _layout(shape: Shape, columns: int, top: int, group: int = 1) -> Int[np.ndarray, "down across 3"]:
    """(tile, row, column) of each cell of a canvas; -1 between tiles. top: number of cells above a tile"""
    count, rows, cols = shape
    high, wide = rows + top, cols + GUTTER
    left = np.arange(columns) * wide + np.arange(columns) // group * GUTTER * (group > 1)
    canvas = np.full((-(-count // columns) * high, left[-1] + wide, 3), -1)
    for i in range(count):
        y, x = i // columns * high + top, left[i % columns]
        canvas[y : y + rows, x : x + cols, 0] = i
        canvas[y : y + rows, x : x + cols, 1:] = places(rows, cols)
    return canvas


def _shown_at(point: Point, shown: Int[np.ndarray, "down across 3"]) -> tuple[int, int, int]:
    y, x = point
    if min(y, x) < 0 or (found := shown[y, x].tolist())[0] < 0:
        raise ValueError(f"no tile is at cell ({y}, {x})")
    tile, row, col = found
    return tile, row, col


def _heatmap(
    maps: Float32[np.ndarray, "tiles rows cols"],
    shown: Int[np.ndarray, "down across 3"],
    cell: tuple[int, int],
    label: str,
    signed: bool,
    span: float | None,
) -> tuple[go.Heatmap, list[tuple[float, float]]]:
    """The heatmap of a layout, and the corner (x, y) of each map."""
    filled = shown[..., 0] >= 0
    gap = (maps.shape[1] * cell[0] / 8, maps.shape[2] * cell[1] / 8)  # space for captions
    heights, widths = (np.where(filled.any(1 - axis), cell[axis], gap[axis]) for axis in range(2))
    down, across = (np.append(0, sizes.cumsum()).astype(np.float32) - 0.5 for sizes in (heights, widths))
    heat = go.Heatmap(
        z=np.where(filled, maps[tuple(np.moveaxis(shown, -1, 0))], np.float32(np.nan)),
        x=across,
        y=down,
        hoverongaps=False,
        colorbar=colorbar_below(label),
        **scale(maps, signed, span),
    )
    first = np.argwhere(filled & (shown[..., 1:] == 0).all(-1))
    return heat, [(float(across[x] + 0.5), float(down[y] + 0.5)) for y, x in first]


def _ratio(heat: go.Heatmap) -> float:
    """height / width."""
    return float((heat.y[-1] - heat.y[0]) / (heat.x[-1] - heat.x[0]))


def _framed(corners: Sequence[tuple[float, float]], cell: tuple[int, int], chosen: Box | None) -> list[dict]:
    """The frames of a patch in all tiles."""
    return [] if chosen is None else frame_box(corners, chosen, cell)


def colour_tiles(
    colours: Float32[np.ndarray, "tiles rows cols 3"], names: Sequence[str], columns: int, cell: tuple[int, int]
) -> go.Figure:
    """Many maps in RGB (0 to 1), with gaps between them.

    All cells have one size, and gaps are an eighth of a map. So maps with fewer than 8 patches in a direction use
    several cells for each patch.
    """
    count, rows, cols, _ = colours.shape
    split_y, split_x = -(-8 // rows), -(-8 // cols)
    rows, cols, dy, dx = rows * split_y, cols * split_x, cell[0] / split_y, cell[1] / split_x
    top, gap = 3 * round(rows / 8), round(cols / 8)
    high, wide = rows + top, cols + gap
    canvas = np.zeros((-(-count // columns) * high, columns * wide, 4), np.uint8)
    numbers, corners = np.zeros((*canvas.shape[:2], 2), np.int64), []
    for i, tile in enumerate(colours):
        y, x = i // columns * high + top, i % columns * wide
        corners.append((x * dx, y * dy))
        canvas[y : y + rows, x : x + cols, :3] = (tile * 255).round().repeat(split_y, 0).repeat(split_x, 1)
        canvas[y : y + rows, x : x + cols, 3] = 255
        numbers[y : y + rows, x : x + cols] = places(rows, cols) // (split_y, split_x)
    image = go.Image(
        z=canvas,
        colormodel="rgba256",
        x0=dx / 2 - 0.5,
        dx=dx,
        y0=dy / 2 - 0.5,
        dy=dy,
        customdata=smallest_dtype(numbers),
        hovertemplate=f"{HERE}: red %{{z[0]}}, green %{{z[1]}}, blue %{{z[2]}} of 255<extra></extra>",
    )
    shape = (canvas.shape[0] * dy / (canvas.shape[1] * dx), 20, 600)
    captions = [caption(name, *spot) for name, spot in zip(names, corners, strict=True)]
    lines = sublayers_above(names, corners, cols * dx)
    return picture_figure(image, shape, annotations=captions, shapes=lines)


def colour_tile_at(point: Point, shape: Shape, columns: int) -> tuple[int, int, int]:
    """`tile_at` for `colour_tiles`."""
    (y, x), (count, rows, cols) = point, shape
    split_y, split_x = -(-8 // rows), -(-8 // cols)
    rows, cols = rows * split_y, cols * split_x
    top, gap = 3 * round(rows / 8), round(cols / 8)
    (line, row), (column, col) = divmod(y, rows + top), divmod(x, cols + gap)
    tile = line * columns + column
    if min(y, x) < 0 or row < top or col >= cols or column >= columns or tile >= count:
        raise ValueError(f"no tile is at cell ({y}, {x})")
    return tile, (row - top) // split_y, col // split_x


def filter_tiles(
    filters: Float32[np.ndarray, "filters height width 3"],
    channels: Int[np.ndarray, "filters"],
    columns: int,
    span: float,
) -> go.Figure:
    """Signed weights of red, green and blue as colours with a common scale: -span dark, 0 grey, span full colour.

    Hover texts have the colours and their scale: the weights would need megabytes.

    channels: the number of each filter's channel
    """
    count, rows, cols, _ = filters.shape
    shades = ((filters / span).clip(-1, 1) * 127.5 + 127.5).round().astype(np.uint8)
    pixels = np.broadcast_to(places(rows, cols), (count, rows, cols, 2))
    numbers = np.broadcast_to(channels[:, None, None, None], (count, rows, cols, 1))
    hover = np.concatenate([numbers, pixels], -1)
    pixel = "channel %{customdata[0]}, pixel (%{customdata[1]}, %{customdata[2]})"
    colours = "red %{z[0]}, green %{z[1]}, blue %{z[2]}"
    words = f"{pixel}: {colours} (0 means {-span:.3g}, 255 means {span:.3g})"
    tiles, ratio = _pixel_tiles(shades, hover, words, columns, GUTTER)
    return picture_figure(tiles, (ratio, 20, 900))


def pictures(
    shown: UInt8[np.ndarray, "pictures height width 3"],
    names: Sequence[str],
    patches: tuple[int, int],
    origins: Int[np.ndarray, "pictures rows cols 2"] | None = None,
) -> go.Figure:
    """Pictures side by side with their names above.

    patches: (rows, columns) of the grid
    origins: (row, column) from which each patch came
    """
    count, height, width, _ = shown.shape
    rows, cols = patches
    hover, words = np.broadcast_to(places(*patches), (count, rows, cols, 2)), HERE
    if origins is not None:
        hover, words = np.concatenate([hover, origins], -1), f"{HERE}: here from {BEFORE}"
    gap = -(-width // 8)
    captions = [caption(name, i * (width + gap), gap) for i, name in enumerate(names)]
    tiles, ratio = _pixel_tiles(shown, hover.repeat(height // rows, 1).repeat(width // cols, 2), words, count, gap)
    return picture_figure(tiles, (ratio, 20, 420), annotations=captions)


def picture_at(point: Point, shape: Shape) -> tuple[int, int, int]:
    """(picture, row, column) of a pixel of `pictures`, of (pictures, height, width). Raises ValueError for a gap."""
    (y, x), (count, height, width) = point, shape
    gap = -(-width // 8)
    picture, column = divmod(x, width + gap)
    if not (0 <= picture < count and 0 <= y - gap < height and column < width):
        raise ValueError(f"no picture is at pixel ({y}, {x})")
    return picture, y - gap, column


def _pixel_tiles(
    shades: UInt8[np.ndarray, "tiles height width 3"],
    hover: Int[np.ndarray, "tiles height width numbers"],
    words: str,
    columns: int,
    gap: int,
) -> tuple[go.Image, float]:
    """Small pictures with gaps between and above them as one image, and its height / width.

    hover: the numbers in the hover text of each pixel; a gap has those of the nearest pixel
    words: the hover text, in which `%{customdata[0]}` is the first number
    """
    count, rows, cols, _ = shades.shape
    high, wide = rows + gap, cols + gap
    canvas = np.zeros((-(-count // columns) * high, columns * wide - gap, 4), np.uint8)
    numbers = np.broadcast_to(hover[-1, -1, -1], (*canvas.shape[:2], hover.shape[-1])).copy()
    for i, (tile, line) in enumerate(zip(shades, hover, strict=True)):
        y, x = i // columns * high + gap, i % columns * wide
        canvas[y : y + rows, x : x + cols] = np.dstack([tile, np.full((rows, cols), 255, np.uint8)])
        around = np.pad(line, ((gap, 0), (0, gap), (0, 0)), "edge")
        numbers[y - gap : y + rows, x : x + wide] = around[:, : numbers.shape[1] - x]
    image = go.Image(
        source=png_url(canvas), customdata=smallest_dtype(numbers), hovertemplate=f"{words}<extra></extra>"
    )
    return image, canvas.shape[0] / canvas.shape[1]
