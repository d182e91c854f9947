"""CIFAR-10, the samples that ship with the project, and the one way from a picture to the network's input."""

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from PIL import Image, ImageOps
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


def to_picture(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Any PIL image as the network will see it: upright, RGB, the centre cut out, resized to size (height, width).

    Transparent pixels become white, 16-bit grey is scaled to 8 bits, of an animation the first frame counts.
    Raises ValueError for an image that cannot be decoded.
    """
    try:
        image.seek(0)
        image = ImageOps.exif_transpose(image)
        if image.mode.startswith("I") or image.mode == "F":
            grey = np.asarray(image, dtype=np.float64)
            deep = 65_535.0 if grey.max(initial=0) > 255 else 255.0
            image = Image.fromarray((grey.clip(0, deep) * (255 / deep)).round().astype(np.uint8))
        if image.has_transparency_data:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        height, width = size
        return ImageOps.fit(image.convert("RGB"), (width, height), Image.Resampling.BICUBIC)
    except (OSError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise ValueError(f"this picture cannot be read: {error}") from error


def normalise(
    images: UInt8[Tensor, "*batch 3 height width"], config: MixerConfig
) -> Float[Tensor, "*batch 3 height width"]:
    """Stored pixels (0 to 255) as the network takes them."""
    mean, std = (torch.tensor(v, device=images.device).view(3, 1, 1) for v in (config.mean, config.std))
    return (images.float() / 255 - mean) / std


def to_input(image: Image.Image, config: MixerConfig) -> Float[Tensor, "3 height width"]:
    """Any PIL image as input of the network with this config: `to_picture`, then `normalise`."""
    pixels = torch.from_numpy(np.array(to_picture(image, config.image_size)))
    return normalise(pixels.permute(2, 0, 1), config)
