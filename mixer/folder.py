"""Images of one's own, sorted by class into folders (torchvision's ImageFolder layout), as training, validation and
test images.

    photos/cat/1.jpg, photos/cat/more/2.png, photos/dog/3.jpg          sorted by class alone
    photos/train/cat/1.jpg, ..., photos/test/dog/3.jpg                 somebody has made the parts already

**Which part an image is in follows from the bytes of its file**, where nobody has made the parts: whatever is renamed
or added later, it stays there, so that no test image is ever trained on, in this run or in one that goes on from it
(`--init`). Copies of one file count once. Near copies are not noticed: of photos taken in a burst, some fall into the
training images and some into the test images, and the accuracy is then better than for new photos.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mixer.data import DataMissing, Labelled, few
from mixer.picture import Unreadable, decode, to_picture

SHARE = 0.15
"""of the images, that test; as many validate"""
LEAST = 10
"""images of a class, below which it is refused"""
PARTS = {"train": "train", "test": "test", "validation": "validation", "valid": "validation", "val": "validation"}
"""the part that a folder of such a name holds"""
RULE = f"by BLAKE2b of each file's bytes: {SHARE:.0%} test, {SHARE:.0%} validation"
GIVEN = "by the folders of the data"

Progress = Callable[[Sequence[Any]], Iterable[Any]]
"""passes the files on, and may show how far it is"""


class UnusableData(ValueError):
    """Nothing can be trained on a folder's images; the message says why, and what helps."""


@dataclass(frozen=True)
class Parts:
    """A data set in three parts, which share no image."""

    train: Labelled
    validation: Labelled
    test: Labelled
    rule: str
    """how it is decided which image is in which part"""
    unreadable: tuple[str, ...] = ()
    """files of which no picture can be made"""
    copies: int = 0
    """files with the same bytes as another, which is counted"""
    contradictory: int = 0
    """files whose bytes stand in more than one class: all of them are left out"""

    def with_validation(self) -> Labelled:
        """The training images and the validation images, in this order."""
        images = torch.cat((self.train.images, self.validation.images))
        return replace(self.train, images=images, labels=torch.cat((self.train.labels, self.validation.labels)))

    def digests(self) -> dict[str, str]:
        """What tells these parts from others: a run stays with them."""
        parts = {"training": self.train, "validation": self.validation, "test": self.test}
        return {f"{name} digest": part.digest() for name, part in parts.items()}

    def record(self) -> dict[str, Any]:
        """For the run and the metrics: what was used as what."""
        return {
            "name": self.test.source,
            "parts": self.rule,
            "training images": len(self.train),
            "validation images": len(self.validation),
            "test images": len(self.test),
            **self.digests(),
            "unreadable": len(self.unreadable),
            "copies": self.copies,
            "contradictory": self.contradictory,
        }

    def said(self) -> list[str]:
        """Sentences on the parts and on what was left out."""
        lines = [
            f"{self.test.source}: {len(self.test.classes)} classes ({few(self.test.classes)}), {len(self.train):,} "
            f"training, {len(self.validation):,} validation and {len(self.test):,} test images, {self.rule}."
        ]
        if self.unreadable:
            lines.append(f"Files that are no picture, left out: {len(self.unreadable):,} ({few(self.unreadable)}).")
        if self.copies:
            lines.append(f"Copies of other files, left out: {self.copies:,}.")
        if self.contradictory:
            lines.append(f"Files that stand in two classes, left out: {self.contradictory:,}.")
        return lines


@dataclass(frozen=True)
class _File:
    path: Path
    label: int
    part: str
    """empty where nobody has made the parts"""


def read(root: Path, size: tuple[int, int], progress: Progress = iter) -> Parts:
    """All images of a folder in three parts, each the middle of the picture at size (height, width).

    Hidden files are passed over. Raises DataMissing where there is no such folder, UnusableData where it is not sorted
    into at least two classes, or where a class has fewer than `LEAST` images or none to train on.
    """
    if not root.is_dir():
        raise DataMissing(f"there is no folder {root}: --data takes cifar10, cifar100, or a folder of images")
    classes, files = _listed(root)
    kept, copies, contradictory = _once(files)
    images: dict[str, list[np.ndarray]] = {name: [] for name in PARTS.values()}
    labels: dict[str, list[int]] = {name: [] for name in PARTS.values()}
    unreadable = []
    for file in progress(kept):
        try:
            picture = to_picture(decode(file.path).image, size)
        except (Unreadable, OSError):
            unreadable.append(str(file.path.relative_to(root)))
            continue
        images[file.part].append(picture)
        labels[file.part].append(file.label)
    _check(root, classes, labels, unreadable)
    name = root.resolve().name

    def part(of: str) -> Labelled:
        stacked = torch.from_numpy(np.stack(images[of])).permute(0, 3, 1, 2).contiguous()
        return Labelled(stacked, torch.tensor(labels[of]), classes=classes, source=name)

    rule = GIVEN if files[0].part else RULE
    return Parts(part("train"), part("validation"), part("test"), rule, tuple(unreadable), copies, contradictory)


def _listed(root: Path) -> tuple[tuple[str, ...], list[_File]]:
    """The classes by name, and every file with its class."""
    folders = _folders(root)
    given = {folder: PARTS[folder.name.lower()] for folder in folders if folder.name.lower() in PARTS}
    whole = len(given) == len(folders) and {"train", "test"} <= set(given.values())
    above = given if whole else {root: ""}
    classes = tuple(sorted({folder.name for part in above for folder in _folders(part)}))
    if len(classes) < 2:
        raise UnusableData(
            f"{root} holds {len(classes)} folders: sort the images into one folder for each class, two at least"
        )
    files = [
        _File(path, classes.index(folder.name), name)
        for part, name in above.items()
        for folder in _folders(part)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(step.startswith(".") for step in path.relative_to(root).parts)
    ]
    if not files:
        raise UnusableData(f"the folders in {root} hold no files")
    return classes, files


def _folders(above: Path) -> list[Path]:
    return sorted(path for path in above.iterdir() if path.is_dir() and not path.name.startswith("."))


def _once(files: Sequence[_File]) -> tuple[list[_File], int, int]:
    """Each image once, with the part that it is in; how many files are copies, and how many contradict each other.

    Of copies in several parts, the one that tests counts, then the one that validates.
    """
    same: dict[bytes, list[_File]] = {}
    for file in files:
        same.setdefault(hashlib.blake2b(file.path.read_bytes(), digest_size=8).digest(), []).append(file)
    validated = any(file.part == "validation" for file in files)
    kept, copies, contradictory = [], 0, 0
    for digest, group in same.items():
        if len({file.label for file in group}) > 1:
            contradictory += len(group)
            continue
        copies += len(group) - 1
        first = min(group, key=lambda file: ("test", "validation", "train", "").index(file.part))
        kept.append(replace(first, part=_part(digest, first.part, validated)))
    return kept, copies, contradictory


def _part(digest: bytes, given: str, validated: bool) -> str:
    """The part of an image. given: by somebody, or empty. validated: whether validation images were given"""
    place = int.from_bytes(digest, "big") / 2 ** (8 * len(digest))
    if not given:
        return "test" if place < SHARE else "validation" if place < 2 * SHARE else "train"
    return "validation" if given == "train" and not validated and place < SHARE else given


def _check(root: Path, classes: Sequence[str], labels: dict[str, list[int]], unreadable: Sequence[str]) -> None:
    counts, training = Counter(label for part in labels.values() for label in part), Counter(labels["train"])
    small = [f"{name} ({counts[i]})" for i, name in enumerate(classes) if counts[i] < LEAST or not training[i]]
    wrong = f" Files that are no picture: {len(unreadable):,} ({few(unreadable)})." if unreadable else ""
    if small:
        raise UnusableData(
            f"{root}: each class needs at least {LEAST} different images that can be read, and one to train on; too "
            f"few are in {few(small)}. Add some, or take the folder out.{wrong}"
        )
    empty = [name for name in ("validation", "test") if not labels[name]]
    if empty:
        raise UnusableData(f"{root}: no image is left for {' and '.join(empty)}: add some images.{wrong}")
