"""The app in a process of its own."""

import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import httpx

NOWHERE = {"HTTP_PROXY": "http://127.0.0.1:9", "HTTPS_PROXY": "socks5://127.0.0.1:9", "ALL_PROXY": "nonsense://x:y"}
"""proxies, which may not stand between the app and itself: Gradio reads them when imported, and asks its own address"""


def started(command: Sequence[str], folder: Path, errors: Path) -> subprocess.Popen[str]:
    """Whatever the proxies. errors: the file for what it says there"""
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")} | NOWHERE
    with errors.open("w", encoding="utf-8") as file:
        return subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=file, encoding="utf-8"
        )


def wait_for(process: subprocess.Popen[str], url: str) -> None:
    """It says its network, and then where it is."""
    assert process.stdout
    assert url in [process.stdout.readline() for _ in range(2)][1]


def ends_within_two_seconds_while_a_page_is_open(
    process: subprocess.Popen[str], url: str, own: int, number: signal.Signals, errors: Path
) -> None:
    """By a signal. own: the id of the process as it is known here"""
    with httpx.stream("GET", f"{url}/gradio_api/heartbeat/visitor", timeout=60, trust_env=False) as page:
        next(page.iter_bytes())
        os.kill(own, number)
        assert process.wait(2) == 128 + number
    said = errors.read_text(encoding="utf-8")
    assert "Traceback" not in said
    assert said.endswith("Stopped.\n")
