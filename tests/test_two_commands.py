"""Somebody with photos in two folders gets a network, and the microscope for it, by two commands of the README."""

import os
import shlex
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from gradio_client import Client, handle_file

from tests import photos

ROOT = Path(__file__).parent.parent


def command(line: str, *more: str) -> list[str]:
    """A line of the README, as it stands there, with this Python."""
    assert f"    {line}" in (ROOT / "README.md").read_text(encoding="utf-8")
    python, script, *arguments = shlex.split(line, comments=True)
    assert python == "python"
    return [sys.executable, str(ROOT / script), *arguments, *more]


def test_photos_in_two_folders_become_a_network_on_the_page(tmp_path: Path) -> None:
    photos.write(tmp_path / "photos", 40)
    train = command("python main.py train --data photos", "--epochs", "1")
    said = subprocess.run(train, cwd=tmp_path, capture_output=True, encoding="utf-8", timeout=300, check=True).stdout
    assert "photos: 2 classes (discs, stripes), " in said
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    app = command("python app.py --checkpoint runs/photos/checkpoint", "--port", str(port))
    with subprocess.Popen(app, cwd=tmp_path, env=os.environ, stdout=subprocess.DEVNULL) as process:
        try:
            client, until = None, time.monotonic() + 120
            while client is None and process.poll() is None and time.monotonic() < until:
                time.sleep(0.5)
                with suppress(Exception):  # whatever the client's HTTP library raises while nobody listens yet
                    client = Client(f"http://127.0.0.1:{port}", verbose=False)
            assert client is not None
            picture = handle_file(tmp_path / "photos" / "discs" / "IMG_0003.jpg")
            answer = client.predict(picture, api_name="/classify")
        finally:
            process.terminate()
    assert {line["label"] for line in answer["confidences"]} == {"discs", "stripes"}
