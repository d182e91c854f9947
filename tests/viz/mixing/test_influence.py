from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from mixer.grid import Groups
from mixer.model import Mixer, MixerConfig
from viz.mixing.influence import NetworkInfluence, network_influence, token_jacobian
from viz.pace import undisturbed


@pytest.fixture
def exact(network: Mixer) -> Mixer:
    return scrambled(network)


@pytest.fixture
def image() -> Tensor:
    return torch.randn(3, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def scrambled(model: Mixer) -> Mixer:
    """In float64, with weights large enough for the GELU to bend, and LayerNorms that do something."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, parameter in model.double().named_parameters():
            scale = 0.5 if "norm" in name else 2 * parameter.std()
            parameter.add_(scale * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return model


def strength(jacobian: Tensor) -> np.ndarray:
    """Of (to, channels, from, channels): the Frobenius norm over the channels, over the root of their number."""
    return (jacobian.square().sum((1, 3)) / jacobian.shape[1]).sqrt().numpy()


def differences(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """The Jacobian of a function of tokens, by central differences."""
    steps = 1e-5 * torch.eye(x.numel(), dtype=x.dtype).reshape(-1, *x.shape)
    columns = [(function(x + step) - function(x - step)) / 2e-5 for step in steps]
    return torch.stack(columns, -1).reshape(*x.shape, *x.shape)


@torch.no_grad()
def tokens_before(model: Mixer, image: Tensor, block: int) -> Tensor:
    x = model.stem(model.patches(image[None]))
    for earlier in list(model.blocks)[:block]:
        x = earlier(x)
    return x[0]


def update(model: Mixer, block: int) -> Callable[[Tensor], Tensor]:
    layer = model.blocks[block]
    return lambda x: layer.token_mixing(layer.norm1(x).mT).mT


def connect(model: Mixer, block: int, to: int, source: int) -> None:
    """Let the token mixing of a block carry one patch to one other patch and nothing else."""
    mlp = model.blocks[block].token_mixing
    with torch.no_grad():
        mlp.fc1.weight.zero_()[:, source] = 1
        mlp.fc2.weight.zero_()[to] = 1


def last(steps) -> NetworkInfluence:
    *_, estimate = steps
    return estimate


def estimates(model: Mixer, image: Tensor, probes: int, seed: int, first: int = 0) -> list[NetworkInfluence]:
    """All estimates on the way, with 8 products in a batch."""
    with pytest.MonkeyPatch.context() as patch, undisturbed():  # or the steps depend on the machine
        patch.setattr("viz.mixing.influence.OUTPUTS_AT_ONCE", 8)
        steps = list(network_influence(model, image, probes, seed, first=first))
    assert [step for step in steps if isinstance(step, int)] == list(range(8, 16 * probes + 1, 8))
    return [step for step in steps if isinstance(step, NetworkInfluence)]


@pytest.mark.parametrize("gelu", ["none", "tanh"])
@pytest.mark.parametrize("eps", [1e-5, 0.5])
@pytest.mark.parametrize("block", [0, 2])
def test_token_jacobian_against_autograd(
    tiny: MixerConfig, image: Tensor, gelu: Literal["none", "tanh"], eps: float, block: int
):
    torch.manual_seed(0)
    model = scrambled(Mixer(replace(tiny, gelu=gelu, norm_eps=eps)))
    x = tokens_before(model, image, block)
    expected = strength(torch.autograd.functional.jacobian(update(model, block), x))
    np.testing.assert_allclose(token_jacobian(model, image, block), expected, rtol=1e-6)


def test_token_jacobian_against_differences(exact: Mixer, image: Tensor):
    with torch.no_grad():
        expected = strength(differences(update(exact, 1), tokens_before(exact, image, 1)))
    np.testing.assert_allclose(token_jacobian(exact, image, 1), expected, rtol=1e-6)


def test_token_jacobian_on_another_grid():
    torch.manual_seed(0)
    model = Mixer(MixerConfig((15, 14), (3, 7), 4, (), 2, 9, 6, 8, norm_eps=1e-6, pre_head_norm=True)).double()
    image = torch.randn(3, 15, 14, dtype=torch.float64)
    x = tokens_before(model, image, 1)
    expected = strength(torch.autograd.functional.jacobian(update(model, 1), x))
    np.testing.assert_allclose(token_jacobian(model, image, 1), expected, rtol=1e-6)


def test_two_channels_that_norm1_makes_signs(tiny: MixerConfig, image: Tensor):
    torch.manual_seed(0)
    model = Mixer(replace(tiny, hidden_dim=2, norm_eps=1e-12))
    np.testing.assert_allclose(token_jacobian(model, image.float(), 0), 0, atol=1e-2)


def test_entries_are_to_and_from(exact: Mixer, image: Tensor):
    connect(exact, 1, to=2, source=5)
    found = token_jacobian(exact, image, 1)
    assert np.argwhere(found).tolist() == [[2, 5]]


def test_network_influence_of_the_identity(exact: Mixer, image: Tensor):
    exact.start_as_identity()
    *others, end = estimates(exact, image, probes=3, seed=0)
    np.testing.assert_array_equal(end.influence, np.eye(16))
    np.testing.assert_array_equal(end.standard_error, np.zeros((16, 16)))
    for estimate in others:
        np.testing.assert_array_equal(estimate.influence, np.where(estimate.probes[:, None], np.eye(16), np.nan))


def test_network_influence_is_to_and_from(exact: Mixer, image: Tensor):
    exact.start_as_identity()
    connect(exact, 1, to=2, source=5)
    found = last(network_influence(exact, image, probes=2, seed=0)).influence
    off_diagonal = found * (1 - np.eye(16))
    assert np.argwhere(off_diagonal).tolist() == [[2, 5]]
    np.testing.assert_allclose(np.delete(found.diagonal(), 2), 1)


@pytest.mark.parametrize("jacobian", [torch.autograd.functional.jacobian, differences])
def test_network_influence_within_its_standard_error(exact: Mixer, image: Tensor, jacobian):
    x = tokens_before(exact, image, 0)
    expected = strength(jacobian(lambda x: exact.blocks(x[None])[0], x).detach())
    found = last(network_influence(exact, image, probes=400, seed=0))
    deviation = np.abs(found.influence - expected) / found.standard_error
    assert deviation.max() < 4
    assert 0.5 < np.sqrt(np.mean(deviation**2)) < 1.5
    np.testing.assert_allclose(found.influence, expected, rtol=0.25)


def test_the_influence_of_groups_is_that_of_all_their_patches(exact: Mixer, image: Tensor):
    x, groups = tokens_before(exact, image, 0), Groups(exact.config.grid, 3)  # the last one is smaller
    squared = strength(torch.autograd.functional.jacobian(lambda x: exact.blocks(x[None])[0], x).detach()) ** 2
    both = groups.sum(groups.sum(torch.as_tensor(squared)).mT).mT.numpy()
    expected = np.sqrt(both / groups.sizes[:, None])
    found = last(network_influence(exact, image, 200, 0, side=3))
    assert found.influence.shape == (len(groups), len(groups)) == (3, 3)
    assert (np.abs(found.influence - expected) / found.standard_error).max() < 4
    np.testing.assert_allclose(found.influence, expected, rtol=0.25)


def test_standard_error_shrinks_with_the_root_of_the_probes(exact: Mixer, image: Tensor):
    few, many = (last(network_influence(exact, image, probes, 3)).standard_error.mean() for probes in (100, 400))
    assert few / many == pytest.approx(2, rel=0.1)


def test_standard_error_is_that_of_the_probes(exact: Mixer, image: Tensor):
    # the mean of the squares after n probes, taken apart into what each probe said
    found = [last(network_influence(exact, image, probes, 4)) for probes in range(1, 6)]
    sums = np.array([n * np.square(e.influence, dtype=np.float64) for n, e in enumerate(found, 1)])
    gains = np.diff(sums, axis=0, prepend=0)
    expected = gains.std(0, ddof=1) / np.sqrt(5) / (2 * np.sqrt(gains.mean(0)))
    assert np.isnan(found[0].standard_error).all()
    np.testing.assert_allclose(found[-1].standard_error, expected, rtol=1e-3)


def test_the_first_row_has_its_error_first_and_all_rows_have_two_probes_before_one_has_three(
    exact: Mixer, image: Tensor
):
    found = estimates(exact, image, 3, 0, first=5)
    assert [e.probes.tolist() for e in found] == [
        [2, 2, 2, 0, 0, 2] + 10 * [0],
        8 * [2] + 8 * [0],
        12 * [2] + 4 * [0],
        16 * [2],
        8 * [3] + 8 * [2],
        16 * [3],
    ]
    for estimate in found:
        known = estimate.probes > 0
        np.testing.assert_array_equal(np.isfinite(estimate.influence).all(1), known)
        np.testing.assert_array_equal(np.isfinite(estimate.standard_error).all(1), known)
    whole = last(network_influence(exact, image, 3, 0)).influence
    np.testing.assert_allclose(found[-1].influence, whole, rtol=1e-6)


def test_the_seed_gives_the_numbers(exact: Mixer, image: Tensor):
    once, again, other = (last(network_influence(exact, image, 3, seed)).influence for seed in (0, 0, 1))
    np.testing.assert_array_equal(once, again)
    assert (once != other).any()


def test_more_patches_than_go_backwards_at_once(tiny: MixerConfig, image: Tensor, monkeypatch: pytest.MonkeyPatch):
    torch.manual_seed(0)
    model = scrambled(Mixer(tiny))
    whole = last(network_influence(model, image, 2, seed=0)).influence
    monkeypatch.setattr("viz.mixing.influence.OUTPUTS_AT_ONCE", 5)
    np.testing.assert_allclose(last(network_influence(model, image, 2, seed=0)).influence, whole, rtol=1e-6)


@pytest.mark.parametrize(
    "look", [lambda m, i: token_jacobian(m, i, 1), lambda m, i: last(network_influence(m, i, 2, 0))]
)
def test_everything_is_as_before(tiny: MixerConfig, look):
    model = Mixer(replace(tiny, dropout=0.5)).train()
    model.blocks[1].eval()
    image = torch.randn(3, 32, 32, requires_grad=True)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes, random = [module.training for module in model.modules()], torch.get_rng_state()
    look(model, image)
    assert [module.training for module in model.modules()] == modes
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())
    assert image.grad is None
    assert torch.is_grad_enabled()
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_dropout_does_not_count(tiny: MixerConfig, image: Tensor):
    model = Mixer(replace(tiny, dropout=0.5)).double().train()
    training = token_jacobian(model, image, 2), last(network_influence(model, image, 2, 0)).influence
    model.eval()
    np.testing.assert_array_equal(training[0], token_jacobian(model, image, 2))
    np.testing.assert_array_equal(training[1], last(network_influence(model, image, 2, 0)).influence)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_gradients_switched_off_by_the_caller(exact: Mixer, image: Tensor, mode):
    expected = token_jacobian(exact, image, 1), last(network_influence(exact, image, 2, 0)).influence
    with mode():
        fresh = image.clone()
        np.testing.assert_array_equal(token_jacobian(exact, fresh, 1), expected[0])
        np.testing.assert_array_equal(last(network_influence(exact, fresh, 2, 0)).influence, expected[1])


def test_wrong_values(network: Mixer):
    image = torch.zeros(3, 32, 32)
    with pytest.raises(ValueError, match="block 3 does not exist"):
        token_jacobian(network, image, 3)
    with pytest.raises(ValueError, match=r"\(3, 32, 28\)"):
        token_jacobian(network, image[..., :28], 0)
    with pytest.raises(ValueError, match=r"\(3, 32, 28\)"):
        next(network_influence(network, image[..., :28], 1, 0))
    with pytest.raises(ValueError, match="not 0"):
        next(network_influence(network, image, 0, 0))
    with pytest.raises(ValueError, match="group 4 does not exist"):
        next(network_influence(network, image, 1, 0, side=2, first=4))
