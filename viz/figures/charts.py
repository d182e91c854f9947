"""Charts with axes: lines, bars, matrices, scatter plots."""

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float, Float32, Int
from plotly.basedatatypes import BaseTraceType
from plotly.colors import sample_colorscale

from viz.figures.style import (
    ACCENT,
    BAR,
    CHANNEL,
    FALLS,
    GROUPS,
    INK,
    MAX_CLASSES,
    RISES,
    SELECTED,
    SEQUENTIAL,
    SHARE,
    TOKEN,
    axes_figure,
    brief,
    cell_labels,
    class_symbol,
    colorbar,
    colorbar_below,
    dotted_at,
    fits,
    grey_band,
    largest,
    names_on,
    of_all,
    picture_figure,
    rgb,
    scale,
    smallest_dtype,
    sublayers_below,
    with_sign,
)

NTH = ("first", "second")
DISC, CROSS = 0, 4
"""numbers of the symbols in plotly"""
READABLE = 25
"""maximum number of classes in a readable confusion matrix"""

_MIXINGS = ", ".join(
    f"{letter} <span style='color: {colour}'>■</span> {name}"
    for letter, colour, name in (("a", TOKEN, "token"), ("b", CHANNEL, "channel"))
)
SUBLAYERS, DEPTHS = f"sublayer: {_MIXINGS} mixing", f"depth: {_MIXINGS} mixing"
"""titles of axes, short enough for a pane beside a pinned one"""
UNDER_SUBLAYERS = {"nticks": 13, "type": "category", "ticks": "outside", "ticklen": 6, "tickcolor": "rgba(0, 0, 0, 0)"}
"""an axis with room for the strip of `sublayers_below`"""

MAX_ACROSS, MAX_DOWN = 4, 8
"""maximum number of names on an axis of patches"""
CELLS = 220
"""width of a matrix of classes on a phone, in pixels, without its margins"""


def lines_over_depth(
    values: Float[np.ndarray, "depths series"],
    depths: Sequence[str],
    names: Sequence[str],
    colours: Sequence[str],
    label: str,
    chosen: int,
    shown: Sequence[int],
    band: Float[np.ndarray, "2 depths"] | None = None,
) -> go.Figure:
    """A line for each series of shares. Those in `shown` have names and full colours, the others are pale.

    Of many series, the figure has those in `shown`, and the ones with the largest maxima.

    band: (lower, upper) bounds of most samples, drawn as a grey band
    """
    between = "the samples' answers, 5th to 95th percentile"
    ground = [] if band is None else grey_band(list(depths), band, between)
    drawn = largest(values.max(0), shown)
    lines = [
        go.Scatter(
            x=list(depths),
            y=values[:, i],
            name=names[i],
            mode="lines+markers" if i in shown else "lines",
            line={"color": colours[i], "width": 3 if i in shown else 1},
            marker={"symbol": class_symbol(i), "size": 7},
            opacity=1 if i in shown else 0.35,
            showlegend=i in shown,
            hovertemplate=f"{names[i]}, depth %{{x}}: %{{y:.3f}}<extra></extra>",
        )
        for i in drawn
    ]
    return axes_figure(
        [*ground, *lines],
        320,
        shapes=[dotted_at(chosen), *sublayers_below(depths)],
        xaxis={"title": DEPTHS, "tickangle": 0, **UNDER_SUBLAYERS},
        yaxis={"title": of_all(label, len(drawn), len(names)), "autorangeoptions": SHARE["autorangeoptions"]},
    )


def before_after(
    values: Float[np.ndarray, "2 names"], names: Sequence[str], times: tuple[str, str], label: str
) -> go.Figure:
    """Two horizontal bars for each name, before and after, with the change in percentage points."""
    looks = (INK, ""), (ACCENT, "/")
    changes = 100 * (values[1] - values[0])
    beside = [
        [f"{value:.1%}" for value in values[0]],
        [f"{v:.1%} ({with_sign(c, '.1f')})" for v, c in zip(values[1], changes, strict=True)],
    ]
    bars = [
        go.Bar(
            x=line,
            y=list(names),
            orientation="h",
            name=time,
            text=text,
            textposition="outside",
            cliponaxis=False,
            marker={
                "color": colour,
                "pattern": _hatched(hatching),
            },
            hovertemplate=f"%{{y}}, {time}: %{{x:.2%}}<extra></extra>",
        )
        for line, text, time, (colour, hatching) in zip(values, beside, times, looks, strict=True)
    ]
    across = {"title": label, "tickformat": ".0%", "range": [0, 1.3], "tickvals": [0, 0.25, 0.5, 0.75, 1]}
    return axes_figure(
        bars,
        90 + 46 * len(names),
        xaxis=across,
        yaxis={"autorange": "reversed"} | names_on(names),
        legend={"y": 1, "yanchor": "bottom"},
        margin={"t": 32},
    )


def signed_bars(
    values: Float[np.ndarray, "things"],
    names: Sequence[str],
    label: str,
    across: str,
    chosen: int,
    samples: Float[np.ndarray, "2 things"] | None = None,
) -> go.Figure:
    """Signed bars, red for positive and blue for negative values; the chosen one is framed.

    across: the title of the axis
    samples: mean and standard deviation over the samples, as points with error bars; NaN if not measured
    """
    bar = go.Bar(
        x=list(names),
        y=values,
        name="this picture",
        marker={
            "color": [RISES if value > 0 else FALLS for value in values],
            "line": {"width": [3 if i == chosen else 0 for i in range(len(names))], "color": SELECTED},
        },
        hovertemplate="%{x}: %{y:+.3f}<extra></extra>",
        showlegend=False,
    )
    traces = list[BaseTraceType]([bar])
    if samples is not None:
        mean, deviation = samples
        spread = go.Scatter(
            x=list(names),
            y=mean,
            error_y={"array": deviation, "color": INK, "thickness": 1.5, "width": 3},
            name="the samples: mean and standard deviation",
            mode="markers",
            marker={"color": INK, "symbol": "diamond", "size": 6},
            customdata=deviation,
            hovertemplate="%{x}, the samples: %{y:+.3f} ± %{customdata:.3f}<extra></extra>",
            showlegend=True,
        )
        traces.append(spread)
    return axes_figure(
        traces,
        340,
        shapes=sublayers_below(names),
        xaxis={"title": across, **UNDER_SUBLAYERS},
        yaxis={"title": label},
        legend={"y": 1, "yanchor": "bottom"},
        margin={"t": 32},
    )


def _hatched(shape: str) -> dict[str, Any]:
    """White hatching over the colour of a bar; by default, plotly replaces the colour."""
    return {"shape": shape, "fgcolor": "white", "size": 5, "fillmode": "overlay"}


def most_confused(images: Int[np.ndarray, "classes classes"]) -> Int[np.ndarray, "drawn"]:
    """The classes of a confusion matrix that are drawn: those with the most wrong answers, in their order."""
    mistakes = images.sum(0) + images.sum(1) - 2 * images.diagonal()
    return np.sort(np.argsort(-mistakes, kind="stable")[:READABLE])


def confusion(counts: Sequence[Sequence[int]], classes: Sequence[str]) -> go.Figure:
    """The number of images of each class (rows) with each answer (columns); of many classes, the most confused."""
    images = np.asarray(counts)
    shares = images / images.sum(1, keepdims=True).clip(1)
    drawn = most_confused(images)
    names = [classes[i] for i in drawn]
    shade, count = shares[np.ix_(drawn, drawn)], images[np.ix_(drawn, drawn)]
    heat = go.Heatmap(
        z=shade,
        x=names,
        y=names,
        customdata=smallest_dtype(count),
        hovertemplate="%{y}, predicted %{x}: %{customdata:,} images (%{z:.1%})<extra></extra>",
        colorscale=SEQUENTIAL,
        zmin=0,
        zmax=1,
        showscale=False,
    )
    traces, size = [heat], len(names)
    if fits(len(str(count.max())), CELLS / size, 30):
        grounds = [rgb(colour) for colour in sample_colorscale(SEQUENTIAL, shade.ravel().tolist())]
        down, across = zip(*product(names, names), strict=True)
        traces.append(cell_labels(across, down, list(map(str, count.ravel())), grounds))
    return axes_figure(
        traces,
        180 + 30 * max(10, size),
        xaxis={"title": "predicted class<br>counts; shade: share of the row"} | names_on(names),
        yaxis={"title": of_all("true class", size, len(classes)), "autorange": "reversed"} | names_on(names),
    )


def reliability(confidence: Sequence[float], accuracy: Sequence[float], images: Sequence[int]) -> go.Figure:
    """Reliability diagram: accuracy over confidence, with the number of images as hover text."""
    ideal = go.Scatter(
        x=[0, 1],
        y=[0, 1],
        mode="lines",
        line={"color": INK, "dash": "dot"},
        name="perfect calibration",
        hoverinfo="skip",
    )
    own = go.Scatter(
        x=list(confidence),
        y=list(accuracy),
        mode="lines+markers",
        line={"color": ACCENT, "width": 3},
        marker={"size": [6 + 18 * (n / max(images)) ** 0.5 for n in images]},
        customdata=list(images),
        name="this network",
        hovertemplate="confidence %{x:.0%}, accuracy %{y:.0%} (%{customdata:,} test images)<extra></extra>",
    )
    share = {"tickformat": ".0%", "range": [0, 1.04]}
    across, down = {"title": "confidence", **share}, {"title": "accuracy", **share}
    return axes_figure([ideal, own], 360, xaxis=across, yaxis=down)


def patch_matrix(
    values: Float32[np.ndarray, "patches patches"],
    positions: Sequence[tuple[int, int]],
    label: str,
    signed: bool,
    relation: str,
    chosen: int,
    span: float | None = None,
    error: Float32[np.ndarray, "patches patches"] | None = None,
    axes: tuple[str, str] = ("patch (row, column)", "patch (row, column)"),
) -> go.Figure:
    """A value for each pair of patches, in reading order; the row of the chosen patch is marked.

    positions: (row, column) of each patch
    relation: hover text of a pair, e.g. "from {other} to {one}"; {one} is the patch of the row
    span: the end of the colour scale; default: the maximum, for signed values the 99th percentile
    error: the standard error of each value, for the hover text; requires unsigned values
    axes: titles of columns and rows; the ticks name the first patch of some rows of the grid
    """
    count = len(values)
    percent = None if error is None else np.nan_to_num(100 * error / values.clip(1e-12)).clip(0, 999)
    names = [str(position) for position in positions]
    firsts = [name for name, (_, col) in zip(names, positions, strict=True) if col == 0]
    heat = go.Heatmap(
        z=brief(values),
        x=names,
        y=names,
        customdata=None if percent is None else smallest_dtype(percent.round()),
        hoverongaps=False,
        hovertemplate=f"{relation.format(one='patch %{y}', other='patch %{x}')}: %{{z:.3g}}"
        f"{'' if error is None else ' ± %{customdata}%'}<extra></extra>",
        colorbar=colorbar_below(label),
        **scale(values, signed, span),
    )
    across, down = (
        {
            "visible": True,
            "showgrid": False,
            "zeroline": False,
            "ticks": "outside",
            "tickangle": 0,
            "type": "category",
            "tickvals": firsts[:: -(-len(firsts) // most)],
            "title": {"text": title, "standoff": 8},
        }
        for title, most in zip(axes, (MAX_ACROSS, MAX_DOWN), strict=True)
    )
    row = {"type": "rect", "x0": -0.5, "x1": count - 0.5, "y0": chosen - 0.5, "y1": chosen + 0.5}
    return picture_figure(
        heat,
        (1, BAR - 26, 480),
        shapes=[row | {"line": {"color": SELECTED, "width": 2}}],
        xaxis=across | {"side": "top"},
        yaxis=down | {"autorange": "reversed"},
    )


def lines_of_blocks(
    x: Float[np.ndarray, "points"] | Int[np.ndarray, "points"],
    values: Float[np.ndarray, "blocks points"],
    chosen: int,
    across: str,
    label: str,
) -> go.Figure:
    """A line for each block, coloured by its number, counted from 1; the chosen one is thick."""
    # without the end of the scale, which is too pale on white
    scale = sample_colorscale(SEQUENTIAL, np.linspace(0, 0.85, 11).tolist())
    last = max(1, len(values) - 1)
    shades = sample_colorscale(scale, [i / last for i in range(len(values))])
    lines = [
        go.Scatter(
            x=x,
            y=line,
            name=f"block {i + 1}",
            mode="lines+markers",
            line={"color": shade, "width": 4 if i == chosen else 1},
            marker={"color": shade, "size": 8}
            if i == chosen
            else {"color": [i + 1] * len(x), "coloraxis": "coloraxis", "size": 3},
            showlegend=i == chosen,
            hovertemplate=f"block {i + 1}, {across} %{{x:.3g}}: %{{y:.3g}}<extra></extra>",
        )
        for i, (line, shade) in enumerate(zip(values, shades, strict=True))
    ]
    axis = {"colorscale": scale, "cmin": 1, "cmax": last + 1, "colorbar": colorbar("block")}
    return axes_figure(
        lines, 360, coloraxis=axis, xaxis={"title": across}, yaxis={"title": label, "rangemode": "tozero"}
    )


def sorted_line(values: Float[np.ndarray, "things"], thing: str, label: str) -> go.Figure:
    """Values sorted from the largest to the smallest; the hover text has the index of each."""
    order = np.argsort(-values, kind="stable")
    line = go.Scatter(
        x=smallest_dtype(np.arange(1, len(values) + 1)),
        y=values[order],
        customdata=smallest_dtype(order),
        name=label,
        mode="lines",
        fill="tozeroy",
        line={"color": ACCENT, "width": 2},
        hovertemplate=f"{thing} %{{customdata}}: %{{y:.3g}}<extra></extra>",
    )
    return axes_figure(line, 320, xaxis={"title": f"{thing}s, the largest first"}, yaxis={"title": label})


def grouped_bars(
    values: Float[np.ndarray, "groups names"], groups: Sequence[str], names: Sequence[str], label: str
) -> go.Figure:
    """One bar per group for each name, side by side; groups differ in colour and hatching."""
    bars = [
        go.Bar(
            x=list(names),
            y=line,
            name=group,
            marker={"color": colour, "pattern": _hatched(hatching)},
            hovertemplate=f"{group}: %{{x}} %{{y:.1%}}<extra></extra>",
        )
        for line, group, (colour, hatching) in zip(values, groups, GROUPS, strict=True)
    ]
    return axes_figure(
        bars,
        340,
        xaxis={"tickangle": 0} | names_on(names),
        yaxis={"title": label, "rangemode": "tozero"} | SHARE,
    )


def scatter(
    places: Sequence[Float32[np.ndarray, "_ 2"]],
    names: Sequence[str],
    colours: Sequence[str],
    crossed: Sequence[Sequence[bool]],
    texts: Sequence[Sequence[str]],
    here: Float32[np.ndarray, "2"],
    explained: Sequence[float] | None,
) -> go.Figure:
    """Points in groups with a name and a colour. The symbol is a cross for `crossed` points and a star for `here`.

    texts: hover text of each point
    explained: the share of the variance along each axis; None: the axes have no meaning, and are not drawn
    """
    groups = [
        go.Scatter(
            x=brief(xy[:, 0]),
            y=brief(xy[:, 1]),
            name=name,
            mode="markers",
            marker={"color": colour, "size": 7, "symbol": [CROSS if one else DISC for one in cross], "opacity": 0.8},
            hovertext=list(words),
            hoverinfo="text",
            showlegend=len(places) <= MAX_CLASSES,
        )
        for xy, name, colour, cross, words in zip(places, names, colours, crossed, texts, strict=True)
    ]
    look = {"symbol": "star", "size": 18, "color": SELECTED, "line": {"color": "white", "width": 1.5}}
    star = go.Scatter(
        x=here[:1], y=here[1:], mode="markers", marker=look, hovertext="the current picture", hoverinfo="text",
        showlegend=False,
    )  # fmt: skip
    if explained is None:
        across = down = {"visible": False}
    else:
        across, down = (
            {"title": f"{name} component ({share:.0%} of the variance)"}
            for name, share in zip(NTH, explained, strict=True)
        )
    return axes_figure([*groups, star], 420, xaxis=across, yaxis=down)


def learning_curves(
    epochs: Sequence[float], losses: Sequence[float], accuracies: Sequence[float], begins: Sequence[float] = ()
) -> go.Figure:
    """Learning curves: the mean loss of each epoch, and the accuracy on the validation images after it.

    begins: the numbers of epochs before the second and later stages, marked by lines
    """
    curves = [
        go.Scatter(
            x=list(epochs),
            y=list(values),
            yaxis=axis,
            mode="lines+markers",
            line={"color": ACCENT},
            hovertemplate=f"epoch %{{x:.4g}}: {form}<extra></extra>",
            showlegend=False,
        )
        for values, axis, form in ((losses, "y", "%{y:.3f}"), (accuracies, "y2", "%{y:.2%}"))
    ]
    line = np.append(np.linspace(0, 1, 25), np.nan)  # hover texts need points
    stages = [
        go.Scatter(
            x=np.repeat(np.array(begins, np.float32), len(line)),
            y=np.tile(line, len(begins)),
            yaxis=axis,
            mode="lines",
            line={"color": INK, "width": 1},
            customdata=smallest_dtype(np.repeat(np.arange(len(begins)) + 2, len(line))),
            hovertemplate="stage %{customdata} begins, after epoch %{x:.4g}<extra></extra>",
            showlegend=False,
        )
        for axis in ("y3", "y4")
        if len(begins)
    ]
    whole = {"range": [0, 1], "visible": False}
    return axes_figure(
        [*curves, *stages],
        420,
        xaxis={"title": "epoch", "tickangle": 0, "anchor": "y2"},
        yaxis={"title": "training loss", "domain": [0.54, 1]},
        yaxis2={"title": "validation accuracy", "domain": [0, 0.46]} | SHARE,
        yaxis3={**whole, "overlaying": "y"},
        yaxis4={**whole, "overlaying": "y2"},
    )
