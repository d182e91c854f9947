"""What all figures have in common: colours, scales, captions, frames."""

import re
from collections.abc import Sequence
from colorsys import hls_to_rgb
from functools import cache
from typing import Any, TypeAlias

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float32, Int, Real, UInt8
from plotly.basedatatypes import BaseTraceType
from plotly.colors import diverging, hex_to_rgb, sample_colorscale, unlabel_rgb

from viz.pictures import png_url

Traces: TypeAlias = BaseTraceType | list[BaseTraceType]

INK = "#7d838c"  # 3.8 : 1 on white, 5 : 1 on Gradio's dark ground: enough for lines, not for text
GRID = "rgba(125, 131, 140, 0.25)"
GROUND = "rgba(125, 131, 140, 0.22)"
"""of a band of what is usual"""
SIGNED = diverging.RdBu_r
"""for on the one side, against on the other, zero in the middle"""
FOR, AGAINST = "red", "blue"
"""what texts call the sides of the signed scale: for, and against"""
RISES, FALLS = "#B2182B", "#2166AC"
"""the ends of the signed scale, in solid colours"""
SEQUENTIAL = "Viridis"
SELECTED, TOKEN, CHANNEL = "#ea580c", "#0d8f83", "#8b5cf6"
"""one meaning each, on the whole page: selected, token mixing, channel mixing; 3 : 1 on white and on dark ground"""

CLASS_COLOURS = (
    "#CC6677", "#4A6FD9", "#916D08", "#228833", "#0D96F2", "#E0409A", "#00A35C", "#879B08", "#BB6FC4", "#888888",
)  # fmt: skip
"""one for each CIFAR-10 class, everywhere: 3 : 1 at least on white and on dark ground. Paul Tol's muted scheme,
with others for what is too pale in it"""
LUMINANCE = (0.175, 0.285)
"""relative luminances (WCAG) of a line that has 3 : 1 on white and on the lightest dark ground, #1e293b"""
FILLED_SYMBOLS = 25
"""plotly's first symbols, which are filled; it has 55 numbers in all"""
MAX_CLASSES = 10
"""as many classes as one figure can show side by side"""

SMALL = TEXT = 13
"""pixels: the smallest text, and that of titles; its colour is the page's, but on what has a colour of its own"""
AXIS = {"gridcolor": GRID, "zerolinecolor": GRID, "automargin": True, "fixedrange": True, "tickfont": {"size": SMALL}}
POINTER = {"bgcolor": "#1e293b", "bordercolor": "#1e293b", "font": {"size": TEXT, "color": "white"}}
"""what the pointer tells: readable whatever the colour is that it points at"""
PALE = (150, 255)
"""the greys from which to which a picture goes under a map"""
OVER = 0.65
"""the opacity of a map over a picture"""
GUTTER = 1
ACCENT = "#2a7fb8"
SERIES = (ACCENT, "#C8478F", "#228833")
LOOKS = tuple(zip(SERIES, ("circle", "diamond", "square"), strict=True))
"""colour and symbol of each of several methods; the symbol for those who cannot tell the colours"""
GROUPS = tuple(zip(SERIES, ("", "/", "x"), strict=True))
"""colour and hatching of each of several groups of bars"""


@cache
def class_colour(index: int) -> str:
    """The colour of a class, always the same.

    After the first ten, hue and lightness follow Roberts' sequence R2 (extremeLearning.com.au, "The unreasonable
    effectiveness of quasirandom sequences"), in which however many points keep apart.
    """
    if index < len(CLASS_COLOURS):
        return CLASS_COLOURS[index]
    hue, light = (0.7548776662466927 * index) % 1, (0.5698402909980532 * index) % 1
    return "#" + "".join(f"{round(255 * part):02x}" for part in _of_luminance(hue, np.interp(light, (0, 1), LUMINANCE)))


def _of_luminance(hue: float, wanted: float) -> tuple[float, float, float]:
    """RGB from 0 to 1. wanted: relative luminance, which grows with the lightness"""
    low, high = 0.0, 1.0
    for _ in range(16):
        light = (low + high) / 2
        rgb = [255 * part for part in hls_to_rgb(hue, light, 0.6)]
        low, high = (light, high) if luminance(rgb) < wanted else (low, light)
    return hls_to_rgb(hue, high, 0.6)


def class_symbol(index: int) -> int:
    """plotly's number of the symbol of a class, for those who cannot tell the colours."""
    return index % FILLED_SYMBOLS


def largest(sizes: Sequence[float] | np.ndarray, always: Sequence[int] = ()) -> list[int]:
    """Which of many things a figure shows, in their order: those it always shows, and of the others the largest.

    At most `MAX_CLASSES`, if no more are always shown.
    """
    ranked = dict.fromkeys([*always, *np.argsort(-np.asarray(sizes), kind="stable").tolist()])
    return sorted(list(ranked)[: max(MAX_CLASSES, len(set(always)))])


def of_all(label: str, shown: int, count: int) -> str:
    """A label that says how many of how many are shown, if not all are."""
    return label if shown == count else f"{label} ({shown} of {count:,} shown)"


def patch_label(row: int | str, col: int | str) -> str:
    return f"patch ({row}, {col})"


def half_colour(depth: str) -> str | None:
    """The colour of the half-block that ends at a depth such as "3a"; None at the stem."""
    return {"a": TOKEN, "b": CHANNEL}[depth[-1]] if re.fullmatch(r"\d+[ab]", depth) else None


def halves_below(depths: Sequence[str]) -> list[dict]:
    """A strip under an axis of depths: the colour of each half-block."""
    return _of_halves(depths, [(i, -2.5) for i in range(len(depths))], 1, yref="paper", ysizemode="pixel", yanchor=0)


def halves_above(depths: Sequence[str], corners: Sequence[tuple[float, float]], width: float) -> list[dict]:
    """A line on each tile from the corner (x, y) on: the colour of its half-block, where the tile is of a depth."""
    return _of_halves(depths, [(x, y - 0.5) for x, y in corners], width)


def _of_halves(depths: Sequence[str], starts: Sequence[tuple[float, float]], width: float, **place: Any) -> list[dict]:
    paths = {
        colour: "".join(
            f"M{x - 0.5},{y}H{x + width - 0.5}"
            for (x, y), depth in zip(starts, depths, strict=True)
            if half_colour(depth) == colour
        )
        for colour in (TOKEN, CHANNEL)
    }
    lines = ((path, {"color": colour, "width": 4}) for colour, path in paths.items() if path)
    return [{"type": "path", "path": path, "line": line, **place} for path, line in lines]


Box: TypeAlias = tuple[int, int] | tuple[int, int, int, int]
"""(row, column) of a patch; of a group of patches with its (height, width) in patches"""
HERE, BEFORE = (f"patch (%{{customdata[{i}]}}, %{{customdata[{i + 1}]}})" for i in (0, 2))
"""what the pointer tells of a cell that knows the row and column of its patch, and of the one it came from"""


def places(rows: int, cols: int) -> Int[np.ndarray, "rows cols 2"]:
    """Of each cell its row and column."""
    return np.moveaxis(np.indices((rows, cols)), 0, -1)


def scale(values: np.ndarray, signed: bool, span: float | None = None) -> dict:
    """The colour scale of the data: one for magnitudes, one around zero for signed values."""
    if not signed:
        return {"colorscale": SEQUENTIAL} | ({"zmin": 0, "zmax": span} if span else {})
    span = span or float(np.nanpercentile(np.abs(values), 99)) or 1.0
    return {"colorscale": SIGNED, "zmin": -span, "zmax": span}


def cells(picture: np.ndarray, rows: int, cols: int) -> dict:
    """Where a heatmap with a cell for each patch lies on the picture, in its pixels."""
    dy, dx = picture.shape[0] / rows, picture.shape[1] / cols
    return {"x0": dx / 2 - 0.5, "dx": dx, "y0": dy / 2 - 0.5, "dy": dy}


def pale(picture: UInt8[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "height width 3"]:
    """A picture in light grey, so that none of its colours can be taken for that of a map over it."""
    low, high = PALE
    brightness = picture @ np.array([0.299, 0.587, 0.114])  # as the eye weighs the colours (Rec. 601)
    return np.repeat((low + (high - low) / 255 * brightness).round().astype(np.uint8)[..., None], 3, 2)


def backdrop(picture: UInt8[np.ndarray, "height width 3"], x: float = 0, y: float = 0) -> go.Image:
    """The picture that something is drawn over, pale, with its first pixel at (x, y)."""
    return go.Image(source=png_url(pale(picture)), x0=x, y0=y, hoverinfo="skip")


def as_seen(colours: str | list[str], picture: UInt8[np.ndarray, "height width 3"]) -> list[str]:
    """A colour scale as it looks over a picture: mixed with the mean of the greys under it."""
    ground = float(pale(picture).mean())
    shades = (unlabel_rgb(shade) for shade in sample_colorscale(colours, 41))
    return ["rgb({},{},{})".format(*(round(OVER * c + (1 - OVER) * ground) for c in shade)) for shade in shades]


def bar_as_seen(
    look: dict[str, Any], values: np.ndarray, picture: UInt8[np.ndarray, "height width 3"], bar: dict[str, Any]
) -> go.Scatter:
    """A colour bar with the colours that a map over a picture has on the page.

    Plotly draws a map's own bar as if nothing lay under the map; so this one belongs to a trace without points.

    look: the `scale` of the map
    """
    low, high = look.get("zmin", np.nanmin(values)), look.get("zmax", np.nanmax(values))
    marker = {"color": [low], "cmin": low, "cmax": high, "showscale": True, "colorbar": bar}
    seen = as_seen(look["colorscale"], picture)
    return go.Scatter(
        x=[None], y=[None], mode="markers", hoverinfo="skip", showlegend=False, marker=marker | {"colorscale": seen}
    )


def with_sign(value: float | np.floating, form: str) -> str:
    """A change with its sign, and without one where it is written as 0."""
    text = f"{value:+{form}}"
    return text if set(text) & set("123456789") else text.lstrip("+-")


SHARE: dict[str, Any] = {"tickformat": ".0%", "autorangeoptions": {"minallowed": -0.04, "maxallowed": 1.04}}
"""an axis of shares: it ends at 0 and 1, whatever the values; by itself, around equal values, it may reach to 200 %"""


def names_on(names: Sequence[str], most: int = 12) -> dict[str, Any]:
    """An axis of names: each is a place of its own, also where it looks like a number or a date.

    most: letters of a name; of a longer one the middle is left out, and the pointer tells the whole
    """
    return {"type": "category", "tickvals": list(names), "ticktext": [shortened(name, most) for name in names]}


def shortened(name: str, most: int) -> str:
    """A name in at most so many letters, without its middle."""
    end = (most - 1) // 2
    return name if len(name) <= most else f"{name[: most - 1 - end]}…{name[-end:]}"


def smallest_dtype(numbers: Real[np.ndarray, "..."]) -> Int[np.ndarray, "..."]:
    """Whole numbers in as few bytes as hold them all."""
    return numbers.astype(np.min_scalar_type(min(int(numbers.min()), -1 - int(numbers.max()))))


def brief(values: Float32[np.ndarray, "..."]) -> Float32[np.ndarray, "..."]:
    """In four digits, one more than the pointer tells: the others would be a quarter of a large figure's bytes."""
    last = np.int32(1 << 11)
    return ((values.view(np.int32) + last // 2) & -last).view(np.float32)


def rgb(colour: str) -> tuple[float, float, float]:
    """Red, green and blue from 0 to 255 of a colour of ours: "#rrggbb" or "rgb(r, g, b)"."""
    return hex_to_rgb(colour) if colour.startswith("#") else unlabel_rgb(colour)


def luminance(colour: Sequence[float]) -> float:
    """How bright a colour (0 to 255) is, from 0 to 1 (WCAG 2.2, relative luminance)."""
    parts = np.asarray(colour) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ np.array([0.2126, 0.7152, 0.0722]))


def legible(ground: Sequence[float]) -> str:
    """Black or white, whichever stands out more from a colour (0 to 255): by 4.58 : 1 at least (WCAG 2.2)."""
    return "black" if luminance(ground) > 0.1791 else "white"


def cell_labels(
    x: Sequence[Any], y: Sequence[Any], words: Sequence[str], grounds: Sequence[Sequence[float]]
) -> go.Scatter:
    """Words in the middle of coloured cells.

    grounds: the colour of each cell, as it is seen
    """
    font = {"size": SMALL, "color": [legible(ground) for ground in grounds]}
    return go.Scatter(x=x, y=y, text=words, mode="text", textfont=font, hoverinfo="skip", showlegend=False)


def frame_patch(picture: np.ndarray, rows: int, cols: int, chosen: Box) -> list[dict]:
    return frame_box([(0, 0)], chosen, (picture.shape[0] / rows, picture.shape[1] / cols))


def frame_box(corners: Sequence[tuple[float, float]], chosen: Box, cell: tuple[float, float]) -> list[dict]:
    """The same box in several pictures. corners: (x, y) of each picture; cell: (height, width) of a patch"""
    row, col, height, width = chosen if len(chosen) == 4 else (*chosen, 1, 1)
    dy, dx = cell
    return frames([(x + col * dx, y + row * dy) for x, y in corners], width * dx, height * dy)


def steps(colours: Sequence[str]) -> list[tuple[float, str]]:
    """A colour scale that jumps: the first colour around 0, the second around 1, ..."""
    count = len(colours)
    return [(i / count, colour) for j, colour in enumerate(colours) for i in (j, j + 1)]


def fits(letters: int, width: float, height: float) -> bool:
    """Whether a word of so many letters has room in so many pixels."""
    return width >= 6.8 * letters and height >= 1.3 * SMALL


def caption(text: str, x: float, y: float) -> dict:
    """Words that stand on the upper left corner of the cell (x, y)."""
    spot = {"x": x - 0.5, "y": y - 0.5, "xanchor": "left", "yanchor": "bottom"}
    return {"text": text, **spot, "align": "left", "showarrow": False, "font": {"size": SMALL}}


def frames(corners: Sequence[tuple[float, float]], width: float, height: float) -> list[dict]:
    """Rectangles around cells from each corner (x, y) on, seen on any colour: that of what is selected on white."""
    boxes = ((x - 0.5, y - 0.5, x + width - 0.5, y + height - 0.5) for x, y in corners)
    path = " ".join(f"M{left},{top}H{right}V{bottom}H{left}Z" for left, top, right, bottom in boxes)
    looks = ({"color": "white", "width": 4}, {"color": SELECTED, "width": 2})
    return [{"type": "path", "path": path, "line": look} for look in looks]


def colorbar(label: str) -> dict:
    title = {"text": label, "side": "right", "font": {"size": TEXT}}
    return {"title": title, "tickfont": {"size": SMALL}, "thickness": 12, "outlinewidth": 0}


BAR = 88
"""pixels that `colorbar_below` takes, and the edges"""


def colorbar_below(label: str) -> dict:
    """For whatever needs all of its width, as a picture does; no longer than a picture on a phone is wide."""
    below = {"orientation": "h", "x": 0.5, "lenmode": "pixels", "len": 240, "y": -0.02, "yanchor": "top"}
    bar = colorbar(label)
    return bar | below | {"title": bar["title"] | {"side": "bottom"}}


def axes_figure(traces: Traces, height: int | None, **layout: Any) -> go.Figure:
    """A figure with axes, as all of them look. Without a height, the page sets it by the figure's shape.

    All at once: plotly takes seven times as long for a figure that is changed afterwards.
    """
    axes = {"xaxis": {}, "yaxis": {}} | {name: value for name, value in layout.items() if name[1:5] == "axis"}
    titled = {name: {**axis, "title": _title(axis.get("title", {}))} for name, axis in axes.items()}
    return go.Figure(
        traces,
        {
            "height": height,
            "template": {},
            "dragmode": False,
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"size": TEXT},
            "hoverlabel": POINTER,
            **layout,
            "margin": {"l": 8, "r": 8, "t": 12, "b": 8} | layout.get("margin", {}),
            "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0} | layout.get("legend", {}),
            **{name: AXIS | axis for name, axis in titled.items()},
        },
    )


def _title(title: str | dict) -> dict:
    """Of an axis: plotly would write it larger than all else."""
    return ({"text": title} if isinstance(title, str) else title) | {"font": {"size": TEXT}}


def picture_figure(
    traces: Traces, height: int | None, shape: tuple[float, int, int] | None = None, **layout: Any
) -> go.Figure:
    """A picture, not a diagram: no axes, downwards, pixels as high as wide.

    shape: where the page sets the height: (that of the picture against its width, pixels for all else, at most so many)
    """
    if shape is not None:
        layout["meta"] = dict(zip(("ratio", "extra", "most"), shape, strict=True))
    axis = {"visible": False, "constrain": "domain"}
    across = axis | layout.pop("xaxis", {})
    down = axis | {"scaleanchor": "x", "scaleratio": 1} | layout.pop("yaxis", {"autorange": "reversed"})
    return axes_figure(traces, height, xaxis=across, yaxis=down, **layout)
