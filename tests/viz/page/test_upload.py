"""A visitor's own picture: from a file that was uploaded to a picture, or to words."""

from pathlib import Path

import gradio as gr
import numpy as np
import pytest

import viz.page.upload
from mixer.picture import CUT
from tests.mixer.picture_files import photo, png_of_size, saved
from viz.page.upload import read


def test_a_picture_is_decoded_with_what_must_be_said(tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(saved(photo(), "PNG")[:-200])
    got = read(str(tmp_path / "photo.png"), str(tmp_path))
    assert got.notes == (CUT,)
    assert (np.asarray(got.image)[:30] == np.asarray(photo())[:30]).all()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"I am text", "cannot be read as a picture. Try a JPEG"),
        (b"", "cannot be read as a picture. Try a JPEG"),
        (png_of_size(30_000, 30_000), "over 89 megapixels"),
    ],
)
def test_what_is_no_picture_is_said_in_words(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "file.jpg").write_bytes(content)
    with pytest.raises(gr.Error) as raised:
        read(str(tmp_path / "file.jpg"), str(tmp_path))
    assert words in raised.value.message


def test_a_file_that_nobody_uploaded_is_not_read(tmp_path: Path) -> None:
    here = Path(viz.page.upload.__file__)
    for path in (str(here), str(tmp_path / ".." / "other.png"), "", None):
        with pytest.raises(gr.Error, match="are not available"):
            read(path, str(tmp_path))
    for gone in (tmp_path / "gone.png", tmp_path):
        with pytest.raises(gr.Error, match="did not arrive"):
            read(str(gone), str(tmp_path))
