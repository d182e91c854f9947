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
from pathlib import Path

import pytest
import torch
from torchvision.datasets import CIFAR10

from mixer.data import (
    CLASSES,
    DataMissing,
    Labelled,
    OtherClasses,
    Split,
    cifar10,
    class_names,
    class_numbers,
    normalise,
    samples,
)
from mixer.model import PRESETS, MixerConfig
from tests import conftest


def test_normalisation_is_that_of_the_config() -> None:
    white = torch.full((2, 3, 4, 5), 255, dtype=torch.uint8)
    torch.testing.assert_close(normalise(white, PRESETS["B/16"]), torch.ones(2, 3, 4, 5))
    config = replace(MixerConfig(), mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 0.1))
    torch.testing.assert_close(normalise(white, config)[1, :, 0, 0], torch.tensor([1.8, 3.2, 7.0]))


def test_samples_are_twenty_of_each_class() -> None:
    shipped = samples()
    assert torch.equal(shipped.labels.bincount(), torch.full((10,), 20))
    assert shipped.images.shape == (200, 3, 32, 32)
    assert len(shipped.indices.unique()) == 200


def test_classes_have_the_names_that_the_config_states() -> None:
    assert class_names(MixerConfig(num_classes=2, classes=("cat", "dog"))) == ("cat", "dog")
    assert class_names(MixerConfig(num_classes=10)) == tuple(f"class {i}" for i in range(10))
    assert class_names(PRESETS["seed"]) == class_names(PRESETS["seed-rows"]) == CLASSES


def test_a_thousand_classes_are_imagenet_s() -> None:
    names = class_names(PRESETS["B/16"])
    assert (names[0], names[207], names[999]) == ("tench", "golden retriever", "toilet tissue")
    assert len(set(names)) == 1000
    own = tuple(f"flower {i}" for i in range(1000))
    assert class_names(replace(PRESETS["B/16"], classes=own)) == own


def test_classes_of_the_same_name_are_told_apart() -> None:
    config = MixerConfig(num_classes=4, classes=("crane", "ship", "crane", "crane #1"))
    assert class_names(config) == ("crane #0", "ship", "crane #2", "crane #1")


def test_cifar10_s_labels_are_renumbered_for_a_network_with_the_same_classes() -> None:
    assert class_numbers(CLASSES).tolist() == list(range(10))
    turned = CLASSES[3:] + CLASSES[:3]
    numbers = class_numbers(turned)
    assert [turned[i] for i in numbers.tolist()] == list(CLASSES)


@pytest.mark.parametrize(
    "names", [("cat",), ("cat", "dog"), CLASSES[1:], (*CLASSES, "cow"), ("cow", *CLASSES[1:])], ids=len
)
def test_of_other_classes_no_label_is_known(names: tuple[str, ...]) -> None:
    with pytest.raises(OtherClasses, match=f"other classes .{len(names)}: {names[0]}.* than CIFAR-10"):
        class_numbers(names)


def test_only_classes_without_names_are_said_to_be_named() -> None:
    """Else a network of cats and dogs would be renamed."""
    for names, advised in (
        (tuple(f"class {i}" for i in range(10)), True),
        (tuple(f"class {i}" for i in range(9)), False),
        (("cow", *CLASSES[1:]), False),
        (tuple(name.upper() for name in CLASSES), False),
    ):
        with pytest.raises(OtherClasses) as caught:
            class_numbers(names)
        assert ('write into its config.json "classes": ["airplane", ' in str(caught.value)) == advised


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
    for part in ("not be downloaded from " + address, reason, "again later", str(tmp_path / "cifar-10-python.tar.gz")):
        assert part in words
    (tmp_path / "cifar-10-python.tar.gz").unlink(missing_ok=True)
    with pytest.raises(DataMissing, match="refused"):  # now that nobody answers there
        cifar10("train", tmp_path, download=True)


def test_a_disk_without_room_for_the_download_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path / "cifar-10-python.tar.gz"))

    monkeypatch.setattr("torchvision.datasets.utils._get_redirect_url", lambda url, **_: url)
    monkeypatch.setattr("torchvision.datasets.utils._urlretrieve", full)
    with pytest.raises(DataMissing, match=r"not be downloaded from .*No space left on device"):
        cifar10("train", tmp_path, download=True)


def test_images_have_a_digest(coloured: Labelled) -> None:
    assert Labelled(torch.zeros(2, 3, 32, 32, dtype=torch.uint8), torch.tensor([3, 4])).digest() == "d9492bccbeb10a9f"
    one = coloured.images.clone()
    one[59, 2, 31, 31] += 1
    turned = Labelled(coloured.images.flip(0), coloured.labels.flip(0))
    others = [Labelled(one, coloured.labels), Labelled(coloured.images, coloured.labels.flip(0)), turned]
    assert len({each.digest() for each in (coloured, *others)}) == 4


@pytest.mark.skipif(not (conftest.OFFICIAL / "cifar-10-batches-py").is_dir(), reason="CIFAR-10 is not on this machine")
def test_the_splits_and_the_samples_are_those_of_the_official_batches() -> None:
    shipped = samples()
    splits: tuple[Split, ...] = ("train", "validation", "train+validation", "test")
    train, validation, both, test = (cifar10(split, conftest.OFFICIAL) for split in splits)
    assert torch.equal(test.images[shipped.indices], shipped.images)
    assert torch.equal(test.labels[shipped.indices], shipped.labels)
    assert (len(train), len(validation), len(both), len(test)) == (45_000, 5_000, 50_000, 10_000)
    assert torch.equal(torch.cat((train.images, validation.images)), both.images)
    assert torch.equal(torch.cat((train.labels, validation.labels)), both.labels)
    mean = both.images.double().mean((0, 2, 3)) / 255
    torch.testing.assert_close(mean, torch.tensor(MixerConfig().mean).double(), atol=1e-4, rtol=0)
