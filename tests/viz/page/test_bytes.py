"""What a visitor is sent of large pictures and fine grids: places as numbers, pictures as files."""

import gzip
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.viz.looking import measure, microscope
from viz.figures import filter_tiles
from viz.page.instrument import Instrument
from viz.page.session import Session
from viz.pictures import png_url, thumbnail_url
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
        "whatif-smallest-search",
        "mixing-shuffle-pictures",
        "mixing-stem-filters",
        "tokens-pca",
        "attribution-maps",
        "doubt-picture",
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


def sent(updates: dict[str, Any]) -> int:
    """Bytes, as the server packs them."""
    return len(gzip.compress(json.dumps(updates).encode(), 5))


@pytest.fixture(scope="module")
def published() -> Instrument:
    """With the patches and blocks of B/16, as S/32 has fewer of both, and with few weights."""
    sizes = {"hidden_dim": 24, "tokens_mlp_dim": 20, "channels_mlp_dim": 28, "num_blocks": 12}
    return Instrument(microscope(image_size=(224, 224), patch_size=(16, 16), **sizes))


def clicks(instrument: Instrument, lens: str) -> Iterator[int]:
    """What is sent as a lens opens, with what it measures by itself, and then for a patch, a depth and a class."""
    visit = Session(instrument.first)
    for words in ({"lens": lens}, {"patch": "1,5"}, {"depth": "2b"}, {"class": "frog"}):
        visit.selection, wrong = change(instrument.scope, instrument.page, visit.selection, words)
        assert not wrong
        for name, place in instrument.lens_of.items():
            if place == lens:
                measure(instrument.scope, instrument.views[name], visit.selection, asked=lens == "mixing.network")
        yield sent(instrument.refresh(visit))


@pytest.mark.parametrize(
    "lens",
    ["how", "tokens", "mixing.wiring", "mixing.network", "mixing.shuffle", "attribution", "whatif.edit"],
)
def test_no_lens_sends_above_3_mb_and_no_click_above_300_kb(published: Instrument, lens: str) -> None:
    opened, *after = clicks(published, lens)
    assert opened < 3_000_000
    assert max(after) < 300_000


def test_the_filters_of_512_channels_are_sent_in_3_mb() -> None:
    filters = np.random.default_rng(0).normal(0, 0.05, (512, 32, 32, 3)).astype(np.float32)
    figure = filter_tiles(filters, np.arange(512), 32, 0.15)
    assert sent({"figure": figure.to_json()}) < 3_000_000


def test_pictures_to_recognise_are_small_whatever_the_network_sees() -> None:
    photo = np.random.default_rng(0).integers(256, size=(224, 224, 3), dtype=np.uint8)
    assert len(thumbnail_url(photo)) < 10_000
    few = photo[:64, :96]
    assert thumbnail_url(few) == png_url(few)
