import numpy as np
import pytest
import torch
from torch import Tensor

from mixer.data import normalise
from mixer.model import PRESETS, MixerConfig
from viz.attribution.baselines import BASELINES, FILLINGS, baseline, pixels

CONFIG = MixerConfig((30, 42), (6, 7), mean=(0.5, 0.25, 0.125), std=(0.5, 0.25, 0.2))


@pytest.fixture
def image() -> Tensor:
    return torch.randn(3, 30, 42, generator=torch.Generator().manual_seed(0))


def test_colours(image: Tensor):
    assert not baseline("mean colour", image, CONFIG).any()
    assert baseline("black", image, CONFIG).unique(dim=1).unique(dim=2).flatten().tolist() == [-1, -1, -0.625]
    expected = [channel.mean().item() for channel in image]
    found = baseline("own mean", image, CONFIG)
    assert found.shape == image.shape
    assert found.flatten(1).std(1).max() < 1e-6
    assert found[:, 3, 5].tolist() == pytest.approx(expected)


def test_black_is_black_as_the_network_takes_it():
    config = PRESETS["seed"]
    expected = normalise(torch.zeros(3, 32, 32, dtype=torch.uint8), config)
    assert torch.equal(baseline("black", torch.ones(3, 32, 32), config), expected)


def test_blur_takes_shapes_and_leaves_colours():
    fine = torch.zeros(3, 32, 32)
    fine[:, ::2] = 1
    blurred = baseline("blurred", fine, PRESETS["seed"])
    torch.testing.assert_close(blurred, torch.full_like(fine, 0.5), rtol=0, atol=0.05)
    halves = torch.zeros(3, 32, 32)
    halves[0, :, 16:] = 1
    blurred = baseline("blurred", halves, PRESETS["seed"])
    assert blurred[0, 16, 0] < 0.01
    assert blurred[0, 16, 31] > 0.99
    assert not blurred[1:].any()
    # a normal distribution of 32 / 8 pixels: one standard deviation from the edge lies at the middle of pixel 20 less
    assert blurred[0, 16, 19:21].mean() == pytest.approx(0.841, abs=0.01)


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("size", [(30, 42), (1, 5)])
def test_all_keep_shape_and_leave_the_image_alone(name: str, size: tuple[int, int]):
    config = MixerConfig(size, (1, 1))
    image = torch.randn(3, *size, dtype=torch.float64, requires_grad=True)
    before = image.clone()
    found = baseline(name, image, config)
    assert (found.shape, found.dtype, found.requires_grad) == (image.shape, image.dtype, False)
    assert torch.isfinite(found).all()
    found.add_(1)
    assert torch.equal(image, before)


def test_pixels_are_those_that_were_normalised():
    colours = np.random.default_rng(0).integers(256, size=(30, 42, 3), dtype=np.uint8)
    image = normalise(torch.from_numpy(colours).permute(2, 0, 1), CONFIG)
    np.testing.assert_array_equal(pixels(image, CONFIG), colours)
    assert pixels(image.new_full((3, 2, 2), -9), CONFIG).max() == 0  # there is no darker than black


def test_names():
    assert set(FILLINGS) < set(BASELINES)
    with pytest.raises(ValueError, match="no baseline is named 'white': there are mean colour, black"):
        baseline("white", torch.zeros(3, 30, 42), CONFIG)
