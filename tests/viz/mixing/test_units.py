import numpy as np
import pytest
import torch

from mixer.model import Mixer
from viz.capture import trace
from viz.mixing import units


@pytest.fixture
def model(tiny) -> Mixer:
    torch.manual_seed(0)
    model = Mixer(tiny).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return model


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(5, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def test_activations_are_those_of_the_unit(model: Mixer, images: torch.Tensor):
    block = model.blocks[2]
    with torch.no_grad():
        tokens = block.norm1(model.blocks[:2](model.stem(model.patches(images[:1]))))[0]
        weight, bias = block.token_mixing.fc1.weight[7], block.token_mixing.fc1.bias[7]
        want = torch.nn.functional.gelu(tokens.T @ weight + bias)
    np.testing.assert_allclose(units.activations(trace(model, images[:1]), 2, 7), want, rtol=1e-4, atol=1e-5)


def test_the_strength_of_a_unit_is_what_is_missing_without_it(model: Mixer, images: torch.Tensor):
    before = trace(model, images[:1])
    strengths = units.strengths(model, before, 1)
    for unit in (0, 6, 12):
        weight = model.blocks[1].token_mixing.fc2.weight
        kept = weight[:, unit].clone()
        with torch.no_grad():
            weight[:, unit] = 0
            after = trace(model, images[:1])
            weight[:, unit] = kept
        missing = (before.after_token_mixing[1] - after.after_token_mixing[1]).norm()
        assert strengths[unit] == pytest.approx(missing.item(), rel=1e-4)


def test_many_images_are_each_like_one(model: Mixer, images: torch.Tensor):
    *_, found = units.strengths_everywhere(model, images)
    want = [[units.strengths(model, trace(model, image[None]), block) for block in range(3)] for image in images]
    np.testing.assert_allclose(found, want, rtol=1e-4)
    assert not any(module._forward_hooks for module in model.modules())
