"""Images of one's own, sorted by class into folders (`mixer.layout`), as training, validation and test images.

**Which part an image is in follows from its decoded pixels**, unless the folder is already split: whatever is renamed,
rated, turned or added later, it stays there, so that no test image is ever trained on, in this run or in one that goes
on from it (`--init`). Copies of one picture count once. Near copies stay in one part, that of one of them. So there are
two reasons for which an image is in another part later: a near copy of it was added, or its class has test and
validation images of its own by now. A network's record has what it was trained on, and `compare` looks there.
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
from mixer.data import DataMissing, Labelled, Samples, few, most_samples
from mixer.evaluate import lacking, without_images
from mixer.layout import Folders, Part, UnusableData, read_layout, read_pictures, text
from mixer.picture import Unreadable, decode, to_picture

SHARE = 0.15
"""of the images, that test; as many validate"""
LEAST = 10
"""images of a class, below which it is refused"""
TESTING: tuple[Part, ...] = ("test", "validation", "train", "")
"""of copies in several parts, the one in the first of these counts"""
RULE = f"by BLAKE2b of each picture's pixels: {SHARE:.0%} test, {SHARE:.0%} validation"
GIVEN = "by the folders of the data"
SHORT = 5
"""bytes of a digest that tells an image from those that were trained on"""

Progress = Callable[[Sequence[Any]], Iterable[Any]]
"""passes the files on, and may show how far it is"""


@dataclass(frozen=True)
class Parts:
    """A data set in three parts, which share no image."""

    train: Labelled
    validation: Labelled
    test: Labelled
    rule: str
    """how it is decided which image is in which part"""
    notes: tuple[str, ...] = ()
    """sentences on how its folders were read"""
    unreadable: tuple[str, ...] = ()
    """files of which no picture can be made"""
    copies: int = 0
    """files with the same pixels as another, which is counted"""
    contradictory: int = 0
    """files whose pixels stand in more than one class: all of them are left out"""
    near: int = 0
    """near copies of other images, in one part with them"""
    near_left_out: int = 0
    """near copies of images that somebody has put into another part"""

    def with_validation(self) -> Labelled:
        """The training images and the validation images, in this order."""
        images = torch.cat((self.train.images, self.validation.images))
        return replace(self.train, images=images, labels=torch.cat((self.train.labels, self.validation.labels)))

    def digests(self) -> dict[str, str]:
        """What tells these parts from others: a run stays with them."""
        parts = {"training": self.train, "validation": self.validation, "test": self.test}
        return {f"{name} digest": part.digest() for name, part in parts.items()}

    def record(self) -> dict[str, Any]:
        """For the run and the metrics: what was used as what; of each class the images of the three parts."""
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

    def said(self) -> list[str]:
        """Sentences on the parts and on what was left out."""
        lines = [
            f"{self.test.source}: {len(self.test.classes)} classes ({few(self.test.classes)}), {len(self.train):,} "
            f"training, {len(self.validation):,} validation and {len(self.test):,} test images, {self.rule}.",
            *self.notes,
        ]
        if self.unreadable:
            lines.append(f"Files that are no picture, left out: {len(self.unreadable):,} ({few(self.unreadable)}).")
        for words, number in {
            "Copies of other files, left out": self.copies,
            "Files that stand in two classes, left out": self.contradictory,
            "Near copies of other images, in one part with them": self.near,
            "Near copies of images in another part, which tests, left out": self.near_left_out,
        }.items():
            if number:
                lines.append(f"{words}: {number:,}.")
        return lines + lacking(without_images(self.test, self.validation))


@dataclass(frozen=True, eq=False)
class _Picture:
    label: int
    part: Part
    pixels: UInt8[np.ndarray, "height width 3"]
    """as the network gets it"""
    look: Float32[np.ndarray, "numbers"]
    same: tuple[bytes, int]
    """of the picture as it is decoded: `mixer.near.digest`"""

    @property
    def place(self) -> float:
        """From 0 to 1, by chance, and always the same, however the picture is turned."""
        return int.from_bytes(self.same[0][:8], "big") / 2**64

    @property
    def turn(self) -> bytes:
        """By which near copies choose one of them; nothing to do with `place`."""
        return self.same[0][8:]


def read(root: Path, size: tuple[int, int], progress: Progress = iter, folders: Folders | None = None) -> Parts:
    """All images of a folder in three parts, each the middle of the picture at size (height, width).

    folders: what the folders in it are, where that is not sure. Raises DataMissing where there is no such folder,
    UnusableData where it is not sorted into at least two classes or can be read in two ways, or where a class has fewer
    than `LEAST` images or none to train on.
    """
    if not root.is_dir():
        raise DataMissing(f"there is no folder {root}: --data takes cifar10, cifar100, or a folder of images")
    layout = read_layout(root, folders)
    pictures, unreadable = [], []
    for file in progress(layout.files):
        try:
            image = decode(file.path).image
        except (Unreadable, OSError):
            unreadable.append(text(file.path.relative_to(root)))
            continue
        same = near.digest(np.asarray(image))
        pictures.append(_Picture(file.label, file.part, to_picture(image, size), near.look(image), same))
    kept, copies, contradictory = _once(pictures)
    groups, left_out = _together(kept)
    parts = _divided(groups, range(len(layout.classes)))
    said = [*layout.notes]
    if unreadable:
        said.insert(0, f"Files that are no picture: {len(unreadable):,} ({few(unreadable)}).")
    if left_out:
        said.append(f"Near copies in several parts, left out: {left_out:,}.")
    _check(root, layout.classes, parts, " ".join(said))

    def part(of: Part) -> Labelled:
        stacked = torch.from_numpy(np.stack([picture.pixels for picture in parts[of]])).permute(0, 3, 1, 2)
        labels = torch.tensor([picture.label for picture in parts[of]])
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
        left_out,
    )


def read_samples(root: Path, size: tuple[int, int], tell: Callable[[str], object] = lambda line: None) -> Samples:
    """Pictures of a folder to look at, sorted into folders of classes or not: of each class the first, then the second,
    ..., as far as `MOST_SAMPLES` go. Where the folder has test images, only those.

    size: (height, width). tell: takes the lines that say what was left out
    Raises DataMissing where there is no such folder, UnusableData where it has no pictures or can be read in two ways.
    """
    if not root.is_dir():
        raise DataMissing(f"there is no folder {root}: --samples takes a folder of pictures")
    layout = read_pictures(root)
    files = [file for file in layout.files if file.part == "test"] or layout.files
    turns = Counter[int]()
    order = list[tuple[int, int, int]]()
    for place, file in enumerate(files):
        order.append((turns[file.label], file.label, place))
        turns[file.label] += 1
    most, found, unreadable = most_samples(3 * size[0] * size[1]), dict[int, np.ndarray](), list[str]()
    for _, _, place in sorted(order):
        try:
            found[place] = to_picture(decode(files[place].path).image, size)
        except (Unreadable, OSError):
            unreadable.append(text(files[place].path.relative_to(root)))
        if len(found) == most:
            break
    if not found:
        raise UnusableData(f"no picture in {root} can be read: --samples takes a folder of pictures")
    if unreadable:
        tell(f"Files that are no picture: {len(unreadable):,} ({few(unreadable)}).")
    if len(found) + len(unreadable) < len(files):
        tell(f"Samples: {len(found):,} of the {len(files):,} files in {root}, of each class the first.")
    places = sorted(found, key=lambda place: (files[place].label, place))
    return Samples(
        torch.from_numpy(np.stack([found[place] for place in places])).permute(0, 3, 1, 2).contiguous(),
        torch.tensor([files[place].label for place in places]),
        torch.tensor(places),
        classes=layout.classes,
        source=text(root.resolve().name),
        held_out=False,
    )


def tested(parts: Parts, trained: dict[str, Any]) -> dict[str, Any]:
    """The record of the images of a network that is tested on these parts; of those it was trained with, that stays.

    trained: the record so far
    """
    now = parts.record()
    stays = {name: trained[name] for name in trained if name in ("training images", "validation images")}
    stays |= {name: value for name, value in trained.items() if name.endswith("digest")}
    before = trained.get("classes", now["classes"])
    classes = {name: [*before.get(name, counts)[:2], counts[2]] for name, counts in now["classes"].items()}
    return now | stays | {"classes": classes}


def seen(data: Labelled) -> str:
    """What a record says of the images that were trained on: `SHORT` bytes of each, in base64."""
    return base64.b64encode(b"".join(_short(data))).decode()


def compare(parts: Parts, metrics: dict[str, Any], network: str) -> list[str]:
    """What is to be said where a network is tested on these parts, or trained further on them.

    metrics: the network's. Raises UnusableData where it was trained on test images, or may have been.
    """
    recorded = metrics.get("data", {})
    if all(recorded.get(name, digest) == digest for name, digest in parts.digests().items()):
        return []
    others = f"{parts.test.source} has other images, or others in each part, than {network} was trained with"
    known = [base64.b64decode(stage["images"]) for stage in metrics.get("stages", []) if "images" in stage]
    if not known:
        raise UnusableData(
            f"{others}, and its record, of an earlier version of this program, does not say which those were: it may "
            "have been trained on test images, and their accuracy would say nothing. Train it again, without --init"
        )
    trained = {images[i : i + SHORT] for images in known for i in range(0, len(images), SHORT)}
    both = sum(image in trained for image in _short(parts.test))
    if both:
        raise UnusableData(
            f"{others}: it was trained on {both:,} of the {len(parts.test):,} test images, and their accuracy would "
            "say nothing. Take the images as they were, or images that are all new, or train it again, without --init"
        )
    return [
        f"{others}. It was trained on none of the {len(parts.test):,} test images, pixel by pixel; images that were "
        "saved again since are not noticed."
    ]


def _short(data: Labelled) -> list[bytes]:
    return [hashlib.blake2b(image.numpy().tobytes(), digest_size=SHORT).digest() for image in data.images]


def _once(pictures: Sequence[_Picture]) -> tuple[list[_Picture], int, int]:
    """Each picture once; how many files are copies, and how many contradict each other."""
    same = defaultdict(list)
    for picture in pictures:
        same[picture.same].append(picture)
    agreed = [group for group in same.values() if len({picture.label for picture in group}) == 1]
    kept = [min(group, key=lambda picture: TESTING.index(picture.part)) for group in agreed]
    in_agreed = sum(map(len, agreed))
    return kept, in_agreed - len(kept), len(pictures) - in_agreed


def _together(pictures: Sequence[_Picture]) -> tuple[list[list[_Picture]], int]:
    """Near copies with each other, each in one part; how many were left out, as somebody has put them into another."""
    alike = defaultdict(list)
    for picture, first in zip(pictures, near.groups([picture.look for picture in pictures]), strict=True):
        alike[first].append(picture)
    groups = []
    for group in alike.values():
        part = min((picture.part for picture in group), key=TESTING.index)
        groups.append([picture for picture in group if picture.part == part])
    return groups, len(pictures) - sum(map(len, groups))


def _divided(groups: Sequence[list[_Picture]], labels: Iterable[int]) -> dict[Part, list[_Picture]]:
    """The parts as they were given, or else by chance, each with every class as far as that can be."""
    given = {group[0].part for group in groups}
    free = [part for part in TESTING[:2] if part not in given]
    parts: dict[Part, list[list[_Picture]]] = {"train": [], "validation": [], "test": []}
    for group in groups:
        place = min(group, key=lambda picture: picture.turn).place
        part = group[0].part
        if not part:
            part = "test" if place < SHARE else "validation" if place < 2 * SHARE else "train"
        elif part == "train" and "validation" not in given and place < SHARE:
            part = "validation"
        parts[part].append(group)
    for label in labels:
        for made in free:
            _see_to(label, parts["train"], parts[made], least=1)
        for made in free:
            _see_to(label, parts[made], parts["train"], least=2)
    return {part: [picture for group in of for picture in group] for part, of in parts.items()}


def _see_to(label: int, part: list[list[_Picture]], other: list[list[_Picture]], least: int) -> None:
    """Where a part lacks a class, take the smallest group of it from another that has at least so many."""

    def of_class(groups: Sequence[list[_Picture]]) -> list[list[_Picture]]:
        return [group for group in groups if any(picture.label == label for picture in group)]

    there = of_class(other)
    if len(there) >= least and not of_class(part):
        chosen = min(there, key=lambda group: (len(group), min(picture.place for picture in group)))
        other.remove(chosen)
        part.append(chosen)


def _check(root: Path, classes: Sequence[str], parts: dict[Part, list[_Picture]], said: str) -> None:
    """Raise UnusableData where a class has too few images, or a part none. said: what may explain that"""
    counts = Counter(picture.label for part in parts.values() for picture in part)
    training = {picture.label for picture in parts["train"]}
    small = [f"{name} ({counts[i]})" for i, name in enumerate(classes) if counts[i] < LEAST or i not in training]
    if small:
        raise UnusableData(
            f"{root}: each class needs at least {LEAST} different images that can be read, and one to train on; too "
            f"few are in {few(small)}. Add some, or take the folder out. {said}".rstrip()
        )
    empty = [name for name in ("validation", "test") if not parts[name]]
    if empty:
        raise UnusableData(
            f"{root}: no image is left for {' and '.join(empty)}, as those of a class are near copies of each other: "
            f"add others. {said}".rstrip()
        )
