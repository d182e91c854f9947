from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from mixer.convert import convert
from mixer.grid import PatchGrid
from mixer.model import PRESETS, Mixer, MixerConfig
from mixer.summary import rows, summary

SEED_TABLE = (Path(__file__).parent / "expected" / "seed_summary.txt").read_text(encoding="utf-8").splitlines()

# the paper's networks as in the authors' models_mixer_test.py, with a head of 1000 classes
PARAMETERS = {
    "seed": 6_782_858,
    "seed-rows": 6_782_858,
    "small": 358_026,  # stem 24,704, 4 blocks of 83,008, head 1,290
    "S/32": 19_104_624,
    "S/16": 18_528_264,
    "B/32": 60_293_428,
    "B/16": 59_880_472,
    "L/32": 206_939_264,
    "L/16": 208_196_168,
    "H/14": 432_350_952,
}


def test_every_preset_has_a_pin() -> None:
    assert PARAMETERS.keys() == PRESETS.keys()


@pytest.mark.parametrize("name", PRESETS)
def test_parameter_count(name: str) -> None:
    with torch.device("meta"):
        model = Mixer(PRESETS[name])
    assert sum(p.numel() for p in model.parameters()) == PARAMETERS[name]


@pytest.mark.parametrize("name", ["seed", "seed-rows"])
def test_seed_table_row_by_row(name: str) -> None:
    want = [line.split(maxsplit=1) for line in SEED_TABLE if not line.startswith("=")]
    got = [line.split(maxsplit=1) for line in summary(Mixer(PRESETS[name])).splitlines() if not line.startswith("=")]
    assert len(rows(Mixer(PRESETS[name]))) == 160
    for number, (expected, line) in enumerate(zip(want, got, strict=True)):
        assert [part.split() for part in line] == [part.split() for part in expected], f"line {number}"


def test_summary_leaves_no_hook_behind(network: Mixer) -> None:
    summary(network)
    assert not any(module._forward_hooks for module in network.modules())


def test_logits_by_hand(tiny: MixerConfig) -> None:
    """Against the paper's equations, written out with einsum in float64."""
    torch.manual_seed(3)
    config = replace(tiny, pre_head_norm=True)
    model = Mixer(config).double().eval()
    images = torch.randn(5, 3, 32, 32, dtype=torch.float64)

    def norm(x, layer):
        centred = x - x.mean(-1, keepdim=True)
        return centred / (centred.square().mean(-1, keepdim=True) + config.norm_eps).sqrt() * layer.weight + layer.bias

    tokens = PatchGrid(config.image_size, config.patch_size).to_tokens(images)
    x = torch.einsum("bpv,cv->bpc", tokens, model.stem.weight) + model.stem.bias
    for block in model.blocks:
        t, c = block.token_mixing, block.channel_mixing
        hidden = F.gelu(torch.einsum("bpc,hp->bhc", norm(x, block.norm1), t.fc1.weight) + t.fc1.bias[:, None])
        x = x + torch.einsum("bhc,ph->bpc", hidden, t.fc2.weight) + t.fc2.bias[:, None]
        hidden = F.gelu(torch.einsum("bpc,hc->bph", norm(x, block.norm2), c.fc1.weight) + c.fc1.bias)
        x = x + torch.einsum("bph,ch->bpc", hidden, c.fc2.weight) + c.fc2.bias
    pooled = norm(x, model.pre_head_norm).mean(1)
    torch.testing.assert_close(model(images), pooled @ model.head.weight.T + model.head.bias)


@pytest.mark.parametrize("size", ["s32", "s16", "b32", "b16"])
@pytest.mark.long
def test_parity_with_timm(size: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = timm.create_model(f"mixer_{size}_224").eval()
    with torch.no_grad():  # their head starts at zero, which would hide everything
        theirs.head.weight.normal_(std=0.02)
        for name, parameter in theirs.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(std=0.02)
    save_file(theirs.state_dict(), tmp_path / "timm.safetensors")
    ours = convert(tmp_path / "timm.safetensors")
    assert ours.config == replace(PRESETS[f"{size[0].upper()}/{size[1:]}"], gelu="none")
    images = torch.randn(1, 3, 224, 224)
    with torch.inference_mode():
        torch.testing.assert_close(ours(images), theirs(images), rtol=0, atol=1e-5)


def test_gradients_are_finite_and_nowhere_zero(network: Mixer) -> None:
    loss = F.cross_entropy(network(torch.randn(7, 3, 32, 32)), torch.arange(7))
    loss.backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_identity_blocks_pass_their_input_on(network: Mixer) -> None:
    tokens = torch.randn(4, 16, 11)
    assert not torch.equal(network.blocks[1](tokens), tokens)
    network.start_as_identity()
    assert torch.equal(network.blocks(tokens), tokens)


def test_wrong_sizes_are_named(network: Mixer) -> None:
    with pytest.raises(ValueError, match=r"expected images of \(batch, 3, 32, 32\), not \(2, 3, 16, 32\)"):
        network(torch.zeros(2, 3, 16, 32))
    with pytest.raises(ValueError, match="num_blocks must be from 1 to 1000, not 0"):
        MixerConfig(num_blocks=0)
    with pytest.raises(ValueError, match="cannot be divided"):
        MixerConfig(patch_size=(5, 8))


def test_blocks_are_counted_from_0(network: Mixer) -> None:
    assert [network.block_at(block) for block in range(3)] == list(network.blocks)
    for block in (-1, 3):
        with pytest.raises(ValueError, match=f"block {block} does not exist: there are 3, counted from 0"):
            network.block_at(block)


def test_a_network_for_images_of_another_size_has_as_many_patches() -> None:
    seed = PRESETS["seed"]
    assert seed.resized(None) is seed.resized(32) is seed
    larger = seed.resized(64)
    assert (larger.image_size, larger.patch_size) == ((64, 64), (8, 16))
    assert (larger.grid.rows, larger.grid.cols) == (8, 4)
    assert PRESETS["small"].resized(24).patch_size == (3, 3)
    with pytest.raises(ValueError, match="image_size must be a multiple of 8 for 8 x 4 patches, not 36"):
        seed.resized(36)
    with pytest.raises(ValueError, match="image_size must be a multiple of 8"):
        seed.resized(-8)
