"""Many small pictures on one scale."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float32, Int, UInt8

from viz.figures.png import png_url
from viz.figures.style import (
    BAR,
    PLACE,
    PLAIN,
    UNSEEN,
    bare,
    captions,
    cells,
    colorbar_below,
    frames,
    positions,
    scale,
    small,
)

BARE, CAPTIONED = 1, 3
"""gaps over a tile: without, and with words in them"""

Point: TypeAlias = Sequence[int]
"""(row, column) of a cell, as a browser tells it"""
Shape: TypeAlias = tuple[int, ...]
"""(tiles, rows, columns)"""


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
    span: float | None = None,
    chosen: tuple[int, int] | None = None,
) -> go.Figure:
    """Many maps over the picture on one shared scale, as a single heatmap with gaps between them.

    cell: (height, width) of a patch in pixels, so that every tile has the shape of the picture
    span: where a signed scale ends; without it, at the 99th percentile
    chosen: (row, column) of a patch to frame in every tile
    """
    shown = _layout(maps.shape, columns)
    heat, corners = _heatmap(
        maps,
        shown,
        cell,
        _gaps(maps.shape, cell, CAPTIONED),
        text=_names(names, shown),
        customdata=small(shown[..., 1:].clip(0)),
        hovertemplate=f"%{{text}}, {PLACE}: %{{z:.3g}}<extra></extra>",
        colorbar=colorbar_below(label),
        **scale(maps, signed, span),
    )
    shapes = _framed(corners, cell, chosen)
    return _tiled([heat, captions(names, corners)], heat, BAR, 640, shapes=shapes)


def tile_at(point: Point, shape: Shape, columns: int) -> tuple[int, int, int]:
    """(tile, row, column) of a cell of `tiles` or `colour_tiles`, whose maps have that shape.

    Raises ValueError for a gap.
    """
    return _shown_at(point, _layout(shape, columns))


def unit_tiles(
    maps: Float32[np.ndarray, "tiles rows cols"],
    units: Int[np.ndarray, "tiles"],
    label: str,
    columns: int,
    cell: tuple[int, int],
    chosen: tuple[int, int],
    group: int = 1,
) -> go.Figure:
    """As `tiles`, for hundreds of signed maps without captions: what the pointer tells is sent as numbers.

    units: the number of each map's unit
    group: after so many tiles of a line, the gap is wider
    """
    shown = _layout(maps.shape, columns, group)
    heat, corners = _heatmap(
        maps,
        shown,
        cell,
        _gaps(maps.shape, cell, BARE),
        customdata=small(np.dstack([shown[..., 1:], units[shown[..., 0]]]).clip(0)),
        hovertemplate=f"unit %{{customdata[2]}}, {PLACE}: %{{z:.3g}}<extra></extra>",
        colorbar=colorbar_below(label),
        **scale(maps, True),
    )
    black = _framed(corners, cell, chosen)[-1:]  # on cells of some pixels, the white around it would hide the value
    return _tiled([heat], heat, BAR, 900, shapes=black)


def unit_tile_at(point: Point, shape: Shape, columns: int, group: int = 1) -> tuple[int, int, int]:
    """As `tile_at`, for `unit_tiles`."""
    return _shown_at(point, _layout(shape, columns, group))


def _layout(shape: Shape, columns: int, group: int = 1) -> Int[np.ndarray, "down across 3"]:
    """(tile, row, column) of what each cell of a canvas shows; -1 between the tiles, and over them."""
    count, rows, cols = shape
    high, wide = rows + 1, cols + 1
    left = np.arange(columns) * wide + np.arange(columns) // group * (group > 1)
    canvas = np.full((-(-count // columns) * high, left[-1] + wide, 3), -1)
    for i in range(count):
        y, x = i // columns * high + 1, left[i % columns]
        canvas[y : y + rows, x : x + cols, 0] = i
        canvas[y : y + rows, x : x + cols, 1:] = positions(rows, cols)
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
    gaps: tuple[int, int],
    **look: Any,
) -> tuple[go.Heatmap, list[tuple[float, float]]]:
    """Maps where a layout has them, and the corner (x, y) of each.

    cell: (height, width) of one
    gaps: how high the gaps over tiles are, and how wide those between them
    """
    filled = shown[..., 0] >= 0
    sizes = (np.where(filled.any(1 - axis), cell[axis], gaps[axis]) for axis in range(2))
    down, across = (np.append(0, each.cumsum()).astype(np.float32) - np.float32(0.5) for each in sizes)
    heat = go.Heatmap(
        z=np.where(filled, maps[tuple(np.moveaxis(shown, -1, 0))], np.float32(np.nan)),
        x=across,
        y=down,
        hoverongaps=False,
        **look,
    )
    first = np.argwhere(filled & (shown[..., 1:] == 0).all(-1))
    return heat, [(float(across[x] + 0.5), float(down[y] + 0.5)) for y, x in first]


def _gaps(shape: Shape, cell: tuple[int, int], over: int) -> tuple[int, int]:
    """An eighth of the picture, whatever a patch's shape: room for words. over: how many of these are over a tile"""
    high, wide = (max(1, round(shape[1 + axis] * cell[axis] / 8)) for axis in range(2))
    return over * high, wide


def _names(names: Sequence[str], shown: Int[np.ndarray, "down across 3"]) -> list[list[str]]:
    """What the tile of each cell is called."""
    return [[names[i] if i >= 0 else "" for i in line] for line in shown[..., 0].tolist()]


def _tiled(traces: list, heat: go.Heatmap, extra: int, most: int, **layout: Any) -> go.Figure:
    """A figure of all that lies on the canvas of a heatmap."""
    (left, *_, right), (top, *_, bottom) = heat.x.tolist(), heat.y.tolist()
    shape = ((bottom - top) / (right - left), extra, most)
    return bare(traces, None, shape, xaxis={"range": [left, right]}, yaxis={"range": [bottom, top]}, **layout)


def _framed(
    corners: Sequence[tuple[float, float]], cell: tuple[int, int], chosen: tuple[int, int] | None
) -> list[dict]:
    """The frames of a patch in all tiles."""
    if chosen is None:
        return []
    (row, col), (dy, dx) = chosen, cell
    return frames([(x + col * dx, y + row * dy) for x, y in corners], dx, dy)


def colour_tiles(
    colours: Float32[np.ndarray, "tiles rows cols 3"], names: Sequence[str], columns: int, cell: tuple[int, int]
) -> go.Figure:
    """As `tiles`, for maps of colours, from 0 to 1."""
    shape = colours.shape[:3]
    shown = _layout(shape, columns)
    index = tuple(np.moveaxis(shown, -1, 0))
    canvas = _canvas((colours * 255).round().astype(np.uint8), shown)
    percent = (100 * colours).round().astype(int)[index]
    pointed, corners = _heatmap(
        colours[..., 0],
        shown,
        cell,
        _gaps(shape, cell, CAPTIONED),
        text=_names(names, shown),
        customdata=small(np.dstack([shown[..., 1:], percent]).clip(0)),
        hovertemplate=f"%{{text}}, {PLACE}: red %{{customdata[2]}} %, green %{{customdata[3]}} %, "
        "blue %{customdata[4]} %<extra></extra>",
        **UNSEEN,
    )
    heights, widths = (np.diff(edges).astype(int) for edges in (pointed.y, pointed.x))
    pitch = (int(np.gcd.reduce(heights)), int(np.gcd.reduce(widths)))  # no finer than the edges need it
    image = canvas.repeat(heights // pitch[0], 0).repeat(widths // pitch[1], 1)
    return _tiled([_image(image, pitch), pointed, captions(names, corners)], pointed, PLAIN, 600)


def filter_tiles(
    filters: Float32[np.ndarray, "filters height width 3"], channels: Sequence[int], columns: int, span: float
) -> go.Figure:
    """Signed weights of red, green and blue as colours, on one scale: -span is dark, 0 mid grey, span full colour.

    channels: the number of each filter's channel
    """
    count, height, width, _ = filters.shape
    shades = ((filters / span).clip(-1, 1) * 127.5 + 127.5).round().astype(np.uint8)
    image = _image(_canvas(shades, _layout((count, height, width), columns)))
    whole = _layout((count, 1, 1), columns)
    ends = np.stack([filters.min((1, 2, 3)), filters.max((1, 2, 3))], 1)
    pointed, _ = _heatmap(
        np.asarray(channels, np.float32).reshape(count, 1, 1),
        whole,
        (height, width),
        (1, 1),
        customdata=ends[whole[..., 0]],
        hovertemplate="channel %{z:d}: weights from %{customdata[0]:.3f} to %{customdata[1]:.3f}<extra></extra>",
        **UNSEEN,
    )
    return _tiled([image, pointed], pointed, PLAIN, 900)


def pictures(
    shown: UInt8[np.ndarray, "pictures height width 3"],
    names: Sequence[str],
    told: Sequence[Sequence[Sequence[str]]],
) -> go.Figure:
    """Pictures side by side under their names. A click on the first is one on trace 1, on the second on trace 2, ...

    told: for each picture what the pointer says of its patches, row by row
    """
    count, height, width, _ = shown.shape
    gap = -(-width // 8)
    wide = width + gap
    canvas = np.zeros((height, count * wide - gap, 4), np.uint8)
    for i, picture in enumerate(shown):
        canvas[:, i * wide : i * wide + width, :3] = picture
        canvas[:, i * wide : i * wide + width, 3] = 255
    pointed = []
    for i, words in enumerate(told):
        rows, cols = len(words), len(words[0])
        place = cells(shown[i], rows, cols)
        place["x0"] += i * wide
        nothing = np.zeros((rows, cols), np.int8)
        pointed.append(go.Heatmap(z=nothing, **place, text=words, hovertemplate="%{text}<extra></extra>", **UNSEEN))
    over = captions(names, [(i * wide, 0) for i in range(count)])
    across, down = [-0.5, canvas.shape[1] - 0.5], [height - 0.5, -gap - 0.5]
    shape = ((height + gap) / canvas.shape[1], PLAIN, 420)
    return bare([_image(canvas), *pointed, over], None, shape, xaxis={"range": across}, yaxis={"range": down})


def _canvas(
    shades: UInt8[np.ndarray, "tiles rows cols 3"], shown: Int[np.ndarray, "down across 3"]
) -> UInt8[np.ndarray, "down across 4"]:
    """Colours where a layout has them; between them, nothing is drawn."""
    canvas = np.zeros((*shown.shape[:2], 4), np.uint8)
    filled = shown[..., 0] >= 0
    canvas[filled, :3], canvas[filled, 3] = shades[tuple(shown[filled].T)], 255
    return canvas


def _image(canvas: UInt8[np.ndarray, "height width 4"], pitch: tuple[int, int] = (1, 1)) -> go.Image:
    """A picture from the corner of the axes on, whose pixels are so (high, wide); what lies over it tells of it."""
    (dy, dx) = pitch
    place = {"x0": dx / 2 - 0.5, "dx": dx, "y0": dy / 2 - 0.5, "dy": dy}
    return go.Image(source=png_url(canvas), **place, hoverinfo="skip")
