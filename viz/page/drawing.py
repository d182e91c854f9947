"""Maps over the patches as a picture, for programs: the numbers of a view over the pale picture, as on the page."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont

from mixer.grid import PatchGrid
from viz.figures import OVER, pale, to_rgb
from viz.lenses.view import Drawn, Numbers
from viz.page.upload import Refused

WITH_MAPS = ("tokens.votes", "tokens.norms", "tokens.similarity", "mixing.image.map", "attribution.maps")
"""some views with maps"""
NO_MAP = "The view {} has no map over the patches. Views with maps are, for example, {}."
TOO_MANY = "The view {} has {} maps, and at most {} are drawn. The endpoint view returns their numbers."
MAX_MAPS = 64
PLACES = ("row", "column")
"""the axes of a map"""
LEAST, LINE, GAP, TEXT = 256, 24, 8, 14
"""pixels: the least height and width of a map, the height of its name, the space between maps, and the font size"""


def draw(name: str, drawn: Drawn, picture: UInt8[np.ndarray, "height width 3"], grid: PatchGrid) -> Image.Image:
    """The maps of a view side by side, each under its name. Raises Refused for a view without maps.

    name: that of the view. grid: of the patches of the picture
    """
    traces = drawn.figure.data if drawn.figure else ()
    heats = [trace for trace in traces if trace.type == "heatmap"]
    maps = _maps(drawn.numbers) if drawn.numbers else {}
    if len(maps) > MAX_MAPS:
        raise Refused(TOO_MANY.format(name, len(maps), MAX_MAPS))
    shown = {title: _heat(values, heats) for title, values in maps.items()}
    if drawn.numbers is None or not maps or None in shown.values():
        raise Refused(NO_MAP.format(name, ", ".join(WITH_MAPS)))
    times = -(-LEAST // min(picture.shape[:2]))
    ground = pale(picture).repeat(times, 0).repeat(times, 1)
    cells = tuple(
        np.searchsorted(drawn.numbers.axes[axis], np.arange(size) * count // size, "right") - 1
        for axis, size, count in zip(PLACES, ground.shape, (grid.rows, grid.cols), strict=False)
    )  # of each line and column of pixels, also where the groups at an edge are smaller
    tiles = (_over(ground, values, _colours(values, shown[title]), np.ix_(*cells)) for title, values in maps.items())
    return _side_by_side([*maps], [*tiles])


def _maps(numbers: Numbers) -> dict[str, Float[np.ndarray, "_rows _cols"]]:
    """The maps by name; none if the numbers have other axes than row, column and at most one more."""
    others = [axis for axis in numbers.axes if axis not in PLACES]
    if len(numbers.axes) - len(others) != 2 or len(others) > 1 or numbers.values.dtype.kind != "f":
        return {}
    if not others:
        return {numbers.name: numbers.values}
    maps = np.moveaxis(numbers.values, [*numbers.axes].index(others[0]), 0)
    return {f"{others[0]} {place}": values for place, values in zip(numbers.axes[others[0]], maps, strict=True)}


def _heat(values: Float[np.ndarray, "_rows _cols"], heats: list[Any]) -> Any:
    """The heatmap of a figure that shows these values; None if it has none."""
    known = values[np.isfinite(values)]
    return next((heat for heat in heats if np.isin(known, heat.z).all()), None)


def _colours(values: Float[np.ndarray, "_rows _cols"], heat: Any) -> UInt8[np.ndarray, "_rows _cols 3"]:
    """The colours of the values on the scale of the heatmap, which may be common to several maps."""
    if heat.zmin is not None and heat.zmin < 0:
        return to_rgb(np.nan_to_num(values), True, heat.zmax)
    known = heat.z[np.isfinite(heat.z)]
    low, high = (known.min(), known.max()) if heat.zmin is None and known.size else (heat.zmin or 0, heat.zmax or 1)
    return to_rgb(np.nan_to_num(values, nan=low) - low, False, float(high - low))


def _over(
    ground: UInt8[np.ndarray, "height width 3"],
    values: Float[np.ndarray, "_rows _cols"],
    colours: UInt8[np.ndarray, "_rows _cols 3"],
    cells: tuple[np.ndarray, ...],
) -> Image.Image:
    """The colours over the pale picture, which alone is seen where a value is missing. cells: that of each pixel"""
    opacity = OVER * np.isfinite(values)[cells][..., None]
    return Image.fromarray((opacity * colours[cells] + (1 - opacity) * ground).round().astype(np.uint8))


def _side_by_side(names: Sequence[str], tiles: Sequence[Image.Image]) -> Image.Image:
    """The tiles in about as many rows as columns, each under its name."""
    columns, (width, height) = math.ceil(math.sqrt(len(tiles))), tiles[0].size
    across, down = width + GAP, height + LINE
    whole = Image.new("RGB", (columns * across - GAP, -(-len(tiles) // columns) * down), "white")
    for number, (title, tile) in enumerate(zip(names, tiles, strict=True)):
        named = Image.new("RGB", (width, down), "white")
        ImageDraw.Draw(named).text((2, 3), title, "black", ImageFont.load_default(TEXT))
        named.paste(tile, (0, LINE))
        whole.paste(named, (number % columns * across, number // columns * down))
    return whole
