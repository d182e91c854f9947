"""A stand-in for CIFAR-10 in its own format, small enough to train on within a test."""

import pickle
from collections.abc import Callable
from pathlib import Path

from torchvision.datasets import CIFAR10, CIFAR100

from mixer import data
from mixer.data import Labelled

VALIDATION_IMAGES = 20


def write(root: Path, images: Labelled) -> None:
    """Put the images into root as training and as test images, in the format of the official batches."""
    folder = root / CIFAR10.base_folder
    folder.mkdir(parents=True)
    batch = {"data": images.images.flatten(1).numpy(), "labels": images.labels.tolist()}
    for name in ("data_batch_1", "test_batch"):
        (folder / name).write_bytes(pickle.dumps(batch))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list(data.CLASSES)}))


def accept(set_attribute: Callable[[object, str, object], None] = setattr) -> None:
    """Let torchvision take such files for CIFAR-10, in this process; the last 20 training images validate."""
    set_attribute(CIFAR10, "train_list", [["data_batch_1", None]])
    set_attribute(CIFAR10, "test_list", [["test_batch", None]])
    set_attribute(CIFAR10, "meta", {"filename": "batches.meta", "key": "label_names", "md5": None})
    set_attribute(data, "VALIDATION_IMAGES", VALIDATION_IMAGES)


def write_100(root: Path, images: Labelled) -> tuple[str, ...]:
    """The same for CIFAR-100; returns its classes."""
    folder = root / CIFAR100.base_folder
    folder.mkdir(parents=True)
    batch = {"data": images.images.flatten(1).numpy(), "fine_labels": images.labels.tolist()}
    for name in ("train", "test"):
        (folder / name).write_bytes(pickle.dumps(batch))
    names = tuple(f"thing {i}" for i in range(10))
    (folder / "meta").write_bytes(pickle.dumps({"fine_label_names": list(names)}))
    return names


def accept_100(set_attribute: Callable[[object, str, object], None] = setattr) -> None:
    """As `accept`, for CIFAR-100."""
    set_attribute(CIFAR100, "train_list", [["train", None]])
    set_attribute(CIFAR100, "test_list", [["test", None]])
    set_attribute(CIFAR100, "meta", {"filename": "meta", "key": "fine_label_names", "md5": None})
