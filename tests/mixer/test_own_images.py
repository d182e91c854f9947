"""What owners do with their photos: rate, turn, shrink and link them, name folders in any script; no test image is
trained on."""

import json
import os
import shutil
import unicodedata
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mixer.image_folder import MIN_IMAGES, Parts, compare, digests_of, read
from mixer.layout import UnusableData
from mixer.picture import decode, to_picture
from tests import photos

CASES = Path(__file__).parent.parent / "data" / "cases"
SIZE = (12, 12)
PARTS = ("train", "validation", "test")


def noise(folder: Path, count: int, seed: int = 0, size: int = 12) -> None:
    """So many pictures of noise, no two of them alike."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng([seed, *os.fsencode(folder.name)])
    for i in range(count):
        Image.fromarray(random.integers(0, 256, (size, size, 3), dtype=np.uint8)).save(folder / f"{i}.png")


def said(parts: Parts) -> str:
    return " ".join(parts.describe())


def total(parts: Parts) -> int:
    return sum(len(getattr(parts, name)) for name in PARTS)


def part_of(parts: Parts, file: Path, size: tuple[int, int]) -> str:
    pixels = torch.from_numpy(to_picture(decode(file).image, size)).permute(2, 0, 1)
    return next(name for name in PARTS if (getattr(parts, name).images == pixels).flatten(1).all(1).any())


def test_a_photo_whose_bytes_change_stays_in_its_part(tmp_path: Path) -> None:
    """A comment, another format without loss, a turn of the pixels, a turn by the tag."""
    for name in ("heads", "tails"):
        noise(tmp_path / name, 40, size=9)
    before = read(tmp_path, (9, 9))
    for i, file in enumerate(sorted(tmp_path.rglob("*.png"))):
        image, turn, new = (
            Image.open(file).convert("RGB"),
            i // 4 % 7,
            file.with_suffix((".png", ".bmp", ".webp")[i % 3]),
        )
        exif = Image.Exif()
        exif[0x0112] = 2 + turn
        file.unlink()
        if new.suffix == ".bmp":
            image.save(new)
        elif new.suffix == ".webp":
            image.save(new, lossless=True, exif=exif)
        else:
            image.transpose(Image.Transpose(turn)).save(new, compress_level=0)
    after = read(tmp_path, (9, 9))
    assert after.copies == 0
    for name in PARTS:  # however it is turned, a picture has the same numbers
        one, other = (
            {np.sort(image.numpy(), None).tobytes() for image in getattr(parts, name).images}
            for parts in (before, after)
        )
        assert one == other


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    return photos.write(tmp_path / "mine", 20)


def test_the_same_photo_with_a_rating_is_a_copy(mine: Path) -> None:
    for name in ("photo.jpg", "photo_with_rating.jpg"):
        shutil.copy(CASES / name, mine / "discs" / name)
    assert read(mine, SIZE).copies == 1


def test_a_picture_that_is_turned_is_no_copy_as_it_may_be_of_another_class(mine: Path) -> None:
    """A six and a nine."""
    six = Image.open(CASES / "photo.jpg")
    six.save(mine / "discs" / "six.png")
    six.transpose(Image.Transpose.ROTATE_180).save(mine / "stripes" / "nine.png")
    parts = read(mine, SIZE)
    assert (parts.copies, parts.contradictory, total(parts)) == (0, 0, 42)
    assert len({part_of(parts, mine / name, SIZE) for name in ("discs/six.png", "stripes/nine.png")}) == 1


def test_near_copies_stay_in_one_part_and_are_counted(mine: Path) -> None:
    files, size = sorted((mine / "discs").iterdir()), (32, 32)
    (mine / "discs" / "small").mkdir()
    for i, file in enumerate(files):
        image = Image.open(file)
        if i % 2:
            image.resize((image.width // 2, image.height // 2)).save(mine / "discs" / "small" / file.name, quality=70)
        else:
            image.save(mine / "discs" / "small" / file.name, quality=60)
    parts = read(mine, size)
    assert parts.near >= 19
    assert f"Near-duplicates of other images, in the same part: {parts.near}." in parts.describe()
    assert parts.record()["near copies"] == parts.near
    apart = [
        file.name
        for file in files
        if part_of(parts, file, size) != part_of(parts, file.with_name("small") / file.name, size)
    ]
    assert len(apart) <= 1, "of 20, half of which would be by chance"


@pytest.mark.parametrize("turn", [Image.Transpose.ROTATE_90, Image.Transpose.FLIP_LEFT_RIGHT])
def test_turned_copies_that_are_saved_anew_stay_in_one_part(tmp_path: Path, turn: Image.Transpose) -> None:
    files, size = sorted(photos.write(tmp_path, 40).joinpath("discs").iterdir()), (32, 32)
    (tmp_path / "discs" / "turned").mkdir()
    copies = {file: file.with_name("turned") / file.name for file in files}
    for file, copy in copies.items():
        Image.open(file).transpose(turn).save(copy, quality=95)
    parts = read(tmp_path, size)
    assert parts.near >= 40
    assert all(part_of(parts, file, size) == part_of(parts, copy, size) for file, copy in copies.items())


def test_a_near_copy_of_a_test_image_is_not_trained_on(tmp_path: Path) -> None:
    for part, count in {"train": 12, "test": 10}.items():
        for name in ("heads", "tails"):
            noise(tmp_path / part / name, count, seed=count, size=16)
    for i in range(3):
        image = Image.open(tmp_path / "test" / "heads" / f"{i}.png")
        image.point(lambda value: int(value * 0.9)).save(tmp_path / "train" / "heads" / f"darker {i}.png")
    parts = read(tmp_path, (16, 16))
    assert len(parts.test) == 20
    assert len(parts.train) + len(parts.validation) == 24
    assert "Near-duplicates of images in another part, left out: 3." in parts.describe()


def test_what_devices_keep_beside_photos_is_left_out_and_counted(tmp_path: Path) -> None:
    zipfile.ZipFile(CASES / "nas_thumbnails.zip").extractall(tmp_path)
    with pytest.raises(UnusableData, match=r"in heads .9., tails .9.*left out: 18 .heads/@eaDir/000.jpg/SYNO"):
        read(tmp_path, SIZE)
    for name in ("heads", "tails"):
        noise(tmp_path / name, 12)
    kept = (
        *(".thumbnails", "__MACOSX", "Thumbs", ".@__thumb", "THUMBNAILS", "thumb", "Thumbnail", "_thumb", "#recycle"),
        *("$RECYCLE.BIN", "@Recently-Snapshot", "@RECENTLY_SNAPSHOT", "#snapshot", "System_Volume_Information"),
    )
    for name in kept:
        noise(tmp_path / name, 3)
        noise(tmp_path / "heads" / "trip" / name, 1)
    for name in ("Thumbs.db", ".DS_Store", "desktop.ini", "._1.png"):
        (tmp_path / "tails" / name).touch()
    parts = read(tmp_path, SIZE)
    assert parts.test.classes == ("heads", "tails")
    assert total(parts) == 42
    assert f"left out: {18 + 4 * len(kept) + 4} (" in said(parts)
    assert parts.unreadable == ()


@pytest.mark.parametrize("count", [MIN_IMAGES, 13, 30])
def test_each_part_has_each_class(tmp_path: Path, count: int) -> None:
    for number in range(8):
        noise(tmp_path / f"class {number}", count)
    parts = read(tmp_path, SIZE)
    assert all(min(counts) >= 1 and sum(counts) == count for counts in parts.record()["classes"].values())
    assert len(parts.train) > 8 * count / 2


def test_the_class_that_had_no_test_image_has_one(tmp_path: Path) -> None:
    zipfile.ZipFile(CASES / "class_without_test_image.zip").extractall(tmp_path)
    counts = read(tmp_path, (16, 16)).record()["classes"]
    assert counts.keys() == {"benign", "cyst", "tumour"}
    assert min(map(min, counts.values())) >= 1


def test_classes_without_test_or_validation_images_are_named(tmp_path: Path) -> None:
    for part, classes in {"train": "abc", "val": "ab", "test": "bc"}.items():
        for name in classes:
            noise(tmp_path / part / name, 12, seed=len(part))
    lines = read(tmp_path, SIZE).describe()
    assert "Classes without test images: a." in lines
    assert "Classes without validation images: c." in lines


def test_a_class_without_training_images_is_told_from_a_small_one(tmp_path: Path) -> None:
    for folder, count in {"train/a": 12, "train/b": 3, "test/a": 12, "test/c": 12}.items():
        noise(tmp_path / folder, count, seed=len(folder))
    with pytest.raises(UnusableData, match=r"too few are in b \(3\); no training image is in c\. Add images"):
        read(tmp_path, SIZE)


def test_images_that_are_in_every_class_are_said_to_be_the_reason(tmp_path: Path) -> None:
    noise(tmp_path / "a", 12)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    with pytest.raises(UnusableData, match=r"a \(0\), b \(0\)\. .*Files in several classes, left out: 24\."):
        read(tmp_path, SIZE)


def test_a_class_of_near_copies_alone_is_named_and_two_are_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        noise(tmp_path / name, 12 if name == "b" else 1, size=16)
    one = Image.open(tmp_path / "a" / "0.png")
    for i in range(1, 12):
        one.point(lambda value, i=i: value * (20 - i) // 20).save(tmp_path / "a" / f"{i}.png")
    parts = read(tmp_path, (16, 16))
    assert parts.near == 11
    assert {"Classes without test images: a.", "Classes without validation images: a."} <= set(parts.describe())
    shutil.rmtree(tmp_path / "b")
    (tmp_path / "b").mkdir()
    for file in (tmp_path / "a").iterdir():
        Image.open(file).transpose(Image.Transpose.ROTATE_90).save(tmp_path / "b" / file.name)
    with pytest.raises(UnusableData, match="no image is left for validation and test, because"):
        read(tmp_path, (16, 16))


def test_names_in_two_unicode_forms_are_one_class_and_no_utf8_is_one_too(tmp_path: Path) -> None:
    for form, part in (("NFC", "train"), ("NFD", "test")):
        for name in ("café", "thé"):
            noise(tmp_path / part / unicodedata.normalize(form, name), 12, seed=len(part))
        noise(tmp_path / part / os.fsdecode(b"caf\xe9 au lait"), 12, seed=len(part))
    parts = read(tmp_path, SIZE)
    assert parts.test.classes == ("caf\\xe9 au lait", *(unicodedata.normalize("NFC", name) for name in ("café", "thé")))
    assert len(parts.test) == 36
    assert json.dumps(parts.record(), ensure_ascii=False).encode()
    (tmp_path / "train" / "thé" / os.fsdecode(b"\xff.png")).touch()
    assert "a picture, left out: 1 (train/thé/\\xff.png)" in unicodedata.normalize("NFC", said(read(tmp_path, SIZE)))


def test_links_and_folders_within_a_class_belong_to_it(tmp_path: Path) -> None:
    noise(tmp_path / "elsewhere", 12)
    noise(tmp_path / "photos" / "a" / "deep" / "deeper", 12)
    noise(tmp_path / "photos" / "b" / "deep", 12)
    (tmp_path / "photos" / "a" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "photos" / "b" / "around").symlink_to(tmp_path / "photos")
    (tmp_path / "photos" / "b" / "lost.png").symlink_to(tmp_path / "nowhere.png")
    parts = read(tmp_path / "photos", SIZE)
    assert [sum(counts) for counts in parts.record()["classes"].values()] == [24, 12]
    assert parts.unreadable == ("b/lost.png",)
    assert "Folders within a class belong to it: 2 (a: deep, linked; b: deep)." in parts.describe()


def test_a_network_is_not_tested_on_images_that_it_was_trained_on(mine: Path, tmp_path: Path) -> None:
    parts = read(mine, SIZE)
    metrics = {"data": parts.record(), "stages": [{}, {"images": digests_of(parts.train)}]}
    assert compare(parts, metrics, "net") == []
    assert compare(parts, {}, "net") == [], "trained on others, of which nothing is known"

    new = read(photos.write(tmp_path / "new", 20, seed=9), SIZE)
    (line,) = compare(new, metrics, "net")
    assert f"None of the {len(new.test)} test images" in line

    divided = tmp_path / "divided"
    for file in sorted(mine.rglob("*.jpg")):
        part = "test" if file.stem < "IMG_0010" else "train"
        (divided / part / file.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(file, divided / part / file.parent.name)
    other = read(divided, SIZE)
    with pytest.raises(UnusableData, match=r"training of net: it was trained on \d+ of the 20 test images"):
        compare(other, metrics, "net")
    old = {"data": {name: value for name, value in metrics["data"].items() if "digest" in name}, "stages": [{}]}
    assert compare(parts, old, "net") == []
    with pytest.raises(UnusableData, match="an earlier version of this program, has no digests"):
        compare(other, old, "net")
