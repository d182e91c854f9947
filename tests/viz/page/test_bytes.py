"""What a visitor is sent of large pictures: places as numbers, never a text for each pixel."""

from typing import Any

import numpy as np
import pytest

from tests.viz.looking import measure, microscope
from viz.page.instrument import Instrument
from viz.selection import change


@pytest.fixture(scope="module")
def instrument() -> Instrument:
    """Of few patches with many pixels."""
    sizes = {"hidden_dim": 4, "tokens_mlp_dim": 4, "channels_mlp_dim": 4, "num_blocks": 1}
    return Instrument(microscope(image_size=(96, 96), patch_size=(48, 48), **sizes))


def texts(value: Any) -> int:
    """How many texts are in it."""
    if isinstance(value, str):
        return 1
    if isinstance(value, dict):
        return sum(map(texts, value.values()))
    return sum(map(texts, value)) if isinstance(value, (list, tuple, np.ndarray)) else 0


@pytest.mark.parametrize(
    "name",
    [
        "whatif-edit-picture",
        "whatif-patching-pair",
        "whatif-smallest-remove",
        "mixing-shuffle-pictures",
        "mixing-stem-filters",
        "tokens-given",
        "tokens-pca",
        "attribution-maps",
        "doubt-losing",
    ],
)
def test_no_figure_has_a_text_for_each_pixel(instrument: Instrument, name: str) -> None:
    words = {"methods": "Saliency", "resolution": "pixels"}
    selection, wrong = change(instrument.scope, instrument.page, instrument.first, words)
    assert not wrong
    measure(instrument.scope, instrument.views[name], selection, asked=True)
    figure = instrument.views[name].draw(instrument.scope, selection).figure
    assert figure is not None
    assert texts(figure.to_plotly_json()) < 1000  # of 9,216 pixels
