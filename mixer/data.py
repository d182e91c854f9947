"""CIFAR-10, the samples that ship with the project, and how pixels are scaled for a network."""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from mixer.model import CIFAR10_CLASSES, MixerConfig

CLASSES = CIFAR10_CLASSES
IMAGENET_1K = 1000
"""how many classes the ImageNet has that is meant where nothing else is said"""
VALIDATION_IMAGES = 5_000

Split = Literal["train", "validation", "train+validation", "test"]


class DataMissing(FileNotFoundError):
    """CIFAR-10 is not where it was looked for; the message says how to get it."""


class OtherClasses(ValueError):
    """A network does not know the classes that images are labelled with; the message says which it knows."""


@dataclass(frozen=True)
class Labelled:
    """Images as they are stored, with their classes."""

    images: UInt8[Tensor, "images 3 32 32"]
    labels: Int[Tensor, "images"]

    def __len__(self) -> int:
        return len(self.labels)

    def digest(self) -> str:
        """16 hexadecimal digits that tell these images and labels from all others (BLAKE2b)."""
        content = hashlib.blake2b(self.images.contiguous().cpu().numpy().data, digest_size=8)
        content.update(self.labels.contiguous().cpu().numpy().data)
        return content.hexdigest()


@dataclass(frozen=True)
class Samples(Labelled):
    """The test images that ship with the project: 20 of each class."""

    indices: Int[Tensor, "images"]
    """where each stands in the official test set"""


def class_names(config: MixerConfig) -> tuple[str, ...]:
    """What a network's classes are called, each otherwise than the others.

    As its config says. Where that says nothing, 1,000 classes are ImageNet-1k's; others have numbers, from 0.
    """
    if config.classes:
        counts = Counter(config.classes)  # ImageNet's two cranes, a bird and a machine, are told apart by their numbers
        return tuple(f"{name} #{i}" if counts[name] > 1 else name for i, name in enumerate(config.classes))
    if config.num_classes == IMAGENET_1K:
        from torchvision.models._meta import _IMAGENET_CATEGORIES  # here, as torchvision takes a second to load

        return tuple(_IMAGENET_CATEGORIES)
    return tuple(f"class {i}" for i in range(config.num_classes))


def cifar10_numbers(names: Sequence[str]) -> Int[Tensor, "10"]:
    """The number that each of CIFAR-10's classes has among a network's.

    Raises OtherClasses where the network's classes are not those ten: of such a network, CIFAR-10's images cannot tell
    whether an answer is right.
    """
    if set(names) != set(CLASSES):
        few = ", ".join(names[:3]) + ", ..." * (len(names) > 3)
        raise OtherClasses(
            f"this network's classes ({len(names)}: {few}) are not CIFAR-10's, so CIFAR-10's images cannot tell "
            'whether its answers are right. If they are, write into its config.json "classes": ' + json.dumps(CLASSES)
        )
    return torch.tensor([names.index(name) for name in CLASSES])


def cifar10(split: Split, root: Path | None = None, download: bool = False) -> Labelled:
    """One split of CIFAR-10 as tensors. Validation is the last 5,000 training images; `train` is the rest.

    root: the folder that holds `cifar-10-batches-py`; without it `$CIFAR10_ROOT`, without that `./data`.
    Raises DataMissing where it is not there or is damaged, and cannot be fetched or is not to be (`download`).
    """
    from torchvision.datasets import CIFAR10  # here, as torchvision takes a second to load and only this needs it

    root = root or Path(os.environ.get("CIFAR10_ROOT", "data"))
    try:
        dataset = CIFAR10(root, train=split != "test", download=download)
    except Exception as error:  # torchvision lets through what sockets, archives, disks and pickles raise
        raise DataMissing(_missing(root, download, error)) from error
    images = torch.from_numpy(dataset.data).permute(0, 3, 1, 2).contiguous()
    labels = torch.tensor(dataset.targets)
    parts = {"train": slice(0, -VALIDATION_IMAGES), "validation": slice(-VALIDATION_IMAGES, None)}
    part = parts.get(split, slice(None))
    return Labelled(images[part], labels[part])


def _missing(root: Path, download: bool, error: Exception) -> str:
    """What is wrong with CIFAR-10 in `root`, by file, and what helps."""
    from torchvision.datasets import CIFAR10
    from torchvision.datasets.utils import check_integrity

    def whole(file: Path, md5: str | None) -> bool:
        with suppress(OSError):
            return check_integrity(file, md5)
        return False

    folder, archive = root.resolve() / CIFAR10.base_folder, root.resolve() / CIFAR10.filename
    listed = [*CIFAR10.train_list, *CIFAR10.test_list, [CIFAR10.meta["filename"], CIFAR10.meta["md5"]]]
    damaged = [str(folder / name) for name, md5 in listed if (folder / name).exists() and not whole(folder / name, md5)]
    reason = str(error) or type(error).__name__
    if all(whole(folder / name, md5) for name, md5 in listed):
        return f"CIFAR-10 in {folder} cannot be read: {reason}. Remove that folder, then fetch it anew: --download"
    state = f"not whole (damaged: {', '.join(damaged)})" if damaged else f"not in {root.resolve()}"
    if download:
        return (
            f"CIFAR-10 is {state}, and could not be fetched from {CIFAR10.url}: {reason}. Try the same command again "
            f"later, or get that file in another way, as {archive}: --download then unpacks it"
        )
    return (
        f"CIFAR-10 is {state}. Three ways to get it:\n"
        "  1. let this command fetch it (170 MB): add --download\n"
        "  2. if you have the folder cifar-10-batches-py: add --data-root FOLDER_THAT_HOLDS_IT\n"
        "  3. the same for every command: export CIFAR10_ROOT=FOLDER_THAT_HOLDS_IT"
    )


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
