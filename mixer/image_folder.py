"""Your own images, in one folder per class (`mixer.layout`), as training, validation and test images.

**The decoded pixels of an image determine its part**, unless the folder is already split. So an image stays in its part
when files are renamed, rated, rotated or added, and no test image is ever trained on, in this run or in one that starts
from it (`--init`). Identical pictures count once. Near-duplicates are in one part, that of one of them. An image
changes its part only if a near-duplicate is added, or if its class has test and validation images of its own later. The
record of a network has digests of its training images; `compare` reads them.
"""

import base64
import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, UInt8

from mixer import near
from mixer.data import PUBLISHED, DataMissing, Labelled, Samples, first_few, most_samples, turns
from mixer.evaluate import lacking, without_images
from mixer.layout import Folders, Part, UnusableData, read_layout, read_pictures, text
from mixer.picture import Unreadable, decode, to_picture

SHARE = 0.15
"""share of the test images, and of the validation images"""
MIN_IMAGES = 10
"""smallest number of images of a class"""
PRIORITY: tuple[Part, ...] = ("test", "validation", "train", "")
"""order in which a part is selected for duplicates in several parts"""
RULE = f"by BLAKE2b of each picture's pixels: {SHARE:.0%} test, {SHARE:.0%} validation"
GIVEN = "by its folders"
DIGEST_BYTES = 5
"""bytes of the digest of a training image"""

Progress = Callable[[Sequence[Any]], Iterable[Any]]
"""iterates over the files; may show a progress bar"""


@dataclass(frozen=True)
class Parts:
    """A data set in three disjoint parts."""

    train: Labelled
    validation: Labelled
    test: Labelled
    rule: str
    """how the images were split"""
    notes: tuple[str, ...] = ()
    """sentences about the layout of the folders"""
    unreadable: tuple[str, ...] = ()
    """files that cannot be read as a picture"""
    copies: int = 0
    """duplicates of other files, left out"""
    contradictory: int = 0
    """files with the same pixels in several classes, all left out"""
    near: int = 0
    """near-duplicates of other images, in the same part"""
    near_left_out: int = 0
    """near-duplicates of images in another given part, left out"""

    def with_validation(self) -> Labelled:
        """The training images, then the validation images."""
        images = torch.cat((self.train.images, self.validation.images))
        return replace(self.train, images=images, labels=torch.cat((self.train.labels, self.validation.labels)))

    def digests(self) -> dict[str, str]:
        """Digests of the parts, which belong to the identity of a run."""
        parts = {"training": self.train, "validation": self.validation, "test": self.test}
        return {f"{name} digest": part.digest() for name, part in parts.items()}

    def record(self) -> dict[str, Any]:
        """The record of the data for the metrics, with the number of images of each class in each part."""
        each, classes = (self.train, self.validation, self.test), self.test.classes
        return {
            "name": self.test.source,
            "parts": self.rule,
            "training images": len(self.train),
            "validation images": len(self.validation),
            "test images": len(self.test),
            "classes": {name: [int((part.labels == i).sum()) for part in each] for i, name in enumerate(classes)},
            **self.digests(),
            "unreadable": len(self.unreadable),
            "copies": self.copies,
            "contradictory": self.contradictory,
            "near copies": self.near,
            "near copies left out": self.near_left_out,
        }

    def describe(self) -> list[str]:
        """Sentences about the parts and the files that were left out."""
        lines = [
            f"{self.test.source}: {len(self.test.classes)} classes ({first_few(self.test.classes)}), "
            f"{len(self.train):,} training, {len(self.validation):,} validation and {len(self.test):,} test images, "
            f"split {self.rule}.",
            *self.notes,
            *left_out(self.unreadable, self.copies, self.contradictory, self.near_left_out),
        ]
        if self.near:
            lines.append(f"Near-duplicates of other images, in the same part: {self.near:,}.")
        return lines + lacking(without_images(self.test, self.validation))


def left_out(unreadable: Sequence[str], copies: int = 0, contradictory: int = 0, near: int = 0) -> list[str]:
    """Sentences about the files that were left out: names of the first unreadable ones, and numbers of the others."""
    counts = {
        "Files that cannot be read as a picture": (len(unreadable), f" ({first_few(unreadable)})"),
        "Duplicates of other files": (copies, ""),
        "Files in several classes": (contradictory, ""),
        "Near-duplicates of images in another part": (near, ""),
    }
    return [f"{files}, left out: {count:,}{names}." for files, (count, names) in counts.items() if count]


@dataclass(frozen=True, eq=False)
class _Picture:
    label: int
    part: Part
    pixels: UInt8[np.ndarray, "height width 3"]
    """input pixels of the network"""
    thumbnail: Float32[np.ndarray, "16 16 3"]
    same: tuple[bytes, int]
    """`mixer.near.digest` of the decoded picture"""

    @property
    def draw(self) -> float:
        """A uniform number from 0 to 1 that depends only on the pixels, in any orientation."""
        return int.from_bytes(self.same[0][:8], "big") / 2**64

    @property
    def order(self) -> bytes:
        """Selects one of several near-duplicates; independent of `draw`."""
        return self.same[0][8:]


def read(root: Path, size: tuple[int, int], progress: Progress = iter, folders: Folders | None = None) -> Parts:
    """All images of a folder in three parts, each cropped to the centre and resized to size (height, width).

    folders: the meaning of the folders, if it is ambiguous
    Raises DataMissing if the folder does not exist, UnusableData if it has fewer than two classes, an ambiguous layout,
    or a class with fewer than `MIN_IMAGES` images or without training images.
    """
    if not root.is_dir():
        raise DataMissing(f"{root} is not a folder: --data takes {', '.join(PUBLISHED)}, or a folder of images")
    layout = read_layout(root, folders)
    pictures, unreadable = [], []
    for file in progress(layout.files):
        try:
            image = decode(file.path).image
        except (Unreadable, OSError):
            unreadable.append(text(file.path.relative_to(root)))
            continue
        same = near.digest(np.asarray(image))
        pictures.append(_Picture(file.label, file.part, to_picture(image, size), near.thumbnail(image), same))
    unique, copies, contradictory = _deduplicate(pictures)
    groups, near_left_out = _group_near_copies(unique)
    parts = _divide(groups, range(len(layout.classes)))
    notes = [*layout.notes, *left_out(unreadable, copies, contradictory, near_left_out)]
    _check(root, layout.classes, parts, " ".join(notes))

    def part(name: Part) -> Labelled:
        stacked = torch.from_numpy(np.stack([picture.pixels for picture in parts[name]])).permute(0, 3, 1, 2)
        labels = torch.tensor([picture.label for picture in parts[name]])
        return Labelled(stacked.contiguous(), labels, classes=layout.classes, source=text(root.resolve().name))

    return Parts(
        part("train"),
        part("validation"),
        part("test"),
        GIVEN if layout.files[0].part else RULE,
        layout.notes,
        tuple(unreadable),
        copies,
        contradictory,
        sum(len(group) - 1 for group in groups),
        near_left_out,
    )


def read_samples(root: Path, size: tuple[int, int], log: Callable[[str], object] = lambda line: None) -> Samples:
    """Samples from a folder of pictures, with or without class folders; only test images if the folder has parts.

    They are the first picture of each class, then the second, ..., up to `most_samples`.
    size: (height, width). log: gets sentences about files that were left out
    Raises DataMissing if the folder does not exist, UnusableData without pictures or for an ambiguous layout.
    """
    if not root.is_dir():
        raise DataMissing(f"{root} is not a folder: --samples takes a folder of pictures")
    layout = read_pictures(root)
    files = [file for file in layout.files if file.part == "test"] or layout.files
    labels = [file.label for file in files]
    most, found, unreadable = most_samples(3 * size[0] * size[1]), dict[int, np.ndarray](), list[str]()
    for _, _, place in sorted(zip(turns(labels), labels, range(len(files)), strict=True)):
        try:
            found[place] = to_picture(decode(files[place].path).image, size)
        except (Unreadable, OSError):
            unreadable.append(text(files[place].path.relative_to(root)))
        if len(found) == most:
            break
    if not found:
        raise UnusableData(f"no picture in {root} can be read: --samples takes a folder of pictures")
    for sentence in left_out(unreadable):
        log(sentence)
    if len(found) + len(unreadable) < len(files):
        log(f"Samples: {len(found):,} of the {len(files):,} files in {root}, the first of each class.")
    places = sorted(found, key=lambda place: (files[place].label, place))
    return Samples(
        torch.from_numpy(np.stack([found[place] for place in places])).permute(0, 3, 1, 2).contiguous(),
        torch.tensor([files[place].label for place in places]),
        torch.tensor(places),
        classes=layout.classes,
        source=text(root.resolve().name),
        held_out=False,
    )


def with_test_images(trained: dict[str, Any], parts: Parts) -> dict[str, Any]:
    """The record of the data of a network with the test images of these parts.

    trained: the record so far; its training and validation images stay
    """
    now = parts.record()
    training = {name: trained[name] for name in trained if name in ("training images", "validation images")}
    training |= {name: value for name, value in trained.items() if name.endswith("digest")}
    before = trained.get("classes", now["classes"])
    classes = {name: [*before.get(name, counts)[:2], counts[2]] for name, counts in now["classes"].items()}
    return now | training | {"classes": classes}


def digests_of(data: Labelled) -> str:
    """The digests of the training images for the record: `DIGEST_BYTES` bytes per image, in base64."""
    return base64.b64encode(b"".join(_digests(data))).decode()


def compare(parts: Parts, metrics: dict[str, Any], network: str) -> list[str]:
    """Sentences about a network that is evaluated or trained further on these parts.

    metrics: metrics of the network
    Raises UnusableData if its training images include test images, or are unknown.
    """
    recorded = metrics.get("data", {})
    if all(recorded.get(name, digest) == digest for name, digest in parts.digests().items()):
        return []
    changed = f"The images or the split of {parts.test.source} changed after the training of {network}"
    recorded_images = [base64.b64decode(stage["images"]) for stage in metrics.get("stages", []) if "images" in stage]
    if not recorded_images:
        raise UnusableData(
            f"{changed}, and its record, from an earlier version of this program, has no digests of the training "
            "images: they may include test images, which makes the accuracy meaningless. Train it again without --init"
        )
    trained = {images[i : i + DIGEST_BYTES] for images in recorded_images for i in range(0, len(images), DIGEST_BYTES)}
    both = sum(image in trained for image in _digests(parts.test))
    if both:
        raise UnusableData(
            f"{changed}: it was trained on {both:,} of the {len(parts.test):,} test images, which makes the accuracy "
            "meaningless. Use the earlier images or only new ones, or train it again without --init"
        )
    return [
        f"{changed}. None of the {len(parts.test):,} test images has the pixels of a training image; images that were "
        "saved again are not detected."
    ]


def _digests(data: Labelled) -> list[bytes]:
    return [hashlib.blake2b(image.numpy().tobytes(), digest_size=DIGEST_BYTES).digest() for image in data.images]


def _deduplicate(pictures: Sequence[_Picture]) -> tuple[list[_Picture], int, int]:
    """Each picture once; the number of duplicates, and of files with the same pixels in several classes."""
    same = defaultdict(list)
    for picture in pictures:
        same[picture.same].append(picture)
    agreed = [group for group in same.values() if len({picture.label for picture in group}) == 1]
    unique = [min(group, key=lambda picture: PRIORITY.index(picture.part)) for group in agreed]
    in_agreed = sum(map(len, agreed))
    return unique, in_agreed - len(unique), len(pictures) - in_agreed


def _group_near_copies(pictures: Sequence[_Picture]) -> tuple[list[list[_Picture]], int]:
    """Groups of near-duplicates, each in one part; the number of images left out because they are in another part."""
    alike = defaultdict(list)
    for picture, first in zip(pictures, near.groups([picture.thumbnail for picture in pictures]), strict=True):
        alike[first].append(picture)
    groups = []
    for group in alike.values():
        part = min((picture.part for picture in group), key=PRIORITY.index)
        groups.append([picture for picture in group if picture.part == part])
    return groups, len(pictures) - sum(map(len, groups))


def _divide(groups: Sequence[list[_Picture]], labels: Iterable[int]) -> dict[Part, list[_Picture]]:
    """The given parts, or parts by `draw`. Each part gets an image of each class if there are enough."""
    given = {group[0].part for group in groups}
    free = [part for part in PRIORITY[:2] if part not in given]
    parts: dict[Part, list[list[_Picture]]] = {"train": [], "validation": [], "test": []}
    for group in groups:
        draw = min(group, key=lambda picture: picture.order).draw
        part = group[0].part
        if not part:
            part = "test" if draw < SHARE else "validation" if draw < 2 * SHARE else "train"
        elif part == "train" and "validation" not in given and draw < SHARE:
            part = "validation"
        parts[part].append(group)
    for label in labels:
        for name in free:
            _move_if_missing(label, parts["train"], parts[name], least=1)
        for name in free:
            _move_if_missing(label, parts[name], parts["train"], least=2)
    return {part: [picture for group in members for picture in group] for part, members in parts.items()}


def _move_if_missing(label: int, part: list[list[_Picture]], other: list[list[_Picture]], least: int) -> None:
    """If a part lacks a class, move its smallest group from another part with at least `least` groups of the class."""

    def of_class(groups: Sequence[list[_Picture]]) -> list[list[_Picture]]:
        return [group for group in groups if any(picture.label == label for picture in group)]

    candidates = of_class(other)
    if len(candidates) >= least and not of_class(part):
        smallest = min(candidates, key=lambda group: (len(group), min(picture.draw for picture in group)))
        other.remove(smallest)
        part.append(smallest)


def _check(root: Path, classes: Sequence[str], parts: dict[Part, list[_Picture]], notes: str) -> None:
    """Raise UnusableData if a class has too few images, or a part has none. notes: possible reasons"""
    counts = Counter(picture.label for part in parts.values() for picture in part)
    training = {picture.label for picture in parts["train"]}
    small = [f"{name} ({counts[i]})" for i, name in enumerate(classes) if counts[i] < MIN_IMAGES]
    untrained = [name for i, name in enumerate(classes) if counts[i] >= MIN_IMAGES and i not in training]
    reasons = {"too few are in": small, "no training image is in": untrained}
    if small or untrained:
        listed = "; ".join(f"{reason} {first_few(names)}" for reason, names in reasons.items() if names)
        raise UnusableData(
            f"{root}: each class needs at least {MIN_IMAGES} different readable images, and one for training; "
            f"{listed}. Add images, or remove the folder. {notes}".rstrip()
        )
    empty = [name for name in ("validation", "test") if not parts[name]]
    if empty:
        raise UnusableData(
            f"{root}: no image is left for {' and '.join(empty)}, because the images of a class are near-duplicates: "
            f"add different images. {notes}".rstrip()
        )
