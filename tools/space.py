"""Assemble the files of a Hugging Face Space, and test them in the environment of a Space: `make space`."""

import hashlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import tyro
from gradio_client import Client, handle_file
from huggingface_hub import metadata_load
from packaging.version import Version
from PIL import Image

from mixer import atomic_write
from mixer.data import CLASSES, samples
from mixer.errors import readable_errors
from tools.constraints import requirements

ROOT = Path(__file__).parent.parent
RUN = (
    "LICENSE",
    "requirements.txt",
    "app.py",
    "mixer",
    "viz",
    "checkpoints/seed",
    "checkpoints/seed-start",
    "checkpoints/seed-epoch-1",
)
READ = ("README.md", "CHANGELOG.md", "docs", "bench/README.md", "bench/scaling.png")
SUMS = "SHA256SUMS"
MAX_BYTES = 10_000_000
COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
START_SECONDS = 180
VERSIONS = """
import platform, gradio, torch
print(f"Python {platform.python_version()}, torch {torch.__version__}, gradio {gradio.__version__}")
"""


class NoSpace(ValueError):
    """The files are not a valid Space. The message has the reason."""


def assemble(folder: Path) -> None:
    """Write the files of the Space and their checksums (format of sha256sum) into the folder.

    Raises NoSpace if a file is above 10 MB, NotWritable if the folder holds other files.
    """
    for path in ours(folder):  # a killed test leaves files and folders read-only
        _allow_writing(True, *(part for part in (path, *path.parents) if part.is_relative_to(folder)))
    with atomic_write.replacing(folder, ours) as new:
        for part in RUN + READ:
            source, copy = ROOT / part, new / part
            copy.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(source, copy, ignore=ignored, copy_function=shutil.copyfile)
            else:
                shutil.copyfile(source, copy)
        for path in _files(new):
            if path.stat().st_size > MAX_BYTES:
                name = path.relative_to(new)
                raise NoSpace(f"{name} has {path.stat().st_size:,} bytes; the limit of a Space is {MAX_BYTES:,}")
        sums = [f"{_sha256(path)}  {path.relative_to(new).as_posix()}\n" for path in _files(new)]
        (new / SUMS).write_text("".join(sums), encoding="utf-8")


def ours(folder: Path) -> set[Path]:
    """The unchanged files of `assemble` in a folder, and Python's cache of them."""
    if not (folder / SUMS).is_file():
        return set()
    lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    listed = {folder / name: total for total, _, name in (line.partition("  ") for line in lines)}
    same = {path for path, total in listed.items() if path.is_file() and _sha256(path) == total}
    return same | {folder / SUMS} | set(folder.rglob("__pycache__/*.pyc"))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def front_matter(folder: Path) -> dict[str, Any]:
    """The front matter of the README, which configures the Space. Raises NoSpace if it is incomplete or wrong.

    https://huggingface.co/docs/hub/spaces-config-reference
    """
    data = metadata_load(folder / "README.md") or {}
    (gradio,) = (one for one in requirements(folder / "requirements.txt") if one.name == "gradio")
    (least,) = (limit.version for limit in gradio.specifier if limit.operator == ">=")
    checks = {
        "title": lambda v: bool(v),
        "emoji": lambda v: v and not v.isascii(),
        "colorFrom": COLOURS.__contains__,
        "colorTo": COLOURS.__contains__,
        "sdk": "gradio".__eq__,
        "sdk_version": lambda v: Version(v) == Version(least),
        "python_version": lambda v: isinstance(v, str) and Version("3.10") <= Version(v) < Version("3.14"),
        "app_file": lambda v: (folder / v).is_file(),
        "short_description": lambda v: 0 < len(v) <= 60,
        "license": lambda v: v == "apache-2.0" and "Apache License" in (folder / "LICENSE").read_text(encoding="utf-8"),
        "tags": lambda v: isinstance(v, list),
        "datasets": lambda v: isinstance(v, list),
    }
    for name, valid in checks.items():
        if name not in data or not valid(data[name]):
            raise NoSpace(f"the front matter of README.md has an invalid {name}: {data.get(name)!r}")
    return data


def environment(python: str, space: Path, folder: Path) -> Path:
    """The Python of a new virtual environment with only the packages of requirements.txt."""
    subprocess.run([python, "-m", "venv", "--clear", folder], check=True)
    new = folder / "bin" / "python"
    subprocess.run([new, "-m", "pip", "install", "--quiet", "-r", space / "requirements.txt"], check=True)
    return new


def answer(python: Path, space: Path) -> str:
    """Start the app as a Space does, and classify a shipped sample through its API.

    The sources and the home folder are read-only, and there is no network access except to loopback. Raises NoSpace if
    the app does not start or does not return a class.
    """
    command = [*_without_write_override(), python, front_matter(space)["app_file"]]
    port = _free_port()
    with tempfile.TemporaryDirectory() as scratch:
        home, temporary, picture = (Path(scratch) / name for name in ("home", "tmp", "sample.png"))
        home.mkdir()
        temporary.mkdir()
        Image.fromarray(samples().images[0].permute(1, 2, 0).numpy()).save(picture)
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "TMPDIR": str(temporary),
            "GRADIO_SERVER_NAME": "127.0.0.1",
            "GRADIO_SERVER_PORT": str(port),
            "HTTPS_PROXY": "http://127.0.0.1:9",  # an unused port
            "NO_PROXY": "127.0.0.1,localhost",
        }
        with _read_only(space, home), subprocess.Popen(command, cwd=space, env=environ) as app:
            try:
                found = _started(app, f"http://127.0.0.1:{port}").predict(handle_file(picture), api_name="/classify")
            finally:
                app.terminate()
    if found["label"] not in CLASSES:
        raise NoSpace(f"the app answered {found}")
    return found["label"]


def _started(app: subprocess.Popen, url: str) -> Client:
    """A client of the app, once the app answers."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and app.poll() is None:
        with suppress(Exception):  # errors of the client's HTTP library until the app listens
            return Client(url, verbose=False)
        time.sleep(0.5)
    raise NoSpace(f"the app did not start (exit status {app.poll()})")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def _read_only(*folders: Path) -> Iterator[None]:
    for folder in folders:
        _allow_writing(False, folder, *folder.rglob("*"))
    try:
        yield
    finally:
        for folder in folders:
            _allow_writing(True, folder, *folder.rglob("*"))


def _allow_writing(allow: bool, *paths: Path) -> None:
    for path in paths:
        path.chmod(path.stat().st_mode | 0o200 if allow else path.stat().st_mode & ~0o222)


def _without_write_override() -> list[str]:
    """The prefix of a command that makes read-only folders read-only for root, too."""
    return ["setpriv", "--bounding-set", "-dac_override"] if os.geteuid() == 0 else []


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def main(python: str = sys.executable, folder: Path = ROOT / "build" / "space") -> None:
    """Assemble the Space and test it in a new virtual environment (some minutes, and temporarily some GB).

    Args:
        python: Python executable for the test
        folder: folder for the files
    """
    assemble(folder)
    title, sizes = front_matter(folder)["title"], [path.stat().st_size for path in _files(folder)]
    print(f"{title}: {len(sizes)} files, {sum(sizes) / 1e6:.1f} MB, in {folder}", flush=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        new = environment(python, folder, Path(scratch))
        subprocess.run([new, "-c", VERSIONS], check=True)
        print(f"The app started and classified a picture: {answer(new, folder)}.")


if __name__ == "__main__":
    with readable_errors():
        tyro.cli(main)
