"""Where a value sits in a figure, what the pointer is told about it, and which colours mean what."""

import re

import numpy as np
import plotly.graph_objects as go
import pytest
from plotly.colors import sample_colorscale, unlabel_rgb

from mixer.grid import PatchGrid
from tests.viz.looking import pixels_of
from viz import figures
from viz.figures.style import SELECTED, class_symbol, luminance

ROWS, COLS = 5, 2
CELL = (4, 16)
"""the pixels of a patch: tiles of 20 x 32"""
PICTURE = np.arange(20 * 32 * 3, dtype=np.uint8).reshape(20, 32, 3)


def heatmaps(figure: go.Figure) -> list[go.Heatmap]:
    return [trace for trace in figure.data if trace.type == "heatmap"]


def edges(trace: go.Heatmap) -> tuple[np.ndarray, np.ndarray]:
    """Where the cells of a heatmap begin and end, downwards and across."""
    height, width = np.shape(trace.z)
    if trace.x is not None:
        return np.array(trace.y), np.array(trace.x)
    (y0, dy), (x0, dx) = (trace.y0, trace.dy or 1), (trace.x0, trace.dx or 1)
    return y0 + (np.arange(height + 1) - 0.5) * dy, x0 + (np.arange(width + 1) - 0.5) * dx


def framed(figure: go.Figure) -> set[tuple[float, ...]]:
    """The rectangles (top, bottom, left, right) that are drawn, white under the colour of what is selected."""
    below, above = figure.layout.shapes
    assert (below.line.color, above.line.color, below.path) == ("white", SELECTED, above.path)
    assert below.line.width > above.line.width
    boxes = [[float(number) for number in re.findall(r"[-\d.]+", box)] for box in above.path.split(" ")]
    assert all(left == again for left, _, _, _, again in boxes)
    return {(top, bottom, left, right) for left, top, right, bottom, _ in boxes}


Box = tuple[float, float, float, float]


def cells(trace: go.Heatmap) -> dict[Box, tuple[float, list[int]]]:
    """By the place (top, bottom, left, right) of a cell with a value: that, and the patch that the pointer tells."""
    assert trace.hovertemplate.startswith("patch (%{customdata[0]}, %{customdata[1]}): ")
    down, across = edges(trace)
    return {
        (down[i], down[i + 1], across[j], across[j + 1]): (trace.z[i][j], trace.customdata[i][j].tolist())
        for i, j in np.argwhere(np.isfinite(trace.z))
    }


@pytest.fixture
def maps() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(3, ROWS, COLS)).astype(np.float32)


def test_tiles_hold_every_value_where_its_patch_is_and_nothing_between(maps: np.ndarray) -> None:
    figure = figures.tiles(maps, ["a", "b", "c"], "value", True, 2, CELL)
    (trace,) = heatmaps(figure)
    found = cells(trace)
    corners = {label.text: (label.y + 0.5, label.x + 0.5) for label in figure.layout.annotations}
    assert corners["a"][0] == corners["b"][0] < corners["c"][0]
    assert corners["a"][1] == corners["c"][1] < corners["b"][1]
    assert corners["b"][1] > corners["a"][1] + 32
    assert corners["c"][0] > corners["a"][0] + 20
    for name, tile in zip("abc", maps, strict=True):
        top, left = corners[name]
        for row in range(ROWS):
            for col in range(COLS):
                y, x = top + row * 4 - 0.5, left + col * 16 - 0.5
                assert found.pop((y, y + 4, x, x + 16)) == (tile[row, col], [row, col])
    assert not found
    assert trace.hoverongaps is False
    assert figure.layout.yaxis.scaleratio == 1


def test_tiles_share_one_scale_around_zero(maps: np.ndarray) -> None:
    maps[0, 0, 0] = 1000
    (trace,) = heatmaps(figures.tiles(maps, ["a", "b", "c"], "value", True, 3, CELL))
    assert -trace.zmin == trace.zmax == pytest.approx(np.percentile(np.abs(maps), 99))
    (trace,) = heatmaps(figures.tiles(maps, ["a", "b", "c"], "cosine", True, 3, CELL, span=1))
    assert (trace.zmin, trace.zmax) == (-1, 1)
    assert trace.colorbar.title.text == "cosine"
    low, middle, high = (trace.colorscale[i][1] for i in (0, len(trace.colorscale) // 2, -1))
    assert [rgb.startswith(start) for rgb, start in ((low, "rgb(5,"), (middle, "rgb(247"), (high, "rgb(103,"))]
    (trace,) = heatmaps(figures.tiles(0 * maps, ["a", "b", "c"], "nothing", True, 3, CELL))
    assert (trace.zmin, trace.zmax) == (-1, 1)


def test_the_chosen_patch_is_framed_in_every_tile(maps: np.ndarray) -> None:
    figure = figures.tiles(maps, ["a", "b", "c"], "value", True, 2, CELL, chosen=(3, 1))
    found = cells(*heatmaps(figure))
    assert framed(figure) == {place for place, (_, patch) in found.items() if patch == [3, 1]}


@pytest.mark.parametrize("cell", [CELL, (1, 32), (32, 1)])
def test_gaps_do_not_depend_on_the_shape_of_a_patch(cell: tuple[int, int]) -> None:
    rows, cols = 32 // cell[0], 32 // cell[1]
    figure = figures.tiles(np.ones((4, rows, cols), np.float32), list("abcd"), "one", False, 2, cell)
    places = {(label.y + 0.5, label.x + 0.5) for label in figure.layout.annotations}
    assert places == {(12, 0), (12, 36), (56, 0), (56, 36)}
    figure = figures.colour_tiles(np.ones((4, rows, cols, 3), np.float32), list("abcd"), 2, cell)
    assert {(label.y + 0.5, label.x + 0.5) for label in figure.layout.annotations} == places


def test_colour_tiles_show_each_patch_in_its_colour_and_nothing_between() -> None:
    colours = np.random.default_rng(0).random((3, ROWS, COLS, 3), np.float32)
    figure = figures.colour_tiles(colours, ["a", "b", "c"], 2, CELL)
    (image,) = figure.data
    corners = {label.text: (label.y, label.x) for label in figure.layout.annotations}
    covered = 0
    for name, tile in zip("abc", colours, strict=True):
        top, left = corners[name]
        for y in range(20):
            for x in range(32):
                row, col = y // 4, x // 16
                i = round((top + y + 0.5 - image.y0) / image.dy)
                j = round((left + x + 0.5 - image.x0) / image.dx)
                assert image.z[i][j].tolist() == [*(tile[row, col] * 255).round(), 255]
                assert image.customdata[i][j].tolist() == [row, col]
                covered += 1
    drawn = image.z[..., 3] == 255
    assert drawn.sum() * image.dy * image.dx == covered


def test_a_map_over_the_picture_covers_it_patch_by_patch() -> None:
    values = np.arange(10, dtype=np.float32).reshape(ROWS, COLS)
    figure = figures.over_picture(PICTURE, values, "value", True, (3, 1))
    found = cells(*heatmaps(figure))
    for row in range(ROWS):
        for col in range(COLS):
            place = (row * 4 - 0.5, row * 4 + 3.5, col * 16 - 0.5, col * 16 + 15.5)
            assert found[place] == (values[row, col], [row, col])
    assert framed(figure) == {(11.5, 15.5, 15.5, 31.5)}


def test_under_a_map_no_colour_of_the_picture_is_left() -> None:
    picture = np.random.default_rng(0).integers(256, size=(12, 32, 3), dtype=np.uint8)
    picture[0, :3] = [[255, 255, 255], [0, 0, 0], [255, 0, 0]]
    maps = np.ones((3, 2), np.float32)
    drawn = (
        figures.over_picture(picture, maps, "value", True, (0, 0)),
        figures.over_picture(picture, maps, "value", False, (0, 0)),
        figures.answers_over_picture(picture, np.ones((3, 2, 10), np.float32), ["a"] * 10, (0, 0)),
        figures.overlays(picture, [maps, maps], ["a", "b"], [True, False], "value", (3, 2), (0, 0)),
    )
    for figure in drawn:
        for image in (trace for trace in figure.data if trace.type == "image"):
            pixels = pixels_of(image)
            assert (pixels == pixels[..., :1]).all()
            assert pixels.min() < pixels.max() <= 255
            assert pixels[0, :3, 0].tolist() == [255, 150, 181]  # red is a third as bright as white


@pytest.mark.parametrize(("signed", "span"), [(True, None), (True, 5.0), (False, None), (False, 5.0)])
def test_the_bar_has_the_colours_as_they_are_seen(signed: bool, span: float | None) -> None:
    values = np.linspace(-2, 3, 10, dtype=np.float32).reshape(ROWS, COLS)
    image, heat, bar = figures.over_picture(PICTURE, values, "value", signed, (0, 0), span).data
    ground, shown = pixels_of(image).mean(), bar.marker
    assert not heat.showscale
    assert shown.showscale
    assert shown.colorbar.title.text == "value"
    low, high = (heat.zmin, heat.zmax) if heat.zmin is not None else (values.min(), values.max())
    assert (shown.cmin, shown.cmax) == (low, high)
    for place in (0, 0.25, 0.5, 1):
        own, seen = (sample_colorscale([c for _, c in trace.colorscale], [place])[0] for trace in (heat, shown))
        mixed = [heat.opacity * c + (1 - heat.opacity) * ground for c in unlabel_rgb(own)]
        np.testing.assert_allclose(unlabel_rgb(seen), mixed, atol=1.5)


def test_each_patch_has_the_colour_and_the_name_of_the_class_it_speaks_for() -> None:
    logits = np.zeros((ROWS, COLS, 10), np.float32)
    logits[..., 7] = 1
    logits[3, 1, 2] = 1.25
    classes = [f"class {i}" for i in range(10)]
    figure = figures.answers_over_picture(PICTURE, logits, classes, (0, 1))
    (trace,) = heatmaps(figure)
    (words,) = (other for other in figure.data if other.type == "scatter")
    places = dict(zip(zip(words.y, words.x, strict=True), words.text, strict=True))
    assert (places[13.5, 23.5], places[1.5, 7.5]) == ("class 2", "class 7")
    assert trace.hovertext[3][1] == "patch (3, 1): class 2, logit 1.250, 0.250 ahead of class 7"
    for row, col, answer in ((3, 1, 2), (4, 1, 7)):
        place = (trace.z[row][col] - trace.zmin) / (trace.zmax - trace.zmin)
        below = [colour for start, colour in trace.colorscale if start <= place]
        assert below[-1].lower() == figures.class_colour(answer).lower()
    down, across = edges(trace)
    assert (down[0], down[-1], across[0], across[-1]) == (-0.5, 19.5, -0.5, 31.5)
    assert framed(figure) == {(-0.5, 3.5, 15.5, 31.5)}


@pytest.mark.parametrize(
    ("grid", "room"), [((8, 4), True), ((14, 1), True), ((32, 1), False), ((8, 5), False), ((14, 14), False)]
)
def test_names_are_written_only_where_there_is_room(grid: tuple[int, int], room: bool) -> None:
    picture = np.zeros((224, 224, 3), np.uint8)
    figure = figures.answers_over_picture(
        picture, np.zeros((*grid, 1), np.float32).repeat(10, 2), ["automobile"] * 10, (0, 0)
    )
    words = [word for trace in figure.data if trace.type == "scatter" for word in trace.text]
    assert words == (["automobile"] * grid[0] * grid[1] if room else [])


def test_a_pair_of_patches_is_named_by_row_then_column() -> None:
    values = np.arange(36, dtype=np.float32).reshape(6, 6)
    figure = figures.patch_matrix(
        values, PatchGrid((6, 4), (2, 2)).positions, "cosine", True, "from {other} to {one}", 5, span=1
    )
    (trace,) = heatmaps(figure)
    assert trace.hovertemplate.startswith("from patch %{x} to patch %{y}: %{z")
    assert (trace.y[5], trace.x[2]) == ("(2, 1)", "(1, 0)")
    assert trace.z[5][2] == values[5, 2]
    assert (trace.zmin, trace.zmax) == (-1, 1)
    (frame,) = figure.layout.shapes
    assert (frame.y0, frame.y1) == (4.5, 5.5)


def test_only_the_shown_lines_are_named() -> None:
    values = np.random.default_rng(0).random((4, 3))
    figure = figures.lines_over_depth(
        values, ["stem", "1a", "1b", "2a"], ["cat", "dog", "frog"], ["red"] * 3, "p", 2, [1]
    )
    for i, line in enumerate(figure.data):
        assert np.array_equal(line.y, values[:, i])
        assert line.showlegend == (i == 1)
    assert figure.layout.shapes[0].x0 == figure.layout.shapes[0].x1 == 2


def test_of_many_lines_the_few_that_rise_highest_are_drawn_and_their_number_is_said() -> None:
    values = np.tile(np.linspace(0.5, 0, 1000), (4, 1))
    values[2, 700] = 1
    names = [f"class {i}" for i in range(1000)]
    colours = [figures.class_colour(i) for i in range(1000)]
    figure = figures.lines_over_depth(values, ["stem", "1a", "1b", "2a"], names, colours, "probability", 2, [3, 900])
    drawn = [*range(8), 700, 900]
    assert [line.name for line in figure.data] == [names[i] for i in drawn]
    for line, i in zip(figure.data, drawn, strict=True):
        assert np.array_equal(line.y, values[:, i])
        assert line.line.color == figures.class_colour(i)
        assert line.showlegend == (i in (3, 900))
    assert figure.layout.yaxis.title.text == "probability (10 of 1,000 shown)"


@pytest.mark.parametrize("count", [1, 2, 10])
def test_of_few_lines_all_are_drawn(count: int) -> None:
    names = [f"class {i}" for i in range(count)]
    figure = figures.lines_over_depth(np.eye(3, count), ["stem", "1a", "1b"], names, ["red"] * count, "p", 0, [0])
    assert [line.name for line in figure.data] == names
    assert figure.layout.yaxis.title.text == "p"


def test_colours_and_symbols_of_classes_are_fixed_and_apart() -> None:
    assert figures.class_colour(3) == "#228833"
    colours = [figures.class_colour(i) for i in range(1000)]
    assert len(set(colours)) == 1000
    assert colours == [figures.class_colour(i) for i in range(1000)]
    rgb = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in colours[:60]])
    symbols = np.array([class_symbol(i) for i in range(60)])
    apart = np.abs(rgb[:, None] - rgb).sum(2) + 1000 * (symbols[:, None] != symbols) + 1000 * np.eye(60)
    assert apart.min() > 40, "of equal symbols, the colours differ"
    go.Scatter(x=[0], y=[0], marker={"symbol": class_symbol(20_000), "color": figures.class_colour(20_000)})


@pytest.mark.parametrize("ground", ["#ffffff", "#0a0f1e"], ids=["light", "dark"])
def test_lines_of_all_classes_are_seen_on_the_page_s_grounds(ground: str) -> None:
    def light(colour: str) -> float:
        return luminance([int(colour[i : i + 2], 16) for i in (1, 3, 5)])

    for index in range(1000):
        dark, bright = sorted((light(figures.class_colour(index)), light(ground)))
        assert (bright + 0.05) / (dark + 0.05) >= 3, index


def test_a_confusion_matrix_shows_as_many_classes_as_can_be_read() -> None:
    counts = np.diag(np.full(100, 7))
    counts[40, 90], counts[90, 40], counts[12, 13] = 3, 2, 1
    figure = figures.confusion(counts.tolist(), [f"class {i}" for i in range(100)])
    heat = figure.data[0]
    assert len(heat.x) == 25
    assert {"class 12", "class 13", "class 40", "class 90"} < set(heat.x)
    row, col = heat.y.index("class 40"), heat.x.index("class 90")
    assert (heat.customdata[row][col], heat.z[row][col]) == (3, pytest.approx(0.3))
    assert figure.layout.yaxis.title.text == "true class (25 of 100 shown)"
    small = figures.confusion([[3, 1], [0, 0]], ["cat", "dog"])
    heat, counts_written = small.data
    assert heat.z.tolist() == [[0.75, 0.25], [0, 0]]
    told = zip(counts_written.y, counts_written.x, counts_written.text, strict=True)
    assert list(told) == [("cat", "cat", "3"), ("cat", "dog", "1"), ("dog", "cat", "0"), ("dog", "dog", "0")]
    assert list(counts_written.textfont.color) == ["black", "white", "white", "white"], "readable on its shade"
    assert small.layout.yaxis.title.text == "true class"


@pytest.mark.parametrize("classes", [1, 2, 11, 60, 1000])
def test_every_answer_has_its_own_colour_however_many_there_are(classes: int) -> None:
    logits = np.random.default_rng(1).normal(size=(ROWS, COLS, classes)).astype(np.float32)
    names = [f"class {i}" for i in range(classes)]
    (trace,) = heatmaps(figures.answers_over_picture(PICTURE, logits, names, (0, 1)))
    for row in range(ROWS):
        for col in range(COLS):
            answer = int(logits[row, col].argmax())
            assert f"): {names[answer]}, logit" in trace.hovertext[row][col]
            place = (trace.z[row][col] - trace.zmin) / (trace.zmax - trace.zmin)
            below = [colour for start, colour in trace.colorscale if start <= place]
            assert below[-1].lower() == figures.class_colour(answer).lower()
    assert ("ahead of" in trace.hovertext[0][0]) == (classes > 1)


def test_equal_logits_go_to_the_first_class_as_the_network_s_answer_does() -> None:
    (trace,) = heatmaps(figures.answers_over_picture(PICTURE, np.zeros((ROWS, COLS, 3), np.float32), "abc", (0, 1)))
    assert trace.hovertext[0][0] == "patch (0, 0): a, logit 0.000, 0.000 ahead of b"


def test_a_small_map_has_the_colours_of_its_scale() -> None:
    signed = figures.to_rgb(np.array([[-2.0, 0.0, 2.0, 9.0]], np.float32), True, 2.0)
    assert signed.shape == (1, 4, 3)
    blue, middle, red, beyond = signed[0].astype(int)
    assert blue[2] > blue[0]
    assert red[0] > red[2]
    assert middle.min() > 240
    assert beyond.tolist() == red.tolist()
    low, high = figures.to_rgb(np.array([[3.0], [5.0]], np.float32), False)[:, 0].tolist()
    assert (low, high) == ([68, 1, 84], [253, 231, 37])  # the ends of Viridis


def test_a_difference_is_drawn_of_what_is_at_the_same_places_alone() -> None:
    picture = np.zeros((8, 8, 3), np.uint8)
    one, other = (np.arange(4, dtype=np.float32).reshape(2, 2) * factor for factor in (3, 1))
    maps = [figures.over_picture(picture, values, "logit", True, (0, 0)) for values in (one, other)]
    drawn = figures.difference(*maps)
    assert drawn is not None
    heat, bar = drawn.data  # and no picture, as there are two
    np.testing.assert_allclose(np.asarray(heat.z), one - other)
    assert (heat.zmin, heat.zmax) == (bar.marker.cmin, bar.marker.cmax) == (-6, 6)
    assert bar.marker.colorbar.title.text == "difference of logit"
    larger = figures.over_picture(picture, np.zeros((4, 2), np.float32), "logit", True, (0, 0))
    assert figures.difference(maps[0], larger) is None
    line = go.Figure(go.Scatter(x=[0, 1], y=np.array([0.5, 1.5]), name="a"), {"yaxis": {"range": [0, 2]}})
    elsewhere = go.Figure(go.Scatter(x=[0, 2], y=np.array([0.5, 1.5]), name="a"))
    drawn = figures.difference(line, line)
    assert drawn is not None
    np.testing.assert_array_equal(drawn.data[0].y, [0, 0])
    assert drawn.layout.yaxis.range is None
    assert figures.difference(line, elsewhere) is None
    assert figures.difference(line, maps[0]) is None
