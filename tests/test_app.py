"""The app over its API, as another program sees it."""

import errno
import json
import os
import re
import signal
import socket
import sys
import time
from base64 import b64encode
from io import BytesIO
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import huggingface_hub
import pytest
import torch
from gradio.route_utils import GradioMultiPartParser
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

import app
from mixer.data import CLASSES, normalise, samples
from mixer.errors import readable_errors
from mixer.model import Mixer
from mixer.picture import NO_PICTURE, TRANSPARENT, decode
from tests.mixer.picture_files import photo, png_of_size
from tests.started import started
from viz.microscope import Microscope
from viz.page.app import build
from viz.page.markup import head
from viz.page.networks import Networks
from viz.page.photo import Photo
from viz.page.safe_blocks import BROKEN
from viz.page.sent import NO_BASE64, NOTHING
from viz.page.upload import NOT_ARRIVED, NOT_FETCHED, NOT_UPLOADED, storage_error


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
    return file.getvalue()[:40]


@pytest.mark.parametrize(
    "content", [b"hello, I am text", b"", broken_png(), b"<svg xmlns='http://www.w3.org/2000/svg'/>"]
)
def test_other_files_get_words_and_the_app_goes_on(client: Client, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file.png").write_bytes(content)
    with pytest.raises(AppError, match="cannot be read as a picture"):
        client.predict(handle_file(tmp_path / "file.png"), api_name="/classify")
    assert client.predict(handle_file(sample_file(tmp_path, 0)), api_name="/classify")["label"] in CLASSES


def over_http(url: str, picture: Any, version: str = "") -> Any:
    """What plain HTTP gets, as with curl: the answer, or the words of the error."""
    call = f"{url}gradio_api/call/{version}classify"
    event = httpx.post(call, json={"picture": picture} if version else {"data": [picture]}).json()["event_id"]
    first, data = httpx.get(f"{url}gradio_api/call/classify/{event}", timeout=30).text.splitlines()[:2]
    found = json.loads(data.removeprefix("data: "))
    return found[0] if first == "event: complete" else found["error"]


def by_client(client: Client, picture: Any) -> Any:
    try:
        return client.predict(picture, api_name="/classify")
    except AppError as error:
        return str(error)


def uploaded(url: str, file: Path) -> str:
    with file.open("rb") as content:
        return httpx.post(f"{url}gradio_api/upload", files={"files": content}).json()[0]


FILE = {"meta": {"_type": "gradio.FileData"}}


def test_a_file_and_base64_get_one_answer_by_every_way(client: Client, tmp_path: Path) -> None:
    file = sample_file(tmp_path, 31)
    path, text = uploaded(client.src, file), b64encode(file.read_bytes()).decode()
    answer = client.predict(picture=handle_file(file), api_name="/classify")
    assert answer["label"] == answer["confidences"][0]["label"]
    assert {line["label"] for line in answer["confidences"]} == set(CLASSES)
    assert answer["notes"] == []
    in_lines = "\n".join(text[i : i + 76] for i in range(0, len(text), 76))  # as base64 writes it
    for picture in (text, in_lines, f"data:image/png;base64,{text}", f"data:;base64,{text}"):
        assert over_http(client.src, picture) == by_client(client, picture) == answer
    for file_data in ({"path": path} | FILE, {"path": path}, {"path": path, "size": "large", "meta": None}):
        assert over_http(client.src, file_data) == over_http(client.src, file_data, "v2/") == answer


def test_what_is_left_out_of_a_picture_is_said(client: Client, tmp_path: Path) -> None:
    Image.new("RGBA", (90, 60), (200, 20, 20, 100)).save(tmp_path / "wide.png")
    assert client.predict(handle_file(tmp_path / "wide.png"), api_name="/classify")["notes"] == [
        TRANSPARENT,
        "The network gets the centre of the picture: 60 x 60 of 90 x 60 pixels.",
    ]


def test_the_endpoint_sees_what_the_page_sees(client: Client, scope: Microscope, tmp_path: Path) -> None:
    file = tmp_path / "photo.png"
    photo().resize((2500, 1700)).save(file)
    want = scope.probabilities(Photo.of(decode(file)).picture(scope.grid.image_size))
    got = {
        line["label"]: line["confidence"]
        for line in client.predict(handle_file(file), api_name="/classify")["confidences"]
    }
    assert got == pytest.approx(dict(zip(scope.classes, want.tolist(), strict=True)))


ADDRESS = "http://127.0.0.1:9/cat.png"


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        (None, NOTHING),
        ("", NOTHING),
        ("photo.jpg", NO_BASE64),
        ("I am text", NO_BASE64),
        ("ä", NO_BASE64),
        ("data:image/svg+xml,<svg/>", NO_BASE64),
        ("data:image/png;base64,****", NO_BASE64),
        (b64encode(b"I am text").decode(), NO_PICTURE),
        (ADDRESS, NOT_FETCHED),
        ("HTTPS://example.org/cat.png", NOT_FETCHED),
        ({"path": ADDRESS} | FILE, NOT_FETCHED),
        ({"path": ADDRESS}, NOT_FETCHED),
        ({"path": __file__} | FILE, NOT_UPLOADED),
        ({"path": __file__}, NOT_UPLOADED),
        ({"path": None}, NOT_UPLOADED),
        ({"path": "a\0b"} | FILE, NOT_UPLOADED),
        ({"path": "x" * 5000}, NOT_UPLOADED),
        ({"url": ADDRESS}, NOT_UPLOADED),
        ([{"path": __file__} | FILE], NOT_UPLOADED),
        ({}, NOT_UPLOADED),
        (7, NOT_UPLOADED),
    ],
)
def test_what_is_no_picture_gets_words(client: Client, picture: Any, words: str) -> None:
    assert over_http(client.src, picture) == over_http(client.src, picture, "v2/") == words


@pytest.mark.parametrize(
    ("picture", "words"),
    [(None, NOTHING), ("photo.jpg", NO_BASE64), (ADDRESS, NOT_FETCHED), (handle_file(ADDRESS), NOT_FETCHED)],
)
def test_the_client_gets_the_same_words(client: Client, picture: Any, words: str) -> None:
    assert by_client(client, picture) == words


def test_a_file_of_the_server_cannot_be_asked_for_from_among_the_uploads(client: Client, tmp_path: Path) -> None:
    path = uploaded(client.src, sample_file(tmp_path, 0))
    assert over_http(client.src, {"path": f"{path}/../../../../..{__file__}"} | FILE) == NOT_UPLOADED
    assert over_http(client.src, {"path": f"{path}.gone"} | FILE) == NOT_ARRIVED
    assert over_http(client.src, {"path": str(Path(path).parent)} | FILE) == NOT_ARRIVED


def test_a_request_with_nothing_in_it_gets_words(client: Client) -> None:
    call = f"{client.src}gradio_api/call/classify"
    for event in (httpx.post(call, json={"data": []}), httpx.post(f"{client.src}gradio_api/call/v2/classify", json={})):
        assert NOTHING in httpx.get(f"{call}/{event.json()['event_id']}").text


def test_an_error_of_the_program_is_a_sentence_for_who_asks_and_a_traceback_in_the_log(
    client: Client, scope: Microscope, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    picture = b64encode(png_of_size(2, 2)).decode()
    with monkeypatch.context() as broken:
        broken.setattr(Microscope, "probabilities", lambda *_: {}["a mistake"])
        assert over_http(client.src, picture) == by_client(client, picture) == BROKEN
    assert "KeyError: 'a mistake'" in caplog.text
    assert "a mistake" not in BROKEN


def test_an_unevaluated_checkpoint_of_other_classes_is_shown_too(tiny) -> None:
    from dataclasses import replace

    scope = Microscope(Mixer(replace(tiny, num_classes=7, classes=())), {}, torch.device("cpu"))
    assert isinstance(build(Networks("", scope)), gr.Blocks)
    assert scope.classes[6] == "class 6"


@pytest.mark.parametrize(
    ("host", "port", "words"),
    [
        (None, 0, "port must be from 1 to 65535, not 0"),
        (None, -1, "port must be from 1 to 65535, not -1"),
        (None, 65_536, "port must be from 1 to 65535, not 65536"),
        ("192.0.2.1", None, r"192\.0\.2\.1 is not an address of this machine"),
        ("nobody.invalid", None, r"nobody\.invalid is not an address of this machine"),
        ("a" * 80, None, "is not an address of this machine"),
    ],
)
def test_where_nothing_can_listen_is_said_before_the_network_is_loaded(
    host: str | None, port: int | None, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        app.main(host, port, "no network of that name")


@pytest.mark.parametrize(
    ("host", "environment", "private"),
    [
        (None, {}, True),
        ("localhost", {}, True),
        ("[::1]", {}, True),
        ("0.0.0.0", {}, False),
        (None, {"GRADIO_SERVER_NAME": "0.0.0.0"}, False),  # a Space
        (None, {"GRADIO_ROOT_PATH": "/mixer"}, False),
    ],
)
def test_who_can_reach_the_page_is_known(
    host: str | None, environment: dict[str, str], private: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GRADIO_SERVER_NAME", "GRADIO_ROOT_PATH"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert app.is_private(host) == private


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


def test_a_path_that_no_proxy_can_serve_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for path in ("/mixer", "https://example.org/mixer", ""):
        monkeypatch.setenv("GRADIO_ROOT_PATH", path)
        app.check_address(None, None)
    monkeypatch.setenv("GRADIO_ROOT_PATH", "mixer")
    with pytest.raises(ValueError, match=r"GRADIO_ROOT_PATH is where a reverse proxy .* not 'mixer'"):
        app.check_address(None, None)


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:9", "socks5://127.0.0.1:9", "nonsense://x:y"])
def test_a_proxy_that_does_not_lead_to_the_hub_is_no_traceback(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)  # between one try and the next
    huggingface_hub.close_session()  # the next one reads the proxies
    words = "^owner/name is neither a folder nor a model on the Hub: check"
    with pytest.raises(SystemExit, match=words), readable_errors():
        app.main(network="owner/name")
    huggingface_hub.close_session()


def test_metrics_with_an_accuracy_alone_make_a_page(scope: Microscope) -> None:
    build(Networks("", Microscope(scope.model, {"accuracy": 0.8754}, scope.device)))


@pytest.mark.parametrize("folder", ["my project #1", "50%20off", "what?", "a&b=c;d", "`${x}`", "Größe"])
def test_the_figures_library_comes_from_any_folder(
    folder: str, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / folder / "library.js"
    library.parent.mkdir()
    library.write_text("the library", encoding="utf-8")
    gr.set_static_paths(library)
    monkeypatch.setattr("viz.figures.PLOTLY_JS", library)
    (address,) = re.findall(r"`\$\{root\(\)\}/(gradio_api/file=[^`]*)`", head())
    assert httpx.get(f"{url}{address}").text == "the library"


def test_an_upload_that_cannot_be_kept_is_said_and_leaves_nothing_behind(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def write(self: object, data: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    kept = GradioMultiPartParser.__init__

    def here(self: GradioMultiPartParser, *given: Any, **options: Any) -> None:
        kept(self, *given, **options | {"upload_dir": tmp_path})

    with monkeypatch.context() as full:
        full.setattr(GradioMultiPartParser, "__init__", here)
        full.setattr("gradio.route_utils.GradioUploadFile.write", write)
        answer = httpx.post(f"{url}gradio_api/upload", files={"files": b"x" * 1000})
    assert (answer.status_code, answer.text) == (507, "The server cannot store your picture: No space left on device.")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_takes_no_uploads_is_told_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "file" / "uploads"))
    assert storage_error() == f"{tmp_path / 'file' / 'uploads'}: Not a directory (check the name)"
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "new" / "uploads"))
    assert storage_error() == ""
    assert not list((tmp_path / "new" / "uploads").iterdir())


APP = (sys.executable, "app.py")
ROOT = Path(app.__file__).parent


@pytest.mark.parametrize(("number", "seconds"), [(signal.SIGTERM, 0), (signal.SIGINT, 1)])
def test_it_ends_without_a_word_of_python_s_while_it_is_still_loading(
    tmp_path: Path, number: signal.Signals, seconds: int
) -> None:
    with started(APP, ROOT, tmp_path / "errors") as process:
        caught = 1 << (number - 1)
        while process.poll() is None:
            (mask,) = re.findall(r"SigCgt:\s*(\w+)", Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8"))
            if int(mask, 16) & caught:
                time.sleep(seconds)
                process.send_signal(number)
                break
        assert process.wait(2) == 128 + number
    assert (tmp_path / "errors").read_text(encoding="utf-8") == "Stopped.\n"
