"""A network with the seed network's patches, blocks and record, but with few weights: where numbers do not matter, it
is quick."""

import json
from dataclasses import replace
from pathlib import Path

import torch

from mixer.checkpoint import DEFAULT, save
from mixer.data import CLASSES
from mixer.model import PRESETS, Mixer
from viz.microscope import Microscope


def thin(folder: Path) -> Microscope:
    """24 channels, 20 and 28 hidden units, all weights random; saved in the folder."""
    sizes = {"hidden_dim": 24, "tokens_mlp_dim": 20, "channels_mlp_dim": 28, "classes": CLASSES}
    torch.manual_seed(1)
    model = Mixer(replace(PRESETS["seed"], **sizes))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape))  # so that its answers differ
    save(folder, model, json.loads((DEFAULT / "metrics.json").read_text("utf-8")))
    return Microscope.load(folder, torch.device("cpu"))
