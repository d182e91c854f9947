"""An edit changes the patches that it names, as its words say, and nothing else."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mixer.model import MixerConfig
from viz.intervene.edits import KINDS, apply, parse, text
from viz.mixing.shuffle import permute_patches

SAMPLES = 5


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (32, 32, 3), np.uint8)


def edited(config: MixerConfig, words: str) -> np.ndarray:
    """Picture 0 with edits; sample i is picture 10 + i."""
    return apply(parse(words, config.grid, SAMPLES), picture(0), config, lambda i: picture(10 + i))


def test_an_edit_changes_the_patches_it_names_and_no_other(tiny: MixerConfig) -> None:
    for kind in KINDS:
        number = {"paste": "4@", "shuffle": "3@"}.get(kind, "")
        changed = (edited(tiny, f"{kind}:{number}2,1-5,0") != picture(0)).any(2)
        inside = np.isin(tiny.grid.mask().numpy(), [5, 10])
        assert not changed[~inside].any(), kind
        assert changed[inside].any() != (kind == "original"), kind


def test_what_each_kind_puts_there(tiny: MixerConfig) -> None:
    config, here = replace(tiny, mean=(0.2, 0.4, 0.6)), tiny.grid.pixels(3)
    assert (edited(config, "mean:1,1")[here] == [51, 102, 153]).all()
    assert (edited(config, "black:1,1")[here] == 0).all()
    red, green, blue = picture(0)[here].astype(float).T
    np.testing.assert_allclose(
        edited(config, "grey:1,1")[here].T, [0.299 * red + 0.587 * green + 0.114 * blue] * 3, atol=0.5
    )
    assert (edited(config, "paste:4@1,1")[here] == picture(14)[here]).all()
    assert (edited(config, "paste:4") == picture(14)).all()
    assert (edited(config, "noise;original:1,1")[here] == picture(0)[here]).all()
    noise = edited(config, "noise") / 255
    np.testing.assert_allclose(noise.mean((0, 1)), config.mean, atol=0.04)
    assert (edited(config, "noise:1,1")[here] == edited(config, "noise")[here]).all()
    flat = apply(parse("blur", config.grid, 1), np.full((32, 32, 3), 77, np.uint8), config, picture)
    assert (flat == 77).all()
    assert edited(config, "blur").std() < picture(0).std() / 4


def test_patches_that_trade_places(tiny: MixerConfig) -> None:
    grid, swapped = tiny.grid, edited(tiny, "swap:0,1-7,0")
    assert (swapped[grid.pixels(1)] == picture(0)[grid.pixels(14)]).all()
    assert (swapped[grid.pixels(14)] == picture(0)[grid.pixels(1)]).all()
    assert (edited(tiny, "swap:0,1-7,0;swap:7,0-0,1") == picture(0)).all()

    image = torch.from_numpy(picture(0)).permute(2, 0, 1).float()
    order = np.random.default_rng(7).permutation(grid.patches)
    shuffled = permute_patches(image, grid, order).permute(1, 2, 0).numpy()
    assert (edited(tiny, "shuffle:7") == shuffled).all()
    some = edited(tiny, "shuffle:7@0,0-0,1-1,0")
    blocks = {some[grid.pixels(p)].tobytes() for p in (0, 1, 2)}
    assert blocks == {picture(0)[grid.pixels(p)].tobytes() for p in (0, 1, 2)}


def test_an_edit_acts_on_what_the_ones_before_it_left(tiny: MixerConfig) -> None:
    after = edited(tiny, "black:0,0;swap:0,0-3,1;grey:0,0")
    assert (after[tiny.grid.pixels(7)] == 0).all()
    grey = after[tiny.grid.pixels(0)]
    assert (grey[..., 0] == grey[..., 2]).all()
    assert (edited(tiny, "") == picture(0)).all()


@pytest.mark.parametrize(
    "words", ["mean:3,1;swap:0,1-2,1;shuffle:7;paste:3@3,1", "grey", "shuffle:0@1,0-0,1-5,1", "paste:0", "original:2,0"]
)
def test_a_link_says_them(tiny: MixerConfig, words: str) -> None:
    assert text(parse(words, tiny.grid, SAMPLES), tiny.grid) == words
