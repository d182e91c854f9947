"""Maps of views as pictures for programs: groups at the edge, missing values, and what is refused."""

import numpy as np
import pytest

from mixer.grid import PatchGrid
from viz import figures
from viz.lenses.view import Drawn, Numbers
from viz.page import drawing
from viz.page.upload import Refused

GRID = PatchGrid((40, 40), (8, 8))
PICTURE = np.full((40, 40, 3), 100, np.uint8)


def drawn(values: np.ndarray, signed: bool = False) -> Drawn:
    """A view of maps of groups of 2 x 2 patches: at the edges, they have 1."""
    names = [f"{i}" for i in range(len(values))]
    figure = figures.tiles(values, names, "value", signed, 3, GRID.patch_size)
    return Drawn(
        figure, numbers=Numbers("value", {"of": names, "row": range(0, 5, 2), "column": range(0, 5, 2)}, values)
    )


def test_groups_at_the_edge_are_smaller_and_a_missing_value_shows_the_picture() -> None:
    values = np.arange(9, dtype=np.float32).reshape(1, 3, 3)
    values[0, 1, 1] = np.nan
    picture = np.asarray(drawing.draw("a.view", drawn(values), PICTURE, GRID))[drawing.LINE :]
    assert picture.shape == (280, 280, 3)  # 7 times the picture
    colours, widths = np.unique(picture[0], axis=0, return_counts=True)
    assert (len(colours), sorted(widths)) == (3, [56, 112, 112])
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) == 9
    np.testing.assert_array_equal(picture[140, 140], figures.pale(PICTURE)[0, 0])


def test_equal_values_and_zeros_have_one_colour() -> None:
    for signed in (False, True):
        picture = np.asarray(drawing.draw("a.view", drawn(np.zeros((1, 3, 3), np.float32), signed), PICTURE, GRID))
        assert len(np.unique(picture[drawing.LINE :].reshape(-1, 3), axis=0)) == 1


def test_too_many_maps_and_numbers_that_the_figure_does_not_show_are_refused() -> None:
    many = np.random.default_rng(0).normal(size=(65, 3, 3)).astype(np.float32)
    with pytest.raises(Refused, match="65 maps, and at most 64 are drawn"):
        drawing.draw("a.view", drawn(many), PICTURE, GRID)
    one = drawn(many[:1])
    assert one.numbers is not None
    for other in (
        Drawn(),
        Drawn(html="text", numbers=one.numbers),
        Drawn(one.figure, numbers=Numbers("value", one.numbers.axes, many[1:2])),
        Drawn(one.figure, numbers=Numbers("value", {"row": range(3), "of": range(3)}, many[0])),
    ):
        with pytest.raises(Refused, match="has no map over the patches"):
            drawing.draw("a.view", other, PICTURE, GRID)
