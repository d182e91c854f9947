"""Plain arrays to plotly figures. Knows no network.

Maps over the picture are drawn on the picture's own grid; every figure reads on light and on dark ground.
"""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float, Float32, Int, UInt8
from plotly.colors import diverging, sample_colorscale
from plotly.subplots import make_subplots

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
ACCENT = "#2a7fb8"


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
    figure.update_xaxes(title="depth (a: token mixing, b: channel mixing)", tickangle=0, nticks=13)
    figure.update_yaxes(title=label)
    return _finish(figure, 320)


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
    figure = go.Figure(go.Image(z=picture, hoverinfo="skip"))
    figure.add_heatmap(
        z=values,
        **_cells(picture, rows, cols),
        opacity=0.65,
        text=[[place(r, c) for c in range(cols)] for r in range(rows)],
        hovertemplate="%{text}: %{z:.3g}<extra></extra>",
        colorbar=_colorbar(label),
        **_scale(values, signed, span),
    )
    figure.update_layout(shapes=_frame_patch(picture, rows, cols, chosen))
    return _finish(_bare(figure, 1.0), 320)


def answers_over_picture(
    picture: UInt8[np.ndarray, "height width 3"],
    logits: Float32[np.ndarray, "rows cols classes"],
    classes: Sequence[str],
    chosen: tuple[int, int],
) -> go.Figure:
    """The class that each patch speaks for, as its colour over the picture, and in words where there is room."""
    rows, cols, _ = logits.shape
    second, first = np.moveaxis(logits.argsort(2)[..., -2:], 2, 0)
    ranked = np.sort(logits, 2)
    best, lead = ranked[..., -1], ranked[..., -1] - ranked[..., -2]
    hover = [
        [
            f"{place(r, c)}: {classes[first[r, c]]}, logit {best[r, c]:.3f}, "
            f"{lead[r, c]:.3f} ahead of {classes[second[r, c]]}"
            for c in range(cols)
        ]
        for r in range(rows)
    ]
    names = [[classes[i] for i in line] for line in first]
    size = _fitting(max(len(name) for line in names for name in line), 300 / cols, 300 / rows)
    figure = go.Figure(go.Image(z=picture, hoverinfo="skip"))
    figure.add_heatmap(
        z=(first % len(CLASS_COLOURS)).astype(np.uint8),
        **_cells(picture, rows, cols),
        opacity=0.85,
        text=names,
        texttemplate="%{text}" if size else None,
        textfont={"size": size or None, "color": "black"},
        hovertext=hover,
        hovertemplate="%{hovertext}<extra></extra>",
        colorscale=_steps(CLASS_COLOURS),
        zmin=-0.5,
        zmax=len(CLASS_COLOURS) - 0.5,
        showscale=False,
    )
    figure.update_layout(shapes=_frame_patch(picture, rows, cols, chosen))
    return _finish(_bare(figure, 1.0), 320)


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
    y0, x0 = corner
    text = [[f"pixel ({y0 + y}, {x0 + x})" for x in range(width)] for y in range(height)]
    colours = [
        [f"{name}: red {r}, green {g}, blue {b} of 255" for name, (r, g, b) in zip(*lines, strict=True)]
        for lines in zip(text, pixels.tolist(), strict=True)
    ]
    corners = [(i % columns * (width + gap), i // columns * (height + gap)) for i in range(4)]
    (x, y), *planes = corners
    figure = go.Figure(
        go.Image(
            z=pixels,
            x0=x,
            y0=y,
            text=colours,
            hovertemplate="%{text}<extra></extra>",
        )
    )
    for i, (colour, (x, y)) in enumerate(zip(("red", "green", "blue"), planes, strict=True)):
        figure.add_heatmap(
            z=values[..., i],
            x0=x,
            y0=y,
            name=colour,
            text=text,
            customdata=pixels[..., i],
            hovertemplate=f"%{{text}}, {colour}: %{{z:.3f}} (%{{customdata}} of 255)<extra></extra>",
            showscale=i == 0,
            colorbar=_colorbar_below("normalised value"),
            **_scale(values, True, span),
        )
    captions = ("in colour", "red", "green", "blue")
    figure.update_layout(annotations=[_caption(text, *spot) for text, spot in zip(captions, corners, strict=True)])
    x, y = corners[-1]
    return _finish(_bare(figure, 1.0), 80 + min(400, round(400 * (y + height + gap) / (x + width))))


def tiles(
    maps: Float32[np.ndarray, "tiles rows cols"],
    names: Sequence[str],
    label: str,
    signed: bool,
    columns: int,
    cell: tuple[int, int],
    labelled: bool = True,
    span: float | None = None,
    chosen: tuple[int, int] | None = None,
    group: int = 1,
) -> go.Figure:
    """Many maps over the picture on one shared scale, as a single heatmap with gaps between them.

    cell: (height, width) of a patch in pixels, so that every tile has the shape of the picture
    span: where a signed scale ends; without it, at the 99th percentile
    chosen: (row, column) of a patch to frame in every tile
    group: after so many tiles of a line, the gap is wider
    """
    count, rows, cols = maps.shape
    top = 3 * GUTTER if labelled else GUTTER
    high, wide = rows + top, cols + GUTTER
    lines = -(-count // columns)
    gaps = np.arange(columns) // group * GUTTER * (group > 1)
    canvas = np.full((lines * high, columns * wide + gaps[-1]), np.nan, np.float32)
    text = np.full(canvas.shape, "", object)
    gap = (rows * cell[0] / 8, cols * cell[1] / 8)  # room for words, whatever a patch's shape
    heights, widths = (np.full(size, empty, np.float32) for size, empty in zip(canvas.shape, gap, strict=True))
    places = [(i // columns * high + top, i % columns * wide + gaps[i % columns]) for i in range(count)]
    for name, tile, (y, x) in zip(names, maps, places, strict=True):
        canvas[y : y + rows, x : x + cols] = tile
        text[y : y + rows, x : x + cols] = [[f"{name}, {place(r, c)}" for c in range(cols)] for r in range(rows)]
        heights[y : y + rows], widths[x : x + cols] = cell
    down, across = (np.append(0, sizes.cumsum()) - 0.5 for sizes in (heights, widths))
    corners = [(across[x] + 0.5, down[y] + 0.5) for y, x in places]
    figure = go.Figure(
        go.Heatmap(
            z=canvas,
            x=across,
            y=down,
            text=text.tolist(),
            hovertemplate="%{text}: %{z:.3g}<extra></extra>",
            hoverongaps=False,
            colorbar=_colorbar_below(label),
            **_scale(maps, signed, span),
        )
    )
    if labelled:
        figure.update_layout(annotations=[_caption(name, *corner) for name, corner in zip(names, corners, strict=True)])
    if chosen is not None:
        row, col = chosen
        (dy, dx), spots = cell, [(x + col * cell[1], y + row * cell[0]) for x, y in corners]
        figure.update_layout(shapes=[line for spot in spots for line in _frame(*spot, dx, dy)])
    return _finish(_bare(figure, 1.0), None)


def colour_tiles(
    colours: Float32[np.ndarray, "tiles rows cols 3"], names: Sequence[str], columns: int, cell: tuple[int, int]
) -> go.Figure:
    """Many colour maps (0 to 1) over the picture, with gaps between them.

    A picture's cells are all of one size, so a patch is drawn as several where the picture has fewer than 8 across or
    down: the gaps are to be an eighth of it.
    """
    count, rows, cols, _ = colours.shape
    split_y, split_x = -(-8 // rows), -(-8 // cols)
    rows, cols, dy, dx = rows * split_y, cols * split_x, cell[0] / split_y, cell[1] / split_x
    top, gap = 3 * round(rows / 8), round(cols / 8)
    high, wide = rows + top, cols + gap
    canvas = np.zeros((-(-count // columns) * high, columns * wide, 4), np.uint8)
    text = np.full(canvas.shape[:2], "", object)
    corners = []
    for i, (name, tile) in enumerate(zip(names, colours, strict=True)):
        y, x = i // columns * high + top, i % columns * wide
        corners.append((x * dx, y * dy))
        canvas[y : y + rows, x : x + cols, :3] = (tile * 255).round().repeat(split_y, 0).repeat(split_x, 1)
        canvas[y : y + rows, x : x + cols, 3] = 255
        told = [
            [f"{name}, {place(r, c)}: red {p:.2f}, green {q:.2f}, blue {s:.2f}" for c, (p, q, s) in enumerate(line)]
            for r, line in enumerate(tile.tolist())
        ]
        text[y : y + rows, x : x + cols] = np.array(told, object).repeat(split_y, 0).repeat(split_x, 1)
    figure = go.Figure(
        go.Image(
            z=canvas,
            colormodel="rgba256",
            x0=dx / 2 - 0.5,
            dx=dx,
            y0=dy / 2 - 0.5,
            dy=dy,
            text=text.tolist(),
            hovertemplate="%{text}<extra></extra>",
        )
    )
    figure.update_layout(annotations=[_caption(name, *corner) for name, corner in zip(names, corners, strict=True)])
    return _finish(_bare(figure, 1.0), None)


def patch_matrix(
    values: Float32[np.ndarray, "patches patches"],
    cols: int,
    label: str,
    signed: bool,
    relation: str,
    chosen: int,
    span: float | None = None,
    error: Float32[np.ndarray, "patches patches"] | None = None,
) -> go.Figure:
    """A value for each pair of patches, in reading order; the chosen patch's row is marked.

    relation: how the hover text joins the two, e.g. "from {other} to {one}"; {one} is the row's patch
    span: where the scale ends; without it, a signed one at the 99th percentile
    error: the standard error of each value, for the hover text
    """
    names = [place(*divmod(i, cols)) for i in range(len(values))]
    text = [[relation.format(one=one, other=other) for other in names] for one in names]
    uncertain = "" if error is None else " ± %{customdata:.2g}"
    figure = go.Figure(
        go.Heatmap(
            z=values,
            text=text,
            customdata=error,
            hovertemplate=f"%{{text}}: %{{z:.3g}}{uncertain}<extra></extra>",
            colorbar=_colorbar(label),
            **_scale(values, signed, span),
        )
    )
    figure.add_shape(
        type="rect", x0=-0.5, x1=len(values) - 0.5, y0=chosen - 0.5, y1=chosen + 0.5, line={"color": INK, "width": 2}
    )
    return _finish(_bare(figure, 1.0), None)


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
            text=np.asarray(counts).astype(str),
            texttemplate="%{text}",
            hovertemplate="%{y}, answered %{x}: %{text} images (%{z:.1%})<extra></extra>",
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


def tile_columns(count: int, height: float, width: float) -> int:
    """How many tiles of that size (with their gap) make a line, so that all are about twice as wide as high.

    An even number, and one that fills the last line if there is one within reach.
    """
    ideal = (2 * count * height / width) ** 0.5
    near = [columns for columns in range(2, 2 * count, 2) if ideal / 1.15 <= columns <= 1.15 * ideal]
    return min(near, key=lambda columns: (-count % columns, max(columns / ideal, ideal / columns)), default=2)


def filter_tiles(
    filters: Float32[np.ndarray, "filters height width 3"], names: Sequence[str], columns: int, span: float
) -> go.Figure:
    """Signed weights of red, green and blue as colours, on one scale: -span is dark, 0 mid grey, span full colour."""
    shades = ((filters / span).clip(-1, 1) * 127.5 + 127.5).round().astype(np.uint8)
    text = [
        [
            [f"{name}, pixel ({y}, {x}): red {r:.3f}, green {g:.3f}, blue {b:.3f}" for x, (r, g, b) in enumerate(line)]
            for y, line in enumerate(tile.tolist())
        ]
        for name, tile in zip(names, filters, strict=True)
    ]
    return _pixel_tiles(shades, text, columns, GUTTER, None)


def pictures(
    shown: UInt8[np.ndarray, "pictures height width 3"], names: Sequence[str], places: Sequence[Sequence[str]]
) -> go.Figure:
    """Pictures side by side under their names. places: what the pointer says of each pixel, line by line."""
    count, height, width, _ = shown.shape
    text = np.array(places, object).reshape(count, height, width)
    gap = -(-width // 8)
    figure = _pixel_tiles(shown, text.tolist(), count, gap, None)
    figure.update_layout(annotations=[_caption(name, i * (width + gap), gap) for i, name in enumerate(names)])
    return figure


def _pixel_tiles(
    shades: UInt8[np.ndarray, "tiles height width 3"],
    text: Sequence[Sequence[Sequence[str]]],
    columns: int,
    gap: int,
    height: int | None,
) -> go.Figure:
    """Small pictures with gaps between them, and above them, as one."""
    count, rows, cols, _ = shades.shape
    high, wide = rows + gap, cols + gap
    lines = -(-count // columns)
    canvas = np.zeros((lines * high, columns * wide - gap, 4), np.uint8)
    hover = np.full(canvas.shape[:2], "", object)
    for i, tile in enumerate(shades):
        y, x = i // columns * high + gap, i % columns * wide
        canvas[y : y + rows, x : x + cols] = np.dstack([tile, np.full((rows, cols), 255, np.uint8)])
        hover[y : y + rows, x : x + cols] = text[i]
    image = go.Image(z=canvas, colormodel="rgba256", text=hover.tolist(), hovertemplate="%{text}<extra></extra>")
    return _finish(_bare(go.Figure(image), 1.0), height)


def lines_of_blocks(
    x: Float[np.ndarray, "points"] | Int[np.ndarray, "points"],
    values: Float[np.ndarray, "blocks points"],
    chosen: int,
    across: str,
    label: str,
) -> go.Figure:
    """A line for each block, coloured by its place in the network (named from 1 on); the chosen one is thick."""
    scale = sample_colorscale(SEQUENTIAL, np.linspace(0, 0.85, 11).tolist())  # the rest is too pale on white
    last = max(1, len(values) - 1)
    shades = sample_colorscale(scale, [i / last for i in range(len(values))])
    figure = go.Figure()
    for i, (line, shade) in enumerate(zip(values, shades, strict=True)):
        figure.add_scatter(
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
    axis = {"colorscale": scale, "cmin": 1, "cmax": last + 1, "colorbar": _colorbar("block")}
    figure.update_layout(coloraxis=axis)
    figure.update_xaxes(title=across)
    figure.update_yaxes(title=label, rangemode="tozero")
    return _finish(figure, 360)


def ranked(values: Float[np.ndarray, "things"], thing: str, label: str) -> go.Figure:
    """One value for each of many things, the largest first; the pointer tells which it is."""
    order = np.argsort(-values, kind="stable")
    figure = go.Figure(
        go.Scatter(
            x=np.arange(1, len(values) + 1),
            y=values[order],
            text=[f"{thing} {i}" for i in order],
            name=label,
            mode="lines",
            fill="tozeroy",
            line={"color": ACCENT, "width": 2},
            hovertemplate="%{text}: %{y:.3g}<extra></extra>",
        )
    )
    figure.update_xaxes(title=f"{thing}s, the largest first")
    figure.update_yaxes(title=label)
    return _finish(figure, 320)


def grouped_bars(
    values: Float[np.ndarray, "groups names"], groups: Sequence[str], names: Sequence[str], label: str
) -> go.Figure:
    """For each name one bar per group, side by side; groups differ in colour and in hatching."""
    figure = go.Figure()
    looks = zip((ACCENT, "#88CCEE", "#D55E00"), ("", "/", "x"), strict=True)
    for line, group, (colour, hatching) in zip(values, groups, looks, strict=True):
        figure.add_bar(
            x=list(names),
            y=line,
            name=group,
            marker={"color": colour, "pattern": {"shape": hatching, "fgcolor": "white", "size": 5}},
            hovertemplate=f"{group}: %{{x}} %{{y:.1%}}<extra></extra>",
        )
    figure.update_yaxes(title=label, tickformat=".0%", rangemode="tozero")
    figure.update_xaxes(tickangle=0)
    return _finish(figure, 340).update_layout(legend={"y": 1.02, "yanchor": "bottom"})


def _scale(values: np.ndarray, signed: bool, span: float | None = None) -> dict:
    """The colour scale of the data: one for magnitudes, one around zero for signed values."""
    if not signed:
        return {"colorscale": SEQUENTIAL} | ({"zmin": 0, "zmax": span} if span else {})
    span = span or float(np.nanpercentile(np.abs(values), 99)) or 1.0
    return {"colorscale": SIGNED, "zmin": -span, "zmax": span}


def _cells(picture: np.ndarray, rows: int, cols: int) -> dict:
    """Where a heatmap with a cell for each patch lies on the picture, in its pixels."""
    dy, dx = picture.shape[0] / rows, picture.shape[1] / cols
    return {"x0": dx / 2 - 0.5, "dx": dx, "y0": dy / 2 - 0.5, "dy": dy}


def _frame_patch(picture: np.ndarray, rows: int, cols: int, chosen: tuple[int, int]) -> list[dict]:
    (row, col), dy, dx = chosen, picture.shape[0] / rows, picture.shape[1] / cols
    return _frame(col * dx, row * dy, dx, dy)


def _steps(colours: Sequence[str]) -> list[tuple[float, str]]:
    """A colour scale that jumps: the first colour around 0, the second around 1, ..."""
    count = len(colours)
    return [(i / count, colour) for j, colour in enumerate(colours) for i in (j, j + 1)]


def _fitting(letters: int, width: float, height: float) -> int:
    """The font size at which so many letters fit into so many pixels, at most 11; 0 where they would be too small."""
    size = int(min(11, 1.6 * width / letters, 0.85 * height))
    return size if size >= 7 else 0


def _caption(text: str, x: float, y: float) -> dict:
    """Words that stand on the upper left corner of the cell (x, y)."""
    spot = {"x": x - 0.5, "y": y - 0.5, "xanchor": "left", "yanchor": "bottom"}
    return {"text": text, **spot, "showarrow": False, "font": {"size": 11, "color": INK}}


def _frame(x: float, y: float, width: float, height: float) -> list[dict]:
    """A rectangle around cells from (x, y) on, seen on any colour: black on white."""
    box = {"type": "rect", "x0": x - 0.5, "x1": x + width - 0.5, "y0": y - 0.5, "y1": y + height - 0.5}
    return [{**box, "line": {"color": colour, "width": width}} for colour, width in (("white", 3), ("black", 1))]


def _colorbar(label: str) -> dict:
    return {"title": {"text": label, "side": "right"}, "thickness": 12, "outlinewidth": 0}


def _colorbar_below(label: str) -> dict:
    """For wide figures, which need all of their width."""
    below = {"orientation": "h", "x": 0.5, "len": 0.6, "y": -0.02, "yanchor": "top"}
    return _colorbar(label) | below | {"title": {"text": label, "side": "bottom"}}


def _bare(figure: go.Figure, ratio: float) -> go.Figure:
    """A picture, not a diagram: no axes, downwards, cells `ratio` times as high as wide."""
    figure.update_xaxes(visible=False, constrain="domain")
    figure.update_yaxes(visible=False, autorange="reversed", scaleanchor="x", scaleratio=ratio, constrain="domain")
    return figure


def _finish(figure: go.Figure, height: int | None) -> go.Figure:
    """What all figures have in common. Without a height, the page sets it by the figure's shape."""
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


def learning_curves(epochs: Sequence[float], losses: Sequence[float], accuracies: Sequence[float]) -> go.Figure:
    """How a training goes: the mean loss of each epoch, and the accuracy on the validation images after it."""
    figure = make_subplots(1, 2)
    panels = (("training loss", losses, "%{y:.3f}"), ("validation accuracy", accuracies, "%{y:.2%}"))
    for col, (label, values, form) in enumerate(panels, 1):
        figure.add_scatter(
            x=list(epochs),
            y=list(values),
            mode="lines+markers",
            line={"color": ACCENT},
            hovertemplate=f"epoch %{{x:.4g}}: {form}<extra></extra>",
            showlegend=False,
            row=1,
            col=col,
        )
        figure.update_yaxes(title=label, row=1, col=col)
    figure.update_yaxes(tickformat=".0%", col=2)
    figure.update_xaxes(title="epoch", tickangle=0)
    return _finish(figure, 320)
