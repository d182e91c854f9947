"""The app in a process of its own."""

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import httpx

NOWHERE = {"HTTP_PROXY": "http://127.0.0.1:9", "HTTPS_PROXY": "socks5://127.0.0.1:9", "ALL_PROXY": "nonsense://x:y"}
"""proxies, which may not stand between the app and itself: Gradio reads them when imported, and asks its own address"""

ALONE = ("unshare", "--pid", "--fork", "--kill-child")
PROCESS_1 = ALONE if shutil.which("unshare") and subprocess.run((*ALONE, "true"), check=False).returncode == 0 else ()
"""before a command: it is process 1 of a world of its own, as in a container, where that is allowed"""


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


def ends_within_two_seconds_while_a_page_is_open(process: subprocess.Popen[str], url: str, errors: Path) -> None:
    """By SIGTERM."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="utf-8").split()
    own = int(children[0]) if PROCESS_1 else process.pid
    with httpx.stream("GET", f"{url}/gradio_api/heartbeat/visitor", timeout=60, trust_env=False) as page:
        next(page.iter_bytes())
        os.kill(own, signal.SIGTERM)
        assert process.wait(2) == 128 + signal.SIGTERM
    said = errors.read_text(encoding="utf-8")
    assert "Traceback" not in said
    assert said.endswith("Stopped.\n")
