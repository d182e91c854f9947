"""The layout of a folder of images: the class of each file, and its part if the folder is already split.

    photos/cat/1.jpg, photos/cat/more/2.png, photos/dog/3.jpg          one folder per class
    photos/train/cat/1.jpg, ..., photos/test/dog/3.jpg                 parts, with classes inside
    photos/cat/train/1.jpg, ..., photos/dog/test/3.jpg                 classes, with parts inside

The names and the contents of the folders determine which folders are parts. An ambiguous layout is an error.
"""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

from PIL import Image

from mixer.data import first_few

Part = Literal["train", "validation", "test", ""]
Folders = Literal["parts", "classes"]

PART_NAMES: dict[Part, str] = {
    "train": "train|training|trn|trainval|learn|learning",
    "validation": "val|valid|validation|validate|dev|development",
    "test": "test|testing|tst|eval|evaluation|holdout",
}
"""words for a part in the name of a folder, in upper or lower case"""
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
ENDING = "(sets?|data|datasets?|images?|imgs?|split)?"
SYSTEM_FILES = re.compile(
    r"\..*|@eadir|__macosx|[\W_]*thumb(nail)?s?|[#@$](recycle([\W_]*bin)?|(recently[\W_]*)?snapshots?)|lost\+found|"
    r"system[\W_]*volume[\W_]*information|ipod[\W_]*photo[\W_]*cache|(eh)?thumbs\.db|desktop\.ini|picasa\.ini",
    re.IGNORECASE,
)
"""folders and files that systems, cameras and programs create beside photos"""


class UnusableData(ValueError):
    """The images of a folder cannot be used. The message has the reason and the next step."""


@dataclass(frozen=True)
class File:
    path: Path
    label: int
    part: Part
    """empty if the folder is not split"""


@dataclass(frozen=True)
class Layout:
    classes: tuple[str, ...]
    files: list[File]
    notes: tuple[str, ...]
    """sentences about the interpretation of the folders, and the files that were left out"""


@dataclass(frozen=True)
class _Folder:
    path: Path
    name: str
    folders: list["_Folder"]
    files: list[Path]

    @property
    def part(self) -> Part:
        """The part in its name; empty without one, or with words for several parts."""
        words = [word.lower() for word in WORD.findall(self.name)]
        parts = [
            part for part, names in PART_NAMES.items() if any(re.fullmatch(f"({names}){ENDING}", w) for w in words)
        ]
        return parts[0] if len(parts) == 1 else ""

    @property
    def core(self) -> "_Folder":
        """The folder without outer wrappers, which contain only one folder of folders (such as an unpacked archive)."""
        alone = len(self.folders) == 1 and not self.pictures
        return self.folders[0].core if alone and self.folders[0].folders else self

    @property
    def pictures(self) -> bool:
        """Whether it directly contains pictures, by their file names."""
        return _any_picture(self.files)

    @property
    def parts(self) -> list["_Folder"]:
        """The parts in it, if all folders with pictures are parts, or if there is one for training and another."""
        inner = [folder for folder in self.core.folders if _any_picture(folder.all_files())] or self.core.folders
        found = [folder for folder in inner if folder.part]
        kinds = {folder.part for folder in found}
        sure = len(found) == len(inner) or ("train" in kinds and len(kinds) > 1)
        return found if sure and not self.core.pictures else []

    def all_files(self) -> Iterator[Path]:
        yield from self.files
        for folder in self.folders:
            yield from folder.all_files()


@dataclass(frozen=True)
class _ClassFolder:
    """A folder whose files have one class and one part."""

    folder: _Folder
    name: str
    part: Part


def read_layout(root: Path, folders: Folders | None = None) -> Layout:
    """The classes of a folder, and all files with class and part. Links are followed.

    folders: the meaning of the folders, if it is ambiguous
    Raises UnusableData for an ambiguous layout, fewer than two classes or no files.
    """
    passed: list[Path] = []
    top = _scanned(root, (), passed).core
    found, notes = _read(root, top, folders)
    classes = tuple(sorted({of.name for of in found}))
    if len(classes) < 2:
        raise UnusableData(
            f"{root} holds {len(classes)} folders: sort the images into one folder per class, at least two"
        )
    files = [File(path, classes.index(of.name), of.part) for of in found for path in of.folder.all_files()]
    if not files:
        raise UnusableData(f"the folders in {root} hold no files")
    used = {file.path for file in files}
    left = {path for folder in (top, *(f.core for f in top.folders)) for path in folder.files} - used
    if left:
        notes.append(f"Files in no class folder, left out: {len(left):,} ({_named(sorted(left), root)}).")
    if passed:
        notes.append(f"Files of systems and programs, left out: {len(passed):,} ({_named(passed, root)}).")
    twice = [name for (name, part), count in Counter((of.name, of.part) for of in found).items() if count > 1]
    if twice:
        notes.append(f"Folders with the same name are one class: {first_few(sorted(set(twice)))}.")
    if nested := [f"{of.name}: {first_few([f.name for f in of.folder.folders])}" for of in found if of.folder.folders]:
        notes.append(f"Folders within a class belong to it: {len(nested):,} ({'; '.join(nested[:3])}).")
    return Layout(classes, files, tuple(notes))


def read_pictures(root: Path) -> Layout:
    """The files of a folder of pictures, for samples; without classes unless all pictures are in class folders.

    Raises UnusableData for an ambiguous layout.
    """
    top = _scanned(root, (), []).core
    if top.pictures or not top.folders or (len(top.folders) == 1 and top.folders[0].part):
        return Layout((), [File(path, 0, "") for path in top.all_files()], ())
    if len(top.folders) == 1:
        (only,) = top.folders
        return Layout((only.name,), [File(path, 0, "") for path in only.all_files()], ())
    try:
        return read_layout(root)
    except UnusableData as error:
        raise UnusableData(
            f"{root} is ambiguous: name a folder that contains either only pictures or only one folder per class"
        ) from error


def files_of(root: Path) -> list[Path]:
    """All files in a folder and its subfolders, without `SYSTEM_FILES`."""
    return [*_scanned(root, (), []).all_files()]


def text(path: str | Path) -> str:
    """A file name as text: in Unicode NFC, with bytes that are not UTF-8 as numbers."""
    return unicodedata.normalize("NFC", os.fsencode(path).decode("utf-8", "backslashreplace"))


def _read(root: Path, top: _Folder, folders: Folders | None) -> tuple[list[_ClassFolder], list[str]]:
    """The folders with class and part, and notes about them."""
    outer = top.folders
    named = [folder for folder in outer if folder.part]
    training = [folder for folder in named if folder.part == "train" and folder.core.folders]
    divided = [folder for folder in outer if folder.parts]
    whole = [folder for folder in outer if not folder.parts and _any_picture(folder.all_files())]
    ask = f"{root} is ambiguous. If its folders ({first_few(_names(outer))}) are classes, add --folders classes. "
    if folders == "classes" and (whole or not divided):
        return [_ClassFolder(folder, folder.name, "") for folder in outer], []
    if folders != "classes":
        if training and (len(named) > len(training) or len(training) == len(outer) or folders == "parts"):
            return _in_parts(outer)
        if split := [folder for folder in divided if _classes_within(folder.parts)]:
            inside = first_few(_classes_within(split[0].parts))
            raise UnusableData(
                f"{ask}If {split[0].name} contains the parts with the classes inside ({inside}), choose that folder: "
                f"{text(split[0].path)}"
            )
        if divided and whole and (folders != "parts" or len(divided) == 1):
            parts, others = first_few(_names(divided[0].parts)), first_few(_names(whole))
            leave_out = f", or leave out {others} with --folders parts" if len(divided) > 1 else ""
            raise UnusableData(
                f"{ask}Their images are then mixed and split, although there are parts ({parts}) in "
                f"{first_few(_names(divided))}. To keep these, sort {others} into parts, too{leave_out}"
            )
    if divided:
        return _in_classes(outer)
    if folders == "parts":
        raise UnusableData(f"{root} has no folder train with one folder per class in it: omit --folders")
    if any(not folder.core.pictures and len(folder.core.folders) > 1 for folder in training):
        inside = first_few(_names(training[0].core.folders))
        raise UnusableData(
            f"{ask}If only {training[0].name} contains the classes ({inside}) and the others should be left out, add "
            "--folders parts"
        )
    if len({folder.part for folder in named}) > 1:
        raise UnusableData(f"{ask}If they are parts, sort the images in each of them into one folder per class")
    if inside := _classes_within(outer):
        raise UnusableData(
            f"{ask}If they are parts with the classes inside ({first_few(inside)}), call them train, validation, test"
        )
    return _without_copies(outer, ask)


def _in_classes(outer: Sequence[_Folder]) -> tuple[list[_ClassFolder], list[str]]:
    """The parts in given classes, and notes about the other folders."""
    found = [_ClassFolder(part, folder.name, part.part) for folder in outer for part in folder.parts]
    used = {of.folder.path for of in found}
    inner = [(folder, part) for folder in outer if folder.parts for part in folder.core.folders]
    other = [f"{folder.name}/{part.name}" for folder, part in inner if part.path not in used]
    other += [folder.name for folder in outer if not folder.parts]
    found, tested = _tested(found)
    left_out = [f"Folders that are not parts of a class, left out: {first_few(other)}."] if other else []
    return found, [_part_names([part for folder in outer for part in folder.parts]), *left_out, *tested]


def _in_parts(outer: Sequence[_Folder]) -> tuple[list[_ClassFolder], list[str]]:
    """The class folders in given parts, and notes about the other folders."""
    trained = {of.name for folder in outer if folder.part == "train" for of in folder.core.folders}
    found, notes = list[_ClassFolder](), list[str]()
    for folder in outer:
        count, inner = len(list(folder.all_files())), folder.core.folders
        if not folder.part:
            notes.append(f"{folder.name} is not the name of a part: its files are left out ({count:,}).")
        elif not inner or (len(inner) == 1 and inner[0].name not in trained):
            notes.append(
                f"{folder.name} is a part without class folders: its files have no class and are left out ({count:,})."
            )
        else:
            found += [_ClassFolder(of, of.name, folder.part) for of in inner]
    found, tested = _tested(found)
    return found, [_part_names(outer), *notes, *tested]


def _part_names(folders: Sequence[_Folder]) -> str:
    """A note about the folders of each part."""
    names = {part: sorted({folder.name for folder in folders if folder.part == part}) for part in PART_NAMES}
    each = "; ".join(f"{part}: {first_few(found)}" for part, found in names.items() if found)
    return f"Parts by the names of the folders ({each})."


def _tested(found: Sequence[_ClassFolder]) -> tuple[list[_ClassFolder], list[str]]:
    """The folders with test images, those for validation if there are no others, and a note about it."""
    parts = {of.part for of in found}
    if "test" in parts:
        return [*found], []
    if "validation" in parts:
        return [replace(of, part="test" if of.part == "validation" else of.part) for of in found], [
            "There are no test images: the validation images are used for the test, and some training images for "
            "validation."
        ]
    return [replace(of, part="") for of in found], ["There are no test images: the training images are split."]


def _without_copies(outer: Sequence[_Folder], ask: str) -> tuple[list[_ClassFolder], list[str]]:
    """The classes without a folder that contains them again, as some archives do, and notes about it."""
    classes = {folder.name: folder for folder in outer if folder.pictures}
    again = [f for f in outer if len(f.core.folders) > 1 and {*_names(f.core.folders)} <= {*classes, f.name}]
    for folder in again:
        files = {(path.parent.name, path.name) for path in folder.all_files()}
        if not files <= {(name, path.name) for name, of in classes.items() for path in of.files}:
            raise UnusableData(
                f"{ask}If {folder.name} contains more images of the same classes, move them into the folders of these"
            )
    notes = [f"{folder.name} contains the same classes and files again: it is left out." for folder in again]
    return [_ClassFolder(folder, folder.name, "") for folder in outer if folder not in again], notes


def _classes_within(folders: Sequence[_Folder]) -> list[str]:
    """Names of subfolders that may be classes in parts: at least two, one of which several of these folders have."""
    plain = [folder.core for folder in folders if folder.core.folders and not folder.core.pictures]
    counts = Counter(name for folder in plain for name in set(_names(folder.folders)))
    return sorted(counts) if len(counts) > 1 and max(counts.values()) > 1 else []


def _scanned(path: Path, above: tuple[Path, ...], passed: list[Path]) -> _Folder:
    """A folder with its contents. `SYSTEM_FILES` are added to `passed`; links to parent folders are not followed."""
    above = (*above, path.resolve())
    folders, files = [], []
    for inner in sorted(path.iterdir()):
        if SYSTEM_FILES.fullmatch(inner.name):
            passed += [inner] if not inner.is_dir() else sorted(file for file in inner.rglob("*") if file.is_file())
        elif inner.is_dir():
            if inner.resolve() not in above:
                folders.append(_scanned(inner, above, passed))
        elif inner.is_file() or inner.is_symlink():
            files.append(inner)
    return _Folder(path, text(path.name), folders, files)


def _names(folders: Sequence[_Folder]) -> list[str]:
    return [folder.name for folder in folders]


def _named(paths: Sequence[Path], root: Path) -> str:
    return first_few([text(path.relative_to(root)) for path in paths])


def _any_picture(files: Iterable[Path]) -> bool:
    """Whether some of the files are pictures, by their names."""
    return any(path.suffix.lower() in _endings() for path in files)


@cache
def _endings() -> frozenset[str]:
    return frozenset(Image.registered_extensions())
