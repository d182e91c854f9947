"""CIFAR-10, the samples that ship with the project, and how pixels are scaled for a network."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from mixer.model import MixerConfig

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
VALIDATION_IMAGES = 5_000

Split = Literal["train", "validation", "train+validation", "test"]


class DataMissing(FileNotFoundError):
    """CIFAR-10 is not where it was looked for; the message says how to get it."""


@dataclass(frozen=True)
class Labelled:
    """Images as they are stored, with their classes."""

    images: UInt8[Tensor, "images 3 32 32"]
    labels: Int[Tensor, "images"]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Samples(Labelled):
    """The test images that ship with the project: 20 of each class."""

    indices: Int[Tensor, "images"]
    """where each stands in the official test set"""


def class_names(num_classes: int) -> tuple[str, ...]:
    """CIFAR-10's names for ten classes, numbers for any other network."""
    return CLASSES if num_classes == len(CLASSES) else tuple(f"class {i}" for i in range(num_classes))


def cifar10(split: Split, root: Path | None = None, download: bool = False) -> Labelled:
    """One split of CIFAR-10 as tensors. Validation is the last 5,000 training images; `train` is the rest.

    root: the folder that holds `cifar-10-batches-py`; without it `$CIFAR10_ROOT`, without that `./data`.
    Raises DataMissing where it is not there (or is damaged) and `download` is not set.
    """
    from torchvision.datasets import CIFAR10  # here, as torchvision takes a second to load and only this needs it

    root = root or Path(os.environ.get("CIFAR10_ROOT", "data"))
    try:
        dataset = CIFAR10(root, train=split != "test", download=download)
    except RuntimeError as error:
        raise DataMissing(
            f"CIFAR-10 is not in {root.resolve()} (or its files are damaged). Three ways to get it:\n"
            "  1. let this command fetch it (170 MB): add --download\n"
            "  2. if you have the folder cifar-10-batches-py: add --data-root FOLDER_THAT_HOLDS_IT\n"
            "  3. the same for every command: export CIFAR10_ROOT=FOLDER_THAT_HOLDS_IT"
        ) from error
    images = torch.from_numpy(dataset.data).permute(0, 3, 1, 2).contiguous()
    labels = torch.tensor(dataset.targets)
    parts = {"train": slice(0, -VALIDATION_IMAGES), "validation": slice(-VALIDATION_IMAGES, None)}
    part = parts.get(split, slice(None))
    return Labelled(images[part], labels[part])


def samples() -> Samples:
    """The shipped samples: the first 20 test images of each class, ordered by class, then by place in the test set."""
    with np.load(Path(__file__).with_name("samples.npz"), allow_pickle=False) as file:
        return Samples(*(torch.from_numpy(file[name]) for name in ("images", "labels", "indices")))


def normalise(
    images: UInt8[Tensor, "*batch 3 height width"], config: MixerConfig
) -> Float[Tensor, "*batch 3 height width"]:
    """Stored pixels (0 to 255) as the network takes them."""
    mean, std = (torch.tensor(v, device=images.device).view(3, 1, 1) for v in (config.mean, config.std))
    return (images.float() / 255 - mean) / std
