"""Where the values of an explanation lie, and what the lines of its checks are called."""

import numpy as np
import plotly.graph_objects as go
import pytest

from viz import figures

ROWS, COLS = 5, 2
PICTURE = np.arange(20 * 32 * 3, dtype=np.uint8).reshape(20, 32, 3)
MAPS = np.random.default_rng(0).normal(size=(5, ROWS, COLS)).astype(np.float32)
NAMES = ["a", "b", "c", "d", "e"]


def overlays(maps: list[np.ndarray | None], signed: list[bool], names: list[str] = NAMES) -> go.Figure:
    return figures.overlays(PICTURE, maps, names[: len(maps)], signed, "logit", (ROWS, COLS), (3, 1))


def heatmaps(figure: go.Figure) -> list[go.Heatmap]:
    return [trace for trace in figure.data if trace.type == "heatmap"]


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (2, 2), (3, 3), (4, 2), (5, 3)])
def test_at_most_three_maps_stand_side_by_side_under_their_names(count: int, columns: int) -> None:
    figure = overlays(list(MAPS[:count]), [True] * count, ["a<br>b"] * count)
    images = [trace for trace in figure.data if trace.type == "image"]
    tops = [image.y0 for image in images]
    assert tops.count(tops[0]) == columns
    right = max(image.x0 for image in images) + 31.5
    assert tuple(figure.layout.xaxis.range) == (-0.5, right)
    bottom, top = figure.layout.yaxis.range
    assert bottom >= max(tops) + 19.5
    assert (top, figure.layout.margin.t) == (-0.5, 12 + 17 * 2), "two lines of words stand over the first"
    assert figure.layout.meta["ratio"] == pytest.approx((bottom - top) / (right + 0.5))
    corners = {(label.x + 0.5, label.y + 0.5) for label in figure.layout.annotations}
    assert corners == {(image.x0, image.y0) for image in images}


def test_every_value_lies_on_its_patch_or_pixel() -> None:
    fine = np.random.default_rng(1).normal(size=(20, 32)).astype(np.float32)
    figure = overlays([MAPS[0], fine], [True, True])
    coarse, pixels = heatmaps(figure)
    assert (coarse.x0, coarse.dx, coarse.y0, coarse.dy) == (7.5, 16, 1.5, 4)
    assert (coarse.name, coarse.customdata[3][1].tolist()) == ("a", [3, 1])
    assert coarse.hovertemplate.startswith("%{fullData.name}, patch (%{customdata[0]}, %{customdata[1]}): ")
    assert np.array_equal(coarse.z, MAPS[0])
    assert (pixels.x0, pixels.dx, pixels.y0, pixels.dy) == (34, 1, 0, 1)
    assert (pixels.name, pixels.customdata[13][17].tolist()) == ("b", [3, 1])
    assert figure.layout.shapes[1].path == "M15.5,11.5H31.5V15.5H15.5Z M49.5,11.5H65.5V15.5H49.5Z"


@pytest.mark.parametrize("cells", [(ROWS, COLS), (20, 32)])
def test_a_cell_is_found_on_its_patch_again(cells: tuple[int, int]) -> None:
    values = np.zeros(cells, np.float32)
    (heat,) = heatmaps(overlays([values], [True]))
    for row, col in np.ndindex(cells):
        found = figures.overlay_patch(cells, (ROWS, COLS), (row, col))
        assert heat.customdata[row][col].tolist() == list(found)
    for wrong in ((-1, 0), (0, cells[1]), (cells[0], 0)):
        with pytest.raises(IndexError):
            figures.overlay_patch(cells, (ROWS, COLS), wrong)


def test_signed_maps_share_a_scale_and_unsigned_ones_have_their_own() -> None:
    maps, signed = [MAPS[0], np.abs(MAPS[1]), 9 * MAPS[2]], [True, False, True]
    figure = overlays(maps, signed)
    first, second, third = heatmaps(figure)
    span = np.percentile(np.abs([MAPS[0], 9 * MAPS[2]]), 99)
    for trace in (first, third):
        assert -trace.zmin == trace.zmax == pytest.approx(span)
    assert (second.zmin, second.zmax) == (0, np.abs(MAPS[1]).max())
    assert second.colorscale != first.colorscale
    bar = figure.data[-1].marker
    assert (bar.cmin, bar.cmax, bar.showscale) == (first.zmin, first.zmax, True)
    assert not any(trace.showscale for trace in (first, second, third))


def test_a_map_that_is_not_known_leaves_its_place_empty() -> None:
    known, unknown = heatmaps(overlays([MAPS[0], None], [True, True]))
    assert np.array_equal(known.z, MAPS[0])
    assert np.isnan(np.asarray(unknown.z, float)).all()
    assert len(overlays([None, None], [False, True]).data) == 5


def test_curves_are_named_with_their_areas() -> None:
    own, reverse = np.arange(6.0).reshape(2, 3), np.arange(6.0).reshape(2, 3)[:, ::-1]
    areas, band = np.array([[0.25, 0.5], [0.75, 1]]), np.array([[0.0, 1, 2], [3, 4, 5]])
    bare = figures.against_chance(own, reverse, areas, ["A", "B"], "logit", "patches gone", 1, None)
    names = ["A (area 0.25)", "A, reverse (area 0.75)", "B (area 0.50)", "B, reverse (area 1.00)"]
    assert [trace.name for trace in bare.data] == names
    assert [list(trace.y) for trace in bare.data] == [[0, 1, 2], [2, 1, 0], [3, 4, 5], [5, 4, 3]]
    assert bare.layout.shapes[0].x0 == bare.layout.shapes[0].x1 == 1
    colours = [trace.line.color for trace in bare.data]
    assert colours[0] == colours[1] != colours[2] == colours[3]
    figure = figures.against_chance(
        own, reverse, areas, ["A", "B"], "logit", "patches gone", 1, (np.arange(3), band, 0.6)
    )
    high, low = figure.data[:2]
    assert (list(high.y), list(low.y), low.fill) == ([3, 4, 5], [0, 1, 2], "tonexty")
    assert low.name == "9 of 10 random orders (mean area 0.60)"
    assert [trace.name for trace in figure.data[2:]] == names


def test_randomised_lines_start_at_the_trained_network() -> None:
    lines, draws = np.array([[0.5, 0.1], [0.9, 0.8]]), np.array([[0.1, -0.2, 0.3], [0.8, 0.7, 0.9]])
    figure = figures.randomised(["head", "stem"], lines, draws, ["A", "B"])
    assert [list(line.y) for line in figure.data] == [[1, 0.5, 0.1], [1, 0.9, 0.8], [-0.2, 0.3], [0.7, 0.9]]
    assert [line.showlegend for line in figure.data] == [True, True, False, False]
    assert set(figure.data[2].x) == {"stem"}
    assert list(figure.data[0].x) == ["trained", "head", "stem"]
    assert len({line.marker.symbol for line in figure.data}) == 2


def test_agreement_is_drawn_from_minus_one_to_one() -> None:
    correlations = np.array([[1, -0.25], [-0.25, 1]], np.float32)
    (heatmap,) = figures.agreement(correlations, ["A", "B"]).data
    assert (heatmap.zmin, heatmap.zmax) == (-1, 1)
    assert np.array_equal(heatmap.z, correlations)
    assert heatmap.texttemplate == "%{z:.2f}"
