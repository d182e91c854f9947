"""Somebody with photos in two folders gets a network, and the microscope for it, by two commands of the README. It ends
within two seconds, also as process 1."""

import shlex
import subprocess
import sys
from pathlib import Path

from gradio_client import Client, handle_file

from tests import photos
from tests.served import free_port
from tests.started import PROCESS_1, ends_within_two_seconds_while_a_page_is_open, started, wait_for

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
    port, errors = free_port(), tmp_path / "errors"
    url = f"http://127.0.0.1:{port}"
    app = command("python app.py --checkpoint runs/photos/checkpoint", "--port", str(port))
    with started((*PROCESS_1, *app), tmp_path, errors) as process:
        try:
            wait_for(process, url)
            picture = handle_file(tmp_path / "photos" / "discs" / "IMG_0003.jpg")
            answer = Client(url, verbose=False).predict(picture, api_name="/classify")
            ends_within_two_seconds_while_a_page_is_open(process, url, errors)
        finally:
            process.kill()
    assert {line["label"] for line in answer["confidences"]} == {"discs", "stripes"}
