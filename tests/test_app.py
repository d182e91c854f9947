"""The app over its API, as another program sees it."""

import os
import socket
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import gradio as gr
import httpx
import pytest
import torch
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

import app
from mixer.data import CLASSES, normalise, samples
from mixer.model import Mixer
from viz.microscope import Microscope


@pytest.fixture(scope="module")
def client(url: str) -> Client:
    return Client(url, verbose=False)


def sample_file(folder: Path, number: int) -> Path:
    Image.fromarray(samples().images[number].permute(1, 2, 0).numpy()).save(folder / "sample.png")
    return folder / "sample.png"


def test_classify_gives_the_network_s_own_probabilities(client: Client, scope: Microscope, tmp_path: Path) -> None:
    answer = client.predict(handle_file(sample_file(tmp_path, 123)), api_name="/classify")
    with torch.inference_mode():
        want = scope.model(normalise(samples().images[123:124], scope.model.config))[0].softmax(0)
    assert answer["label"] == CLASSES[want.argmax()]
    got = {line["label"]: line["confidence"] for line in answer["confidences"]}
    assert got == pytest.approx(dict(zip(CLASSES, want.tolist(), strict=True)), abs=1e-5)


def test_classify_is_the_only_endpoint_and_documented(client: Client) -> None:
    endpoints = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert list(endpoints) == ["/classify"]


@pytest.mark.parametrize("kind", ["JPEG in CMYK", "GIF", "WebP", "TIFF of 16 bits", "PNG of one pixel", "huge JPEG"])
def test_pictures_of_every_kind_are_classified(client: Client, tmp_path: Path, kind: str) -> None:
    file = tmp_path / "picture"
    if kind == "JPEG in CMYK":
        Image.new("CMYK", (300, 200), (10, 80, 90, 20)).save(file, "JPEG")
    elif kind == "GIF":
        Image.new("P", (64, 48), 3).save(file, "GIF", save_all=True, append_images=[Image.new("P", (64, 48), 7)])
    elif kind == "WebP":
        Image.new("RGBA", (64, 48), (200, 20, 20, 100)).save(file, "WEBP")
    elif kind == "TIFF of 16 bits":
        Image.new("I;16", (64, 48), 40_000).save(file, "TIFF")
    elif kind == "PNG of one pixel":
        Image.new("RGB", (1, 1), "green").save(file, "PNG")
    else:
        Image.linear_gradient("L").resize((7712, 5360)).save(file, "JPEG")
    answer = client.predict(handle_file(file), api_name="/classify")
    assert answer["label"] == max(answer["confidences"], key=lambda line: line["confidence"])["label"]
    assert sum(line["confidence"] for line in answer["confidences"]) == pytest.approx(1, abs=1e-4)


def broken_png() -> bytes:
    file = BytesIO()
    Image.effect_noise((200, 200), 90).save(file, "PNG")
    return file.getvalue()[:1000]


@pytest.mark.parametrize(
    "content", [b"hello, I am text", b"", broken_png(), b"<svg xmlns='http://www.w3.org/2000/svg'/>"]
)
def test_other_files_get_words_and_the_app_goes_on(client: Client, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file.png").write_bytes(content)
    with pytest.raises(AppError, match="no picture that can be read"):
        client.predict(handle_file(tmp_path / "file.png"), api_name="/classify")
    assert client.predict(handle_file(sample_file(tmp_path, 0)), api_name="/classify")["label"] in CLASSES


def test_nothing_to_classify_is_said(client: Client) -> None:
    with pytest.raises(AppError, match="no picture to classify"):
        client.predict(None, api_name="/classify")


def test_a_file_of_the_server_cannot_be_asked_for(client: Client, tmp_path: Path) -> None:
    here = str(sample_file(tmp_path, 0))  # a picture that nobody uploaded
    for given in ({"path": here}, {"path": here, "meta": {"_type": "gradio.FileData"}}, {"path": None}):
        call = f"{client.src}gradio_api/call/classify"
        event = httpx.post(call, json={"data": [given]}).json()["event_id"]
        assert httpx.get(f"{call}/{event}").text.startswith("event: error")


def test_an_unevaluated_checkpoint_of_other_classes_is_shown_too(tiny) -> None:
    from dataclasses import replace

    scope = Microscope(Mixer(replace(tiny, num_classes=7, classes=())), {}, torch.device("cpu"))
    assert isinstance(app.build(scope), gr.Blocks)
    assert scope.classes[6] == "class 6"


@pytest.mark.parametrize(
    ("host", "port", "words"),
    [
        (None, 0, "port must be from 1 to 65535, not 0"),
        (None, -1, "port must be from 1 to 65535, not -1"),
        (None, 65_536, "port must be from 1 to 65535, not 65536"),
        ("192.0.2.1", None, r"192\.0\.2\.1 is no address of this machine"),
        ("nobody.invalid", None, r"nobody\.invalid is no address of this machine"),
        ("a" * 80, None, "is no address of this machine"),
    ],
)
def test_where_nothing_can_listen_is_said_before_the_network_is_loaded(
    host: str | None, port: int | None, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        app.main(host, port, "no network of that name")


def test_a_port_that_is_taken_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ValueError, match=f"port {port} is taken by another program: choose another --port"):
            app.check_address(None, port)
        monkeypatch.setenv("GRADIO_SERVER_PORT", str(port))
        app.check_address(None, None)  # Gradio then takes the next
    monkeypatch.setenv("GRADIO_SERVER_PORT", "70000")
    with pytest.raises(ValueError, match="port must be from 1 to 65535, not 70000"):
        app.check_address(None, None)


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:9", "socks5://127.0.0.1:9", "nonsense://x:y"])
def test_no_proxy_stands_between_the_app_and_itself(proxy: str, tmp_path: Path) -> None:
    """As a process of its own: Gradio reads the proxies when it is imported, and asks its own address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    environment |= dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), proxy)
    command = [sys.executable, "app.py", "--port", str(port)]
    root = Path(app.__file__).parent
    with subprocess.Popen(command, cwd=root, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            said = [process.stdout.readline() for _ in range(2)]
        finally:
            process.terminate()
    assert f"http://127.0.0.1:{port}" in said[1]

    command = [sys.executable, "app.py", "--checkpoint", "owner/name"]
    found = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    assert found.stderr.startswith("there is no folder owner/name, and the Hub gave no model of that name: check")
    assert "Traceback" not in found.stderr


def test_metrics_with_an_accuracy_alone_make_a_page(scope: Microscope) -> None:
    app.build(Microscope(scope.model, {"accuracy": 0.8754}, scope.device))
