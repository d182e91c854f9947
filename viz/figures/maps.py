"""One picture, with a value for each of its patches."""

from collections.abc import Sequence
from functools import cache

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float32, Int, UInt8
from plotly.colors import sample_colorscale, unlabel_rgb

from viz.figures.style import (
    BAR,
    HERE,
    OVER,
    SEQUENTIAL,
    SIGNED,
    Box,
    Traces,
    backdrop,
    bar_as_seen,
    cell_labels,
    cells,
    class_colour,
    colorbar_below,
    fits,
    frame_patch,
    pale,
    patch_label,
    picture_figure,
    places,
    rgb,
    scale,
    smallest_dtype,
    steps,
)

PHONE = 280
"""pixels: how wide and high a picture is on a phone"""
HIGH = 400
"""pixels: how high a picture is at most"""
OPAQUE = 0.85
"""opacity of the colours of classes, which must be recognisable"""


def over_picture(
    picture: UInt8[np.ndarray, "height width 3"],
    values: Float32[np.ndarray, "rows cols"],
    label: str,
    signed: bool,
    chosen: Box,
    span: float | None = None,
) -> go.Figure:
    """A value for each patch, as colour over the picture. span: the end of the colour scale; default: see `scale`"""
    rows, cols = values.shape
    look = scale(values, signed, span)
    heat = go.Heatmap(
        z=values,
        **cells(picture, rows, cols),
        opacity=OVER,
        customdata=smallest_dtype(places(rows, cols)),
        hovertemplate=f"{HERE}: %{{z:.3g}}<extra></extra>",
        hoverongaps=False,
        showscale=False,
        **look,
    )
    bar = bar_as_seen(look, values, picture, colorbar_below(label))
    return _one_picture([backdrop(picture), heat, bar], picture, BAR, frame_patch(picture, rows, cols, chosen))


def answers_over_picture(
    picture: UInt8[np.ndarray, "height width 3"],
    logits: Float32[np.ndarray, "rows cols classes"],
    classes: Sequence[str],
    chosen: tuple[int, int],
) -> go.Figure:
    """The class that each patch supports, as colour over the picture, and as text if it fits."""
    rows, cols, _ = logits.shape
    best = np.argsort(-logits, 2, kind="stable")[..., :2]
    first = best[..., 0]
    hover = [[_answer(patch_label(r, c), logits[r, c], best[r, c], classes) for c in range(cols)] for r in range(rows)]
    given, numbers = np.unique(first, return_inverse=True)
    colours, spots = [class_colour(i) for i in given.tolist()], cells(picture, rows, cols)
    heat = go.Heatmap(
        z=numbers.reshape(rows, cols),
        **spots,
        opacity=OPAQUE,
        hovertext=hover,
        hovertemplate="%{hovertext}<extra></extra>",
        colorscale=steps(colours),
        zmin=-0.5,
        zmax=len(given) - 0.5,
        showscale=False,
    )
    traces, names = [backdrop(picture), heat], [classes[i] for i in first.ravel().tolist()]
    if fits(max(map(len, names)), PHONE / cols, PHONE / rows):
        y, x = np.indices((rows, cols)).reshape(2, -1)
        greys = pale(picture).mean()
        shades = OPAQUE * np.array([rgb(colour) for colour in colours]) + (1 - OPAQUE) * greys
        grounds = shades[numbers.ravel()].tolist()
        traces.append(
            cell_labels(
                (spots["x0"] + x * spots["dx"]).tolist(), (spots["y0"] + y * spots["dy"]).tolist(), names, grounds
            )
        )
    return _one_picture(traces, picture, 20, frame_patch(picture, rows, cols, chosen))


def _one_picture(
    traces: Traces, picture: UInt8[np.ndarray, "height width 3"], below: int, shapes: list[dict]
) -> go.Figure:
    """As wide as its card, and no higher than `HIGH`. below: pixels for what is under the picture"""
    height, width, _ = picture.shape
    return picture_figure(traces, (height / width, below, HIGH + below), shapes=shapes)


def _answer(
    spot: str, logits: Float32[np.ndarray, "classes"], best: Int[np.ndarray, "one_or_two"], classes: Sequence[str]
) -> str:
    """Hover text of a patch: the best class, and its margin to the next one."""
    first, *second = best.tolist()
    ahead = [f", {logits[first] - logits[i]:.3f} ahead of {classes[i]}" for i in second]
    return f"{spot}: {classes[first]}, logit {logits[first]:.3f}{''.join(ahead)}"


def to_rgb(
    values: Float32[np.ndarray, "rows cols"], signed: bool, span: float | None = None
) -> UInt8[np.ndarray, "rows cols 3"]:
    """A map as pixels in the colours of its scale, for small maps without colour bar and hover text.

    span: the end of the scale; default: see `scale`
    """
    look = scale(values, signed, span)
    low, high = look.get("zmin", float(values.min())), look.get("zmax", float(values.max()))
    steps = (values - low) / ((high - low) or 1)
    return _shades(signed)[(steps.clip(0, 1) * 255).round().astype(np.int64)]


@cache
def _shades(signed: bool) -> UInt8[np.ndarray, "256 3"]:
    colours = sample_colorscale(SIGNED if signed else SEQUENTIAL, 256)
    return np.array([unlabel_rgb(colour) for colour in colours]).round().astype(np.uint8)
