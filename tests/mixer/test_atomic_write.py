"""What may be replaced, and that no error, full disk or kill leaves anything but the old or the new."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mixer import atomic_write
from mixer.atomic_write import NotWritable, check, replacing


def two(target: Path) -> set[Path]:
    """As if every file called one or two were ours."""
    return {path for path in target.iterdir() if path.name in ("one", "two")} if target.is_dir() else set()


def content(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text(encoding="utf-8") if p.is_file() else "" for p in folder.rglob("*")}


def write(target: Path, text: str = "new", meanwhile: Callable[[], None] = lambda: None) -> None:
    with replacing(target, two) as new:
        new.mkdir()
        (new / "one").write_text(text, encoding="utf-8")
        meanwhile()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A folder of ours, among neighbours with likely names."""
    target = tmp_path / "target"
    for name in ("target.old/thesis", "target.new/thesis", "target.tmp/thesis", ".target/thesis", "target/one"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("old", encoding="utf-8")
    return target


@pytest.fixture(params=["one step", "two steps"])
def steps(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "two steps":
        monkeypatch.setattr(atomic_write, "_exchange", lambda new, old: False)
    return request.param


def test_absent_empty_or_ours_is_replaced_and_no_neighbour_is_touched(target: Path, steps: str) -> None:
    before = content(target.parent)
    write(target)
    assert content(target.parent) == before | {"target/one": "new"}
    (target.parent / "empty").mkdir()
    for name in ("empty", "absent", "deeper/down"):
        check(target.parent / name, two)
        write(target.parent / name)
        assert content(target.parent / name) == {"one": "new"}


@pytest.mark.parametrize("code", atomic_write.IN_USE)
def test_what_another_program_reads_is_replaced_when_it_has_read_it(
    target: Path, steps: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Windows has it: open files are not replaced, and folders never."""
    waited, real = list[float](), os.replace

    def replace(new: Path, old: Path) -> None:
        if len(waited) % 3 < 2:
            error = PermissionError(errno.EACCES, "in use", str(old))
            error.winerror = code  # type: ignore[attr-defined]
            raise error
        if old.is_dir():
            raise FileExistsError(errno.EEXIST, "a folder", str(old))
        real(new, old)
        waited.append(0)

    monkeypatch.setattr(atomic_write.time, "sleep", waited.append)
    monkeypatch.setattr(atomic_write.os, "replace", replace)
    write(target)
    assert content(target) == {"one": "new"}
    (target.parent / "empty").mkdir()
    write(target.parent / "empty")
    assert content(target.parent / "empty") == {"one": "new"}


def test_what_may_not_be_replaced_is_no_reason_to_wait(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def replace(new: Path, old: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(old))

    monkeypatch.setattr(atomic_write.time, "sleep", None)
    monkeypatch.setattr(atomic_write.os, "replace", replace)
    with pytest.raises(PermissionError):
        atomic_write.replace(target, target.parent / "other")


def file_beside(target: Path) -> None:
    (target / "notes.txt").write_text("mine", encoding="utf-8")


def folder_beside(target: Path) -> None:
    (target / "two").mkdir()
    (target / "two" / "photo.jpg").write_text("mine", encoding="utf-8")


def link_beside(target: Path) -> None:
    (target / "two").symlink_to(target.parent / "target.old" / "thesis")


def hidden_beside(target: Path) -> None:
    (target / ".git").mkdir()


def file_instead(target: Path) -> None:
    (target / "one").unlink()
    target.rmdir()
    target.write_text("mine", encoding="utf-8")


def link_instead(target: Path) -> None:
    target.rename(target.with_name("elsewhere"))
    target.symlink_to(target.with_name("elsewhere"))


def dangling_link_instead(target: Path) -> None:
    link_instead(target)
    target.with_name("elsewhere").rename(target.with_name("gone"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (file_beside, r"target holds .* \(notes.txt\).* name a new folder"),
        (folder_beside, r"target holds .* \(two/photo.jpg\)"),
        (link_beside, r"target holds .* \(two\)"),
        (hidden_beside, r"target holds .* \(.git\)"),
        (file_instead, "target exists already, and another program wrote or changed it"),
        (link_instead, "target is a link"),
        (dangling_link_instead, "target is a link"),
    ],
)
def test_all_else_is_refused_and_stays(target: Path, change: Callable[[Path], None], words: str) -> None:
    change(target)
    before = content(target.parent)
    with pytest.raises(NotWritable, match=words):
        check(target, two)
    with pytest.raises(NotWritable, match=words):
        write(target)
    assert content(target.parent) == before


def test_the_folder_that_one_is_in_is_not_replaced(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (target.parent / "empty" / "below").mkdir(parents=True)
    for folder, name in ((target, "."), (target, target), (target.parent / "empty" / "below", ".")):
        monkeypatch.chdir(folder)
        with pytest.raises(NotWritable, match="contains the current folder"):
            check(Path(name), two)


def test_what_came_while_it_was_written_stays(target: Path) -> None:
    with pytest.raises(NotWritable, match=r"photo\.jpg"):
        write(target, meanwhile=lambda: (target / "photo.jpg").touch())
    assert content(target) == {"one": "old", "photo.jpg": ""}


def test_a_file_where_a_folder_is_wanted_is_said_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotWritable, match=r"file/below/target cannot be written \(Not a directory\)"):
        check(tmp_path / "file" / "below" / "target", two)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_a_folder_that_cannot_be_written_is_said_before_any_work(
    target: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("tempfile.mkdtemp", refused)
    with pytest.raises(NotWritable, match=rf"target cannot be written \({os.strerror(number)}\): name another folder"):
        check(target, two)


@pytest.mark.process
@pytest.mark.skipif(not Path("/usr/bin/setpriv").exists(), reason="takes root's right to write away")
def test_a_read_only_folder_is_said_to_whoever_is_not_root(target: Path) -> None:
    command = f"from tests.mixer.test_atomic_write import *; check(Path({str(target)!r}), two)"
    target.chmod(0o555)
    for folder in (target, target.parent):
        folder.chmod(0o555)
        try:
            found = subprocess.run(
                ["setpriv", "--bounding-set", "-dac_override", sys.executable, "-c", command],
                capture_output=True,
                encoding="utf-8",
            )
        finally:
            folder.chmod(0o755)
        assert "target cannot be written (Permission denied)" in found.stderr, folder


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_an_error_while_writing_leaves_the_old_and_no_work_files(target: Path, error: BaseException) -> None:
    before = content(target.parent)

    def fail() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        write(target, "ha", meanwhile=fail)
    assert content(target.parent) == before
    if isinstance(error, OSError):
        assert caught.value.filename == str(target), "not the work file, which nobody knows"


def test_an_error_between_the_two_steps_takes_the_first_back(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = content(target.parent)
    replace, calls = os.replace, []

    def damaged(source: Path, to: Path) -> None:
        calls.append(to)
        if len(calls) == 2:
            raise OSError(errno.EIO, "Input/output error")
        replace(source, to)

    monkeypatch.setattr(atomic_write, "_exchange", lambda new, old: False)
    monkeypatch.setattr(os, "replace", damaged)
    with pytest.raises(OSError, match="Input/output error"):
        write(target)
    assert content(target.parent) == before


KILLED = """
import os, signal, sys
from tests.mixer.test_atomic_write import *
moment, target = sys.argv[1], Path(sys.argv[2])

def dying(name, after, module=os):
    function = getattr(module, name)
    def dies(*arguments):
        if after: function(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)
    setattr(module, name, dies)

if moment == "writing": dying("fsync", False)
if moment == "before": dying("_put", False, atomic_write)
if moment == "between":
    atomic_write._exchange = lambda new, old: False
    dying("replace", True)
if moment == "after": dying("_put", True, atomic_write)
write(target)
"""


@pytest.mark.process
@pytest.mark.parametrize("moment", ["writing", "before", "between", "after"])
def test_a_kill_leaves_the_old_or_the_new_whole(target: Path, moment: str) -> None:
    before = content(target.parent)
    killed = subprocess.run([sys.executable, "-c", KILLED, moment, target])
    assert killed.returncode == -signal.SIGKILL
    if moment == "between":  # where the file system cannot exchange folders: neither is lost, but one must look
        (aside,) = target.parent.glob(".target.old.*/target")
        assert content(aside) == {"one": "old"}
    else:
        assert content(target) == {"one": "new" if moment == "after" else "old"}
    write(target, "once more")
    now = {name: text for name, text in content(target.parent).items() if not name.startswith(".target.")}
    assert now == before | {"target/one": "once more"}


def test_a_page_is_known_again_only_unchanged(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    atomic_write.write_signed(page, "<p>ü</p>")
    assert atomic_write.signed(page) == {page}
    atomic_write.write_signed(page, "<p>2</p>\n")
    assert page.read_text(encoding="utf-8").startswith("<p>2</p>\n\n<!-- written by the MLP-Mixer microscope")
    for text in (
        page.read_text(encoding="utf-8") + "mine",
        "mine" + page.read_text(encoding="utf-8"),
        page.read_text(encoding="utf-8").replace("2", "3"),
        "",
        "mine",
    ):
        page.write_text(text, encoding="utf-8")
        with pytest.raises(NotWritable, match="move it away"):
            atomic_write.write_signed(page, "<p>4</p>")
        assert page.read_text(encoding="utf-8") == text
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_others_may_read_what_is_written(target: Path) -> None:
    umask = os.umask(0o022)
    try:
        write(target)
    finally:
        os.umask(umask)
    assert target.stat().st_mode & 0o777 == 0o755
