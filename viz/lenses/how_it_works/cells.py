"""Small heatmaps as SVG: a coloured cell for each number."""

from html import escape

import numpy as np
from jaxtyping import Float, UInt8

from viz import figures
from viz.microscope import Microscope
from viz.pictures import png_url

Frame = tuple[float, float, float, float]
"""x, y, width and height, in cells"""
SHOWN = 64
"""maximum number of channels shown of a table"""


def cells(pixels: UInt8[np.ndarray, "rows cols 3"], ratio: float, *frames: Frame, lines: str = "") -> str:
    """SVG of a picture, such as one of `figures.to_rgb`. It has no text: the element around it has.

    ratio: width / height
    lines: an SVG path over it
    """
    rows, cols = pixels.shape[:2]
    boxes = "".join(
        f"<rect class='{look}' x='{x:g}' y='{y:g}' width='{width:g}' height='{height:g}'/>"
        for x, y, width, height in frames
        for look in ("under", "over")
    )
    return (
        f"<svg class='cells' viewBox='0 0 {cols} {rows}' preserveAspectRatio='none' aria-hidden='true' "
        f"style='aspect-ratio: {ratio:.4g}'><image href='{png_url(pixels)}' width='{cols}' height='{rows}' "
        f"preserveAspectRatio='none'/>{f'<path d={lines!r}/>' if lines else ''}{boxes}</svg>"
    )


def card(drawn: str, text: str, symbol: str = "") -> str:
    """HTML of a drawing and its caption. symbol: that of a formula, which it shows"""
    mark = f" data-symbol='{symbol}'" if symbol else ""
    return f"<figure{mark}>{drawn}<figcaption>{escape(text)}</figcaption></figure>"


def picture(scope: Microscope, picture: bytes, patch: int) -> str:
    """SVG of the picture with the grid of its patches, one of them framed."""
    (height, width), grid = scope.grid.patch_size, scope.grid
    (row, col), (high, wide) = grid.position(patch), grid.image_size
    cuts = [f"M0 {r * height}H{wide}" for r in range(1, grid.rows)]
    cuts += [f"M{c * width} 0V{high}" for c in range(1, grid.cols)]
    frame = (col * width, row * height, width, height)
    return cells(scope.pixels(picture), wide / high, frame, lines="".join(cuts))


def over_grid(scope: Microscope, values: Float[np.ndarray, "patches"], patch: int) -> str:
    """SVG of a signed value for each patch, as a map over the picture's grid with one patch framed."""
    grid = scope.grid
    row, col = grid.position(patch)
    pixels = figures.to_rgb(grid.map(values.astype(np.float32)), True)
    return cells(pixels, grid.image_size[1] / grid.image_size[0], (col, row, 1, 1))


def strip(values: Float[np.ndarray, "line"], place: int | None = None) -> str:
    """SVG of signed values side by side, one of them framed."""
    frames = [] if place is None else [(place, 0, 1, 1)]
    return cells(figures.to_rgb(values.astype(np.float32)[None], True), 16, *frames)


def window(place: int, count: int, most: int = SHOWN) -> range:
    """At most `most` of `count` indices that include `place`; the same range for all places in it."""
    first = min(place // most * most, max(0, count - most))
    return range(first, min(count, first + most))


def table(values: Float[np.ndarray, "patches channels"], shown: range, row: int | None, column: int | None) -> str:
    """SVG of a table of tokens: a row for each patch, a column for each shown channel."""
    part = values[:, shown.start : shown.stop].astype(np.float32)
    frames: list[Frame] = [] if row is None else [(0, row, len(shown), 1)]
    frames += [] if column is None else [(column - shown.start, 0, 1, len(values))]
    return cells(figures.to_rgb(part, True), 2, *frames)
