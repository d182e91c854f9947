"""What is decoded, how values become 8 bits, and which part of a picture is taken."""

import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFile

from mixer.data import normalise, samples
from mixer.model import MixerConfig
from mixer.picture import (
    CUT,
    MAX_PIXELS,
    NOT_FINITE,
    SCALED,
    TRANSPARENT,
    Framing,
    Unreadable,
    crop_box,
    decode,
    to_8_bits,
    to_input,
    to_picture,
)
from tests.mixer.picture_files import gradient, grey_tiff, photo, png_chunk, png_of_size, saved

CASES = Path(__file__).parents[1] / "data" / "cases"
SIZE = (32, 32)
SIXTEEN = SCALED.format(0, 65_535)


def pixels(source: bytes | Path | Image.Image) -> np.ndarray:
    return np.asarray(decode(source).image).astype(int)


def grey(source: bytes | Image.Image) -> np.ndarray:
    """The one channel of a picture whose three are alike."""
    got = pixels(source)
    assert (got == got[..., :1]).all()
    return got[..., 0]


# What is decoded


def test_a_photo_with_an_odd_exif_value_is_turned() -> None:
    got = decode(CASES / "exif_srational_minus1_0.jpg")
    assert got.image.size == (96, 128)
    assert got.notes == ()
    seen = np.asarray(got.image).astype(int)
    assert (abs(seen[0, 0] - [0, 190, 255]) < 9).all()  # stored at the bottom left
    assert (abs(seen[0, -1] - [0, 0, 255]) < 9).all()  # stored at the top left


def test_a_png_with_a_meaningless_exif_chunk_is_shown() -> None:
    got = decode(CASES / "png_exif_bad.png")
    assert got.notes == ()
    assert np.asarray(got.image)[[0, 0, -1], [0, -1, 0]].tolist() == [[0, 0, 255], [254, 0, 1], [0, 190, 255]]


def test_a_jpeg_without_its_last_bytes_is_shown_and_that_is_said() -> None:
    got = decode(CASES / "jpeg_last_20_bytes_missing.jpg")
    assert got.notes == (CUT,)
    seen = np.asarray(got.image).astype(int)
    assert (abs(seen[0, -1] - [254, 0, 1]) < 9).all()
    assert seen[-1, -1].tolist() == [128, 128, 128]


def test_a_ramp_of_floats_from_0_to_1_is_a_ramp() -> None:
    got = decode(CASES / "float_0_1.tiff")
    assert got.notes == (SCALED.format(0, 1),)
    assert np.asarray(got.image)[0, [0, 64, -1]].tolist() == [[0] * 3, [128] * 3, [254] * 3]


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_of_a_png_or_tiff_that_breaks_off_the_upper_part_is_exact_and_the_rest_grey(share: float) -> None:
    want = np.asarray(photo())
    for kind in ("PNG", "TIFF"):
        file = saved(photo(), kind)
        got = decode(file[: int(len(file) * share)])
        assert got.notes == (CUT,)
        right = (np.asarray(got.image) == want).all((1, 2))
        rows = int(right.argmin())
        assert 64 * share - 12 < rows < 64 * share + 12
        assert not right[rows:].any()
        assert (np.asarray(got.image)[rows + 1 :] == 128).all()


@pytest.mark.parametrize("progressive", [False, True])
def test_of_a_jpeg_that_breaks_off_what_is_there_is_shown(progressive: bool) -> None:
    file = saved(photo(), "JPEG", progressive=progressive, quality=90)
    whole, half = pixels(file), decode(file[: len(file) // 2])
    assert half.notes == (CUT,)
    rows = 64 if progressive else 16  # a progressive one is coarse everywhere
    assert abs(np.asarray(half.image).astype(int) - whole)[:rows].mean() < 25
    assert (pixels(file[:-2]) == whole).all()  # the end marker alone is missing: no pixel is


def test_of_a_webp_that_breaks_off_the_upper_part_is_shown() -> None:
    file = saved(photo(), "WEBP", lossless=True)
    got = decode(file[: int(len(file) * 0.7)])
    assert got.notes == (CUT,)
    assert (np.asarray(got.image)[:30] == np.asarray(photo())[:30]).all()


def test_a_tiff_with_a_broken_strip_shows_those_before_it() -> None:
    noise = Image.effect_noise((60, 50), 90)
    file = bytearray(saved(noise, "TIFF", compression="tiff_adobe_deflate", strip_size=600))
    middle = len(file) * 2 // 3
    file[middle : middle + 40] = bytes(40)
    got = decode(bytes(file))
    assert got.notes == (CUT,)
    assert (grey(bytes(file))[:20] == np.asarray(noise)[:20]).all()


def test_a_png_without_its_end_is_whole() -> None:
    file = saved(photo(), "PNG")
    for missing in (1, 12, 15):  # the end itself, and the checksum before it
        assert decode(file[:-missing]).notes == ()
        assert (pixels(file[:-missing]) == np.asarray(photo())).all()


def test_transparent_parts_of_a_cut_picture_are_not_made_of_what_is_missing() -> None:
    image = photo().convert("RGBA")
    file = saved(image, "PNG")
    got = decode(file[: len(file) // 2])
    assert got.notes == (CUT,)
    assert np.asarray(got.image)[-1, -1].tolist() == [128, 128, 128]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello, I am text",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        saved(photo(), "PNG")[:40],
        saved(photo(), "JPEG")[:300],
        b"\xff\xd8\xff\xe1",
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(50),
        png_of_size(0, 5),
        png_of_size(5, 0),
        png_of_size(5, 5).replace(
            *(png_chunk(b"IHDR", struct.pack(">IIBBBBB", 5, 5, 8, kind, 0, 0, 0)) for kind in (2, 3))
        ),
    ],
)
def test_what_holds_no_picture_is_said_with_what_to_try(content: bytes) -> None:
    with pytest.raises(Unreadable, match=r"^This file cannot be read as a picture\. Try a JPEG, PNG, GIF or WebP\.$"):
        decode(content)


@pytest.mark.parametrize("size", [(9000, 9943), (14_000, 14_000), (2**31 - 1, 2**31 - 1)])
def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(size: tuple[int, int]) -> None:
    assert 9000 * 9942 < MAX_PIXELS < 9000 * 9943
    with pytest.raises(Unreadable, match=r"over 89 megapixels.*Make it smaller"):
        decode(png_of_size(*size))


def test_a_path_that_is_not_there_is_the_caller_s_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        decode(tmp_path / "none.png")


def test_whole_and_broken_files_read_at_once_do_not_mix() -> None:
    whole = saved(photo(), "PNG")
    broken = whole[: len(whole) // 2]
    with ThreadPoolExecutor(8) as threads:
        notes = [got.notes for got in threads.map(decode, [whole, broken] * 100)]
    assert notes == [(), (CUT,)] * 100
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


def test_an_image_of_pillow_s_is_taken_too_and_stays_as_it_is() -> None:
    image = gradient(40, 30)
    image.info["exif"] = b"MM\0*\0\0\0\x08\0\1" + struct.pack(">HHIHH", 0x0112, 3, 1, 6, 0)
    assert (pixels(image) == np.rot90(np.asarray(image), -1)).all()
    assert image.size == (40, 30)


# Colours and depths


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
    else:
        image = Image.new("RGB", (40, 40), (128, 128, 128)).convert("RGBA" if mode == "PA" else mode)
        image = image.convert("P").convert("PA") if mode == "PA" else image
    assert abs(pixels(image).mean() - 128) <= 3


@pytest.mark.parametrize(
    ("values", "want", "black", "white"),
    [
        (np.array([[0, 255]], np.uint16), [0, 255], 0, 255),
        (np.array([[0, 256, 4095]], np.uint16), [0, 16, 255], 0, 4095),
        (np.array([[0, 4096, 65_535]], np.uint16), [0, 16, 255], 0, 65_535),
        (np.array([[257, 32_896]], np.int32), [1, 128], 0, 65_535),
        (np.array([[0, 50_000, 100_000]], np.int32), [0, 128, 255], 0, 100_000),
        (np.array([[0, 2**31, 2**32 - 1]], np.uint32), [0, 128, 255], 0, 2**32 - 1),
        (np.array([[-(2**31), 0, 2**31 - 1]], np.int32), [0, 128, 255], -(2**31), 2**31 - 1),
        (np.array([[-10, 0, 10]], np.int32), [0, 128, 255], -10, 10),
        (np.array([[0, 0.5, 1]], np.float32), [0, 128, 255], 0, 1),
        (np.array([[0.25, 0.5]], np.float32), [64, 128], 0, 1),
        (np.array([[0, 128, 255]], np.float32), [0, 128, 255], 0, 255),
        (np.array([[0, 4095]], np.float32), [0, 255], 0, 4095),
        (np.array([[-1, -0.5, 1]], np.float32), [0, 64, 255], -1, 1),
        (np.array([[-0.01, 0.5, 1.01]], np.float32), [0, 128, 255], -0.01, 1.01),
        (np.array([[0, 2.5, 5.5]], np.float32), [0, 116, 255], 0, 5.5),
        (np.array([[-3e38, 3e38]], np.float32), [0, 255], -3e38, 3e38),
        (np.array([[np.nan, 0.5, np.inf, -np.inf]], np.float32), [0, 128, 255, 0], 0, 1),
        (np.array([[np.nan, 0, 100, np.inf]], np.float32), [0, 0, 100, 255], 0, 255),
        (np.array([[np.nan, np.nan]], np.float32), [0, 0], 0, 1),
        (np.zeros((1, 2), np.int32), [0, 0], 0, 255),
        (np.full((1, 2), -7, np.int32), [0, 0], -7, 0),
    ],
)
def test_the_rule_for_values_of_more_than_8_bits(
    values: np.ndarray, want: list[int], black: float, white: float
) -> None:
    got, *ends = to_8_bits(values)
    assert got.tolist() == [want]
    assert ends == pytest.approx([black, white])


@pytest.mark.parametrize(("dtype", "greatest"), [(np.uint16, 4095), (np.uint16, 65_535), (np.int32, 2**31 - 1)])
def test_deep_ramps_become_ramps_in_every_format_that_holds_them(dtype: type, greatest: int) -> None:
    values = np.broadcast_to(np.linspace(0, greatest, 256).round().astype(dtype), (3, 256)).copy()
    files = [saved(Image.fromarray(values), "TIFF")]
    if dtype == np.uint16:
        files += [saved(Image.fromarray(values), "PNG"), grey_tiff(256, 3, 16, values.tobytes())]
    for file in files:
        got = decode(file)
        assert (abs(grey(file)[1] - np.arange(256)) <= 1).all()
        assert got.notes == (SCALED.format(0, greatest),)


def test_unsigned_32_bits_and_signed_16_bits_are_taken_as_what_they_are() -> None:
    unsigned = np.array([[0, 2**31, 2**32 - 1]], "<u4")
    assert grey(grey_tiff(3, 1, 32, unsigned.tobytes())).tolist() == [[0, 128, 255]]
    signed = np.array([[-100, 0, 100]], "<i2")
    assert grey(grey_tiff(3, 1, 16, signed.tobytes(), sample_format=2)).tolist() == [[0, 128, 255]]


def test_12_bits_packed_are_taken_as_12_bits() -> None:
    assert grey(grey_tiff(2, 1, 12, bytes([0x80, 0x0F, 0xFF]))).tolist() == [[128, 255]]


def test_negatives_are_shown_as_positives() -> None:
    for bits, dtype, greatest in ((8, "u1", 255), (16, "<u2", 65_535)):
        values = np.array([[0, greatest]], dtype)
        assert grey(grey_tiff(2, 1, bits, values.tobytes(), photometric=0)).tolist() == [[255, 0]]


def test_floats_with_values_that_are_no_numbers_are_shown_and_that_is_said() -> None:
    values = np.array([[-1, 0, 1, np.nan, np.inf, -np.inf]], "<f4")
    got = decode(grey_tiff(6, 1, 32, values.tobytes(), sample_format=3))
    assert np.asarray(got.image)[0, :, 0].tolist() == [0, 128, 255, 0, 255, 0]
    assert got.notes == (SCALED.format(-1, 1), NOT_FINITE)


def test_16_bits_a_colour_are_scaled_and_that_is_said() -> None:
    row = b"\0" + np.array([[0, 32_896, 65_535], [65_535, 257, 0]], ">u2").tobytes()
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0))
    file = b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", zlib.compress(row))
    assert pixels(file).tolist() == [[[0, 128, 255], [255, 1, 0]]]
    assert decode(file).notes == (SIXTEEN,)


def test_what_is_transparent_is_white_and_that_is_said() -> None:
    palette = Image.new("P", (4, 3), 1)
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putpixel((0, 0), 0)
    for kind in ("PNG", "GIF"):
        got = decode(saved(palette, kind, transparency=0))
        assert np.asarray(got.image)[0, :2].tolist() == [[255, 255, 255], [40, 50, 60]]
        assert got.notes == (TRANSPARENT,)
    half = decode(saved(Image.new("LA", (2, 2), (101, 128)), "PNG"))
    assert (np.asarray(half.image) == round(255 + (101 - 255) * 128 / 255)).all()
    clear = decode(saved(Image.new("RGBA", (2, 2), (9, 8, 7, 0)), "TIFF"))
    assert (np.asarray(clear.image) == 255).all()
    assert half.notes == clear.notes == (TRANSPARENT,)


def test_a_channel_of_opacity_that_hides_nothing_is_not_spoken_of() -> None:
    assert decode(saved(photo().convert("RGBA"), "PNG")).notes == ()
    assert decode(saved(photo().convert("LA"), "PNG")).notes == ()


def test_two_colours_and_inks_are_shown() -> None:
    board = Image.fromarray(np.indices((6, 8)).sum(0) % 2 == 0)
    assert board.mode == "1"
    for kind in ("PNG", "TIFF", "BMP"):
        assert (grey(saved(board, kind)) == np.asarray(board) * 255).all()
    inks = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    for kind in ("TIFF", "JPEG"):
        assert (abs(pixels(saved(inks, kind)) - [255, 0, 0]) <= 4).all()


# Which part is taken


def test_a_picture_of_the_network_s_size_comes_through_unchanged() -> None:
    shipped = samples()
    image = Image.fromarray(shipped.images[37].permute(1, 2, 0).numpy())
    for framing in (Framing(), Framing("crop", 0), Framing("crop", 1), Framing("whole")):
        seen = to_picture(image, SIZE, framing)
        assert torch.equal(to_input(seen, MixerConfig()), normalise(shipped.images[37], MixerConfig()))


@pytest.mark.parametrize("framing", [Framing(), Framing("crop", 0.3), Framing("crop", 0.9), Framing("whole")])
@pytest.mark.parametrize("size", [(32, 32), (16, 64), (40, 24)])
def test_what_was_taken_is_taken_whole_again(framing: Framing, size: tuple[int, int]) -> None:
    once = to_picture(photo(), size, framing)
    assert once.shape == (*size, 3)
    assert (to_picture(Image.fromarray(once), size, framing) == once).all()


@pytest.mark.parametrize(("position", "left"), [(0, 0), (0.25, 4), (0.5, 8), (1, 16)])
def test_the_square_of_a_wide_picture_moves_sideways(position: float, left: int) -> None:
    image = photo(48, 32)
    assert crop_box(image.size, SIZE, Framing("crop", position)) == (left, 0, left + 32, 32)
    assert (to_picture(image, SIZE, Framing("crop", position)) == np.asarray(image)[:, left : left + 32]).all()


@pytest.mark.parametrize(("position", "top"), [(0, 0), (0.25, 4), (0.5, 8), (1, 16)])
def test_the_square_of_a_high_picture_moves_up_and_down(position: float, top: int) -> None:
    image = photo(32, 48)
    assert crop_box(image.size, SIZE, Framing("crop", position)) == (0, top, 32, top + 32)
    assert (to_picture(image, SIZE, Framing("crop", position)) == np.asarray(image)[top : top + 32]).all()


def test_a_network_of_another_shape_takes_a_part_of_that_shape() -> None:
    assert crop_box((300, 100), (16, 64), Framing()) == (0, 12, 300, 87)
    assert crop_box((300, 100), (64, 16), Framing("crop", 1)) == (275, 0, 300, 100)
    image = photo(128, 16)
    assert (to_picture(image, (16, 64), Framing("crop", 1)) == np.asarray(image)[:, 64:]).all()


@pytest.mark.parametrize("image_size", [(1, 1), (1, 5000), (5000, 1), (3, 2), (641, 427), (31, 33)])
@pytest.mark.parametrize("size", [(32, 32), (16, 64), (224, 224)])
def test_what_is_taken_lies_within_the_picture(image_size: tuple[int, int], size: tuple[int, int]) -> None:
    for position in (0, 0.37, 1):
        left, top, right, bottom = crop_box(image_size, size, Framing("crop", position))
        assert 0 <= left < right <= image_size[0]
        assert 0 <= top < bottom <= image_size[1]
        assert right - left == image_size[0] or bottom - top == image_size[1]  # the largest part


@pytest.mark.parametrize("high", [False, True])
def test_the_whole_picture_lies_between_bars_of_its_mean_colour(high: bool) -> None:
    image = Image.new("RGB", (64, 32), (200, 10, 0))
    image.paste((0, 50, 100), (32, 0, 64, 32))
    image = image.transpose(Image.Transpose.TRANSPOSE) if high else image
    seen = to_picture(image, SIZE, Framing("whole"))
    wide = seen.transpose(1, 0, 2) if high else seen
    assert (wide[[0, 7, 24, 31]] == [100, 30, 50]).all()
    assert (wide[8:24, :14] == [200, 10, 0]).all()
    assert (wide[8:24, 18:] == [0, 50, 100]).all()
    assert crop_box(image.size, SIZE, Framing("whole")) == (0, 0, *image.size)


def test_shrinking_is_antialiased() -> None:
    y, x = np.mgrid[:512, :512]
    board = Image.fromarray((((x + y) % 2) * 255).astype(np.uint8)).convert("RGB")
    assert abs(to_picture(board, SIZE).astype(int) - 128).max() <= 2


def test_wrong_framings_and_images_are_named() -> None:
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="between 0 and 1"):
            Framing("crop", wrong)
    with pytest.raises((ValueError, TypeError), match="round"):  # TypeError: types are checked while testing
        Framing("round")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="must be RGB, not L"):
        to_picture(Image.new("L", (4, 4)), SIZE)
