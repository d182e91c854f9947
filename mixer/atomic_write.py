"""The one way to write a file or folder: nothing is replaced that is not ours, and nothing is ever half there.

**What is ours** each kind of target knows of itself: a checkpoint by its `config.json` and the names that belong to it
(`mixer.checkpoint.ours`), a page or card by the signature in its last line, which holds for that very text (`signed`),
a Space by its list of checksums (`tools.space.ours`). All else that stands in a target is somebody's work, and so is
every link: nothing is written then, and the message names what is in the way. `check` says so before any work is done.

**Work files** live in a folder of their own beside the target, hence in the same file system, under a name that nobody
else has (`.NAME.` and eight random letters); no other neighbour is touched. What is new is written there, in full and
down to the disk, and then takes the target's place.

**A full disk**, any other error and Ctrl-C leave the target as it was, and the work folder is removed. `kill -9` and a
power cut leave the old target or the new one whole, too: on Linux's own file systems a folder changes places with the
old one in one step. Elsewhere it takes two, and a kill between them leaves the old one in `.NAME.old.` and eight
letters. What a kill leaves beside the target may be deleted.
"""

import ctypes
import errno
import hashlib
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

Ours = Callable[[Path], set[Path]]
"""Of a target that is there: the files that are ours, itself or within it."""

SIGNATURE = re.compile(rb"\n(?:<!--|#) written by the MLP-Mixer microscope, sha256 ([0-9a-f]{64})(?: -->)?\n\Z")


IN_USE = (5, 32)
"""Windows' ERROR_ACCESS_DENIED and ERROR_SHARING_VIOLATION"""


class NotWritable(ValueError):
    """A target is not ours to replace, or cannot be written; the message names it and says what to do."""


def check(target: Path, ours: Ours) -> None:
    """Raise NotWritable unless the target can be written, and is absent, an empty folder, or ours alone."""
    target = _absolute(target)
    try:
        _refuse_others(target, ours)
        above = next(folder for folder in target.parents if os.path.lexists(folder))
        for folder in (above, target) if target.is_dir() else (above,):
            with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=folder):
                pass  # the one sure test of whether something can be written here
    except OSError as error:
        raise NotWritable(
            f"{target} cannot be written ({error.strerror or error}): name another place, or check that you may "
            "write there"
        ) from error


@contextmanager
def replacing(target: Path, ours: Ours) -> Iterator[Path]:
    """A path at which to write the new file or folder. When the block ends without error, it takes the target's place.

    Raises NotWritable as `check` does, and OSError, which names the target, where writing fails later.
    """
    target = _absolute(target)
    check(target, ours)
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        new = work / target.name  # within, as what mkdtemp makes may be read by its owner alone
        yield new
        for path in (new, *new.rglob("*")):
            if path.is_file():
                with path.open("r+b") as file:
                    os.fsync(file.fileno())
        _refuse_others(target, ours)  # it has taken a while
        _put(new, target)
    except OSError as error:
        if error.errno and str(error.filename or work).startswith(str(work)):
            raise OSError(error.errno, error.strerror, str(target)) from error
        raise
    finally:
        shutil.rmtree(work, ignore_errors=True)


def write_signed(path: Path, text: str) -> None:
    """Write Markdown, HTML or CSV so that `signed` knows it again. Raises NotWritable where another file is there."""
    with replacing(path, signed) as new:
        content = text.encode()
        words = f"written by the MLP-Mixer microscope, sha256 {hashlib.sha256(content).hexdigest()}"
        end = f"# {words}" if path.suffix.lower() == ".csv" else f"<!-- {words} -->"
        new.write_bytes(content + f"\n{end}\n".encode())


def signed(path: Path) -> set[Path]:
    """The path, if `write_signed` wrote the file, and nobody has changed it since."""
    content = path.read_bytes() if path.is_file() else b""
    end = SIGNATURE.search(content)
    ours = end is not None and hashlib.sha256(content[: end.start()]).hexdigest() == end[1].decode()
    return {path} if ours else set()


def replace(new: Path, target: Path, waits: Sequence[float] = (0.1, 0.2, 0.4, 0.8)) -> None:
    """Move a file or folder, in place of a file or an empty folder, as every system allows it.

    Windows replaces no folder, and no file as long as another program reads it: that is waited for (seconds).
    """
    if new.is_dir() and target.is_dir():
        target.rmdir()
    try:
        os.replace(new, target)
    except PermissionError as error:
        if not waits or getattr(error, "winerror", None) not in IN_USE:
            raise
        time.sleep(waits[0])
        replace(new, target, waits[1:])


def _absolute(target: Path) -> Path:
    """Without links but for the target itself, which may be one."""
    return Path(os.path.realpath(target.parent), target.name)


def _refuse_others(target: Path, ours: Ours) -> None:
    if target.is_symlink():
        raise NotWritable(f"{target} is a link: name the place itself")
    if not target.exists():
        return
    if target.is_dir():
        if Path.cwd().is_relative_to(target.resolve()):
            raise NotWritable(f"{target} holds the folder that you are in: name another, or go elsewhere first")
        if os.path.ismount(target):
            raise NotWritable(f"{target} is a disk of its own: name a folder within it")
        os.listdir(target)  # what may not be read looks empty to rglob
    known = ours(target)
    within = {folder for path in known for folder in path.parents}
    there = target.rglob("*") if target.is_dir() else [target]
    others = (path for path in there if path.is_symlink() or path not in known | within)
    names = [str(path.relative_to(target)) for path in islice(others, 4)]
    if names == ["."]:
        raise NotWritable(
            f"{target} is there already, and this program did not write it, or it was changed since: move it away"
        )
    if names:
        some = ", ".join(names[:3]) + (" and more" if len(names) > 3 else "")
        raise NotWritable(
            f"{target} holds what this program did not write there ({some}), so it is not replaced: name a new folder"
        )


def _put(new: Path, target: Path) -> None:
    if not (target.is_dir() and any(target.iterdir())):
        replace(new, target)
    elif not _exchange(new, target):
        _swap(new, target)


def _exchange(new: Path, old: Path) -> bool:
    """Let two folders change places in one step; False where the system or the file system cannot.

    renameat2(2), https://man7.org/linux/man-pages/man2/rename.2.html
    """
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if sys.platform == "linux" else None
    if rename is None:
        return False
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    if rename(here, os.fsencode(new), here, os.fsencode(old), exchange) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
        return False
    raise OSError(number, os.strerror(number), str(old))


def _swap(new: Path, target: Path) -> None:
    """As `_exchange`, in two steps; where the second fails, the first is taken back."""
    aside = Path(tempfile.mkdtemp(prefix=f".{target.name}.old.", dir=target.parent))
    old = aside / target.name
    try:
        replace(target, old)
        replace(new, target)
    except BaseException:
        with suppress(FileNotFoundError):
            os.rename(old, target)
        aside.rmdir()
        raise
    shutil.rmtree(aside, ignore_errors=True)
