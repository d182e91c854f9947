"""Many small pictures on one scale."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float32, UInt8

from viz.figures.style import GUTTER, bare, caption, colorbar_below, frames, place, scale


def tile_columns(count: int, height: float, width: float) -> int:
    """How many tiles of that size (with their gap) make a line, so that all are about twice as wide as high.

    An even number, and one that fills the last line if there is one within reach.
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
    labelled: bool = True,
    span: float | None = None,
    chosen: tuple[int, int] | None = None,
    group: int = 1,
) -> go.Figure:
    """Many maps over the picture on one shared scale, as a single heatmap with gaps between them.

    cell: (height, width) of a patch in pixels, so that every tile has the shape of the picture
    span: where a signed scale ends; without it, at the 99th percentile
    chosen: (row, column) of a patch to frame in every tile
    group: after so many tiles of a line, the gap is wider
    """
    count, rows, cols = maps.shape
    top = 3 * GUTTER if labelled else GUTTER
    high, wide = rows + top, cols + GUTTER
    lines = -(-count // columns)
    gaps = np.arange(columns) // group * GUTTER * (group > 1)
    canvas = np.full((lines * high, columns * wide + gaps[-1]), np.nan, np.float32)
    text = np.full(canvas.shape, "", object)
    gap = (rows * cell[0] / 8, cols * cell[1] / 8)  # room for words, whatever a patch's shape
    heights, widths = (np.full(size, empty, np.float32) for size, empty in zip(canvas.shape, gap, strict=True))
    places = [(i // columns * high + top, i % columns * wide + gaps[i % columns]) for i in range(count)]
    for name, tile, (y, x) in zip(names, maps, places, strict=True):
        canvas[y : y + rows, x : x + cols] = tile
        text[y : y + rows, x : x + cols] = [[f"{name}, {place(r, c)}" for c in range(cols)] for r in range(rows)]
        heights[y : y + rows], widths[x : x + cols] = cell
    down, across = (np.append(0, sizes.cumsum()) - 0.5 for sizes in (heights, widths))
    corners = [(across[x] + 0.5, down[y] + 0.5) for y, x in places]
    heat = go.Heatmap(
        z=canvas,
        x=across,
        y=down,
        text=text.tolist(),
        hovertemplate="%{text}: %{z:.3g}<extra></extra>",
        hoverongaps=False,
        colorbar=colorbar_below(label),
        **scale(maps, signed, span),
    )
    captions, framed = [], []
    if labelled:
        captions = [caption(name, *corner) for name, corner in zip(names, corners, strict=True)]
    if chosen is not None:
        (row, col), (dy, dx) = chosen, cell
        framed = frames([(x + col * dx, y + row * dy) for x, y in corners], dx, dy)
    ratio = (down[-1] - down[0]) / (across[-1] - across[0])
    return bare(heat, None, (float(ratio), 60, 640), annotations=captions, shapes=framed)


def tile_at(
    row: int, col: int, columns: int, rows: int, cols: int, labelled: bool = True, group: int = 1
) -> tuple[int, int, int]:
    """Which tile, and which row and column in it, a cell of the canvas of `tiles` belongs to: where a visitor clicked.

    Raises IndexError for a cell between the tiles.
    """
    top = 3 * GUTTER if labelled else GUTTER
    line, row = divmod(row, rows + top)
    starts = np.arange(columns) * (cols + GUTTER) + np.arange(columns) // group * GUTTER * (group > 1)
    column = int(np.searchsorted(starts, col, side="right")) - 1
    row, col = row - top, col - int(starts[max(column, 0)])
    if row < 0 or not 0 <= col < cols:
        raise IndexError("there is no tile at this place")
    return line * columns + column, row, col


def colour_tiles(
    colours: Float32[np.ndarray, "tiles rows cols 3"], names: Sequence[str], columns: int, cell: tuple[int, int]
) -> go.Figure:
    """Many colour maps (0 to 1) over the picture, with gaps between them.

    A picture's cells are all of one size, so a patch is drawn as several where the picture has fewer than 8 across or
    down: the gaps are to be an eighth of it.
    """
    count, rows, cols, _ = colours.shape
    split_y, split_x = -(-8 // rows), -(-8 // cols)
    rows, cols, dy, dx = rows * split_y, cols * split_x, cell[0] / split_y, cell[1] / split_x
    top, gap = 3 * round(rows / 8), round(cols / 8)
    high, wide = rows + top, cols + gap
    canvas = np.zeros((-(-count // columns) * high, columns * wide, 4), np.uint8)
    text = np.full(canvas.shape[:2], "", object)
    corners = []
    for i, (name, tile) in enumerate(zip(names, colours, strict=True)):
        y, x = i // columns * high + top, i % columns * wide
        corners.append((x * dx, y * dy))
        canvas[y : y + rows, x : x + cols, :3] = (tile * 255).round().repeat(split_y, 0).repeat(split_x, 1)
        canvas[y : y + rows, x : x + cols, 3] = 255
        told = [
            [f"{name}, {place(r, c)}: red {p:.2f}, green {q:.2f}, blue {s:.2f}" for c, (p, q, s) in enumerate(line)]
            for r, line in enumerate(tile.tolist())
        ]
        text[y : y + rows, x : x + cols] = np.array(told, object).repeat(split_y, 0).repeat(split_x, 1)
    image = go.Image(
        z=canvas,
        colormodel="rgba256",
        x0=dx / 2 - 0.5,
        dx=dx,
        y0=dy / 2 - 0.5,
        dy=dy,
        text=text.tolist(),
        hovertemplate="%{text}<extra></extra>",
    )
    ratio = canvas.shape[0] * dy / (canvas.shape[1] * dx)
    captions = [caption(name, *spot) for name, spot in zip(names, corners, strict=True)]
    return bare(image, None, (float(ratio), 10, 600), annotations=captions)


def colour_tile_at(row: int, col: int, columns: int, rows: int, cols: int) -> tuple[int, int, int]:
    """As `tile_at`, for the cells of `colour_tiles`."""
    split_y, split_x = -(-8 // rows), -(-8 // cols)
    high, wide = rows * split_y, cols * split_x
    top, gap = 3 * round(high / 8), round(wide / 8)
    line, row = divmod(row, high + top)
    column, col = divmod(col, wide + gap)
    if row < top or col >= wide or column >= columns:
        raise IndexError("there is no tile at this place")
    return line * columns + column, (row - top) // split_y, col // split_x


def filter_tiles(
    filters: Float32[np.ndarray, "filters height width 3"], names: Sequence[str], columns: int, span: float
) -> go.Figure:
    """Signed weights of red, green and blue as colours, on one scale: -span is dark, 0 mid grey, span full colour."""
    shades = ((filters / span).clip(-1, 1) * 127.5 + 127.5).round().astype(np.uint8)
    text = [
        [
            [f"{name}, pixel ({y}, {x}): red {r:.3f}, green {g:.3f}, blue {b:.3f}" for x, (r, g, b) in enumerate(line)]
            for y, line in enumerate(tile.tolist())
        ]
        for name, tile in zip(names, filters, strict=True)
    ]
    return bare(_pixel_tiles(shades, text, columns, GUTTER), None)


def pictures(
    shown: UInt8[np.ndarray, "pictures height width 3"], names: Sequence[str], places: Sequence[Sequence[str]]
) -> go.Figure:
    """Pictures side by side under their names. places: what the pointer says of each pixel, line by line."""
    count, height, width, _ = shown.shape
    text = np.array(places, object).reshape(count, height, width)
    gap = -(-width // 8)
    captions = [caption(name, i * (width + gap), gap) for i, name in enumerate(names)]
    return bare(_pixel_tiles(shown, text.tolist(), count, gap), None, annotations=captions)


def _pixel_tiles(
    shades: UInt8[np.ndarray, "tiles height width 3"],
    text: Sequence[Sequence[Sequence[str]]],
    columns: int,
    gap: int,
) -> go.Image:
    """Small pictures with gaps between them, and above them, as one."""
    count, rows, cols, _ = shades.shape
    high, wide = rows + gap, cols + gap
    lines = -(-count // columns)
    canvas = np.zeros((lines * high, columns * wide - gap, 4), np.uint8)
    hover = np.full(canvas.shape[:2], "", object)
    for i, tile in enumerate(shades):
        y, x = i // columns * high + gap, i % columns * wide
        canvas[y : y + rows, x : x + cols] = np.dstack([tile, np.full((rows, cols), 255, np.uint8)])
        hover[y : y + rows, x : x + cols] = text[i]
    return go.Image(z=canvas, colormodel="rgba256", text=hover.tolist(), hovertemplate="%{text}<extra></extra>")
