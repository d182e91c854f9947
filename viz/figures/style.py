"""The common style of all figures: colours, scales, captions, frames."""

import re
from collections.abc import Sequence
from colorsys import hls_to_rgb
from functools import cache
from typing import Any, TypeAlias

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float, Float32, Int, Real, UInt8
from plotly.basedatatypes import BaseTraceType
from plotly.colors import diverging, hex_to_rgb, sample_colorscale, unlabel_rgb

from viz.pictures import png_url

Traces: TypeAlias = BaseTraceType | list[BaseTraceType]

INK = "#7d838c"  # contrast 3.8 : 1 on white, 5 : 1 on Gradio's dark background: for lines, not for text
GRID = "rgba(125, 131, 140, 0.25)"
GROUND = "rgba(125, 131, 140, 0.3)"
"""of `grey_band`"""
SIGNED = diverging.RdBu_r
"""diverging scale: positive red, negative blue"""
FOR, AGAINST = "red", "blue"
"""names of the positive and negative colours in texts"""
RISES, FALLS = SIGNED[-2], SIGNED[1]
"""next to the ends of the signed scale, for lines and bars"""
SEQUENTIAL = "Viridis"
SELECTED, TOKEN, CHANNEL = "#ea580c", "#0d8f83", "#8b5cf6"
"""one meaning each, on the whole page: selected, token mixing, channel mixing; 3 : 1 on white and on dark ground"""

CLASS_COLOURS = (
    "#CC6677", "#4A6FD9", "#916D08", "#228833", "#0D96F2", "#E0409A", "#00A35C", "#879B08", "#BB6FC4", "#888888",
)  # fmt: skip
"""the colours of the CIFAR-10 classes in all figures, with a contrast of at least 3 : 1 on white and dark backgrounds:
Paul Tol's muted scheme, in which others replace the palest"""
LUMINANCE = (0.175, 0.285)
"""relative luminances (WCAG) with a contrast of 3 : 1 on white and on the lightest dark background, #1e293b"""
FILLED_SYMBOLS = 25
"""number of filled symbols in plotly, which come first"""
MAX_CLASSES = 10
"""maximum number of classes in a figure"""

SMALL = TEXT = 13
"""font sizes in pixels: ticks and titles. Text has the page's colour, except on coloured cells"""
AXIS = {"gridcolor": GRID, "zerolinecolor": GRID, "automargin": True, "fixedrange": True, "tickfont": {"size": SMALL}}
POINTER = {"bgcolor": "#1e293b", "bordercolor": "#1e293b", "font": {"size": TEXT, "color": "white"}}
"""style of hover texts: readable over all colours"""
PALE = (150, 255)
"""darkest and lightest grey of a picture under a map"""
OVER = 0.65
"""opacity of a map over a picture"""
GUTTER = 1
ACCENT = "#2a7fb8"
SERIES = (ACCENT, "#C8478F", "#228833")
LOOKS = tuple(zip(SERIES, ("circle", "diamond", "square"), strict=True))
"""colour and symbol of each of several methods; the symbols serve colour-blind readers"""
GROUPS = tuple(zip(SERIES, ("", "/", "x"), strict=True))
"""colour and hatching of each of several groups of bars"""


@cache
def class_colour(index: int) -> str:
    """The colour of a class, the same in all figures.

    After the first ten, hue and lightness follow Roberts' sequence R2 (extremeLearning.com.au, "The unreasonable
    effectiveness of quasirandom sequences"), whose points stay apart for any number of classes.
    """
    if index < len(CLASS_COLOURS):
        return CLASS_COLOURS[index]
    hue, light = (0.7548776662466927 * index) % 1, (0.5698402909980532 * index) % 1
    return "#" + "".join(f"{round(255 * part):02x}" for part in _of_luminance(hue, np.interp(light, (0, 1), LUMINANCE)))


def _of_luminance(hue: float, target: float) -> tuple[float, float, float]:
    """RGB from 0 to 1 of a hue. target: its relative luminance, which increases with the lightness"""
    low, high = 0.0, 1.0
    for _ in range(16):
        light = (low + high) / 2
        rgb = [255 * part for part in hls_to_rgb(hue, light, 0.6)]
        low, high = (light, high) if luminance(rgb) < target else (low, light)
    return hls_to_rgb(hue, high, 0.6)


def class_symbol(index: int) -> int:
    """The number in plotly of the symbol of a class."""
    return index % FILLED_SYMBOLS


def largest(sizes: Sequence[float] | np.ndarray, always: Sequence[int] = ()) -> list[int]:
    """The sorted indices of `always` and of the largest values: `MAX_CLASSES` at most, unless `always` has more."""
    ranked = dict.fromkeys([*always, *np.argsort(-np.asarray(sizes), kind="stable").tolist()])
    return sorted(list(ranked)[: max(MAX_CLASSES, len(set(always)))])


def of_all(label: str, shown: int, count: int) -> str:
    """A label with the number shown, if not all are shown."""
    return label if shown == count else f"{label} ({shown} of {count:,} shown)"


def patch_label(row: int | str, col: int | str) -> str:
    return f"patch ({row}, {col})"


def sublayer_colour(depth: str) -> str | None:
    """The colour of the sublayer that ends at a depth such as "3a"; None at the stem."""
    return {"a": TOKEN, "b": CHANNEL}[depth[-1]] if re.fullmatch(r"\d+[ab]", depth) else None


def sublayers_below(depths: Sequence[str]) -> list[dict]:
    """A strip under an axis of depths: the colour of each sublayer."""
    return _of_sublayers(depths, [(i, -2.5) for i in range(len(depths))], 1, yref="paper", ysizemode="pixel", yanchor=0)


def sublayers_above(depths: Sequence[str], corners: Sequence[tuple[float, float]], width: float) -> list[dict]:
    """A line on each tile from the corner (x, y) on: the colour of its sublayer, where the tile is of a depth."""
    return _of_sublayers(depths, [(x, y - 0.5) for x, y in corners], width)


def _of_sublayers(
    depths: Sequence[str], starts: Sequence[tuple[float, float]], width: float, **place: Any
) -> list[dict]:
    paths = {
        colour: "".join(
            f"M{x - 0.5},{y}H{x + width - 0.5}"
            for (x, y), depth in zip(starts, depths, strict=True)
            if sublayer_colour(depth) == colour
        )
        for colour in (TOKEN, CHANNEL)
    }
    lines = ((path, {"color": colour, "width": 4}) for colour, path in paths.items() if path)
    return [{"type": "path", "path": path, "line": line, **place} for path, line in lines]


Box: TypeAlias = tuple[int, int] | tuple[int, int, int, int]
"""(row, column) of a patch; of a group of patches with its (height, width) in patches"""
HERE, BEFORE = (f"patch (%{{customdata[{i}]}}, %{{customdata[{i + 1}]}})" for i in (0, 2))
"""hover texts of a cell: its patch, and the patch that it came from, both from its customdata"""


def places(rows: int, cols: int) -> Int[np.ndarray, "rows cols 2"]:
    """The row and column of each cell."""
    return np.moveaxis(np.indices((rows, cols)), 0, -1)


def scale(values: np.ndarray, signed: bool, span: float | None) -> dict:
    """The colour scale of a heatmap: sequential, or diverging around 0 for signed values.

    span: the end of the scale; None: the maximum, for signed values `span_of` them
    """
    if not signed:
        return {"colorscale": SEQUENTIAL} | ({"zmin": 0, "zmax": span} if span else {})
    span = span or span_of(values)
    return {"colorscale": SIGNED, "zmin": -span, "zmax": span}


def span_of(values: np.ndarray) -> float:
    """The end of a signed scale: the 99th percentile of absolute values, or 1 if that is 0."""
    return float(np.nanpercentile(np.abs(values), 99)) or 1.0


def cells(picture: np.ndarray, rows: int, cols: int) -> dict:
    """The position of a heatmap with a cell for each patch on the picture, in pixels."""
    dy, dx = picture.shape[0] / rows, picture.shape[1] / cols
    return {"x0": dx / 2 - 0.5, "dx": dx, "y0": dy / 2 - 0.5, "dy": dy}


def pale(picture: UInt8[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "height width 3"]:
    """A picture in light grey, so that its colours cannot be confused with those of a map over it."""
    low, high = PALE
    brightness = picture @ np.array([0.299, 0.587, 0.114])  # luma (Rec. 601)
    return np.repeat((low + (high - low) / 255 * brightness).round().astype(np.uint8)[..., None], 3, 2)


def backdrop(picture: UInt8[np.ndarray, "height width 3"], x: float = 0, y: float = 0) -> go.Image:
    """The pale picture under a map, with its first pixel at (x, y)."""
    return go.Image(source=png_url(pale(picture)), x0=x, y0=y, hoverinfo="skip")


def as_seen(colours: str | list[str], picture: UInt8[np.ndarray, "height width 3"]) -> list[str]:
    """The colours of a scale over a picture: mixed with the mean grey of the picture."""
    ground = float(pale(picture).mean())
    shades = (unlabel_rgb(shade) for shade in sample_colorscale(colours, 41))
    return ["rgb({},{},{})".format(*(round(OVER * c + (1 - OVER) * ground) for c in shade)) for shade in shades]


def bar_as_seen(
    look: dict[str, Any], values: np.ndarray, picture: UInt8[np.ndarray, "height width 3"], bar: dict[str, Any]
) -> go.Scatter:
    """A colour bar with the colours of a map over a picture.

    Plotly draws the bar of a map without the picture below it, so this bar belongs to a trace without points.

    look: the `scale` of the map
    """
    low, high = look.get("zmin", np.nanmin(values)), look.get("zmax", np.nanmax(values))
    marker = {"color": [low], "cmin": low, "cmax": high, "showscale": True, "colorbar": bar}
    seen = as_seen(look["colorscale"], picture)
    return go.Scatter(
        x=[None], y=[None], mode="markers", hoverinfo="skip", showlegend=False, marker=marker | {"colorscale": seen}
    )


def with_sign(value: float | np.floating, form: str) -> str:
    """A change with its sign; without one if it is rounded to 0."""
    text = f"{value:+{form}}"
    return text if set(text) & set("123456789") else text.lstrip("+-")


SHARE: dict[str, Any] = {"tickformat": ".0%", "autorangeoptions": {"minallowed": -0.04, "maxallowed": 1.04}}
"""an axis of shares from 0 to 1: for equal values, the automatic range may reach 200 %"""


def names_on(names: Sequence[str]) -> dict[str, Any]:
    """An axis of names, also of ones like numbers or dates; long ones are shortened, except in hover texts."""
    return {"type": "category", "tickvals": list(names), "ticktext": [shortened(name, 12) for name in names]}


def shortened(name: str, most: int) -> str:
    """A name in at most `most` letters; a longer one loses its middle."""
    end = (most - 1) // 2
    return name if len(name) <= most else f"{name[: most - 1 - end]}…{name[-end:]}"


def smallest_dtype(numbers: Real[np.ndarray, "..."]) -> Int[np.ndarray, "..."]:
    """Whole numbers in the smallest dtype that holds them."""
    return numbers.astype(np.min_scalar_type(min(int(numbers.min()), -1 - int(numbers.max()))))


def brief(values: Float32[np.ndarray, "..."]) -> Float32[np.ndarray, "..."]:
    """Values in four digits, one more than hover texts have: more would add a quarter to a large figure's size."""
    last = np.int32(1 << 11)
    return ((values.view(np.int32) + last // 2) & -last).view(np.float32)


def rgb(colour: str) -> tuple[float, float, float]:
    """Red, green and blue from 0 to 255 of a colour "#rrggbb" or "rgb(r, g, b)"."""
    return hex_to_rgb(colour) if colour.startswith("#") else unlabel_rgb(colour)


def luminance(colour: Sequence[float]) -> float:
    """The relative luminance of a colour (0 to 255), from 0 to 1 (WCAG 2.2)."""
    parts = np.asarray(colour) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ np.array([0.2126, 0.7152, 0.0722]))


def legible(ground: Sequence[float]) -> str:
    """Black or white, with the higher contrast to a colour (0 to 255): at least 4.58 : 1 (WCAG 2.2)."""
    return "black" if luminance(ground) > 0.1791 else "white"


def cell_labels(
    x: Sequence[Any], y: Sequence[Any], words: Sequence[str], grounds: Sequence[Sequence[float]]
) -> go.Scatter:
    """Texts in the middle of coloured cells.

    grounds: the visible colour of each cell
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
    """A discrete colour scale: the first colour around 0, the second around 1, ..."""
    count = len(colours)
    return [(i / count, colour) for j, colour in enumerate(colours) for i in (j, j + 1)]


def fits(letters: int, width: float, height: float) -> bool:
    """Whether a word of `letters` letters fits into width x height pixels."""
    return width >= 6.8 * letters and height >= 1.3 * SMALL


def caption(text: str, x: float, y: float) -> dict:
    """A text above the upper left corner of the cell (x, y)."""
    spot = {"x": x - 0.5, "y": y - 0.5, "xanchor": "left", "yanchor": "bottom"}
    return {"text": text, **spot, "align": "left", "showarrow": False, "font": {"size": SMALL}}


def frames(corners: Sequence[tuple[float, float]], width: float, height: float) -> list[dict]:
    """Rectangles around cells from each corner (x, y) on, seen on any colour: that of what is selected on white."""
    boxes = ((x - 0.5, y - 0.5, x + width - 0.5, y + height - 0.5) for x, y in corners)
    path = " ".join(f"M{left},{top}H{right}V{bottom}H{left}Z" for left, top, right, bottom in boxes)
    looks = ({"color": "white", "width": 4}, {"color": SELECTED, "width": 2})
    return [{"type": "path", "path": path, "line": look} for look in looks]


def grey_band(x: Sequence[Any] | np.ndarray, bounds: Float[np.ndarray, "2 points"], name: str) -> list[BaseTraceType]:
    """A band between (lower, upper) bounds; the legend has its name."""
    edge = {"x": x, "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
    low, high = bounds
    return [
        go.Scatter(y=high, name="upper bound", showlegend=False, **edge),
        go.Scatter(y=low, name=name, fill="tonexty", fillcolor=GROUND, **edge),
    ]


def dotted_at(x: int) -> dict:
    """A dotted vertical line at the selected place."""
    line = {"color": SELECTED, "dash": "dot"}
    return {"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1, "yref": "y domain", "line": line}


def colorbar(label: str) -> dict:
    title = {"text": label, "side": "right", "font": {"size": TEXT}}
    return {"title": title, "tickfont": {"size": SMALL}, "thickness": 12, "outlinewidth": 0}


BAR = 88
"""height of `colorbar_below` with the margins, in pixels"""


def colorbar_below(label: str) -> dict:
    """A horizontal colour bar for figures that need the full width; as long as a picture on a phone is wide."""
    below = {"orientation": "h", "x": 0.5, "lenmode": "pixels", "len": 240, "y": -0.02, "yanchor": "top"}
    bar = colorbar(label)
    return bar | below | {"title": bar["title"] | {"side": "bottom"}}


def axes_figure(traces: Traces, height: int | None, **layout: Any) -> go.Figure:
    """A figure with axes in the common style. Without a height, the page sets it by the figure's shape.

    The layout is set at once: changing a figure afterwards takes plotly seven times as long.
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
    """The title of an axis in the common size: plotly's default is larger."""
    return ({"text": title} if isinstance(title, str) else title) | {"font": {"size": TEXT}}


def picture_figure(traces: Traces, shape: tuple[float, int, int], **layout: Any) -> go.Figure:
    """A picture without axes: y points downwards, pixels are square.

    shape: for the height set by the page: (height / width of the picture, pixels for the rest, maximum height)
    """
    meta = dict(zip(("ratio", "extra", "most"), shape, strict=True))
    axis = {"visible": False, "constrain": "domain"}
    across = axis | layout.pop("xaxis", {})
    down = axis | {"scaleanchor": "x", "scaleratio": 1} | layout.pop("yaxis", {"autorange": "reversed"})
    return axes_figure(traces, None, meta=meta, xaxis=across, yaxis=down, **layout)
