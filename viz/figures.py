"""Plain arrays to plotly figures. Knows no network.

Maps over the picture are drawn on the picture's own grid; every figure reads on light and on dark ground.
"""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float, Float32, UInt8
from plotly.colors import diverging

INK = "#7d838c"  # 3.8 : 1 on white, 5 : 1 on Gradio's dark ground
GRID = "rgba(125, 131, 140, 0.25)"
SIGNED = diverging.RdBu_r
"""red for, blue against, zero in the middle"""
SEQUENTIAL = "Viridis"

CLASS_COLOURS = (
    "#CC6677", "#6A5ACD", "#DDCC77", "#228833", "#88CCEE", "#D55E00", "#44AA99", "#999933", "#BB6FC4", "#888888",
)  # fmt: skip
"""one for each CIFAR-10 class, everywhere; after Paul Tol's muted scheme, the two darkest lightened for dark ground"""

GUTTER = 1


def class_colour(index: int) -> str:
    return CLASS_COLOURS[index % len(CLASS_COLOURS)]


def place(row: int, col: int) -> str:
    return f"patch ({row}, {col})"


def lines_over_depth(
    values: Float[np.ndarray, "depths series"],
    depths: Sequence[str],
    names: Sequence[str],
    colours: Sequence[str],
    label: str,
    chosen: int,
    shown: Sequence[int],
) -> go.Figure:
    """One line for each series; only those in `shown` are named and opaque, the others stay in the background."""
    figure = go.Figure()
    for i, name in enumerate(names):
        figure.add_scatter(
            x=list(depths),
            y=values[:, i],
            name=name,
            mode="lines+markers" if i in shown else "lines",
            line={"color": colours[i], "width": 3 if i in shown else 1},
            marker={"symbol": i, "size": 7},
            opacity=1 if i in shown else 0.35,
            showlegend=i in shown,
            hovertemplate=f"{name}, depth %{{x}}: %{{y:.3f}}<extra></extra>",
        )
    figure.add_vline(x=chosen, line={"color": INK, "dash": "dot"})
    figure.update_xaxes(title="depth (block, a: after token mixing, b: after channel mixing)", tickangle=0, nticks=13)
    figure.update_yaxes(title=label)
    return _finish(figure, 320)


def over_picture(
    picture: UInt8[np.ndarray, "height width 3"],
    values: Float32[np.ndarray, "rows cols"],
    label: str,
    signed: bool,
    chosen: tuple[int, int],
) -> go.Figure:
    """A value for each patch, as colour over the picture."""
    rows, cols = values.shape
    dy, dx = picture.shape[0] / rows, picture.shape[1] / cols
    figure = go.Figure(go.Image(z=picture, hoverinfo="skip"))
    figure.add_heatmap(
        z=values,
        x0=dx / 2 - 0.5,
        dx=dx,
        y0=dy / 2 - 0.5,
        dy=dy,
        opacity=0.65,
        text=[[place(r, c) for c in range(cols)] for r in range(rows)],
        hovertemplate="%{text}: %{z:.3f}<extra></extra>",
        colorbar=_colorbar(label),
        **_scale(values, signed),
    )
    row, col = chosen
    box = {"x0": col * dx - 0.5, "x1": (col + 1) * dx - 0.5, "y0": row * dy - 0.5, "y1": (row + 1) * dy - 0.5}
    figure.add_shape(type="rect", **box, line={"color": "white", "width": 3})
    figure.add_shape(type="rect", **box, line={"color": "black", "width": 1})
    return _finish(_bare(figure, 1.0), 320)


def tiles(
    maps: Float32[np.ndarray, "tiles rows cols"],
    names: Sequence[str],
    label: str,
    signed: bool,
    columns: int,
    cell: tuple[int, int],
    labelled: bool = True,
) -> go.Figure:
    """Many maps over the picture on one shared scale, as a single heatmap with gaps between them.

    cell: (height, width) of a patch in pixels, so that every tile has the shape of the picture.
    """
    count, rows, cols = maps.shape
    top = 2 * GUTTER if labelled else GUTTER
    high, wide = rows + top, cols + GUTTER
    lines = -(-count // columns)
    canvas = np.full((lines * high, columns * wide), np.nan, np.float32)
    text = np.full(canvas.shape, "", object)
    for i, tile in enumerate(maps):
        y, x = i // columns * high + top, i % columns * wide
        canvas[y : y + rows, x : x + cols] = tile
        text[y : y + rows, x : x + cols] = [[f"{names[i]}, {place(r, c)}" for c in range(cols)] for r in range(rows)]
    figure = go.Figure(
        go.Heatmap(
            z=canvas,
            text=text.tolist(),
            hovertemplate="%{text}: %{z:.3g}<extra></extra>",
            hoverongaps=False,
            colorbar=_colorbar(label),
            **_scale(maps, signed),
        )
    )
    if labelled:
        for i, name in enumerate(names):
            spot = {"x": i % columns * wide - 0.5, "y": i // columns * high + top - 0.5}
            figure.add_annotation(
                text=name, **spot, xanchor="left", yanchor="bottom", showarrow=False, font={"size": 11, "color": INK}
            )
    return _finish(_bare(figure, cell[0] / cell[1]), 90 + 95 * lines)


def colour_tiles(
    colours: Float32[np.ndarray, "tiles rows cols 3"], names: Sequence[str], columns: int, cell: tuple[int, int]
) -> go.Figure:
    """Many colour maps (0 to 1) over the picture, with gaps between them."""
    count, rows, cols, _ = colours.shape
    high, wide = rows + 2 * GUTTER, cols + GUTTER
    lines = -(-count // columns)
    canvas = np.zeros((lines * high, columns * wide, 4), np.uint8)
    text = np.full(canvas.shape[:2], "", object)
    for i, tile in enumerate(colours):
        y, x = i // columns * high + 2 * GUTTER, i % columns * wide
        canvas[y : y + rows, x : x + cols, :3] = (tile * 255).round()
        canvas[y : y + rows, x : x + cols, 3] = 255
        text[y : y + rows, x : x + cols] = [[f"{names[i]}, {place(r, c)}" for c in range(cols)] for r in range(rows)]
    figure = go.Figure(
        go.Image(z=canvas, colormodel="rgba256", text=text.tolist(), hovertemplate="%{text}<extra></extra>")
    )
    for i, name in enumerate(names):
        spot = {"x": i % columns * wide - 0.5, "y": i // columns * high + 2 * GUTTER - 0.5}
        figure.add_annotation(
            text=name, **spot, xanchor="left", yanchor="bottom", showarrow=False, font={"size": 11, "color": INK}
        )
    return _finish(_bare(figure, cell[0] / cell[1]), 60 + 95 * lines)


def patch_matrix(
    values: Float32[np.ndarray, "patches patches"],
    cols: int,
    label: str,
    signed: bool,
    relation: str,
    chosen: int,
) -> go.Figure:
    """A value for each pair of patches, in reading order; the chosen patch's row is marked.

    relation: how the hover text joins the two, e.g. "from {other} to {one}"; {one} is the row's patch.
    """
    names = [place(*divmod(i, cols)) for i in range(len(values))]
    text = [[relation.format(one=one, other=other) for other in names] for one in names]
    figure = go.Figure(
        go.Heatmap(
            z=values,
            text=text,
            hovertemplate="%{text}: %{z:.3g}<extra></extra>",
            colorbar=_colorbar(label),
            **_scale(values, signed),
        )
    )
    figure.add_shape(
        type="rect", x0=-0.5, x1=len(values) - 0.5, y0=chosen - 0.5, y1=chosen + 0.5, line={"color": INK, "width": 2}
    )
    return _finish(_bare(figure, 1.0), 420)


def bars(
    values: Sequence[float], names: Sequence[str], colours: Sequence[str] | str, label: str, format: str = ".1%"
) -> go.Figure:
    """One horizontal bar for each name, the first on top."""
    figure = go.Figure(
        go.Bar(
            x=list(values),
            y=list(names),
            orientation="h",
            marker={"color": colours},
            texttemplate=f"%{{x:{format}}}",
            hovertemplate=f"%{{y}}: %{{x:{format}}}<extra></extra>",
        )
    )
    figure.update_yaxes(autorange="reversed")
    figure.update_xaxes(title=label, rangemode="tozero")
    return _finish(figure, 60 + 28 * len(names))


def confusion(counts: Sequence[Sequence[int]], classes: Sequence[str]) -> go.Figure:
    """How many images of each class (rows) got each answer (columns)."""
    shares = np.asarray(counts, np.float32)
    shares /= shares.sum(1, keepdims=True).clip(1)
    figure = go.Figure(
        go.Heatmap(
            z=shares,
            x=list(classes),
            y=list(classes),
            customdata=np.asarray(counts, np.int32),
            texttemplate="%{customdata}",
            hovertemplate="%{y}, answered %{x}: %{customdata} images (%{z:.1%})<extra></extra>",
            colorscale="Blues",
            zmin=0,
            zmax=1,
            showscale=False,
        )
    )
    figure.update_yaxes(autorange="reversed", title="true class")
    figure.update_xaxes(title="answer")
    return _finish(figure, 460)


def reliability(confidence: Sequence[float], accuracy: Sequence[float], images: Sequence[int]) -> go.Figure:
    """How often the network was right (vertical) when it was so sure (horizontal)."""
    figure = go.Figure()
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", line={"color": INK, "dash": "dot"}, name="as right as sure", hoverinfo="skip"
    )
    figure.add_scatter(
        x=list(confidence),
        y=list(accuracy),
        mode="lines+markers",
        line={"color": "#2a7fb8", "width": 3},
        marker={"size": [6 + 18 * (n / max(images)) ** 0.5 for n in images]},
        customdata=list(images),
        name="this network",
        hovertemplate="%{x:.0%} sure: right %{y:.0%} of the time (%{customdata:,} test images)<extra></extra>",
    )
    figure.update_xaxes(title="how sure it was", tickformat=".0%", range=[0, 1.04])
    figure.update_yaxes(title="how often it was right", tickformat=".0%", range=[0, 1.04])
    return _finish(figure, 360)


def _scale(values: np.ndarray, signed: bool) -> dict:
    """The colour scale of the data: one for magnitudes, one around zero for signed values."""
    if not signed:
        return {"colorscale": SEQUENTIAL}
    span = float(np.nanpercentile(np.abs(values), 99)) or 1.0
    return {"colorscale": SIGNED, "zmin": -span, "zmax": span}


def _colorbar(label: str) -> dict:
    return {"title": {"text": label, "side": "right"}, "thickness": 12, "outlinewidth": 0}


def _bare(figure: go.Figure, ratio: float) -> go.Figure:
    """A picture, not a diagram: no axes, downwards, cells `ratio` times as high as wide."""
    figure.update_xaxes(visible=False, constrain="domain")
    figure.update_yaxes(visible=False, autorange="reversed", scaleanchor="x", scaleratio=ratio, constrain="domain")
    return figure


def _finish(figure: go.Figure, height: int) -> go.Figure:
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 12, "b": 8},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": INK, "size": 12},
        legend={"orientation": "h", "y": 1.12, "x": 0},
        hoverlabel={"font": {"size": 13}},
    )
    figure.update_xaxes(gridcolor=GRID, zerolinecolor=GRID, automargin=True)
    figure.update_yaxes(gridcolor=GRID, zerolinecolor=GRID, automargin=True)
    return figure
