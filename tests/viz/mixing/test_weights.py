import numpy as np
import pytest
import torch
from torch import nn

from mixer.grid import PatchGrid
from mixer.model import Mixer, MixerConfig
from viz.mixing.weights import (
    distance_profile,
    energy,
    linear_summary,
    opposite_pairs,
    order,
    reads,
    spatial_frequency,
    stem_filters,
    strength_at,
    untrained_median,
    writes,
)

PITCH = (4, 16)


def wave(rows: int, cols: int, down: int, across: int) -> np.ndarray:
    """`down` half cycles from top to bottom times `across` half cycles from left to right."""
    y, x = (np.arange(rows) + 0.5) / rows, (np.arange(cols) + 0.5) / cols
    return np.outer(np.cos(np.pi * down * y), np.cos(np.pi * across * x)).astype(np.float32)


def test_maps_lie_on_the_grid(network: Mixer):
    mlp, grid = network.blocks[1].token_mixing, network.config.grid
    with torch.no_grad():
        mlp.fc1.weight.copy_(100 * torch.arange(13)[:, None] + torch.arange(16))
        mlp.fc2.weight.copy_(1000 + 100 * torch.arange(13) + torch.arange(16)[:, None])
    seen, written = reads(network, 1), writes(network, 1)
    for unit, row, col in ((0, 0, 1), (7, 5, 0), (12, 7, 1)):
        assert seen[unit, row, col] == 100 * unit + grid.index(row, col)
        assert written[unit, row, col] == 1000 + 100 * unit + grid.index(row, col)
    assert seen.shape == written.shape == (13, 8, 2)


@pytest.mark.parametrize("maps", [lambda m: reads(m, 0), lambda m: writes(m, 0), stem_filters])
def test_maps_are_copies(network: Mixer, maps):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    maps(network)[:] = 0
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("block", [-1, 3])
def test_no_such_block(network: Mixer, block: int):
    for look in (reads, writes, linear_summary):
        with pytest.raises(ValueError, match=f"block {block} does not exist"):
            look(network, block)


def test_stem_filters_are_the_kernels_of_a_convolution(network: Mixer):
    images = torch.randn(2, 3, 32, 32)
    kernels = torch.from_numpy(stem_filters(network)).permute(0, 3, 1, 2)
    convolved = nn.functional.conv2d(images, kernels, network.stem.bias, stride=(4, 16))
    torch.testing.assert_close(convolved.flatten(2).mT, network.stem(network.patches(images)))


@pytest.mark.parametrize(("down", "across"), [(1, 0), (0, 1), (3, 2), (6, 4), (5, 0)])
def test_a_cosine_has_its_frequency(down: int, across: int):
    maps = wave(7, 5, down, across)[None]
    # half cycles per map of 7 x 4 = 28 by 5 x 16 = 80 pixels
    expected = np.hypot(down / 2 / 28, across / 2 / 80)
    for same in (maps, -3 * maps, maps + 10):
        np.testing.assert_allclose(spatial_frequency(same, PITCH), [expected], rtol=1e-5)


def test_frequencies_are_weighted_by_power():
    slow, fast = wave(7, 5, 1, 0), wave(7, 5, 3, 0)
    mixed = 2 * slow + fast  # power 4 to 1
    np.testing.assert_allclose(spatial_frequency(mixed[None], PITCH), [(4 * 1 + 1 * 3) / 5 / (2 * 28)], rtol=1e-5)


def test_frequency_of_colours():
    coloured = np.stack([np.ones((7, 5)), wave(7, 5, 1, 0), 2 * wave(7, 5, 0, 3)], 2, dtype=np.float32)
    expected = (1 / 14 * 1 + 3 / 10 * 4) / 5
    np.testing.assert_allclose(spatial_frequency(coloured[None], (1, 1)), [expected], rtol=1e-5)


def test_a_constant_map_has_no_frequency():
    maps = np.stack([np.zeros((7, 5)), np.full((7, 5), 0.1)], dtype=np.float32)
    assert spatial_frequency(maps, PITCH).tolist() == [0, 0]


def test_order():
    maps = np.stack([wave(7, 5, 0, 3), 2 * wave(7, 5, 4, 0), 3 * wave(7, 5, 1, 0), 2 * wave(7, 5, 0, 0)])
    # cycles per pixel: 3/160, 4/56, 1/56, 0; energies: 17.5, 70, 157.5, 140
    assert order(maps, "frequency", PITCH).tolist() == [3, 2, 0, 1]
    assert order(maps, "energy", PITCH).tolist() == [2, 3, 1, 0]
    assert order(maps, "index", PITCH).tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(energy(maps), [17.5, 70, 157.5, 140], rtol=1e-6)
    with pytest.raises(ValueError, match="'phase'"):
        order(maps, "phase", PITCH)


def test_the_weight_on_a_region_is_the_mean_over_its_patches():
    maps = np.zeros((2, 7, 5), np.float32)
    maps[0, 6, 1], maps[0, 6, 2], maps[1, 5, 1] = -3, 1, 8
    assert strength_at(maps, slice(6, 7), slice(1, 2)).tolist() == [3, 0]
    assert strength_at(maps, slice(5, 7), slice(1, 3)).tolist() == [1, 2]
    assert strength_at(maps, slice(6, 7), slice(None)).tolist() == pytest.approx([0.8, 0])
    assert strength_at(maps, slice(6, 8), slice(4, 6)).tolist() == [0, 0]  # at the edge: what there is of it


def test_same_cells_on_longer_patches_are_slower():
    maps = np.stack([wave(6, 6, 2, 0), wave(6, 6, 0, 2)])
    assert order(maps, "frequency", (4, 16)).tolist() == [1, 0]
    assert order(maps, "frequency", (16, 4)).tolist() == [0, 1]


def test_planted_opposites_are_found():
    rng = np.random.default_rng(0)
    half = rng.standard_normal((9, 7, 5))
    both = np.concatenate([half, 0.3 - 2 * half]).astype(np.float32)
    shuffle = rng.permutation(18)
    pairs, correlation = opposite_pairs(both[shuffle])
    assert {frozenset(shuffle[pair].tolist()) for pair in pairs} == {frozenset((i, i + 9)) for i in range(9)}
    np.testing.assert_allclose(correlation, -1, rtol=1e-6)


def test_the_most_opposite_pair_goes_first():
    angles = np.radians([0, 170, 220, 100])
    across, down = wave(7, 5, 0, 1).ravel(), wave(7, 5, 1, 0).ravel()
    plane = [np.cos(a) * across / np.linalg.norm(across) + np.sin(a) * down / np.linalg.norm(down) for a in angles]
    maps = np.stack([*plane, np.full(35, 0.1)]).astype(np.float32)  # the last is opposite to none
    pairs, correlation = opposite_pairs(maps)
    # 220 would rather have 0 (cos 140) but 170 takes it; 100 is what is left (cos 120)
    assert pairs.tolist() == [[0, 1], [2, 3]]
    np.testing.assert_allclose(correlation, np.cos(np.radians([170, 120])), rtol=1e-5)


def test_without_opposites_no_pairs():
    same = np.repeat(wave(7, 5, 1, 0)[None], 4, 0)
    for maps in (same, np.zeros((4, 7, 5), np.float32), same[:1]):
        pairs, correlation = opposite_pairs(maps)
        assert pairs.shape == (0, 2)
        assert correlation.shape == (0,)


def test_what_chance_alone_pairs_is_what_an_untrained_network_pairs():
    torch.manual_seed(1)
    model = Mixer(MixerConfig(num_blocks=1, hidden_dim=8, channels_mlp_dim=8))
    for maps in (reads(model, 0), writes(model, 0)):
        assert np.median(opposite_pairs(maps)[1]) == pytest.approx(untrained_median(512, 32), abs=0.01)
    assert untrained_median(512, 32) == pytest.approx(-0.5, abs=0.01)


def test_linear_summary_is_the_mlp_without_its_gelu(network: Mixer):
    mlp = network.blocks[2].token_mixing
    expected = linear_summary(network, 2)
    mlp.gelu = nn.Identity()
    unit = torch.eye(16)
    matrix = (mlp(unit) - mlp(torch.zeros(1, 16))).mT.detach().numpy()
    np.testing.assert_allclose(expected.matrix, matrix, atol=1e-6)
    np.testing.assert_allclose(np.square(expected.singular_values).sum(), np.square(matrix).sum(), rtol=1e-5)


def test_known_singular_values(network: Mixer):
    mlp = network.blocks[0].token_mixing
    with torch.no_grad():
        mlp.fc1.weight.copy_(torch.diag(torch.arange(1.0, 17))[:13])  # unit h reads patch h, h + 1 fold
        mlp.fc2.weight.copy_(2 * torch.eye(16)[:, :13].roll(1, 0))  # and writes to patch h + 1
    summary = linear_summary(network, 0)
    np.testing.assert_allclose(summary.singular_values, [*range(26, 0, -2), 0, 0, 0], atol=1e-5)
    assert summary.matrix[5, 4] == 10
    assert np.count_nonzero(summary.matrix) == 13


def test_distance_profile():
    grid = PatchGrid((20, 14), (4, 7))  # 5 rows, 2 columns
    places = [(4 * row, 7 * col) for row in range(5) for col in range(2)]
    distance = np.array([[np.hypot(a - c, b - d) for c, d in places] for a, b in places])
    signs = np.where(np.arange(10)[:, None] > np.arange(10), -1, 1)
    profile = distance_profile((signs / (1 + distance)).astype(np.float32), grid)
    vertical = [4.0, 8, 12, 16]
    expected = sorted([0, 7, *vertical, *(np.hypot(7, d) for d in vertical)])
    np.testing.assert_allclose(profile.distance, expected, rtol=1e-6)
    np.testing.assert_allclose(profile.mean_weight, 1 / (1 + profile.distance), rtol=1e-6)


def test_distance_profile_is_a_mean():
    matrix = np.zeros((10, 10), np.float32)
    matrix[0, 2], matrix[6, 4] = 3, -5  # one patch down, one patch up
    profile = distance_profile(matrix, PatchGrid((20, 14), (4, 7)))
    assert profile.mean_weight[profile.distance == 4] == (3 + 5) / 16
    assert np.count_nonzero(profile.mean_weight) == 1


def test_distance_profile_of_another_grid():
    with pytest.raises(ValueError, match=r"10 patches.*\(9, 9\)"):
        distance_profile(np.zeros((9, 9), np.float32), PatchGrid((20, 14), (4, 7)))
