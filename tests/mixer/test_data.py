import errno
import gzip
import hashlib
import os
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import CIFAR10

from mixer.data import CLASSES, DataMissing, Labelled, cifar10, class_names, normalise, samples, to_input, to_picture
from mixer.model import PRESETS, MixerConfig

SIZE = (32, 32)


def gradient(width: int, height: int) -> Image.Image:
    """Red grows to the right, green downwards."""
    y, x = np.mgrid[:height, :width]
    return Image.fromarray(np.stack([x * 255 // (width - 1), y * 255 // (height - 1), 0 * x], 2).astype(np.uint8))


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(int)


def test_a_cifar_picture_comes_through_unchanged() -> None:
    shipped = samples()
    image = Image.fromarray(shipped.images[37].permute(1, 2, 0).numpy())
    assert torch.equal(to_input(image, MixerConfig()), normalise(shipped.images[37], MixerConfig()))


def test_normalisation_is_that_of_the_config() -> None:
    white = torch.full((2, 3, 4, 5), 255, dtype=torch.uint8)
    torch.testing.assert_close(normalise(white, PRESETS["B/16"]), torch.ones(2, 3, 4, 5))
    config = replace(MixerConfig(), mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 0.1))
    torch.testing.assert_close(normalise(white, config)[1, :, 0, 0], torch.tensor([1.8, 3.2, 7.0]))


def test_the_centre_is_cut_out_and_resized() -> None:
    wide = Image.new("RGB", (300, 100), "red")
    wide.paste("blue", (100, 0, 200, 100))
    seen = pixels(to_picture(wide, SIZE))
    assert (seen[:, 2:-2] == [0, 0, 255]).all()  # the filter of the resizing reaches a little over the cut
    assert (seen[..., 0] < 30).all()
    assert to_picture(wide, (20, 50)).size == (50, 20)


def test_shrinking_is_antialiased() -> None:
    y, x = np.mgrid[:512, :512]
    board = Image.fromarray((((x + y) % 2) * 255).astype(np.uint8))
    assert abs(pixels(to_picture(board, SIZE)) - 128).max() <= 2


def test_exif_orientation_is_obeyed() -> None:
    exif, file = Image.Exif(), BytesIO()
    exif[0x0112] = 6  # the camera lay on its side: turn by 90 degrees clockwise
    gradient(64, 64).save(file, "PNG", exif=exif)
    turned = pixels(to_picture(Image.open(file), SIZE))
    upright = pixels(to_picture(gradient(64, 64).rotate(-90), SIZE))
    assert (turned == upright).all()
    assert (turned != pixels(to_picture(gradient(64, 64), SIZE))).any()


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "YCbCr", "LA", "RGBA", "PA", "I;16", "I", "F", "HSV", "LAB"])
def test_every_mode_of_pillow_gives_the_same_grey(mode: str) -> None:
    deep = {"I;16": np.uint16, "I": np.int32}
    if mode in deep:
        image = Image.fromarray(np.full((40, 40), 128 * 257, dtype=deep[mode]))
    elif mode == "F":
        image = Image.fromarray(np.full((40, 40), 128, dtype=np.float32))
    elif mode == "LAB":
        image = Image.new("LAB", (40, 40), (137, 128, 128))
    elif mode == "1":
        image = Image.fromarray(np.tile(np.array([[0, 255], [255, 0]], dtype=np.uint8), (20, 20))).convert("1")
        image = image.resize((40, 40))
    else:
        image = Image.new("RGB", (40, 40), (128, 128, 128)).convert("RGBA" if mode == "PA" else mode)
        image = image.convert("P").convert("PA") if mode == "PA" else image
    got = pixels(to_picture(image, SIZE))
    assert got.shape == (32, 32, 3)
    assert abs(got.mean() - 128) <= 3


def test_transparent_becomes_white() -> None:
    image = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    assert (pixels(to_picture(image, SIZE)) == 255).all()
    palette = Image.new("P", (40, 40), 0)
    palette.putpalette([10, 20, 30])
    palette.info["transparency"] = 0
    assert (pixels(to_picture(palette, SIZE)) == 255).all()


def test_of_an_animation_the_first_frame_counts() -> None:
    file = BytesIO()
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "blue", "lime")]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    image = Image.open(file)
    image.seek(2)
    assert (pixels(to_picture(image, SIZE)) == [255, 0, 0]).all()


def test_a_damaged_picture_is_an_error_in_words() -> None:
    file = BytesIO()
    Image.effect_noise((200, 200), 90).save(file, "PNG")
    with pytest.raises(ValueError, match="this picture cannot be read"):
        to_picture(Image.open(BytesIO(file.getvalue()[:500])), SIZE)


def test_samples_are_twenty_of_each_class() -> None:
    shipped = samples()
    assert torch.equal(shipped.labels.bincount(), torch.full((10,), 20))
    assert shipped.images.shape == (200, 3, 32, 32)
    assert len(shipped.indices.unique()) == 200


def test_classes_of_other_networks_are_numbered() -> None:
    assert class_names(10) == CLASSES
    assert class_names(3) == ("class 0", "class 1", "class 2")


def test_missing_data_says_the_three_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CIFAR10_ROOT", str(tmp_path))
    with pytest.raises(DataMissing) as error:
        cifar10("test")
    for way in (str(tmp_path), "--download", "--data-root", "CIFAR10_ROOT"):
        assert way in str(error.value)


def test_damaged_files_are_named(cifar: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = cifar / "cifar-10-batches-py" / "data_batch_1"
    official = hashlib.md5(batch.read_bytes()).hexdigest()
    monkeypatch.setattr(CIFAR10, "train_list", [["data_batch_1", official]])
    assert len(cifar10("train", cifar)) == 40
    batch.write_bytes(batch.read_bytes()[:-1])
    with pytest.raises(DataMissing, match=r"damaged: \S+/data_batch_1\)[^T]*Three ways"):
        cifar10("train", cifar)
    monkeypatch.setattr(CIFAR10, "train_list", [["data_batch_1", None]])
    with pytest.raises(DataMissing, match=r"batches-py cannot be read: .*Remove that folder.*--download"):
        cifar10("train", cifar)


@contextmanager
def served(status: int, content: bytes, length: int) -> Iterator[str]:
    """The address of a file that a server gives (or refuses) so."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/cifar-10-python.tar.gz"
        finally:
            server.shutdown()


ARCHIVE = gzip.compress(random.Random(0).randbytes(100_000))


@pytest.mark.parametrize(
    ("status", "content", "length", "md5", "reason"),
    [
        (503, b"", 0, None, "503"),
        (404, b"", 0, None, "404"),
        (200, ARCHIVE[:50_000], 100_000, CIFAR10.tgz_md5, "corrupted"),
        (200, ARCHIVE[:50_000], 50_000, None, "."),  # cut, with the checksum of what is cut
        (200, b"<html>Sign in</html>", 20, None, "not a gzip file"),
    ],
    ids=["unavailable", "gone", "broken off", "cut", "another page"],
)
@pytest.mark.filterwarnings("ignore")  # tqdm's bar is not closed where the download breaks off
def test_a_download_that_fails_is_said_with_what_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, content: bytes, length: int, md5: str, reason: str
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(CIFAR10, "tgz_md5", md5)
    with served(status, content, length) as address:
        monkeypatch.setattr(CIFAR10, "url", address)
        with pytest.raises(DataMissing) as error:
            cifar10("train", tmp_path, download=True)
    words = str(error.value)
    for part in ("not be fetched from " + address, reason, "again later", str(tmp_path / "cifar-10-python.tar.gz")):
        assert part in words
    (tmp_path / "cifar-10-python.tar.gz").unlink(missing_ok=True)
    with pytest.raises(DataMissing, match="refused"):  # now that nobody answers there
        cifar10("train", tmp_path, download=True)


def test_a_disk_without_room_for_the_download_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path / "cifar-10-python.tar.gz"))

    monkeypatch.setattr("torchvision.datasets.utils._get_redirect_url", lambda url, **_: url)
    monkeypatch.setattr("torchvision.datasets.utils._urlretrieve", full)
    with pytest.raises(DataMissing, match=r"not be fetched from .*No space left on device"):
        cifar10("train", tmp_path, download=True)


def test_images_have_a_digest(coloured: Labelled) -> None:
    assert Labelled(torch.zeros(2, 3, 32, 32, dtype=torch.uint8), torch.tensor([3, 4])).digest() == "d9492bccbeb10a9f"
    one = coloured.images.clone()
    one[59, 2, 31, 31] += 1
    turned = Labelled(coloured.images.flip(0), coloured.labels.flip(0))
    others = [Labelled(one, coloured.labels), Labelled(coloured.images, coloured.labels.flip(0)), turned]
    assert len({each.digest() for each in (coloured, *others)}) == 4


@pytest.mark.skipif("CIFAR10_ROOT" not in os.environ, reason="CIFAR10_ROOT does not say where CIFAR-10 is")
def test_the_splits_and_the_samples_are_those_of_the_official_batches() -> None:
    shipped, test = samples(), cifar10("test")
    assert torch.equal(test.images[shipped.indices], shipped.images)
    assert torch.equal(test.labels[shipped.indices], shipped.labels)
    train, validation, both = cifar10("train"), cifar10("validation"), cifar10("train+validation")
    assert (len(train), len(validation), len(both), len(test)) == (45_000, 5_000, 50_000, 10_000)
    assert torch.equal(torch.cat((train.images, validation.images)), both.images)
    assert torch.equal(torch.cat((train.labels, validation.labels)), both.labels)
    mean = both.images.double().mean((0, 2, 3)) / 255
    torch.testing.assert_close(mean, torch.tensor(MixerConfig().mean).double(), atol=1e-4, rtol=0)
