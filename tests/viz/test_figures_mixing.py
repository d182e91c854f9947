import re

import numpy as np
import pytest

from mixer.grid import PatchGrid
from tests.viz.looking import pixels_of
from viz import figures

NAMES = [f"unit {i}" for i in range(6)]


def maps() -> np.ndarray:
    """Six maps of 3 rows and 2 columns, all values different."""
    return np.arange(36, dtype=np.float32).reshape(6, 3, 2)


UNITS = np.array([40, 7, 300, 0, 12, 5])


def unit_tiles(columns: int, group: int = 1, chosen: tuple[int, int] = (0, 0)) -> figures.Figure:
    return figures.unit_tiles(maps(), UNITS, "weight", columns, (4, 16), chosen, group)


@pytest.mark.parametrize(("columns", "group"), [(4, 1), (4, 2), (1, 1), (6, 2), (8, 1)])
def test_unit_tiles_hold_every_map_in_its_place_and_a_click_finds_it(columns: int, group: int):
    heatmap = unit_tiles(columns, group).data[0]
    z, told = np.asarray(heatmap.z), np.asarray(heatmap.customdata)
    found = []
    for index in np.ndindex(z.shape):
        if np.isnan(z[index]):
            with pytest.raises(ValueError, match="no tile is at cell"):
                figures.unit_tile_at(index, (6, 3, 2), columns, group)
            continue
        tile, row, col = figures.unit_tile_at(index, (6, 3, 2), columns, group)
        assert z[index] == maps()[tile, row, col]
        assert told[index].tolist() == [UNITS[tile], row, col]
        found.append((tile, row, col))
    assert sorted(found) == list(np.ndindex(6, 3, 2))
    for outside in ((-1, 0), (0, -1)):
        with pytest.raises(ValueError, match="no tile"):
            figures.unit_tile_at(outside, (6, 3, 2), columns, group)
    with pytest.raises(IndexError):
        figures.unit_tile_at(z.shape, (6, 3, 2), columns, group)


def test_a_cell_of_tiles_with_captions_is_found_again():
    z = np.asarray(figures.tiles(maps(), NAMES, "weight", False, 4, (4, 16)).data[0].z)
    for place in np.ndindex(6, 3, 2):
        (index,) = np.argwhere(z == maps()[place])
        assert figures.tile_at(index.tolist(), (6, 3, 2), 4) == place
    with pytest.raises(ValueError, match=r"no tile is at cell \(0, 0\)"):
        figures.tile_at((0, 0), (6, 3, 2), 4)


def test_unit_tiles_have_the_shape_of_the_picture():
    heatmap = unit_tiles(3).data[0]
    # in pixels: a patch is 4 high and 16 wide, and a picture of 12 x 32 has a gap of an eighth around it
    assert {*np.diff(heatmap.y).round(3)} == {4, 1.5}
    assert {*np.diff(heatmap.x).round(3)} == {16, 4}


def test_groups_of_tiles_stand_apart():
    heatmap = unit_tiles(6, 2).data[0]
    left = [float(heatmap.x[np.argwhere(np.asarray(heatmap.z) == 6 * tile)[0, 1]]) for tile in range(6)]
    assert np.diff(left).tolist() == [36, 40, 36, 40, 36]


def test_the_frames_of_all_unit_tiles_are_one_shape():
    """Hundreds of shapes would take plotly a second."""
    figure = unit_tiles(4, chosen=(2, 1))
    (heatmap,), (shape,) = figure.data, figure.layout.shapes
    boxes = {tuple(float(n) for n in re.findall(r"[-.\d]+", box)[:4]) for box in shape.path.split(" ")}
    y, x = np.array(heatmap.y), np.array(heatmap.x)
    cells = [np.argwhere(np.asarray(heatmap.z) == tile[2, 1])[0] for tile in maps()]
    assert boxes == {(x[j], y[i], x[j + 1], y[i + 1]) for i, j in cells}


@pytest.mark.parametrize("count", [1, 13, 256, 384, 512])
@pytest.mark.parametrize(("height", "width"), [(32, 32), (5, 9), (2, 33), (17, 17)])
def test_tile_columns_make_a_wide_figure(count: int, height: int, width: int):
    columns = figures.tile_columns(count, height, width)
    assert columns % 2 == 0
    if count >= 256:
        assert 1.3 < columns * width / (-(-count // columns) * height) < 3


def test_tile_columns_fill_the_last_line_where_they_can():
    assert figures.tile_columns(512, 32, 32) == 32
    assert figures.tile_columns(384, 16, 16) == 26  # 27.7 would be twice as wide as high; 26 leaves 6 places free


def test_filters_have_grey_in_the_middle_and_one_scale():
    filters = np.zeros((3, 2, 5, 3), np.float32)
    filters[1, 0, 4] = [0.5, -0.5, 0.25]
    filters[2, 1, 0] = [9, -9, 0]
    image = figures.filter_tiles(filters, np.array([7, 300, 4]), 2, 0.5).data[0]
    z, told = pixels_of(image), np.asarray(image.customdata)
    assert z.shape == (2 * 3, 2 * 6 - 1, 4)
    assert z[1, 0].tolist() == [128, 128, 128, 255]
    assert z[1, 6 + 4].tolist() == [255, 0, 191, 255]  # tile b, pixel (0, 4)
    assert z[3 + 2, 0].tolist() == [255, 0, 128, 255]  # tile c, pixel (1, 0): beyond the scale
    assert z[0].max() == z[:, 5].max() == 0  # gaps, seen through
    assert told[1, 10].tolist() == [300, 0, 4]
    assert told[0, 1].tolist() == told[1, 1].tolist() == [7, 0, 1]  # in a gap, the nearest pixel
    assert told[2, 5].tolist() == told[2, 4].tolist()
    assert told[5, 10].tolist() == told[5, 4].tolist() == [4, 1, 4]  # where no tile is, the last
    assert told.dtype == np.int16
    place = "channel %{customdata[0]}, pixel (%{customdata[1]}, %{customdata[2]})"
    colours = "red %{z[0]}, green %{z[1]}, blue %{z[2]}"
    assert image.hovertemplate == f"{place}: {colours} (0 means -0.5, 255 means 0.5)<extra></extra>"


def test_pictures_are_not_changed():
    shown = np.random.default_rng(0).integers(256, size=(2, 8, 16, 3), dtype=np.uint8)
    origins = np.random.default_rng(1).integers(2, size=(2, 2, 4, 2))
    figure = figures.pictures(shown, ["before", "after"], (2, 4), origins)
    (image,) = figure.data
    z, told = pixels_of(image), np.asarray(image.customdata)
    assert (z[2:, :16, :3] == shown[0]).all()
    assert (z[2:, 18:, :3] == shown[1]).all()
    assert told[2 + 3, 18 + 5].tolist() == [0, 1, *origins[1, 0, 1]]
    assert told[2 + 4, 15].tolist() == [1, 3, *origins[0, 1, 3]]
    words = "patch (%{customdata[0]}, %{customdata[1]}): here from patch (%{customdata[2]}, %{customdata[3]})"
    assert image.hovertemplate == f"{words}<extra></extra>"
    assert [(a.text, a.x) for a in figure.layout.annotations] == [("before", -0.5), ("after", 17.5)]
    for y, x in np.ndindex(z.shape[:2]):
        if not z[y, x, 3]:
            with pytest.raises(ValueError, match="no picture is at pixel"):
                figures.picture_at((y, x), shown.shape[:3])
        else:
            assert (z[y, x, :3] == shown[figures.picture_at((y, x), shown.shape[:3])]).all()
    for outside in ((-1, 0), (5, -1), (5, 34), (10, 5)):
        with pytest.raises(ValueError, match="no picture"):
            figures.picture_at(outside, shown.shape[:3])


def test_lines_of_blocks():
    values = np.random.default_rng(0).random((4, 5))
    figure = figures.lines_of_blocks(np.arange(5), values, 2, "distance", "weight")
    np.testing.assert_array_equal([line.y for line in figure.data], values)
    assert [line.name for line in figure.data if line.showlegend] == ["block 3"]
    assert figure.data[2].line.width > max(line.line.width for line in figure.data if line.name != "block 3")
    assert len({line.line.color for line in figure.data}) == 4
    # the colour bar counts like the names, and its ends are the colours of the first and the last block
    axis = figure.layout.coloraxis
    assert (axis.cmin, axis.cmax) == (1, 4)
    assert [figure.data[0].line.color, figure.data[3].line.color] == [axis.colorscale[0][1], axis.colorscale[-1][1]]
    assert all(list(line.marker.color) == [i + 1] * 5 for i, line in enumerate(figure.data) if i != 2)


def test_one_block_has_a_line_too():
    assert len(figures.lines_of_blocks(np.arange(3), np.ones((1, 3)), 0, "distance", "weight").data) == 1


def test_ranked_values_keep_their_numbers():
    line = figures.sorted_line(np.array([0.5, 3, -1, 3]), "channel", "activity").data[0]
    assert list(line.y) == [3, 3, 0.5, -1]
    assert list(line.customdata) == [1, 3, 0, 2]
    assert line.hovertemplate.startswith("channel %{customdata}: ")


def test_grouped_bars_differ_in_more_than_colour():
    values = np.array([[0.5, 0.1], [0.4, 0.2], [0.3, 0.3]])
    figure = figures.grouped_bars(values, ["x", "y", "z"], ["cat", "dog"], "probability")
    np.testing.assert_array_equal([bar.y for bar in figure.data], values)
    assert [bar.name for bar in figure.data] == ["x", "y", "z"]
    assert len({bar.marker.pattern.shape for bar in figure.data}) == 3
    assert {bar.marker.pattern.fillmode for bar in figure.data} == {"overlay"}  # or they would be white on white


def test_bars_before_and_after_tell_the_change_in_points():
    figure = figures.before_after(np.array([[0.5, 0.125], [0.25, 0.375]]), ["cat", "dog"], ("before", "after"), "p")
    before, after = figure.data
    assert (before.x.tolist(), after.x.tolist()) == ([0.5, 0.125], [0.25, 0.375])
    assert before.y == after.y == ("cat", "dog")
    assert list(after.text) == ["25.0% (-25.0)", "37.5% (+25.0)"]
    assert before.marker.color != after.marker.color
    assert before.marker.pattern.shape != after.marker.pattern.shape


def test_effects_are_red_above_and_blue_below_with_what_is_usual_beside_them():
    usual = np.array([[1.0, np.nan, 2.0], [0.5, np.nan, 0.25]])
    figure = figures.signed_bars(np.array([0.5, -1.0, 2.0]), ["1a", "1b", "2a"], "change", "sublayer", 1, usual)
    bar, spread = figure.data
    assert bar.y.tolist() == [0.5, -1, 2]
    assert (bar.marker.color[0], bar.marker.color[2]) == (figures.style.RISES,) * 2
    assert bar.marker.color[1] == figures.style.FALLS
    assert [width > 0 for width in bar.marker.line.width] == [False, True, False]
    np.testing.assert_array_equal(spread.y, usual[0])
    np.testing.assert_array_equal(spread.error_y.array, usual[1])
    assert len(figures.signed_bars(np.zeros(2), ["a", "b"], "change", "unit", 0).data) == 1


def test_maps_that_are_compared_have_the_scale_they_are_given():
    picture, values = np.zeros((12, 32, 3), np.uint8), maps()[0]
    for signed, ends in ((False, (0, 3)), (True, (-3, 3))):
        heatmap = figures.over_picture(picture, values, "gain", signed, (0, 0), 3).data[1]
        assert (heatmap.zmin, heatmap.zmax) == ends
        matrix = figures.patch_matrix(
            maps().reshape(6, 6), PatchGrid((6, 4), (2, 2)).positions, "gain", signed, "{one} {other}", 0, 3
        ).data[0]
        assert (matrix.zmin, matrix.zmax) == ends


def test_a_matrix_tells_how_sure_it_is():
    values = np.abs(maps().reshape(6, 6)) + 1
    error = values * np.arange(36, dtype=np.float32).reshape(6, 6) / 100
    matrix = figures.patch_matrix(
        values, PatchGrid((6, 4), (2, 2)).positions, "gain", False, "from {other} to {one}", 0, error=error
    ).data[0]
    np.testing.assert_array_equal(matrix.customdata, np.arange(36).reshape(6, 6))
    assert "± %{customdata}%" in matrix.hovertemplate
    np.testing.assert_allclose(matrix.z, values, rtol=1.3e-4)
    assert matrix.hovertemplate.startswith("from patch %{x} to patch %{y}: ")
    assert (matrix.y[5], matrix.x[2]) == ("(2, 1)", "(1, 0)")
    assert (
        "±"
        not in figures.patch_matrix(values, PatchGrid((6, 4), (2, 2)).positions, "gain", False, "{one} {other}", 0)
        .data[0]
        .hovertemplate
    )


@pytest.mark.parametrize(
    ("grid", "across", "down"),
    [((3, 2), range(0, 3), range(0, 3)), ((17, 3), range(0, 17, 5), range(0, 17, 3)), ((1, 5), [0], [0])],
)
def test_a_matrix_names_the_starts_of_rows_on_its_axes(grid: tuple[int, int], across: range, down: range):
    count, positions = grid[0] * grid[1], PatchGrid(grid, (1, 1)).positions
    layout = figures.patch_matrix(
        np.ones((count, count), np.float32), positions, "gain", False, "{one} {other}", 0, axes=("from", "to")
    ).layout
    for axis, title, rows in ((layout.xaxis, "from", across), (layout.yaxis, "to", down)):
        assert (list(axis.tickvals), axis.title.text) == ([f"({row}, 0)" for row in rows], title)
        assert axis.visible
    assert layout.yaxis.autorange == "reversed"
    assert layout.font.size >= 12
