"""Mixers that are not ours: timm's, with random weights and any number of classes."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from timm.models.mlp_mixer import MlpMixer

SIZE, PATCH = (12, 20), (4, 5)


def mixer(classes: int, **changes: Any) -> MlpMixer:
    """3 x 4 patches, 10 channels, 7 and 13 hidden units, 2 blocks; none of its weights or biases is 0."""
    sizes = {"img_size": SIZE, "patch_size": PATCH, "num_blocks": 2, "embed_dim": 10, "mlp_ratio": (0.7, 1.3)}
    torch.manual_seed(classes)
    model = MlpMixer(**{"num_classes": classes, **sizes, **changes}).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape))
    return model


def write(folder: Path, model: torch.nn.Module, **stated: Any) -> Path:
    """A folder as timm publishes one. stated: what its `config.json` says besides, in `pretrained_cfg`"""
    folder.mkdir(parents=True)
    save_file(model.state_dict(), folder / "model.safetensors")
    said = {"input_size": [3, *SIZE], "mean": [0.4, 0.5, 0.6], "std": [0.2, 0.25, 0.3], **stated}
    config = {"architecture": "mixer_s16_224", "num_classes": model.num_classes, "pretrained_cfg": said}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder
