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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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
    r"\..*|@eadir|__macosx|_?thumb(nail)?s|[#@$]recycle(\.bin)?|lost\+found|system volume information|"
    r"ipod photo cache|(eh)?thumbs\.db|desktop\.ini|picasa\.ini",
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
        return any(path.suffix.lower() in _endings() for path in self.files)

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
    plain = [folder for folder in outer if folder.core.folders and not folder.core.pictures]
    shared = _shared(plain)
    ask = f"{root} is ambiguous. If its folders ({first_few(_names(outer))}) are classes, add --folders classes. "
    if folders == "classes":
        return [_ClassFolder(folder, folder.name, "") for folder in outer], []
    if training and (len(named) > len(training) or len(training) == len(outer) or folders == "parts"):
        return _in_parts(outer)
    if len(outer) > 1 and all(f.folders and not f.pictures and all(p.part for p in f.folders) for f in outer):
        return [_ClassFolder(part, folder.name, part.part) for folder in outer for part in folder.folders], []
    if folders == "parts":
        raise UnusableData(f"{root} has no folder train with one folder per class in it: omit --folders")
    if any(folder in plain and len(folder.core.folders) > 1 for folder in training):
        inside = first_few(_names(training[0].core.folders))
        raise UnusableData(
            f"{ask}If only {training[0].name} contains the classes ({inside}) and the others should be left out, add "
            "--folders parts"
        )
    if len({folder.part for folder in named}) > 1:
        raise UnusableData(f"{ask}If they are parts, sort the images in each of them into one folder per class")
    if len(shared) > 1:
        raise UnusableData(
            f"{ask}If they are parts with the classes inside ({first_few(shared)}), call them train, validation, test"
        )
    return [_ClassFolder(folder, folder.name, "") for folder in outer], []


def _in_parts(outer: Sequence[_Folder]) -> tuple[list[_ClassFolder], list[str]]:
    """The class folders in given parts, and notes about the other folders."""
    found = [_ClassFolder(of, of.name, folder.part) for folder in outer if folder.part for of in folder.core.folders]
    names = [f"{part}: {first_few(_names([f for f in outer if f.part == part]))}" for part in PART_NAMES]
    notes = [f"Parts by the names of the folders ({'; '.join(name for name in names if not name.endswith(': '))})."]
    parts = {of.part for of in found}
    for folder in outer:
        count = len(list(folder.all_files()))
        if folder.part and not folder.core.folders:
            notes.append(
                f"{folder.name} is a part without class folders: its files have no class and are left out ({count:,})."
            )
        elif not folder.part:
            notes.append(f"{folder.name} is not the name of a part: its files are left out ({count:,}).")
    if "test" not in parts and "validation" in parts:
        notes.append(
            "There are no test images: the validation images are used for the test, and some training images for "
            "validation."
        )
        found = [_ClassFolder(of.folder, of.name, "test" if of.part == "validation" else of.part) for of in found]
    elif "test" not in parts:
        notes.append("There are no test images: the training images are split.")
        found = [_ClassFolder(of.folder, of.name, "") for of in found]
    return found, notes


def _shared(folders: Sequence[_Folder]) -> list[str]:
    """Names of subfolders that several of these folders have."""
    counts = Counter(name for folder in folders for name in {inner.name for inner in folder.core.folders})
    return sorted(name for name, count in counts.items() if count > 1)


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


@cache
def _endings() -> frozenset[str]:
    return frozenset(Image.registered_extensions())
