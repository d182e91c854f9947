"""How a folder of images is laid out: which file is of which class, and of which part where somebody has made parts.

    photos/cat/1.jpg, photos/cat/more/2.png, photos/dog/3.jpg          sorted by class alone
    photos/train/cat/1.jpg, ..., photos/test/dog/3.jpg                 in parts
    photos/cat/train/1.jpg, ..., photos/dog/test/3.jpg                 in parts, the other way round

The names of folders say which are parts, and what is inside says whether they can be. Where both readings are possible,
nothing is guessed.
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

from mixer.data import few

Part = Literal["train", "validation", "test", ""]
Folders = Literal["parts", "classes"]

WORDS: dict[Part, str] = {
    "train": "train|training|trn|trainval|learn|learning",
    "validation": "val|valid|validation|validate|dev|development",
    "test": "test|testing|tst|eval|evaluation|holdout",
}
"""words in the name of a folder that say which part it holds, in any case"""
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
ENDING = "(sets?|data|datasets?|images?|imgs?|split)?"
KEPT_BY_DEVICES = re.compile(
    r"\..*|@eadir|__macosx|_?thumb(nail)?s|[#@$]recycle(\.bin)?|lost\+found|system volume information|"
    r"ipod photo cache|(eh)?thumbs\.db|desktop\.ini|picasa\.ini",
    re.IGNORECASE,
)
"""folders and files that systems, cameras and programs keep beside photos"""


class UnusableData(ValueError):
    """Nothing can be trained or tested on a folder's images; the message says why, and what helps."""


@dataclass(frozen=True)
class File:
    path: Path
    label: int
    part: Part
    """empty where nobody has made the parts"""


@dataclass(frozen=True)
class Layout:
    classes: tuple[str, ...]
    files: list[File]
    notes: tuple[str, ...]
    """sentences on how the folders were read, and on what was left out"""


@dataclass(frozen=True)
class _Folder:
    path: Path
    name: str
    folders: list["_Folder"]
    files: list[Path]

    @property
    def part(self) -> Part:
        """Which part its name says, by one word alone."""
        words = [word.lower() for word in WORD.findall(self.name)]
        said = [part for part, names in WORDS.items() if any(re.fullmatch(f"({names}){ENDING}", w) for w in words)]
        return said[0] if len(said) == 1 else ""

    @property
    def core(self) -> "_Folder":
        """Itself, or the folder that is all it holds and that holds folders, as an archive unpacked in a folder."""
        alone = len(self.folders) == 1 and not self.pictures
        return self.folders[0].core if alone and self.folders[0].folders else self

    @property
    def pictures(self) -> bool:
        """Whether pictures lie in it, by their names."""
        return any(path.suffix.lower() in _endings() for path in self.files)

    def all_files(self) -> Iterator[Path]:
        yield from self.files
        for folder in self.folders:
            yield from folder.all_files()


@dataclass(frozen=True)
class _Of:
    """A folder whose files are all of one class and part."""

    folder: _Folder
    name: str
    part: Part


def read_layout(root: Path, folders: Folders | None = None) -> Layout:
    """The classes of a folder, and every file with its class and part; links are followed.

    folders: what the folders in it are, where that is not sure. Raises UnusableData where they can be read in two ways,
    and where there are fewer than two classes or no files.
    """
    passed: list[Path] = []
    top = _scanned(root, (), passed).core
    found, notes = _read(root, top, folders)
    classes = tuple(sorted({of.name for of in found}))
    if len(classes) < 2:
        raise UnusableData(
            f"{root} holds {len(classes)} folders: sort the images into one folder for each class, two at least"
        )
    files = [File(path, classes.index(of.name), of.part) for of in found for path in of.folder.all_files()]
    if not files:
        raise UnusableData(f"the folders in {root} hold no files")
    taken = {file.path for file in files}
    left = {path for folder in (top, *(f.core for f in top.folders)) for path in folder.files} - taken
    if left:
        notes.append(f"Files in no class folder, left out: {len(left):,} ({_named(sorted(left), root)}).")
    if passed:
        notes.append(
            f"What systems and programs keep beside photos, left out: {len(passed):,} ({_named(passed, root)})."
        )
    twice = [name for (name, part), count in Counter((of.name, of.part) for of in found).items() if count > 1]
    if twice:
        notes.append(f"Folders of one name, taken as one class: {few(sorted(set(twice)))}.")
    if nested := [f"{of.name}: {few([f.name for f in of.folder.folders])}" for of in found if of.folder.folders]:
        notes.append(f"Folders within a class belong to it: {len(nested):,} ({'; '.join(nested[:3])}).")
    return Layout(classes, files, tuple(notes))


def read_pictures(root: Path) -> Layout:
    """The files of a folder of pictures to look at; without classes where not all pictures are in folders of classes.

    Raises UnusableData where it can be read in two ways.
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
            f"{root} can be read in two ways: name a folder that holds nothing but pictures, or nothing but a folder "
            "for each class"
        ) from error


def files_of(root: Path) -> list[Path]:
    """All files in a folder and in the folders within it, but for what devices keep there."""
    return [*_scanned(root, (), []).all_files()]


def text(path: str | Path) -> str:
    """A name as text: in one Unicode form (NFC), and bytes that are no UTF-8 as their numbers."""
    return unicodedata.normalize("NFC", os.fsencode(path).decode("utf-8", "backslashreplace"))


def _read(root: Path, top: _Folder, folders: Folders | None) -> tuple[list[_Of], list[str]]:
    """Which folders are of which class and part, and what is to be said of that."""
    outer = top.folders
    named = [folder for folder in outer if folder.part]
    training = [folder for folder in named if folder.part == "train" and folder.core.folders]
    plain = [folder for folder in outer if folder.core.folders and not folder.core.pictures]
    shared = _shared(plain)
    ask = f"{root} can be read in two ways. Its folders ({few(_names(outer))}) are classes: then add --folders classes."
    if folders == "classes":
        return [_Of(folder, folder.name, "") for folder in outer], []
    if training and (len(named) > len(training) or len(training) == len(outer) or folders == "parts"):
        return _in_parts(outer)
    if len(outer) > 1 and all(f.folders and not f.pictures and all(p.part for p in f.folders) for f in outer):
        return [_Of(part, folder.name, part.part) for folder in outer for part in folder.folders], []
    if folders == "parts":
        raise UnusableData(f"{root} holds no folder train with a folder for each class in it: leave out --folders")
    if any(folder in plain and len(folder.core.folders) > 1 for folder in training):
        inside = few(_names(training[0].core.folders))
        raise UnusableData(
            f"{ask} Or {training[0].name} alone holds the classes ({inside}), and the others are left out: then add "
            "--folders parts"
        )
    if len({folder.part for folder in named}) > 1:
        raise UnusableData(
            f"{ask} Or they are parts: then sort the images in each of them into one folder for each class"
        )
    if len(shared) > 1:
        raise UnusableData(
            f"{ask} Or they are parts of one data set, and the classes are in them ({few(shared)}): then call them "
            "train, validation and test"
        )
    return [_Of(folder, folder.name, "") for folder in outer], []


def _in_parts(outer: Sequence[_Folder]) -> tuple[list[_Of], list[str]]:
    """Parts that somebody has made, as far as they hold classes."""
    found = [_Of(of, of.name, folder.part) for folder in outer if folder.part for of in folder.core.folders]
    names = [f"{part}: {few(_names([f for f in outer if f.part == part]))}" for part in WORDS]
    notes = [f"Parts by the names of the folders ({'; '.join(name for name in names if not name.endswith(': '))})."]
    there = {of.part for of in found}
    for folder in outer:
        count = len(list(folder.all_files()))
        if folder.part and not folder.core.folders:
            notes.append(
                f"{folder.name} is a part without class folders: its {count:,} files have no class and are left out."
            )
        elif not folder.part:
            notes.append(f"{folder.name} has no name of a part, left out: {count:,} files.")
    if "test" not in there and "validation" in there:
        notes.append("There are no test images: the validation images test, and some of the training images validate.")
        found = [_Of(of.folder, of.name, "test" if of.part == "validation" else of.part) for of in found]
    elif "test" not in there:
        notes.append("There are no test images: the training images are divided.")
        found = [_Of(of.folder, of.name, "") for of in found]
    return found, notes


def _shared(folders: Sequence[_Folder]) -> list[str]:
    """Names of folders that are in several of these."""
    counts = Counter(name for folder in folders for name in {inner.name for inner in folder.core.folders})
    return sorted(name for name, count in counts.items() if count > 1)


def _scanned(path: Path, above: tuple[Path, ...], passed: list[Path]) -> _Folder:
    """A folder with all in it; what devices keep goes to `passed`, and a link to a folder above is not followed."""
    above = (*above, path.resolve())
    folders, files = [], []
    for inner in sorted(path.iterdir()):
        if KEPT_BY_DEVICES.fullmatch(inner.name):
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
    return few([text(path.relative_to(root)) for path in paths])


@cache
def _endings() -> frozenset[str]:
    return frozenset(Image.registered_extensions())
