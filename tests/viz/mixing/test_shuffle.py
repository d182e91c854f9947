from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from mixer.model import PRESETS, Mixer, MixerConfig
from viz.mixing.influence import token_jacobian
from viz.mixing.shuffle import permutation_experiment, permute_patches, permuted_weights


def permuted_copy(model: Mixer, order: np.ndarray) -> Mixer:
    copy = deepcopy(model)
    copy.load_state_dict(permuted_weights(model, order), strict=False)
    return copy


CYCLE = np.roll(np.arange(16), 5)  # not its own inverse


@pytest.fixture
def image() -> Tensor:
    return torch.randn(3, 32, 32, generator=torch.Generator().manual_seed(1))


def test_each_place_gets_its_patch(tiny: MixerConfig, image: Tensor):
    shuffled = permute_patches(image, tiny.grid, CYCLE)
    for place, patch in enumerate(CYCLE.tolist()):
        there, here = tiny.grid.pixels(place), tiny.grid.pixels(patch)
        assert torch.equal(shuffled[:, there[0], there[1]], image[:, here[0], here[1]])


def test_shuffling_back(tiny: MixerConfig, image: Tensor):
    shuffled = permute_patches(image, tiny.grid, CYCLE)
    assert not torch.equal(shuffled, image)
    assert torch.equal(permute_patches(shuffled, tiny.grid, np.argsort(CYCLE)), image)


@pytest.mark.parametrize("pre_head_norm", [False, True])
def test_shuffled_weights_undo_shuffled_patches(tiny: MixerConfig, image: Tensor, pre_head_norm: bool):
    torch.manual_seed(0)
    model = Mixer(replace(tiny, pre_head_norm=pre_head_norm)).double()
    shuffled, images = permute_patches(image.double(), tiny.grid, CYCLE)[None], image.double()[None]
    permuted = permuted_copy(model, CYCLE)
    torch.testing.assert_close(permuted(shuffled), model(images), rtol=1e-12, atol=1e-12)
    assert (model(shuffled) - model(images)).abs().max() > 1e-6
    assert (permuted(images) - model(images)).abs().max() > 1e-6


def test_backwards(tiny: MixerConfig, image: Tensor):
    expected = tiny.grid.to_images(tiny.grid.to_tokens(image[None]).flip(1))[0]
    assert torch.equal(permute_patches(image, tiny.grid, np.arange(16)[::-1]), expected)


def test_tokens_are_shuffled_too(network: Mixer, image: Tensor):
    # the logits cannot tell where the second biases went: each is one number for all channels of a token, which every
    # LayerNorm removes, and the pooling adds them up
    model, images = network.double(), image.double()[None]
    permuted, shuffled = permuted_copy(model, CYCLE), permute_patches(images[0], model.config.grid, CYCLE)[None]
    expected = model.blocks(model.stem(model.patches(images)))[:, CYCLE]
    found = permuted.blocks(permuted.stem(permuted.patches(shuffled)))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_influence_is_shuffled_too(network: Mixer, image: Tensor):
    shuffled = permute_patches(image, network.config.grid, CYCLE)
    expected = token_jacobian(network, image, 2)[np.ix_(CYCLE, CYCLE)]
    np.testing.assert_allclose(token_jacobian(permuted_copy(network, CYCLE), shuffled, 2), expected, rtol=1e-4)


def test_only_token_mixing_differs(network: Mixer):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    permuted = permuted_copy(network, CYCLE).state_dict()
    changed = {name for name, value in before.items() if not torch.equal(value, permuted[name])}
    names = ("fc1.weight", "fc2.weight", "fc2.bias")
    assert changed == {f"blocks.{block}.token_mixing.{name}" for block in range(3) for name in names}
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("order", [[0, 0, *range(2, 16)], list(range(15)), list(range(1, 17)), list(range(17))])
def test_not_a_permutation(network: Mixer, image: Tensor, order: list[int]):
    with pytest.raises(ValueError, match="each patch from 0 to 15 once"):
        permuted_weights(network, np.array(order))
    with pytest.raises(ValueError, match="each patch from 0 to 15 once"):
        permute_patches(image, network.config.grid, np.array(order))


def test_the_experiment_on_the_default_network(image: Tensor):
    torch.manual_seed(0)
    model = Mixer(PRESETS["seed"]).eval()
    result = permutation_experiment(model, image, seed=0)
    assert sorted(result.order.tolist()) == list(range(32))
    assert result.largest_logit_difference < 1e-5
    np.testing.assert_allclose(result.both_permuted, result.original, atol=1e-5)
    shuffled = permute_patches(image, model.config.grid, result.order)
    for found, picture in ((result.original, image), (result.patches_permuted, shuffled)):
        expected = model(picture[None]).softmax(1)[0].detach().numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert np.abs(result.patches_permuted - result.original).max() > 1e-5


def test_the_experiment_follows_its_seed(network: Mixer, image: Tensor):
    first, again, other = (permutation_experiment(network, image, seed).order.tolist() for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_the_experiment_leaves_the_network_alone(tiny: MixerConfig):
    model = Mixer(replace(tiny, dropout=0.5)).train()
    model.blocks[1].eval()
    image = torch.randn(3, 32, 32, requires_grad=True)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes, random = [module.training for module in model.modules()], torch.get_rng_state()
    result = permutation_experiment(model, image, seed=0)
    assert result.largest_logit_difference < 1e-5  # no dropout
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert image.grad is None
    assert torch.equal(torch.get_rng_state(), random)
