"""Mixer weights from elsewhere: the authors' `.npz` files, and timm's state dicts."""

import math
from pathlib import Path

import numpy as np
import safetensors
import torch
from einops import rearrange
from safetensors.torch import load_file
from torch import Tensor

from mixer.checkpoint import CheckpointError
from mixer.model import Mixer, MixerConfig

Weights = dict[str, Tensor]


def convert(path: Path) -> Mixer:
    """The network in an `.npz` of the authors' or a `.safetensors` of timm's, its shape read from the weights.

    Both take square images and patches, normalised with mean and std 0.5, and have LayerNorms with eps 1e-6. The
    authors' GELU is the tanh form, timm's the exact one.
    Raises CheckpointError for a file that is neither.
    """
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                foreign = {name: torch.from_numpy(file[name]) for name in file.files}
            weights, patch, gelu = *_from_authors(foreign), "tanh"
        else:
            weights, patch, gelu = *_from_timm(load_file(path)), "none"
        return _build(weights, patch, gelu)
    except (OSError, KeyError, ValueError, RuntimeError, safetensors.SafetensorError) as error:
        raise CheckpointError(
            f"{path} is not an MLP-Mixer of the authors' (.npz) or of timm's (.safetensors): {error}"
        ) from error


def _build(weights: Weights, patch: int, gelu: str) -> Mixer:
    tokens, channels = weights["blocks.0.token_mixing.fc1.weight"], weights["blocks.0.channel_mixing.fc1.weight"]
    side = math.isqrt(tokens.shape[1]) * patch
    model = Mixer(
        MixerConfig(
            image_size=(side, side),
            patch_size=(patch, patch),
            num_classes=len(weights["head.bias"]),
            num_blocks=1 + max(int(name.split(".")[1]) for name in weights if name.startswith("blocks.")),
            hidden_dim=channels.shape[1],
            tokens_mlp_dim=tokens.shape[0],
            channels_mlp_dim=channels.shape[0],
            pre_head_norm=True,
            gelu="tanh" if gelu == "tanh" else "none",
            norm_eps=1e-6,
            mean=(0.5, 0.5, 0.5),
            std=(0.5, 0.5, 0.5),
        )
    )
    model.load_state_dict(weights)
    return model.eval()


def _from_authors(foreign: Weights) -> tuple[Weights, int]:
    """Flax names: kernels are (in, out), the stem's is (height, width, colour, out)."""
    names = {"LayerNorm_0": "norm1", "LayerNorm_1": "norm2", "Dense_0": "fc1", "Dense_1": "fc2"}
    names |= {"kernel": "weight", "scale": "weight", "pre_head_layer_norm": "pre_head_norm"}
    weights = {}
    for key, value in foreign.items():
        parts = [names.get(part, part) for part in key.split("/")]
        if parts[0].startswith("MixerBlock_"):
            parts[0] = f"blocks.{parts[0].removeprefix('MixerBlock_')}"
        if key.endswith("kernel"):
            value = rearrange(value, "... inputs outputs -> outputs ... inputs").flatten(1)
        weights[".".join(parts)] = value
    return weights, foreign["stem/kernel"].shape[0]


def _from_timm(foreign: Weights) -> tuple[Weights, int]:
    """timm's stem is a convolution, its weight (out, colour, height, width)."""
    weights = {}
    for key, value in foreign.items():
        name = key.replace("mlp_tokens", "token_mixing").replace("mlp_channels", "channel_mixing")
        if name.startswith("norm."):
            name = f"pre_head_{name}"
        if name == "stem.proj.weight":
            value = rearrange(value, "outputs colour height width -> outputs (height width colour)")
        weights[name.replace("stem.proj", "stem")] = value
    return weights, foreign["stem.proj.weight"].shape[-1]
