"""Labelled images: the splits of CIFAR, samples for the microscope, class names, and normalisation."""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Hashable, Sequence
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
SAMPLES_PER_CLASS, MAX_SAMPLES, MAX_SAMPLE_BYTES = 20, 200, 8_000_000
"""limits of the samples in a checkpoint: images per class, images, and bytes of all pixels"""

Split = Literal["train", "validation", "train+validation", "test"]
Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Published:
    """A data set with published training and test images, which torchvision reads."""

    name: str
    dataset: str
    """its class in `torchvision.datasets`"""
    test_file: str
    """its test images, below the root"""
    test_images: int
    side: int
    """height and width of its images, in pixels"""
    megabytes: int
    """size of the download"""
    hub: str
    """its id on the Hugging Face Hub"""
    content: str
    """what all its images have in common"""


OBJECT = "one object, in the middle, upright"
PUBLISHED = {
    "cifar10": Published(
        "CIFAR-10", "CIFAR10", "cifar-10-batches-py/test_batch", 10_000, 32, 170, "uoft-cs/cifar10", OBJECT
    ),
    "cifar100": Published(
        "CIFAR-100", "CIFAR100", "cifar-100-python/test", 10_000, 32, 169, "uoft-cs/cifar100", OBJECT
    ),
}
"""the data sets that `--data` accepts by name"""


class DataMissing(FileNotFoundError):
    """Images are missing or damaged. The message has the way to get them."""


class OtherClasses(ValueError):
    """The images have other classes than the network. The message names both."""


@dataclass(frozen=True)
class Labelled:
    """Stored images (0 to 255) and their labels."""

    images: UInt8[Tensor, "images 3 height width"]
    labels: Int[Tensor, "images"]
    classes: tuple[str, ...] = field(default=CLASSES, kw_only=True)
    """names of the labels"""
    source: str = field(default="CIFAR-10", kw_only=True)
    """name of the data set"""

    def __len__(self) -> int:
        return len(self.labels)

    def digest(self) -> str:
        """Digest of the images and labels: 16 hexadecimal digits (BLAKE2b)."""
        content = hashlib.blake2b(self.images.contiguous().cpu().numpy().data, digest_size=8)
        content.update(self.labels.contiguous().cpu().numpy().data)
        return content.hexdigest()


@dataclass(frozen=True)
class Samples(Labelled):
    """Pictures for the microscope: test images of a data set or files of a folder, ordered by class, then by index.

    Pictures without labels have no classes.
    """

    indices: Int[Tensor, "images"]
    """index of each picture in the test set, or among the files"""
    held_out: bool = field(default=True, kw_only=True)
    """whether they are known to be test images"""


def class_names(config: MixerConfig) -> tuple[str, ...]:
    """Unique names of a network's classes.

    Without names in the config, 1,000 classes are ImageNet-1k's; others are numbered from 0.
    """
    if config.classes:
        counts = Counter(config.classes)  # ImageNet has two cranes, a bird and a machine
        return tuple(f"{name} #{i}" if counts[name] > 1 else name for i, name in enumerate(config.classes))
    if config.num_classes == IMAGENET_1K:
        from torchvision.models._meta import _IMAGENET_CATEGORIES  # here because torchvision loads slowly

        return tuple(_IMAGENET_CATEGORIES)
    return tuple(f"class {i}" for i in range(config.num_classes))


def class_numbers(
    names: Sequence[str], classes: Sequence[str] = CLASSES, source: str = "CIFAR-10"
) -> Int[Tensor, "classes"]:
    """For each class of a data set, its number in a network.

    names: classes of the network. classes: classes of the data set `source`.
    Raises OtherClasses if they differ, because the images then have no labels of the network.
    """
    if set(names) != set(classes):
        unnamed = len(names) == len(classes) and list(names) == [f"class {i}" for i in range(len(names))]
        hint = f'. If they are the same, write into its config.json "classes": {json.dumps(list(classes))}'
        raise OtherClasses(
            f"the network has other classes ({len(names)}: {first_few(names)}) than {source} ({len(classes)}: "
            f"{first_few(classes)}): choose images of its classes with --data" + (hint if unnamed else "")
        )
    return torch.tensor([names.index(name) for name in classes])


def first_few(names: Sequence[str]) -> str:
    """The first three names, joined; "nothing" without names."""
    return ", ".join(names[:3]) + ", ..." * (len(names) > 3) or "nothing"


def published(one: Published, split: Split, root: Path | None = None, download: bool = False) -> Labelled:
    """One split of a data set. Validation is the last 5,000 training images; `train` is the rest.

    root: the folder that holds its folder, such as `cifar-10-batches-py`; default: `$CIFAR10_ROOT` or ./data
    download: whether to download missing files
    Raises DataMissing if the files are missing or damaged, and are not or cannot be downloaded.
    """
    from torchvision import datasets  # here because torchvision loads slowly

    kind, root = getattr(datasets, one.dataset), root or _root()
    try:
        dataset = kind(root, train=split != "test", download=download)
    except Exception as error:  # torchvision passes on errors of sockets, archives, disks and pickles
        raise DataMissing(_missing(one, kind, root, download, error)) from error
    images = torch.from_numpy(dataset.data).permute(0, 3, 1, 2).contiguous()
    labels = torch.tensor(dataset.targets)
    parts = {"train": slice(0, -VALIDATION_IMAGES), "validation": slice(-VALIDATION_IMAGES, None)}
    part = parts.get(split, slice(None))
    return Labelled(images[part], labels[part], classes=tuple(dataset.classes), source=one.name)


def named(source: str) -> Published | None:
    """The published data set with this name."""
    return next((one for one in PUBLISHED.values() if one.name == source), None)


def at_hand(source: str, root: Path | None) -> Published | None:
    """The same, if its test images are in `root` (None: as for `published`)."""
    one = named(source)
    return one if one and ((root or _root()) / one.test_file).is_file() else None


def _root() -> Path:
    return Path(os.environ.get("CIFAR10_ROOT", "data"))


def cifar10(split: Split, root: Path | None = None, download: bool = False) -> Labelled:
    """One split of CIFAR-10 (see `published`)."""
    return published(PUBLISHED["cifar10"], split, root, download)


def _missing(one: Published, kind: Any, root: Path, download: bool, error: Exception) -> str:
    """The error message for a torchvision data set in `root`: the damaged files and the next step."""
    from torchvision.datasets.utils import check_integrity

    def intact(file: Path, md5: str | None) -> bool:
        with suppress(OSError):
            return check_integrity(file, md5)
        return False

    folder, archive = root.resolve() / kind.base_folder, root.resolve() / kind.filename
    listed = [*kind.train_list, *kind.test_list, [kind.meta["filename"], kind.meta["md5"]]]
    damaged = [
        str(folder / file) for file, md5 in listed if (folder / file).exists() and not intact(folder / file, md5)
    ]
    reason = str(error) or type(error).__name__
    if all(intact(folder / file, md5) for file, md5 in listed):
        return (
            f"{one.name} in {folder} cannot be read: {reason}. Remove that folder, then download it again: --download"
        )
    state = f"incomplete (damaged: {', '.join(damaged)})" if damaged else f"not in {root.resolve()}"
    if download:
        return (
            f"{one.name} is {state}, and could not be downloaded from {kind.url}: {reason}. Try the same command again "
            f"later, or save that file as {archive}: --download then unpacks it"
        )
    return (
        f"{one.name} is {state}. Three ways to get it:\n"
        f"  1. download it ({one.megabytes} MB): add --download\n"
        f"  2. if you have the folder {kind.base_folder}: add --data-root FOLDER_THAT_HOLDS_IT\n"
        "  3. for all commands: export CIFAR10_ROOT=FOLDER_THAT_HOLDS_IT"
    )


def samples() -> Samples:
    """The shipped samples: the first 20 test images of each class of CIFAR-10."""
    with np.load(Path(__file__).with_name("samples.npz"), allow_pickle=False) as file:
        return Samples(*(torch.from_numpy(file[name]) for name in ("images", "labels", "indices")))


def most_samples(pixels: int) -> int:
    """Largest number of samples with this many bytes each."""
    return min(MAX_SAMPLES, max(1, MAX_SAMPLE_BYTES // pixels))


def turns(labels: Sequence[Hashable]) -> list[int]:
    """The number of earlier pictures of the class of each: in their order, all classes have a picture before any has a
    second one.
    """
    seen, found = Counter[Hashable](), list[int]()
    for label in labels:
        found.append(seen[label])
        seen[label] += 1
    return found


def choose_samples(test: Labelled) -> Samples:
    """Samples of a data set: the first test image of each class, then the second of each, ..., within the limits."""
    labels, most = test.labels.tolist(), most_samples(test.images[0].numel())
    first = sorted(zip(turns(labels), labels, range(len(labels)), strict=True))
    chosen = [(label, i) for turn, label, i in first if turn < SAMPLES_PER_CLASS][:most]
    index = torch.tensor([i for _, i in sorted(chosen)])
    return Samples(test.images[index], test.labels[index], index, classes=test.classes, source=test.source)


def statistics(data: Labelled) -> tuple[Colour, Colour]:
    """Mean and standard deviation of each colour over all pixels (0 to 1); the deviation is at least 0.01."""
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
    """The input of the network for stored pixels (0 to 255): scaled to 0 to 1, minus mean, divided by std."""
    mean, std = (torch.tensor(v, device=images.device).view(3, 1, 1) for v in (config.mean, config.std))
    return (images.float() / 255 - mean) / std
