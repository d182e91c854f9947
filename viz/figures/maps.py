"""One picture, with a value for each of its patches."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float32, UInt8

from viz.figures.png import png_url
from viz.figures.style import (
    BAR,
    OVER,
    PLACE,
    PLAIN,
    bar_as_seen,
    bare,
    captions,
    cells,
    class_colour,
    colorbar_below,
    fits,
    frame_patch,
    pale,
    positions,
    rgb,
    scale,
    small,
    steps,
    under,
    written,
)

NARROW, WIDE = 300, 360
"""pixels: how wide a picture is on a phone, and how wide or high it may become"""
OPAQUE = 0.85
"""the opacity of the colours of classes: they are to be recognised"""


def over_picture(
    picture: UInt8[np.ndarray, "height width 3"],
    values: Float32[np.ndarray, "rows cols"],
    label: str,
    signed: bool,
    chosen: tuple[int, int],
    span: float | None = None,
) -> go.Figure:
    """A value for each patch, as colour over the picture. span: where the scale ends; without it, where the data do."""
    rows, cols = values.shape
    look = scale(values, signed, span)
    heat = go.Heatmap(
        z=values,
        **cells(picture, rows, cols),
        opacity=OVER,
        customdata=small(positions(rows, cols)),
        hovertemplate=f"{PLACE}: %{{z:.3g}}<extra></extra>",
        showscale=False,
        **look,
    )
    bar = bar_as_seen(look, values, picture, colorbar_below(label))
    shape = (_ratio(picture), BAR, WIDE + BAR)
    return bare([under(picture), heat, bar], None, shape, shapes=frame_patch(picture, rows, cols, chosen))


def answers_over_picture(
    picture: UInt8[np.ndarray, "height width 3"],
    logits: Float32[np.ndarray, "rows cols classes"],
    classes: Sequence[str],
    chosen: tuple[int, int],
) -> go.Figure:
    """The class that each patch speaks for, as its colour over the picture, and in words where there is room."""
    rows, cols, _ = logits.shape
    ranked = np.argsort(-logits, 2, kind="stable")
    first, second = ranked[..., 0], ranked[..., :2][..., -1]
    highest, next_ = (np.take_along_axis(logits, best[..., None], 2) for best in (first, second))
    ahead = ", %{customdata[3]:.3f} ahead of %{hovertext}" if len(classes) > 1 else ""
    given, numbers = np.unique(first, return_inverse=True)
    colours = [class_colour(i) for i in given.tolist()]
    names = [[classes[i] for i in line] for line in first]
    place = cells(picture, rows, cols)
    heat = go.Heatmap(
        z=small(numbers.reshape(rows, cols)),
        **place,
        opacity=OPAQUE,
        text=names,
        hovertext=[[classes[i] for i in line] for line in second],
        customdata=np.concatenate([positions(rows, cols), highest, highest - next_], 2).astype(np.float32),
        hovertemplate=f"{PLACE}: %{{text}}, logit %{{customdata[2]:.3f}}{ahead}<extra></extra>",
        colorscale=steps(colours),
        zmin=-0.5,
        zmax=len(given) - 0.5,
        showscale=False,
    )
    traces = [under(picture), heat]
    if fits(max(len(name) for line in names for name in line), NARROW / cols, NARROW * _ratio(picture) / rows):
        y, x = np.indices((rows, cols)).reshape(2, -1)
        greys = pale(picture).mean()
        grounds = [OPAQUE * np.array(rgb(colours[i])) + (1 - OPAQUE) * greys for i in numbers.ravel()]
        across, down = place["x0"] + x * place["dx"], place["y0"] + y * place["dy"]
        traces.append(written(across, down, [name for line in names for name in line], grounds))
    whole = {"xaxis": {"range": [-0.5, picture.shape[1] - 0.5]}, "yaxis": {"range": [picture.shape[0] - 0.5, -0.5]}}
    shape = (_ratio(picture), PLAIN, WIDE + PLAIN)
    return bare(traces, None, shape, shapes=frame_patch(picture, rows, cols, chosen), **whole)


def _ratio(picture: UInt8[np.ndarray, "height width 3"]) -> float:
    return picture.shape[0] / picture.shape[1]


def patch_pixels(
    pixels: UInt8[np.ndarray, "height width 3"],
    values: Float32[np.ndarray, "height width 3"],
    corner: tuple[int, int],
    span: float,
) -> go.Figure:
    """A patch enlarged, and a signed map of each of its colours.

    values: the normalised pixels
    corner: (row, column) of its first pixel in the picture
    span: where the signed scale ends
    """
    height, width, _ = pixels.shape
    columns = 2 if width <= 4 * height else 1
    gap = -(-width * columns // 32)  # about one line of words, however fine the pixels
    told = np.dstack([positions(height, width) + corner, pixels.astype(int)])
    pixel = "pixel (%{customdata[0]}, %{customdata[1]})"
    corners = [(i % columns * (width + gap), i // columns * (height + gap)) for i in range(4)]
    (x, y), *planes = corners
    whole = go.Image(
        source=png_url(pixels),
        x0=x,
        y0=y,
        customdata=small(told),
        hovertemplate=f"{pixel}: red %{{customdata[2]}}, green %{{customdata[3]}}, blue %{{customdata[4]}} of 255"
        "<extra></extra>",
    )
    heats = [
        go.Heatmap(
            z=values[..., i],
            x0=x,
            y0=y,
            name=colour,
            customdata=small(told[..., [0, 1, 2 + i]]),
            hovertemplate=f"{pixel}, {colour}: %{{z:.3f}} (%{{customdata[2]}} of 255)<extra></extra>",
            showscale=i == 0,
            colorbar=colorbar_below("normalised value"),
            **scale(values, True, span),
        )
        for i, (colour, (x, y)) in enumerate(zip(("red", "green", "blue"), planes, strict=True))
    ]
    x, y = corners[-1]
    high, wide = y + height + gap, x + width
    return bare(
        [whole, *heats, captions(("in colour", "red", "green", "blue"), corners)],
        None,
        (high / wide, BAR, WIDE + BAR),
        xaxis={"range": [-0.5, wide - 0.5]},
        yaxis={"range": [high - gap - 0.5, -gap - 0.5]},
    )
