"""The numbers of a figure: tidy, with what they are of, and in words."""

import csv
from io import StringIO

import numpy as np
import pytest

from viz.lenses.view import Numbers

VALUES = np.array([[1.0, -2.5, 3.0], [np.nan, 0.5, 0.25]], np.float32)


def test_every_value_is_a_line_under_named_columns_and_facts() -> None:
    numbers = Numbers("logit", {"row": range(2), "class": ("a, b", "c", 'd "e"')}, VALUES)
    lines = numbers.csv({"picture": "cat-8", "note": "two\nlines"}).splitlines()
    assert lines[:3] == ["# picture: cat-8", "# note: two lines", "row,class,logit"]
    rows = list(csv.reader(lines[3:]))
    assert rows[0] == ["0", "a, b", "1.0"]
    assert rows[5] == ["1", 'd "e"', "0.25"]
    assert len(rows) == 6


def test_the_words_name_the_extremes_and_where_they_are() -> None:
    numbers = Numbers("logit", {"row": (5, 6), "class": ("a", "b", "c")}, VALUES)
    assert numbers.extremes() == "largest 3 at row 5 class c, smallest -2.5 at row 5 class b"


def test_words_for_values_that_cannot_be_ranked() -> None:
    assert Numbers("name", {"i": range(2)}, np.array(["a", "b"])).extremes() == "2 values"
    assert Numbers("x", {"i": range(1)}, np.array([np.nan])).extremes() == "1 value"


def test_a_name_is_one_cell_and_neither_a_formula_nor_a_comment() -> None:
    names = ("#1 dog", "cat #2", "plain", "a, b", "x-ray", "e=mc", 'the "a"')
    text = Numbers("# of =", {"class": names}, np.arange(7)).csv({"label": "x;@y, -0.3"})
    note, head, *rows = text.splitlines()
    assert (note, head) == ("# label: x;'@y, -0.3", 'class,"# of ="')
    assert [name for name, _ in csv.reader(rows)] == [*names]
    assert not any(line.startswith("#") for line in rows)
    assert Numbers("x", {"i": [-1]}, np.array([-0.5])).csv({}) == "i,x\n-1,-0.5\n"


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20", "\ufe66"])
@pytest.mark.parametrize(
    "before", ["", "\t", "\ufeff", "\u200e", "\xa0", "\r", "\n", "a;", "a,", "a\t", "a;\u200b", ";;\t"]
)
def test_no_cell_is_a_formula_whatever_separates_cells(before: str, sign: str) -> None:
    name = f"{before}{sign}1+1"
    text = Numbers("x", {"class": [name]}, np.array([1.5])).csv({"classes": f"b,{name}"})
    for separator in ",;\t":
        for line in csv.reader(StringIO(text), delimiter=separator):
            for each in line:
                shown = each.lstrip("\t\r\n\ufeff\u200e\u200b\xa0")
                assert not shown.startswith(("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20", "\ufe66"))
    *_, (cell, _) = csv.reader(StringIO(text))
    assert cell.replace("'", "") == name
