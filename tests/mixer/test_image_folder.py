"""Images of one's own: which part each is in, and what is refused in words."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from mixer import data, near
from mixer.data import DataMissing, choose_samples, statistics
from mixer.image_folder import GIVEN, MIN_IMAGES, RULE, Parts, read, read_samples
from mixer.layout import UnusableData
from mixer.picture import decode, to_picture
from tests import photos

SIZE = (16, 24)
PARTS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return photos.write(tmp_path_factory.mktemp("photos") / "mine", 40)


@pytest.fixture
def mine(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "mine")


def contents(parts: Parts) -> dict[str, set[bytes]]:
    return {name: {image.numpy().tobytes() for image in getattr(parts, name).images} for name in PARTS}


def test_every_image_is_in_one_part_by_its_pixels(mine: Path) -> None:
    parts, want = read(mine, SIZE), {name: set() for name in PARTS}
    for file in sorted(mine.rglob("*.jpg")):
        digest, _ = near.digest(np.asarray(decode(file).image))
        place = int.from_bytes(digest[:8], "big") / 2**64
        name = "test" if place < 0.15 else "validation" if place < 0.3 else "train"
        want[name].add(to_picture(decode(file).image, SIZE).transpose(2, 0, 1).tobytes())
    assert parts.near == 0
    assert contents(parts) == want
    assert sum(map(len, want.values())) == 80
    assert parts.rule == RULE
    for name in PARTS:
        part = getattr(parts, name)
        assert (part.classes, part.source) == (("discs", "stripes"), "mine")
        assert part.images.shape[1:] == (3, *SIZE)


def test_labels_are_those_of_the_folders(mine: Path) -> None:
    (mine / "discs").rename(mine / "zebras")
    turned = read(mine, SIZE)
    assert turned.test.classes == ("stripes", "zebras")
    for file in (mine / "zebras").iterdir():
        pixels = torch.from_numpy(to_picture(decode(file).image, SIZE)).permute(2, 0, 1)
        found = [
            label
            for name in PARTS
            for image, label in zip(getattr(turned, name).images, getattr(turned, name).labels, strict=True)
            if torch.equal(image, pixels)
        ]
        assert found == [1]


def test_what_is_renamed_or_added_moves_no_other_image(mine: Path) -> None:
    before = contents(read(mine, SIZE))
    for number, file in enumerate(sorted((mine / "discs").iterdir())):
        file.rename(file.with_name(f"{99 - number}.jpeg"))
    photos.write(mine / "discs", 60, ("more",), seed=5)  # folders within a class belong to it
    parts = read(mine, SIZE)
    after = contents(parts)
    assert (sum(map(len, after.values())), parts.near) == (140, 0)
    for name in PARTS:
        assert before[name] <= after[name]


def test_copies_count_once_and_contradictions_not_at_all(mine: Path) -> None:
    whole = read(mine, SIZE)
    shutil.copy(mine / "discs" / "IMG_0003.jpg", mine / "discs" / "again.jpg")
    shutil.copy(mine / "discs" / "IMG_0004.jpg", mine / "stripes" / "wrong.jpg")
    parts = read(mine, SIZE)
    assert (parts.copies, parts.contradictory) == (1, 2)
    assert sum(len(getattr(parts, name)) for name in PARTS) == 79
    assert sum(len(getattr(whole, name)) for name in PARTS) == 80
    said = " ".join(parts.describe())
    assert "Duplicates of other files, left out: 1." in said
    assert "Files in several classes, left out: 2." in said


def test_unreadable_files_are_named_and_counted(mine: Path) -> None:
    (mine / "discs" / "a.jpg").write_text("no picture", encoding="utf-8")
    (mine / "discs" / "b.txt").write_text("notes", encoding="utf-8")
    (mine / "discs" / ".hidden").write_text("passed over", encoding="utf-8")
    (mine / "README").write_text("beside the classes: passed over", encoding="utf-8")
    parts = read(mine, SIZE)
    assert parts.unreadable == ("discs/a.jpg", "discs/b.txt")
    assert "Files that cannot be read as a picture, left out: 2 (discs/a.jpg, discs/b.txt)." in parts.describe()
    assert parts.record()["unreadable"] == 2


@pytest.mark.parametrize("validated", [True, False])
def test_parts_that_somebody_made_stay_and_no_test_image_is_trained_on(
    mine: Path, tmp_path: Path, validated: bool
) -> None:
    names = {"train": range(25), "val": range(25, 32), "test": range(32, 40)}
    for part, numbers in names.items():
        for kind in ("discs", "stripes"):
            (tmp_path / "parts" / part / kind).mkdir(parents=True)
            for i in numbers:
                shutil.copy(mine / kind / f"IMG_{i:04}.jpg", tmp_path / "parts" / part / kind)
    shutil.copy(mine / "discs" / "IMG_0035.jpg", tmp_path / "parts" / "train" / "discs" / "leak.jpg")
    if not validated:
        shutil.rmtree(tmp_path / "parts" / "val")
    parts = read(tmp_path / "parts", SIZE)
    assert parts.rule == GIVEN
    assert parts.copies == 1
    found = contents(parts)
    assert not found["test"] & (found["train"] | found["validation"])
    assert len(parts.test) == 16
    if validated:
        assert (len(parts.train), len(parts.validation)) == (50, 14)
    else:
        assert len(parts.train) + len(parts.validation) == 50
        assert 0 < len(parts.validation) < 20


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ((), "mine holds 0 folders: sort the images into one folder per class, at least two"),
        (("discs",), "mine holds 1 folders"),
    ],
)
def test_a_folder_that_is_not_sorted_is_refused(mine: Path, names: tuple[str, ...], words: str) -> None:
    for name in ("discs", "stripes"):
        if name not in names:
            shutil.rmtree(mine / name)
    with pytest.raises(UnusableData, match=words):
        read(mine, SIZE)


def test_a_class_with_too_few_images_is_named(mine: Path) -> None:
    (mine / "cats").mkdir()
    for i in range(MIN_IMAGES - 1):
        shutil.copy(mine / "discs" / f"IMG_{i:04}.jpg", mine / "cats" / f"{i}.jpg")
        (mine / "discs" / f"IMG_{i:04}.jpg").unlink()
    (mine / "cats" / "broken.jpg").write_text("no picture", encoding="utf-8")
    with pytest.raises(
        UnusableData, match=r"at least 10 different.*cats \(9\)\..*Files that cannot be read as a picture, left out: 1"
    ):
        read(mine, SIZE)


def test_no_folder_says_what_data_takes(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match="--data takes cifar10, cifar100, or a folder of images"):
        read(tmp_path / "cifar1000", SIZE)


def test_mean_and_deviation_are_those_of_the_pixels(mine: Path) -> None:
    train = read(mine, SIZE).train
    mean, std = statistics(train)
    pixels = train.images.double().movedim(1, 0).flatten(1) / 255
    torch.testing.assert_close(torch.tensor(mean), pixels.mean(1).float(), atol=1e-4, rtol=0)
    torch.testing.assert_close(torch.tensor(std), pixels.std(1, correction=0).float(), atol=1e-4, rtol=0)


def test_samples_are_test_images_of_every_class_in_turn(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    test = read(mine, SIZE).test
    whole = choose_samples(test)
    assert torch.equal(whole.images, test.images[whole.indices])
    assert torch.equal(whole.labels, test.labels[whole.indices])
    assert whole.labels.tolist() == sorted(whole.labels.tolist())
    assert len(whole) == len(test)
    monkeypatch.setattr("mixer.data.MAX_SAMPLE_BYTES", 5 * 3 * 16 * 24)
    few = choose_samples(test)
    assert few.labels.tolist() == [0, 0, 0, 1, 1]
    assert few.indices.tolist() == [*range(3), *(test.labels == 1).nonzero()[:2, 0].tolist()]


def test_samples_are_the_first_of_each_class_of_a_folder(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (mine / "discs" / "notes.txt").write_text("no picture", encoding="utf-8")
    monkeypatch.setattr(data, "MAX_SAMPLES", 7)
    said = list[str]()
    found = read_samples(mine, SIZE, said.append)
    assert (found.classes, found.source, found.held_out) == (("discs", "stripes"), "mine", False)
    assert found.labels.tolist() == [0] * 4 + [1] * 3
    assert found.indices.tolist() == [0, 1, 2, 3, 41, 42, 43]
    want = to_picture(decode(mine / "stripes" / "IMG_0002.jpg").image, SIZE)
    assert np.array_equal(found.images[-1].permute(1, 2, 0), want)
    assert said == [f"Samples: 7 of the 81 files in {mine}, the first of each class."]


def test_a_folder_of_test_images_gives_only_those(mine: Path, tmp_path: Path) -> None:
    for part in ("train", "test"):
        shutil.copytree(mine, tmp_path / "parts" / part)
    found = read_samples(tmp_path / "parts", SIZE)
    assert (len(found), found.classes) == (80, ("discs", "stripes"))


def test_samples_need_no_labels(mine: Path) -> None:
    flat = mine / "discs"
    (flat / "a.png").write_bytes(b"no picture")
    (flat / "more").mkdir()
    shutil.copy(flat / "IMG_0001.jpg", flat / "more")
    said = list[str]()
    found = read_samples(flat, SIZE, said.append)
    assert (len(found), found.classes, set(found.labels.tolist())) == (41, (), {0})
    assert said == ["Files that cannot be read as a picture, left out: 1 (a.png)."]
    shutil.rmtree(flat / "more")
    (one := mine.parent / "one").mkdir()
    shutil.move(flat, one)
    assert read_samples(one, SIZE).classes == ("discs",)


def test_a_folder_without_samples_is_refused_in_words(mine: Path) -> None:
    with pytest.raises(DataMissing, match=r".*nowhere is not a folder: --samples takes a folder of pictures"):
        read_samples(mine / "nowhere", SIZE)
    (mine / "empty").mkdir()
    with pytest.raises(UnusableData, match=r"no picture in .*empty can be read: --samples takes a folder of pictures"):
        read_samples(mine / "empty", SIZE)
    two = mine.parent / "two"
    for part in ("train", "test"):
        shutil.copytree(mine / "discs", two / part)
    with pytest.raises(UnusableData, match="is ambiguous: name a folder that contains either only pictures"):
        read_samples(two, SIZE)
