"""Settings that cannot be are refused by name, before they are used."""

import math
import subprocess
import sys
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
import torch

from mixer.model import MixerConfig
from mixer.teacher import TeacherConfig, TeacherTrainConfig
from mixer.train import TrainConfig
from mixer.validation import whole

WRONG: dict[type, dict[str, list[Any]]] = {
    TrainConfig: {
        "epochs": [-1, math.nan, math.inf, 1e308],
        "warmup_epochs": [-0.1, math.nan, math.inf],
        "decay_epochs": [-1, math.nan],
        "batch_size": [0, -128, 10**30],
        "micro_batch": [0, -1, 10**30],
        "muon_lr": [-1e-3, math.nan, math.inf],
        "adamw_lr": [-1e-3, math.nan, math.inf],
        "weight_decay": [-0.1, math.nan],
        "ema_decay": [-0.1, 1.1, math.nan],
        "crop": [-1, 32, 40],
        "mix": [-0.1, 3, math.nan],
        "hard_labels": [-0.5, 1.5, math.nan],
        "seed": [-1, 2**32],
    },
    MixerConfig: {
        "image_size": [(0, 32), (32, 30)],
        "patch_size": [(0, 8), (5, 8)],
        "num_classes": [0, -10],
        "num_blocks": [0, -12, 10**30],
        "hidden_dim": [0],
        "tokens_mlp_dim": [0],
        "channels_mlp_dim": [0],
        "dropout": [-0.1, 1.5, math.nan],
        "norm_eps": [0.0, -1e-6, math.nan, math.inf],
    },
    TeacherConfig: {"widths": [(64, 0, 256)], "num_classes": [0]},
    TeacherTrainConfig: {
        "epochs": [0, -16, 10**30],
        "batch_size": [0, 10**30],
        "lr": [-1.5, math.nan, math.inf],
        "weight_decay": [-1e-3, math.nan],
        "bias_factor": [0, -64, math.nan],
        "label_smoothing": [-0.1, 1.2, math.nan],
        "whiten_epochs": [-1],
        "shift": [-1, 32],
        "seed": [-1, 2**32],
    },
}
SETTINGS = [(config, name, value) for config, names in WRONG.items() for name in names for value in names[name]]


@pytest.mark.parametrize(("config", "name", "value"), SETTINGS)
def test_what_cannot_be_is_refused_by_name(config: type, name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"{name} must be .*, not|cannot be divided into"):
        config(**{name: value})


def test_every_setting_has_a_range() -> None:
    elsewhere = {"auto_augment", "pre_head_norm", "mean", "std", "classes", "gelu"}  # yes or no, or tested elsewhere
    for config, names in WRONG.items():
        assert {field.name for field in fields(config)} - elsewhere == set(names)


@pytest.mark.process
def test_shapes_and_names_are_refused_in_words_too() -> None:
    """In a process of its own, without the tests' check of types, which would come first."""
    code = """
from mixer.model import MixerConfig
from mixer.teacher import TeacherConfig
wrong = [(MixerConfig, "image_size", (32,)), (MixerConfig, "patch_size", (4, 8, 3)), (MixerConfig, "gelu", "exact")]
for config, name, value in [*wrong, (TeacherConfig, "widths", (64, 256))]:
    try:
        config(**{name: value})
    except ValueError as error:
        print(f"{name} must be" in str(error), end=" ")
"""
    assert subprocess.check_output([sys.executable, "-c", code], encoding="utf-8") == "True True True True "


def test_the_ends_of_the_ranges_are_allowed() -> None:
    TrainConfig(
        epochs=0, warmup_epochs=0, decay_epochs=0, batch_size=1, micro_batch=1, crop=0, mix=0, hard_labels=0, seed=0
    )
    TrainConfig(crop=31, mix=1, hard_labels=1, ema_decay=0, seed=2**32 - 1, muon_lr=0, adamw_lr=0, weight_decay=0)
    TeacherTrainConfig(epochs=1, batch_size=1, label_smoothing=0, shift=31, whiten_epochs=0)
    MixerConfig(dropout=1.0, num_classes=1, num_blocks=1, hidden_dim=1, gelu="tanh")


def test_a_whole_number_is_of_any_integer_type() -> None:
    for value in (2, np.int64(2), np.uint8(2), torch.tensor(2)):
        assert whole(value) == 2
        assert type(whole(value)) is int
    for value in (True, np.True_, 2.0, "2", None, [2], np.array([2, 2]), torch.zeros(2).int()):
        assert whole(value) is None
