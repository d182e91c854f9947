"""A visitor's own picture, from the browser to the code that asks for it."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

import viz.page.upload
from mixer.picture import CUT, TRANSPARENT, Decoded
from tests.mixer.picture_files import photo, png_of_size, saved
from viz.page.upload import Upload


@pytest.fixture
def upload(tmp_path: Path) -> Upload:
    """Whose uploaded files lie in a folder of the test's."""
    component = Upload()
    component.GRADIO_CACHE = str(tmp_path)
    return component


def sent(path: Path, content: bytes) -> Any:
    path.write_bytes(content)
    return SimpleNamespace(path=str(path))


def test_listeners_get_the_decoded_picture_and_what_must_be_said(upload: Upload, tmp_path: Path) -> None:
    got = upload.preprocess(sent(tmp_path / "photo.png", saved(photo(), "PNG")[:-200]))
    assert isinstance(got, Decoded)
    assert got.notes == (CUT,)
    assert (np.asarray(got.image)[:30] == np.asarray(photo())[:30]).all()
    assert upload.preprocess(None) is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"I am text", "cannot be read as a picture. Try a JPEG"),
        (b"", "cannot be read as a picture. Try a JPEG"),
        (png_of_size(30_000, 30_000), "over 89 megapixels"),
    ],
)
def test_what_is_no_picture_is_said_in_words(upload: Upload, tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(gr.Error) as raised:
        upload.preprocess(sent(tmp_path / "file.jpg", content))
    assert words in raised.value.message


def test_a_file_that_nobody_uploaded_is_not_read(upload: Upload, tmp_path: Path) -> None:
    here = Path(viz.page.upload.__file__)
    for path in (str(here), str(tmp_path / ".." / "other.png"), "", None):
        with pytest.raises(gr.Error, match="cannot be asked for"):
            upload.preprocess(SimpleNamespace(path=path))
    for gone in (tmp_path / "gone.png", tmp_path):
        with pytest.raises(gr.Error, match="did not arrive"):
            upload.preprocess(SimpleNamespace(path=str(gone)))


def test_the_component_is_gradio_s_own_in_the_browser_and_importing_it_writes_nothing() -> None:
    assert Upload().get_block_name() == "image"
    assert not Path(viz.page.upload.__file__).with_suffix(".pyi").exists()


@pytest.fixture
def client() -> Iterator[Client]:
    with gr.Blocks(analytics_enabled=False) as page:
        upload, words = Upload(label="before"), gr.Textbox()
        gr.on(
            [],
            lambda picture: " | ".join([str(picture.image.size), *picture.notes]),
            upload,
            words,
            api_name="describe",
        )
        gr.on([], lambda: Upload(label="after"), None, upload, api_name="relabel")
    _, url, _ = page.launch(prevent_thread_lock=True, quiet=True, run_history=False, enable_monitoring=False)
    yield Client(url, verbose=False)
    page.close()


def test_over_the_wire_and_after_its_looks_were_changed(client: Client, tmp_path: Path) -> None:
    Image.new("LA", (30, 20), (7, 0)).save(tmp_path / "clear.png")
    (tmp_path / "text.png").write_text("I am no picture", encoding="utf-8")
    for _ in range(2):
        said = client.predict(handle_file(tmp_path / "clear.png"), api_name="/describe")
        assert said == f"(30, 20) | {TRANSPARENT}"
        with pytest.raises(AppError, match="cannot be read as a picture"):
            client.predict(handle_file(tmp_path / "text.png"), api_name="/describe")
        client.predict(api_name="/relabel")
