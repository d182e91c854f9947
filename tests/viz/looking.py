"""What the tests of views share: a small network, selections in the words of a link, and what the page does."""

import re
from base64 import b64decode
from dataclasses import replace
from io import BytesIO
from typing import Any, TypeVar

import numpy as np
import plotly.graph_objects as go
import torch
from PIL import Image

from mixer.data import CLASSES
from mixer.model import Mixer, MixerConfig
from tests.few import few_samples
from tests.viz.explained import bent
from viz.lenses.view import Drawn, Lens, View
from viz.measuring import Measurement
from viz.microscope import Microscope
from viz.selection import Choices, Selection, change, first

T = TypeVar("T")


def microscope(**changes: Any) -> Microscope:
    """8 x 2 patches of 4 x 16 pixels, 3 blocks, 11 channels; weights that bend; 20 samples."""
    sizes = {"num_blocks": 3, "hidden_dim": 11, "tokens_mlp_dim": 13, "channels_mlp_dim": 17}
    settings = {"patch_size": (4, 16), **sizes, **changes}
    if settings.get("num_classes", 10) == 10:
        settings["classes"] = CLASSES
    model: Mixer = bent(MixerConfig(**settings))
    return Microscope(model, {}, torch.device("cpu"), own_samples=few_samples())


def page_of(*lenses: Lens) -> Choices:
    return Choices([lens.id for lens in lenses], {option for lens in lenses for option in lens.all_options})


def view_of(lens: Lens, name: str) -> View:
    (found,) = (view for view in lens.views if view.id == name)
    return found


def select(scope: Microscope, lens: Lens, **words: str) -> Selection:
    """What the page opens on, at the last depth, changed by the words of a link.

    `_` stands for `-` in their names, and ends `class_`.
    """
    page = page_of(lens)
    named = {"depth": scope.depth_names[-1]} | {name.strip("_").replace("_", "-"): text for name, text in words.items()}
    selection, wrong = change(scope, page, first(scope, page), named)
    assert not wrong
    return replace(selection, lens=lens.id)


def measure(scope: Microscope, view: View, selection: Selection, asked: bool = False) -> list[Measurement]:
    """As the page does, until nothing is needed but what waits to be asked for; with `asked`, until nothing is."""
    made = list[Measurement]()
    while waiting := [one for one in view.missing(scope, selection) if asked or not one.on_request]:
        for one in waiting:
            done = list(one.steps())
            assert done == sorted(done)
            assert done[-1] == one.total
        made += waiting
    return made


def tell(scope: Microscope, one: Measurement[T], result: T) -> None:
    """As if that had been measured."""
    for _ in scope.resumable(one.key, lambda: iter((one.total, result))):
        pass


def told(drawn: Drawn) -> tuple[str | None, str, str, str | None]:
    """All that a view shows, to be compared."""
    figure = drawn.figure and drawn.figure.to_json()
    return figure, drawn.html, drawn.words, drawn.numbers and drawn.numbers.extremes()


def pixels_of(image: go.Image) -> np.ndarray:
    """What a trace shows, which is sent as a file."""
    return np.asarray(Image.open(BytesIO(b64decode(image.source.partition(",")[2]))))


def cells(html: str) -> list[list[str]]:
    """What stands in the body of a table, row by row."""
    rows = re.findall(r"<tr><th scope='row'>.*?</tr>", html)
    return [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row) for row in rows]
