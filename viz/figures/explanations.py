"""Explanations as figures: values per patch or pixel over the picture, and how far they are to be believed."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float, UInt8
from plotly.basedatatypes import BaseTraceType

from viz.figures.style import (
    ACCENT,
    INK,
    SEQUENTIAL,
    SIGNED,
    bare,
    caption,
    colorbar_below,
    diagram,
    frames,
    place,
    under,
)

LOOKS = ((ACCENT, "circle"), ("#D55E00", "diamond"), ("#228833", "square"))
"""colour and symbol of each of several methods; the symbol for those who cannot tell the colours"""


def overlays(
    picture: UInt8[np.ndarray, "height width 3"],
    maps: Sequence[Float[np.ndarray, "_rows _cols"]],
    names: Sequence[str],
    signed: Sequence[bool],
    label: str,
    opacity: float,
    patches: tuple[int, int],
    chosen: tuple[int, int],
    room: int,
) -> go.Figure:
    """Maps over copies of the picture. All signed ones have one scale, each of the others has its own from 0 on.

    maps: a value for each patch or for each pixel
    opacity: of the maps, 0 to 1
    patches: (rows, columns) of the grid, in which `chosen` is framed
    room: how wide the figure will be, in the pixels of a screen; it decides how many maps stand side by side
    """
    height, width, _ = picture.shape
    (rows, cols), (row, col) = patches, chosen
    columns = max(1, min(len(maps), 4, room // 140))
    across, down = width + max(1, width // 16), height + max(1, height // 7)  # room for a line of words
    spots = [(i % columns * across, i // columns * down) for i in range(len(maps))]
    directed = [np.abs(values).ravel() for values, has_sign in zip(maps, signed, strict=True) if has_sign]
    span = float(np.percentile(np.concatenate(directed), 99)) or 1.0 if directed else 1.0
    traces = list[BaseTraceType]()
    for i, (values, name, has_sign, (x, y)) in enumerate(zip(maps, names, signed, spots, strict=True)):
        cells_down, cells_across = values.shape
        dy, dx = height / cells_down, width / cells_across
        scale = {"colorscale": SIGNED, "zmin": -span, "zmax": span} if has_sign else {"colorscale": SEQUENTIAL}
        heat = go.Heatmap(
            z=values,
            x0=x + dx / 2 - 0.5,
            dx=dx,
            y0=y + dy / 2 - 0.5,
            dy=dy,
            name=name,
            opacity=opacity,
            text=[
                [f"{name}, {place(r * rows // cells_down, c * cols // cells_across)}" for c in range(cells_across)]
                for r in range(cells_down)
            ],
            hovertemplate="%{text}: %{z:.3g}<extra></extra>",
            showscale=has_sign and not any(signed[:i]),
            colorbar=colorbar_below(label),
            **scale,
        )
        traces += [under(picture, x, y), heat]
    dy, dx = height / rows, width / cols
    lines = -(-len(maps) // columns)
    cell = min(240, room / columns)
    return bare(
        traces,
        round(110 + lines * cell * down / across),
        annotations=[caption(name, *spot) for name, spot in zip(names, spots, strict=True)],
        shapes=frames([(x + col * dx, y + row * dy) for x, y in spots], dx, dy),
        xaxis={"range": [-0.5, (columns - 1) * across + width - 0.5]},
        yaxis={"range": [lines * down - 0.5, -down + height - 0.5]},
    )


def agreement(correlations: Float[np.ndarray, "methods methods"], names: Sequence[str]) -> go.Figure:
    """How far methods put the patches into the same order, from -1 to 1."""
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
    return diagram(heat, height, xaxis={"tickangle": 30}, yaxis={"autorange": "reversed"})


def against_chance(
    own: Float[np.ndarray, "methods points"],
    reverse: Float[np.ndarray, "methods points"],
    areas: Float[np.ndarray, "2 methods"],
    names: Sequence[str],
    label: str,
    steps: str,
    chance: tuple[Float[np.ndarray, "2 points"], float] | None,
) -> go.Figure:
    """F while patches go or come in the order of each method, and in the reverse order.

    areas: under the curves of `own`, and under those of `reverse`
    steps: what is counted along the horizontal axis
    chance: between which bounds most random orders stay, and the mean area under them; None where not known yet
    """
    count = np.arange(own.shape[1])
    lines = list[BaseTraceType]()
    if chance is not None:
        (low, high), area = chance
        unseen = {"line": {"width": 0}, "hoverinfo": "skip"}
        name = f"9 of 10 random orders (mean area {area:.2f})"
        fill = {"fill": "tonexty", "fillcolor": "rgba(125, 131, 140, 0.3)"}
        lines += [
            go.Scatter(x=count, y=high, name="random orders, 95th percentile", showlegend=False, **unseen),
            go.Scatter(x=count, y=low, name=name, **unseen, **fill),
        ]
    solid, dotted = {"width": 3}, {"width": 1.5, "dash": "dot"}
    for i, (method, (colour, _)) in enumerate(zip(names, LOOKS, strict=False)):
        for values, area, name, look in (
            (own[i], areas[0, i], method, solid),
            (reverse[i], areas[1, i], f"{method}, reverse", dotted),
        ):
            told = f"{name}, %{{x}} {steps}: %{{y:.3f}}<extra></extra>"
            line = {"color": colour, **look}
            name = f"{name} (area {area:.2f})"
            lines.append(go.Scatter(x=count, y=values, name=name, line=line, hovertemplate=told))
    room = _legend_below(300, 2 * len(own) + 1)
    return diagram(lines, xaxis={"title": steps}, yaxis={"title": label}, **room)


def randomised(
    stages: Sequence[str], correlations: Float[np.ndarray, "methods stages"], names: Sequence[str]
) -> go.Figure:
    """How alike attributions stay to themselves while the network is randomised, stage after stage."""
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
    zero = {"type": "line", "x0": 0, "x1": 1, "xref": "x domain", "y0": 0, "y1": 0, "line": {"color": INK, "width": 1}}
    return diagram(
        lines,
        shapes=[zero],
        xaxis={"title": "randomised from the head down to", "tickangle": -90},
        yaxis={"title": "rank correlation", "range": [-1.05, 1.05]},
        **_legend_below(330, len(names)),
    )


def _legend_below(height: int, names: int) -> dict[str, Any]:
    """Of a layout: names one under the other, below the axis, where they cover nothing."""
    below = {"orientation": "v", "x": 0, "y": 0, "yref": "container", "yanchor": "bottom", "traceorder": "normal"}
    return {"height": height + 20 * names, "margin": {"b": 62 + 20 * names}, "legend": below}
