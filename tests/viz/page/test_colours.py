"""A colour means one thing on the whole page."""

import re
from collections.abc import Iterator
from colorsys import rgb_to_hls
from pathlib import Path

import numpy as np
import pytest

from viz import figures
from viz.figures import style
from viz.figures.style import CHANNEL, SELECTED, TOKEN
from viz.page import markup

VIZ = Path(figures.__file__).parent.parent
SHEETS = sorted(VIZ.glob("page/*.css"))
SOURCES = [*SHEETS, *VIZ.glob("page/*.js"), *VIZ.rglob("*.py")]
ORANGE = (10, 40)
"""hues in degrees"""
SELECTED_IN = re.compile(
    r'="true"\]|\[aria-current\]|\.(here|opened|over|grouped)\b|(slider|options) input|\.gelu path:not'
)
"""selectors of what is selected"""


def rules(sheet: Path) -> Iterator[tuple[str, str]]:
    """The selector and the declarations of each rule."""
    text = re.sub(r"/\*.*?\*/", "", sheet.read_text("utf-8"), flags=re.DOTALL)
    yield from ((selector.strip(), body) for selector, body in re.findall(r"([^{}]+)\{([^{}]*)\}", text))


def test_orange_is_what_is_selected_and_nothing_else() -> None:
    for sheet in SHEETS:
        for selector, body in rules(sheet):
            assert "--chosen)" not in body or SELECTED_IN.search(selector), f"{sheet.name}: {selector}"
    for file in SOURCES:
        for colour in re.findall(r"#[0-9a-fA-F]{6}\b", file.read_text("utf-8")):
            hue, _, saturation = rgb_to_hls(*np.array(style.rgb(colour)) / 255)
            if saturation > 0.5 and ORANGE[0] < 360 * hue < ORANGE[1]:
                assert (colour, file.name) == (SELECTED, "style.py")


@pytest.mark.parametrize(("colour", "name"), [(SELECTED, "chosen"), (TOKEN, "token"), (CHANNEL, "channel")])
def test_a_role_has_its_colour_from_one_file(colour: str, name: str) -> None:
    assert [file.name for file in SOURCES if colour in file.read_text("utf-8").lower()] == ["style.py"]
    assert f"--{name}: {colour};" in markup.COLOURS
    assert markup.COLOURS in markup.head()
    assert colour not in {*style.CLASS_COLOURS, *style.SERIES}


def test_every_figure_of_sublayers_says_which_mix_tokens_and_which_channels() -> None:
    depths, values = ["stem", "1a", "1b", "2a", "2b"], np.zeros((5, 2))
    bars = figures.signed_bars(values[1:, 0], depths[1:], "change", figures.SUBLAYERS, 0)
    lines = figures.lines_over_depth(values, depths, ["cat", "dog"], ["red", "blue"], "probability", 1, [0])
    for figure, first in ((bars, 0), (lines, 1)):
        token, channel = (shape for shape in figure.layout.shapes if shape.type == "path")
        assert (token.line.color, channel.line.color) == (TOKEN, CHANNEL)
        for strip, start in ((token, first), (channel, first + 1)):
            assert re.findall(r"M([\d.-]+),", strip.path) == [str(start - 0.5), str(start + 1.5)]
        assert all(colour in figure.layout.xaxis.title.text for colour in (TOKEN, CHANNEL))
    maps, cell = np.zeros((5, 3, 2), np.float32), (4, 8)
    tiles = figures.tiles(maps, depths, "norm", False, 3, cell)
    coloured = figures.colour_tiles(np.zeros((5, 3, 2, 3), np.float32), depths, 3, cell)
    for figure in (tiles, coloured):
        token, channel = figure.layout.shapes
        assert (token.line.color, channel.line.color) == (TOKEN, CHANNEL)
        corners = [(note.x, note.y) for note in figure.layout.annotations]
        assert [re.findall(r"M([\d.-]+),([\d.-]+)H", line.path) for line in (token, channel)] == [
            [(str(x), str(y)) for x, y in corners[start::2]] for start in (1, 2)
        ]
    units = figures.signed_bars(values[0], ["unit 1", "unit 2"], "change", "unit", 0)
    assert not [shape for shape in units.layout.shapes if shape.type == "path"]


def test_there_are_one_sequential_and_one_signed_scale() -> None:
    named = {
        name
        for file in VIZ.rglob("*.py")
        for name in re.findall(r"colorscale[\"']?[:=] *([\w.\"]+)", file.read_text("utf-8"))
    }
    assert named <= {"SEQUENTIAL", "SIGNED", "scale", "seen", "steps"}, "steps: of classes; scale, seen: made of these"
