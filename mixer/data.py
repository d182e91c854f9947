"""Labelled images: CIFAR in its parts, samples to look at, class names, and how pixels are scaled for a network."""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from mixer.model import CIFAR10_CLASSES, MixerConfig

CLASSES = CIFAR10_CLASSES
IMAGENET_1K = 1000
"""classes of ImageNet-1k"""
VALIDATION_IMAGES = 5_000
SAMPLES_OF_A_CLASS, MOST_SAMPLES, MOST_SAMPLE_BYTES = 20, 200, 8_000_000
"""how many test images go into a checkpoint to be looked at, and how large all of them may be as pixels"""
NAMES = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}

Split = Literal["train", "validation", "train+validation", "test"]
Cifar = Literal["cifar10", "cifar100"]
Colour = tuple[float, float, float]


class DataMissing(FileNotFoundError):
    """Images are not where they were looked for; the message says how to get them."""


class OtherClasses(ValueError):
    """A network does not know the classes that images are labelled with; the message says which it knows."""


@dataclass(frozen=True)
class Labelled:
    """Images as they are stored, with their classes."""

    images: UInt8[Tensor, "images 3 height width"]
    labels: Int[Tensor, "images"]
    classes: tuple[str, ...] = field(default=CLASSES, kw_only=True)
    """what the labels are called"""
    source: str = field(default="CIFAR-10", kw_only=True)
    """the name of the data set"""

    def __len__(self) -> int:
        return len(self.labels)

    def digest(self) -> str:
        """16 hexadecimal digits that tell these images and labels from all others (BLAKE2b)."""
        content = hashlib.blake2b(self.images.contiguous().cpu().numpy().data, digest_size=8)
        content.update(self.labels.contiguous().cpu().numpy().data)
        return content.hexdigest()


@dataclass(frozen=True)
class Samples(Labelled):
    """Pictures to look at: some test images of a data set, or what is in a folder; ordered by class, then by place.

    Without classes, nobody has labelled them.
    """

    indices: Int[Tensor, "images"]
    """where each stands among the test images, or the files"""
    held_out: bool = field(default=True, kw_only=True)
    """whether they are known to be test images"""


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


def class_numbers(
    names: Sequence[str], classes: Sequence[str] = CLASSES, source: str = "CIFAR-10"
) -> Int[Tensor, "classes"]:
    """The number that each class of a data set has among a network's.

    names: the network's classes. classes: those of the data set that is called `source`.
    Raises OtherClasses where they are not the same: of such a network, these images cannot tell whether an answer is
    right.
    """
    if set(names) != set(classes):
        unnamed = len(names) == len(classes) and list(names) == [f"class {i}" for i in range(len(names))]
        stated = f'. If they are the same, write into its config.json "classes": {json.dumps(list(classes))}'
        raise OtherClasses(
            f"this network's classes ({len(names)}: {few(names)}) are not {source}'s ({len(classes)}: {few(classes)}), "
            f"so {source}'s images cannot tell whether its answers are right: name its own images with --data"
            + (stated if unnamed else "")
        )
    return torch.tensor([names.index(name) for name in classes])


def few(names: Sequence[str]) -> str:
    """The first three of some names, or "nothing"."""
    return ", ".join(names[:3]) + ", ..." * (len(names) > 3) or "nothing"


def cifar(kind: Cifar, split: Split, root: Path | None = None, download: bool = False) -> Labelled:
    """One split of CIFAR-10 or CIFAR-100. Validation is the last 5,000 training images; `train` is the rest.

    root: the folder that holds `cifar-10-batches-py` or `cifar-100-python`; without it `$CIFAR10_ROOT`, without that
        ./data.
    Raises DataMissing where it is not there or is damaged, and cannot be fetched or is not to be (`download`).
    """
    from torchvision.datasets import CIFAR10, CIFAR100  # here, as torchvision takes a second to load

    kinds: dict[str, type[CIFAR10]] = {"cifar10": CIFAR10, "cifar100": CIFAR100}
    root = root or _root()
    try:
        dataset = kinds[kind](root, train=split != "test", download=download)
    except Exception as error:  # torchvision lets through what sockets, archives, disks and pickles raise
        raise DataMissing(_missing(kinds[kind], root, download, error)) from error
    images = torch.from_numpy(dataset.data).permute(0, 3, 1, 2).contiguous()
    labels = torch.tensor(dataset.targets)
    parts = {"train": slice(0, -VALIDATION_IMAGES), "validation": slice(-VALIDATION_IMAGES, None)}
    part = parts.get(split, slice(None))
    return Labelled(images[part], labels[part], classes=tuple(dataset.classes), source=NAMES[kind])


def published(source: str, root: Path | None = None) -> Cifar | None:
    """Which data set has that name, if its test images lie in root (without it, where `cifar` looks)."""
    files: dict[str, tuple[Cifar, str]] = {
        NAMES["cifar10"]: ("cifar10", "cifar-10-batches-py/test_batch"),
        NAMES["cifar100"]: ("cifar100", "cifar-100-python/test"),
    }
    kind, file = files.get(source, (None, ""))
    return kind if ((root or _root()) / file).is_file() else None


def _root() -> Path:
    return Path(os.environ.get("CIFAR10_ROOT", "data"))


def cifar10(split: Split, root: Path | None = None, download: bool = False) -> Labelled:
    """One split of CIFAR-10, as `cifar` gives it."""
    return cifar("cifar10", split, root, download)


def _missing(kind: Any, root: Path, download: bool, error: Exception) -> str:
    """What is wrong with a data set of torchvision's in `root`, by file, and what helps."""
    from torchvision.datasets.utils import check_integrity

    def whole(file: Path, md5: str | None) -> bool:
        with suppress(OSError):
            return check_integrity(file, md5)
        return False

    name = NAMES[kind.__name__.lower()]
    folder, archive = root.resolve() / kind.base_folder, root.resolve() / kind.filename
    listed = [*kind.train_list, *kind.test_list, [kind.meta["filename"], kind.meta["md5"]]]
    damaged = [str(folder / file) for file, md5 in listed if (folder / file).exists() and not whole(folder / file, md5)]
    reason = str(error) or type(error).__name__
    if all(whole(folder / file, md5) for file, md5 in listed):
        return f"{name} in {folder} cannot be read: {reason}. Remove that folder, then download it again: --download"
    state = f"not whole (damaged: {', '.join(damaged)})" if damaged else f"not in {root.resolve()}"
    if download:
        return (
            f"{name} is {state}, and could not be fetched from {kind.url}: {reason}. Try the same command again "
            f"later, or get that file in another way, as {archive}: --download then unpacks it"
        )
    return (
        f"{name} is {state}. Three ways to get it:\n"
        "  1. let this command fetch it (170 MB): add --download\n"
        f"  2. if you have the folder {kind.base_folder}: add --data-root FOLDER_THAT_HOLDS_IT\n"
        "  3. the same for every command: export CIFAR10_ROOT=FOLDER_THAT_HOLDS_IT"
    )


def samples() -> Samples:
    """The shipped samples: the first 20 test images of each class, ordered by class, then by place in the test set."""
    with np.load(Path(__file__).with_name("samples.npz"), allow_pickle=False) as file:
        return Samples(*(torch.from_numpy(file[name]) for name in ("images", "labels", "indices")))


def most_samples(pixels: int) -> int:
    """How many pictures of so many bytes are samples."""
    return min(MOST_SAMPLES, max(1, MOST_SAMPLE_BYTES // pixels))


def choose_samples(test: Labelled) -> Samples:
    """Test images to look at: the first of each class, then the second of each, ..., as far as `MOST_SAMPLES` go."""
    labels = test.labels.tolist()
    seen = Counter[int]()
    turns = []
    for label in labels:
        turns.append(seen[label])
        seen[label] += 1
    most = most_samples(test.images[0].numel())
    first = sorted((turn, label, i) for i, (turn, label) in enumerate(zip(turns, labels, strict=True)))
    chosen = [(label, i) for turn, label, i in first if turn < SAMPLES_OF_A_CLASS][:most]
    index = torch.tensor([i for _, i in sorted(chosen)])
    return Samples(test.images[index], test.labels[index], index, classes=test.classes, source=test.source)


def statistics(data: Labelled) -> tuple[Colour, Colour]:
    """Mean and standard deviation of each colour over all pixels (0 to 1); the latter 0.01 at least."""
    sums = torch.zeros(2, 3, dtype=torch.float64)
    for images in data.images.split(512):
        pixels = images.double() / 255
        sums += torch.stack([pixels.sum((0, 2, 3)), pixels.square().sum((0, 2, 3))])
    mean, square = sums / (len(data) * data.images[0, 0].numel())
    std = (square - mean.square()).clamp(min=0.01**2).sqrt()
    return _rounded(mean), _rounded(std)


def _rounded(values: Float[Tensor, "3"]) -> Colour:
    red, green, blue = (round(value, 4) for value in values.tolist())
    return red, green, blue


def normalise(
    images: UInt8[Tensor, "*batch 3 height width"], config: MixerConfig
) -> Float[Tensor, "*batch 3 height width"]:
    """Stored pixels (0 to 255) as the network takes them."""
    mean, std = (torch.tensor(v, device=images.device).view(3, 1, 1) for v in (config.mean, config.std))
    return (images.float() / 255 - mean) / std
