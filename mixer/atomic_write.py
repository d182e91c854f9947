"""Atomic writing of files and folders. Only files of this program are replaced, and no target is ever incomplete.

**Own files.** Each kind of target has a test: a checkpoint has a `config.json` and known file names
(`mixer.checkpoint.ours`), a page or card has a signature of its text in the last line (`signed`), a Space has a list of
checksums (`tools.space.ours`). If a target holds any other file or a link, nothing is written, and the error names that
file. `check` tests this before any work is done.

**Work files** are in a folder beside the target, in the same file system, with a unique name (`.NAME.` and eight random
letters). The new content is written there and flushed to the disk, then moved to the target. No other neighbour is
changed.

**Errors**, such as a full disk, and Ctrl-C leave the target unchanged, and the work folder is removed. After `kill -9`
or a power failure, the target is either old or new, never a mixture: Linux file systems exchange two folders in one
step. Other systems need two steps; a kill between them leaves the old folder in `.NAME.old.` and eight letters.
Everything that a kill leaves beside the target can be deleted.
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
"""Returns the own files of an existing target: the target itself, or files in it."""

SIGNATURE = re.compile(rb"\n(?:<!--|#) written by the MLP-Mixer microscope, sha256 ([0-9a-f]{64})(?: -->)?\n\Z")


IN_USE = (5, 32)
"""Windows' ERROR_ACCESS_DENIED and ERROR_SHARING_VIOLATION"""


class NotWritable(ValueError):
    """A target holds other files, or cannot be written. The message names it and the next step."""


def check(target: Path, ours: Ours) -> None:
    """Raise NotWritable unless the target can be written and is absent, an empty folder, or has only own files."""
    target = _absolute(target)
    try:
        _refuse_others(target, ours)
        above = next(folder for folder in target.parents if os.path.lexists(folder))
        for folder in (above, target) if target.is_dir() else (above,):
            with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=folder):
                pass  # only writing shows reliably whether the folder is writable
    except OSError as error:
        raise NotWritable(
            f"{target} cannot be written ({error.strerror or error}): name another folder, or check your permissions"
        ) from error


@contextmanager
def replacing(target: Path, ours: Ours) -> Iterator[Path]:
    """Yields a path for the new file or folder, and moves it to the target when the block ends without error.

    Raises NotWritable as `check` does, and OSError, which names the target, if writing fails.
    """
    target = _absolute(target)
    check(target, ours)
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        new = work / target.name  # inside, because only the owner can read the folder of mkdtemp
        yield new
        for path in (new, *new.rglob("*")):
            if path.is_file():
                with path.open("r+b") as file:
                    os.fsync(file.fileno())
        _refuse_others(target, ours)  # again, because time has passed
        _put(new, target)
    except OSError as error:
        if error.errno and str(error.filename or work).startswith(str(work)):
            raise OSError(error.errno, error.strerror, str(target)) from error
        raise
    finally:
        shutil.rmtree(work, ignore_errors=True)


def write_signed(path: Path, text: str) -> None:
    """Write Markdown, HTML or CSV with a signature for `signed`. Raises NotWritable if the path is another file."""
    with replacing(path, signed) as new:
        content = text.encode()
        signature = f"written by the MLP-Mixer microscope, sha256 {hashlib.sha256(content).hexdigest()}"
        end = f"# {signature}" if path.suffix.lower() == ".csv" else f"<!-- {signature} -->"
        new.write_bytes(content + f"\n{end}\n".encode())


def signed(path: Path) -> set[Path]:
    """The path, if `write_signed` wrote the file and it is unchanged."""
    content = path.read_bytes() if path.is_file() else b""
    end = SIGNATURE.search(content)
    ours = end is not None and hashlib.sha256(content[: end.start()]).hexdigest() == end[1].decode()
    return {path} if ours else set()


def replace(new: Path, target: Path, waits: Sequence[float] = (0.1, 0.2, 0.4, 0.8)) -> None:
    """Move a file or folder to the place of a file or an empty folder, on any system.

    Windows cannot replace a folder, nor a file that another program reads.
    waits: seconds before each retry
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
    """The absolute path, with the links in its parent folders resolved."""
    return Path(os.path.realpath(target.parent), target.name)


def _refuse_others(target: Path, ours: Ours) -> None:
    if target.is_symlink():
        raise NotWritable(f"{target} is a link: name its destination")
    if not target.exists():
        return
    if target.is_dir():
        if Path.cwd().is_relative_to(target.resolve()):
            raise NotWritable(f"{target} contains the current folder: name another, or change the folder first")
        if os.path.ismount(target):
            raise NotWritable(f"{target} is a mounted disk: name a folder in it")
        os.listdir(target)  # raises an error for an unreadable folder, which looks empty to rglob
    own = ours(target)
    allowed = own | {folder for path in own for folder in path.parents}
    paths = target.rglob("*") if target.is_dir() else [target]
    others = (path for path in paths if path.is_symlink() or path not in allowed)
    names = [str(path.relative_to(target)) for path in islice(others, 4)]
    if names == ["."]:
        raise NotWritable(f"{target} exists already, and another program wrote or changed it: move it away")
    if names:
        some = ", ".join(names[:3]) + (" and more" if len(names) > 3 else "")
        raise NotWritable(
            f"{target} holds files that this program did not write ({some}), so it is not replaced: name a new folder"
        )


def _put(new: Path, target: Path) -> None:
    if not (target.is_dir() and any(target.iterdir())):
        replace(new, target)
    elif not _exchange(new, target):
        _swap(new, target)


def _exchange(new: Path, old: Path) -> bool:
    """Exchange two folders in one step; False if the system or the file system cannot.

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
    """As `_exchange`, in two steps. If the second fails, the first is undone."""
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
