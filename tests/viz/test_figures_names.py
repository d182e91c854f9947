"""Axes of names, of shares, and changes in words: true whatever the classes are called and whatever the values are."""

import numpy as np
import pytest
from plotly.graph_objects import Figure

from viz import figures
from viz.figures.style import SHARE, shortened

NUMBERS = [str(i) for i in range(12)]
"""in the order of the alphabet 0, 1, 10, 11, 2, ...: so folders with such names become classes"""
CALLED = {
    "numbers": sorted(NUMBERS),
    "dates": [f"2024-01-{day:02}" for day in (3, 1, 2, 5, 4)],
    "decimals": ["1.5", "0.5", "1e3", "-2"],
    "years": ["1999", "2001", "1850"],
    "true and false": ["true", "false", "null"],
    "words": ["cat", "dog", "bird"],
}


def named(classes: list[str]) -> dict[str, tuple[Figure, str]]:
    """All figures whose axes have names of classes (or of methods), and which axes."""
    count = len(classes)
    values = np.linspace(0, 1, 3 * count).reshape(3, count)
    counts = np.eye(count, dtype=int) + 1
    return {
        "confusion": (figures.confusion(counts.tolist(), classes), "xy"),
        "before and after": (figures.before_after(values[:2], classes, ("before", "after"), "probability"), "y"),
        "grouped": (figures.grouped_bars(values, ["a", "b", "c"], classes, "probability"), "x"),
        "effects": (figures.signed_bars(values[0], classes, "change", "sublayer", 0), "x"),
        "agreement": (figures.agreement(counts / 2, classes), "xy"),
        "randomised": (figures.randomised(classes, values, values, ["A", "B", "C"]), "x"),
        "over depth": (
            figures.lines_over_depth(values.T, classes, ["A", "B", "C"], ["red"] * 3, "probability", 0, [0]),
            "x",
        ),
    }


@pytest.mark.parametrize("called", CALLED)
def test_every_axis_of_names_has_a_place_for_each_whatever_it_looks_like(called: str) -> None:
    for name, (figure, axes) in named(CALLED[called]).items():
        for axis in axes:
            assert figure.layout[f"{axis}axis"].type == "category", name


def test_the_matrix_of_classes_called_by_numbers_keeps_their_order() -> None:
    classes = sorted(NUMBERS)
    figure = figures.confusion((np.eye(12, dtype=int) * 7).tolist(), classes)
    heat = figure.data[0]
    assert list(heat.x) == list(heat.y) == list(figure.layout.xaxis.tickvals) == classes
    np.testing.assert_array_equal(np.asarray(heat.z), np.eye(12))


@pytest.mark.parametrize("letters", [3, 12, 13, 50, 200])
def test_long_names_leave_the_matrix_two_thirds_and_are_whole_for_the_pointer(letters: int) -> None:
    classes = [f"{i}{'x' * (letters - 4)}{i:03}"[:letters] for i in range(4)]
    figure = figures.confusion((np.eye(4, dtype=int)).tolist(), classes)
    heat, phone = figure.data[0], 350
    for axis in (figure.layout.xaxis, figure.layout.yaxis):
        assert max(map(len, axis.ticktext)) * 6.8 + 34 <= phone / 3  # and a line of title, in pixels
        assert len(set(axis.ticktext)) == 4
    assert list(heat.y) == classes
    assert "%{y}" in heat.hovertemplate


@pytest.mark.parametrize(
    ("name", "short"),
    [("cat", "cat"), ("automobile", "automobile"), ("abcdefghijkl", "abcdefghijkl"), ("abcdefghijklm", "abcdef…ijklm")],
)
def test_a_long_name_loses_its_middle(name: str, short: str) -> None:
    assert shortened(name, 12) == short
    assert len(short) <= 12


@pytest.mark.parametrize(
    ("value", "form", "text"),
    [
        (-0.04, ".1f", "0.0"),
        (0.04, ".1f", "0.0"),
        (-0.05001, ".1f", "-0.1"),
        (0.0, ".3g", "0"),
        (-0.0, ".3g", "0"),
        (1e-9, ".3g", "+1e-09"),
        (2.5, ".2f", "+2.50"),
        (-1234.5, ",.0f", "-1,234"),
    ],
)
def test_what_is_written_as_zero_has_no_sign(value: float, form: str, text: str) -> None:
    assert figures.with_sign(value, form) == text


def test_no_change_in_a_figure_is_minus_zero() -> None:
    values = np.array([[0.5, 0.25], [0.49999, 0.5]])
    figure = figures.before_after(values, ["a", "b"], ("before", "after"), "probability")
    assert list(figure.data[1].text) == ["50.0% (0.0)", "50.0% (+25.0)"]


def test_an_axis_of_shares_ends_at_a_hundred_percent() -> None:
    flat = figures.learning_curves([1, 2, 3], [0.5, 0.2, 0.1], [1.0, 1.0, 1.0])
    bars = figures.grouped_bars(np.ones((3, 2)), ["a", "b", "c"], ["x", "y"], "probability")
    for axis in (flat.layout.yaxis2, bars.layout.yaxis):
        assert axis.autorangeoptions.maxallowed == SHARE["autorangeoptions"]["maxallowed"] < 1.05
    assert flat.layout.yaxis.autorangeoptions.maxallowed is None  # of the loss
