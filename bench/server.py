"""The app in a separate process, as users start it."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[1]
TIMEOUT = 120
"""seconds for the start of the app"""


@contextmanager
def served() -> Iterator[tuple[str, int]]:
    """The URL of the app and its process id; the app ends with the context."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [sys.executable, "app.py", "--port", str(port)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait(url, process)
        yield url, process.pid
    finally:
        process.terminate()
        process.wait()


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    begin = time.monotonic()
    while not _answers(url):
        if process.poll() is not None or time.monotonic() - begin > TIMEOUT:
            raise RuntimeError("the app did not start: try `python app.py`")
        time.sleep(0.1)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=TIMEOUT).is_success
    except httpx.TransportError:
        return False
