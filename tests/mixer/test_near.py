"""The same picture however it is held, and nearly the same however it was saved."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from mixer import near
from mixer.data import samples

SHIPPED = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in samples().images]


def pixels(*shape: int, most: int = 256) -> np.ndarray:
    return np.random.default_rng(list(shape)).integers(0, most, (*shape, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    "picture", [pixels(5, 8), pixels(1, 9), pixels(2, 2), pixels(7, 7, most=2), pixels(6, 6, most=1), pixels(1, 1)]
)
def test_however_a_picture_is_held_its_digest_is_one(picture: np.ndarray) -> None:
    held = [np.rot90(side, turn) for side in (picture, picture[:, ::-1]) for turn in range(4)]
    found = [near.digest(np.ascontiguousarray(turned)) for turned in held]
    assert len({digest for digest, _ in found}) == 1
    same = {turned.tobytes() + str(turned.shape).encode() for turned in held}
    assert len({turn for _, turn in found}) == len(same), "copies are held alike, too"


def test_other_pixels_have_other_digests() -> None:
    picture = pixels(6, 6)
    other = picture.copy()
    other[2, 3, 1] ^= 1
    assert near.digest(picture)[0] != near.digest(other)[0]
    assert near.digest(picture.reshape(4, 9, 3))[0] != near.digest(picture)[0]


def saved(image: Image.Image, quality: int) -> Image.Image:
    file = BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file)


def test_what_is_saved_anew_shrunk_or_brightened_is_near_and_other_pictures_are_not() -> None:
    photo = SHIPPED[7].resize((160, 120))
    changed = [
        saved(photo, 50),
        saved(photo.resize((80, 60)), 75),
        ImageEnhance.Brightness(photo).enhance(0.8),
        ImageEnhance.Contrast(photo).enhance(0.8),
    ]
    groups = near.groups([near.thumbnail(picture) for picture in [*SHIPPED, *changed]])
    assert groups == [*range(len(SHIPPED)), 7, 7, 7, 7]


@pytest.mark.parametrize("turn", Image.Transpose)
def test_what_is_turned_or_mirrored_and_saved_anew_is_near(turn: Image.Transpose) -> None:
    """Also at sides that are not equal."""
    found = [image.resize((150, 100)) for image in SHIPPED[::9]]
    changed = [saved(image.transpose(turn), 95) for image in found]
    number = list(range(len(found)))
    assert near.groups([near.thumbnail(picture) for picture in [*found, *changed]]) == number + number


def test_plain_pictures_are_near_nothing() -> None:
    plain = [Image.new("RGB", (9, 9), (shade, 0, 0)) for shade in range(4)]
    assert near.groups([near.thumbnail(picture) for picture in plain]) == [0, 1, 2, 3]
    assert near.groups([]) == []
