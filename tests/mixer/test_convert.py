"""Files with the authors' true names and shapes, generated from a network of ours: equal logits afterwards."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from einops import rearrange

from mixer.checkpoint import CheckpointError
from mixer.convert import convert
from mixer.model import PRESETS, Mixer, MixerConfig


@pytest.fixture
def network() -> Mixer:
    torch.manual_seed(0)
    sizes = {"image_size": (28, 28), "patch_size": (7, 7), "num_classes": 5, "num_blocks": 3, "hidden_dim": 11}
    return Mixer(replace(PRESETS["B/16"], **sizes, tokens_mlp_dim=13, channels_mlp_dim=19)).eval()


def as_the_authors_save(model: Mixer) -> dict[str, np.ndarray]:
    """Names of a `vit_jax` checkpoint, e.g. MixerBlock_0/token_mixing/Dense_0/kernel, of shape (in, out)."""
    arrays = {}

    def put(name: str, module: torch.nn.Module, kernel: str) -> None:
        weight = module.weight.detach()
        arrays[f"{name}/{kernel}"] = (weight.T if weight.ndim == 2 else weight).numpy()
        arrays[f"{name}/bias"] = module.bias.detach().numpy()

    put("head", model.head, "kernel")
    put("pre_head_layer_norm", model.pre_head_norm, "scale")
    arrays["stem/kernel"] = rearrange(model.stem.weight.detach(), "o (h w c) -> h w c o", h=7, w=7).numpy()
    arrays["stem/bias"] = model.stem.bias.detach().numpy()
    for i, block in enumerate(model.blocks):
        put(f"MixerBlock_{i}/LayerNorm_0", block.norm1, "scale")
        put(f"MixerBlock_{i}/LayerNorm_1", block.norm2, "scale")
        for name in ("token_mixing", "channel_mixing"):
            put(f"MixerBlock_{i}/{name}/Dense_0", getattr(block, name).fc1, "kernel")
            put(f"MixerBlock_{i}/{name}/Dense_1", getattr(block, name).fc2, "kernel")
    return arrays


def test_the_authors_files(network: Mixer, tmp_path: Path) -> None:
    np.savez(tmp_path / "mixer.npz", **as_the_authors_save(network))
    loaded = convert(tmp_path / "mixer.npz")
    assert loaded.config == network.config
    images = torch.randn(2, 3, 28, 28)
    assert torch.equal(loaded(images), network(images))


def test_the_authors_stem_is_a_convolution_of_their_layout(network: Mixer, tmp_path: Path) -> None:
    np.savez(tmp_path / "mixer.npz", **as_the_authors_save(network))
    kernel = torch.from_numpy(as_the_authors_save(network)["stem/kernel"])  # height, width, colour, out
    image = torch.randn(1, 3, 28, 28)
    want = torch.nn.functional.conv2d(image, kernel.permute(3, 2, 0, 1), network.stem.bias, stride=7)
    loaded = convert(tmp_path / "mixer.npz")
    torch.testing.assert_close(loaded.stem(loaded.patches(image)), rearrange(want, "b c h w -> b (h w) c"))


@pytest.mark.parametrize("name", ["mixer.npz", "mixer.safetensors"])
def test_other_files_are_refused(name: str, network: Mixer, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is not an MLP-Mixer"):
        convert(tmp_path / name)
    (tmp_path / name).write_bytes(b"hello")
    with pytest.raises(CheckpointError, match="is not an MLP-Mixer"):
        convert(tmp_path / name)
    arrays = as_the_authors_save(network)
    del arrays["MixerBlock_1/token_mixing/Dense_0/bias"]
    np.savez(tmp_path / "part.npz", **arrays)
    with pytest.raises(CheckpointError, match=r"blocks\.1\.token_mixing\.fc1\.bias"):
        convert(tmp_path / "part.npz")


def test_the_default_is_not_what_the_authors_use() -> None:
    """Guards the import's constants: the seed network's own differ in every one."""
    ours, theirs = MixerConfig(), PRESETS["B/16"]
    assert (theirs.gelu, theirs.norm_eps, theirs.mean, theirs.std) == ("tanh", 1e-6, (0.5,) * 3, (0.5,) * 3)
    assert ours.gelu != theirs.gelu
    assert ours.norm_eps != theirs.norm_eps
