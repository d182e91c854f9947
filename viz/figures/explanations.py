"""Explanations as figures: values per patch or pixel over the picture, and how far they are to be believed."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float, UInt8

from viz.figures.style import (
    ACCENT,
    INK,
    SEQUENTIAL,
    SIGNED,
    bare,
    caption,
    colorbar_below,
    finish,
    frame,
    place,
)

COLUMNS = 3


def overlays(
    picture: UInt8[np.ndarray, "height width 3"],
    maps: Sequence[Float[np.ndarray, "_rows _cols"]],
    names: Sequence[str],
    signed: Sequence[bool],
    label: str,
    opacity: float,
    patches: tuple[int, int],
    chosen: tuple[int, int],
) -> go.Figure:
    """Maps over copies of the picture. All signed ones have one scale, each of the others has its own from 0 on.

    maps: a value for each patch or for each pixel
    opacity: of the maps, 0 to 1
    patches: (rows, columns) of the grid, in which `chosen` is framed
    """
    height, width, _ = picture.shape
    (rows, cols), (row, col) = patches, chosen
    gap = max(1, height // 8)
    spots = [(i % COLUMNS * (width + gap // 2), i // COLUMNS * (height + gap)) for i in range(len(maps))]
    directed = [np.abs(values).ravel() for values, has_sign in zip(maps, signed, strict=True) if has_sign]
    span = float(np.percentile(np.concatenate(directed), 99)) or 1.0 if directed else 1.0
    figure = go.Figure()
    for i, (values, name, has_sign, (x, y)) in enumerate(zip(maps, names, signed, spots, strict=True)):
        figure.add_image(z=picture, x0=x, y0=y, hoverinfo="skip")
        down, across = values.shape
        dy, dx = height / down, width / across
        scale = {"colorscale": SIGNED, "zmin": -span, "zmax": span} if has_sign else {"colorscale": SEQUENTIAL}
        figure.add_heatmap(
            z=values,
            x0=x + dx / 2 - 0.5,
            dx=dx,
            y0=y + dy / 2 - 0.5,
            dy=dy,
            name=name,
            opacity=opacity,
            text=[
                [f"{name}, {place(r * rows // down, c * cols // across)}" for c in range(across)] for r in range(down)
            ],
            hovertemplate="%{text}: %{z:.3g}<extra></extra>",
            showscale=has_sign and not any(signed[:i]),
            colorbar=colorbar_below(label),
            **scale,
        )
    dy, dx = height / rows, width / cols
    figure.update_layout(
        annotations=[caption(name, *spot) for name, spot in zip(names, spots, strict=True)],
        shapes=[line for x, y in spots for line in frame(x + col * dx, y + row * dy, dx, dy)],
    )
    figure = finish(bare(figure, 1.0), 80 + 260 * -(-len(maps) // COLUMNS))
    return figure.update_xaxes(range=[-0.5, COLUMNS * width + (COLUMNS - 1) * (gap // 2) - 0.5])


def agreement(correlations: Float[np.ndarray, "methods methods"], names: Sequence[str]) -> go.Figure:
    """How far methods put the patches into the same order, from -1 to 1."""
    figure = go.Figure(
        go.Heatmap(
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
    )
    figure.update_yaxes(autorange="reversed")
    figure.update_xaxes(tickangle=30)
    return finish(figure, 340)


def against_chance(
    own: Float[np.ndarray, "points"],
    reverse: Float[np.ndarray, "points"],
    band: Float[np.ndarray, "2 points"],
    label: str,
    steps: str,
    areas: Sequence[float],
) -> go.Figure:
    """F while patches go or come in the order of an attribution, in the reverse order, and between which bounds most
    random orders stay.

    steps: what is counted along the horizontal axis
    areas: under the order's own curve, the reverse one, and the random ones in the mean
    """
    count = np.arange(len(own))
    figure = go.Figure()
    figure.add_scatter(
        x=count, y=band[1], line={"width": 0}, name="95th percentile", showlegend=False, hoverinfo="skip"
    )
    figure.add_scatter(
        x=count,
        y=band[0],
        line={"width": 0},
        fill="tonexty",
        fillcolor="rgba(125, 131, 140, 0.3)",
        name=f"9 of 10 random orders (area {areas[2]:.2f})",
        hoverinfo="skip",
    )
    for values, name, line in (
        (own, f"this order (area {areas[0]:.2f})", {"color": ACCENT, "width": 3}),
        (reverse, f"reverse (area {areas[1]:.2f})", {"color": INK, "dash": "dot"}),
    ):
        figure.add_scatter(
            x=count, y=values, name=name, line=line, hovertemplate=f"{name}, %{{x}} {steps}: %{{y:.3f}}<extra></extra>"
        )
    figure.update_xaxes(title=steps)
    figure.update_yaxes(title=label)
    return finish(figure, 380).update_layout(legend={"y": 1.02, "yanchor": "bottom"})


def randomised(stages: Sequence[str], correlations: Sequence[float], name: str) -> go.Figure:
    """How alike an attribution stays to itself while the network is randomised, stage after stage."""
    figure = go.Figure(
        go.Scatter(
            x=["trained", *stages],
            y=[1.0, *correlations],
            mode="lines+markers",
            line={"color": ACCENT, "width": 3},
            name=name,
            hovertemplate="%{x}: %{y:.2f}<extra></extra>",
        )
    )
    figure.add_hline(y=0, line={"color": INK, "width": 1})
    figure.update_xaxes(title="randomised up to", tickangle=-40)
    figure.update_yaxes(title="rank correlation", range=[-1.05, 1.05])
    return finish(figure, 320)
