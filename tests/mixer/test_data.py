import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mixer.data import CLASSES, DataMissing, cifar10, class_names, normalise, samples
from mixer.model import PRESETS, MixerConfig


def test_normalisation_is_that_of_the_config() -> None:
    white = torch.full((2, 3, 4, 5), 255, dtype=torch.uint8)
    torch.testing.assert_close(normalise(white, PRESETS["B/16"]), torch.ones(2, 3, 4, 5))
    config = replace(MixerConfig(), mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 0.1))
    torch.testing.assert_close(normalise(white, config)[1, :, 0, 0], torch.tensor([1.8, 3.2, 7.0]))


def test_samples_are_twenty_of_each_class() -> None:
    shipped = samples()
    assert torch.equal(shipped.labels.bincount(), torch.full((10,), 20))
    assert shipped.images.shape == (200, 3, 32, 32)
    assert len(shipped.indices.unique()) == 200


def test_classes_of_other_networks_are_numbered() -> None:
    assert class_names(10) == CLASSES
    assert class_names(3) == ("class 0", "class 1", "class 2")


def test_missing_data_says_the_three_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CIFAR10_ROOT", str(tmp_path))
    with pytest.raises(DataMissing) as error:
        cifar10("test")
    for way in (str(tmp_path), "--download", "--data-root", "CIFAR10_ROOT"):
        assert way in str(error.value)


@pytest.mark.skipif("CIFAR10_ROOT" not in os.environ, reason="CIFAR10_ROOT does not say where CIFAR-10 is")
def test_the_splits_and_the_samples_are_those_of_the_official_batches() -> None:
    shipped, test = samples(), cifar10("test")
    assert torch.equal(test.images[shipped.indices], shipped.images)
    assert torch.equal(test.labels[shipped.indices], shipped.labels)
    train, validation, both = cifar10("train"), cifar10("validation"), cifar10("train+validation")
    assert (len(train), len(validation), len(both), len(test)) == (45_000, 5_000, 50_000, 10_000)
    assert torch.equal(torch.cat((train.images, validation.images)), both.images)
    assert torch.equal(torch.cat((train.labels, validation.labels)), both.labels)
    mean = both.images.double().mean((0, 2, 3)) / 255
    torch.testing.assert_close(mean, torch.tensor(MixerConfig().mean).double(), atol=1e-4, rtol=0)
