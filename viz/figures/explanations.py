"""Figures of attributions: maps over the picture, and tests of their reliability."""

from collections.abc import Sequence
from textwrap import wrap
from typing import Any

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float, Int, UInt8
from plotly.basedatatypes import BaseTraceType

from viz.figures.style import (
    INK,
    LOOKS,
    OVER,
    SEQUENTIAL,
    SIGNED,
    Box,
    axes_figure,
    backdrop,
    bar_as_seen,
    caption,
    colorbar_below,
    dotted_at,
    frame_box,
    grey_band,
    picture_figure,
    smallest_dtype,
    span_of,
)

MAX_COLUMNS = 3
"""maximum number of maps side by side: with more, names would be illegible on a phone"""


def overlays(
    picture: UInt8[np.ndarray, "height width 3"],
    maps: Sequence[Float[np.ndarray, "_rows _cols"] | None],
    names: Sequence[str],
    signed: Sequence[bool],
    label: str,
    patches: tuple[int, int],
    chosen: Box,
) -> go.Figure:
    """Maps over copies of the picture. Signed maps share a colour scale; each unsigned map has its own, from 0.

    Traces: the picture and the map for each map in order, then the colour bar of the signed maps.

    maps: a value for each patch or for each pixel; None if not measured
    names: the titles, with `<br>` between lines
    patches: (rows, columns) of the grid, in which `chosen` is framed
    """
    height, width, _ = picture.shape
    rows, cols = patches
    lines = -(-len(maps) // MAX_COLUMNS)
    columns = -(-len(maps) // lines)
    words = max(name.count("<br>") + 1 for name in names)
    line, gap = -(-width // 9), -(-width // 16)  # room for a line of words, on a phone too
    across, down = width + gap, height + words * line
    spots = [(i % columns * across, i // columns * down) for i in range(len(maps))]
    span = _signed_span(maps, signed)
    traces, directed = list[BaseTraceType](), {"colorscale": SIGNED, "zmin": -span, "zmax": span}
    for values, name, has_sign, (x, y) in zip(maps, names, signed, spots, strict=True):
        values = np.full(patches, np.nan) if values is None else values
        cells_down, cells_across = values.shape
        dy, dx = height / cells_down, width / cells_across
        short = name.split("<br>")[0]
        heat = go.Heatmap(
            z=values,
            x0=x + dx / 2 - 0.5,
            dx=dx,
            y0=y + dy / 2 - 0.5,
            dy=dy,
            name=short,
            opacity=OVER,
            customdata=smallest_dtype(np.stack(_patch_of(values.shape, patches, np.indices(values.shape)), -1)),
            hovertemplate="%{fullData.name}, patch (%{customdata[0]}, %{customdata[1]}): %{z:.3g}<extra></extra>",
            hoverongaps=False,
            showscale=False,
            **(directed if has_sign else {"colorscale": SEQUENTIAL, "zmin": 0, "zmax": _largest(values)}),
        )
        traces += [backdrop(picture, x, y), heat]
    if any(signed):
        traces.append(bar_as_seen(directed, np.zeros(1), picture, colorbar_below(label)))
    whole, above = (columns * across - gap, lines * down - words * line), 12 + 17 * words
    return picture_figure(
        traces,
        (whole[1] / whole[0], 70 + above, 70 + above + 300 * lines),
        margin={"t": above},
        annotations=[caption(name, *spot) for name, spot in zip(names, spots, strict=True)],
        shapes=frame_box(spots, chosen, (height / rows, width / cols)),
        xaxis={"range": [-0.5, whole[0] - 0.5]},
        yaxis={"range": [whole[1] - 0.5, -0.5]},
    )


def _largest(values: Float[np.ndarray, "_rows _cols"]) -> float:
    return float(values.max()) if (values > 0).any() else 1.0


def overlay_patch(cells: tuple[int, int], patches: tuple[int, int], index: tuple[int, int]) -> tuple[int, int]:
    """The (row, column) of the patch of a cell of `overlays`.

    cells: (down, across) of the map. Raises IndexError for a cell outside it.
    """
    if not all(0 <= i < count for i, count in zip(index, cells, strict=True)):
        raise IndexError(f"there is no cell {index} among {cells}")
    return _patch_of(cells, patches, index)


def _patch_of(cells: tuple[int, int], patches: tuple[int, int], index: Any) -> tuple[Any, Any]:
    (row, col), (down, across), (rows, cols) = index, cells, patches
    return row * rows // down, col * cols // across


def _signed_span(maps: Sequence[Float[np.ndarray, "_rows _cols"] | None], signed: Sequence[bool]) -> float:
    """The end of the scale of all signed maps."""
    pairs = zip(maps, signed, strict=True)
    sizes = [values.ravel() for values, has_sign in pairs if has_sign and values is not None]
    return span_of(np.concatenate(sizes)) if sizes else 1.0


def agreement(correlations: Float[np.ndarray, "methods methods"], names: Sequence[str]) -> go.Figure:
    """The matrix of rank correlations of methods, from -1 to 1."""
    heat = go.Heatmap(
        z=correlations,
        x=list(names),
        y=list(names),
        texttemplate="%{z:.2f}",
        hovertemplate="%{y} and %{x}: %{z:.2f}<extra></extra>",
        colorscale=SIGNED,
        zmin=-1,
        zmax=1,
        showscale=False,
    )
    height = max(340, 140 + 34 * len(names))
    lines = {"type": "category", "tickvals": list(names), "ticktext": ["<br>".join(wrap(name, 16)) for name in names]}
    return axes_figure(heat, height, xaxis={"tickangle": 30} | lines, yaxis={"autorange": "reversed"} | lines)


def against_chance(
    own: Float[np.ndarray, "methods points"],
    reverse: Float[np.ndarray, "methods points"],
    areas: Float[np.ndarray, "2 methods"],
    names: Sequence[str],
    label: str,
    steps: str,
    chosen: int,
    chance: tuple[Int[np.ndarray, "counts"], Float[np.ndarray, "2 counts"], float] | None,
) -> go.Figure:
    """Deletion or insertion curves in the order of each method and in the reverse order, with a band of random orders.

    Point number k of every line is for k patches.

    own, reverse: the curves; NaN if not measured
    areas: the areas under `own`, and those under `reverse`
    steps: the title of the horizontal axis
    chosen: the number of patches marked by a dotted line
    chance: (numbers of patches, lower and upper bounds of most random orders, mean area); None if not measured
    """
    count = np.arange(own.shape[1])
    lines = list[BaseTraceType]()
    if chance is not None:
        at, bounds, area = chance
        lines += grey_band(at, bounds, f"9 of 10 random orders (mean area {area:.2f})")
    solid, dotted = {"width": 3}, {"width": 1.5, "dash": "dot"}
    for i, (method, (colour, _)) in enumerate(zip(names, LOOKS, strict=False)):
        for values, area, name, look in (
            (own[i], areas[0, i], method, solid),
            (reverse[i], areas[1, i], f"{method}, reverse", dotted),
        ):
            hover = f"{name}, %{{x}} {steps}: %{{y:.3f}}<extra></extra>"
            line = {"color": colour, **look}
            name = f"{name} (area {area:.2f})"
            lines.append(go.Scatter(x=count, y=values, name=name, line=line, hovertemplate=hover, connectgaps=True))
    room = _legend_below(300, 2 * len(own) + 1)
    return axes_figure(lines, shapes=[dotted_at(chosen)], xaxis={"title": steps}, yaxis={"title": label}, **room)


def randomised(
    stages: Sequence[str],
    correlations: Float[np.ndarray, "methods stages"],
    draws: Float[np.ndarray, "methods draws"],
    names: Sequence[str],
) -> go.Figure:
    """The rank correlation of attributions with the original ones while the network is randomised, stage by stage.

    draws: the last stage for several draws of random weights; the first one is the end of the line
    """
    lines = [
        go.Scatter(
            x=["trained", *stages],
            y=[1.0, *line],
            mode="lines+markers",
            line={"color": colour, "width": 3},
            marker={"symbol": symbol, "size": 8},
            name=name,
            showlegend=True,
            hovertemplate=f"{name}, %{{x}}: %{{y:.2f}}<extra></extra>",
        )
        for line, name, (colour, symbol) in zip(correlations, names, LOOKS, strict=False)
    ]
    lines += [
        go.Scatter(
            x=[stages[-1]] * len(others),
            y=others,
            mode="markers",
            marker={"symbol": symbol, "size": 4, "color": colour},
            name=f"{name}, other draws",
            showlegend=False,
            hovertemplate=f"{name}, other random weights: %{{y:.2f}}<extra></extra>",
        )
        for others, name, (colour, symbol) in zip(draws[:, 1:], names, LOOKS, strict=False)
    ]
    zero = {"type": "line", "x0": 0, "x1": 1, "xref": "x domain", "y0": 0, "y1": 0, "line": {"color": INK, "width": 1}}
    return axes_figure(
        lines,
        shapes=[zero],
        xaxis={"title": "randomised from the head down to", "tickangle": -90, "type": "category"},
        yaxis={"title": "rank correlation", "range": [-1.05, 1.05]},
        **_legend_below(330, len(names)),
    )


def _legend_below(height: int, names: int) -> dict[str, Any]:
    """The layout of a vertical legend below the axis."""
    below = {"orientation": "v", "x": 0, "y": 0, "yref": "container", "yanchor": "bottom", "traceorder": "normal"}
    return {"height": height + 20 * names, "margin": {"b": 48 + 20 * names}, "legend": below}
