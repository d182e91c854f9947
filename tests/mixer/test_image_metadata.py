"""Metadata, however odd, never sinks a picture; of it, the orientation is obeyed."""

import random
import struct
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, features

from mixer.image_metadata import TIFF_TAGS, orientation, without_metadata
from mixer.picture import CUT, SEVERAL, Unreadable, decode
from tests.mixer.picture_files import (
    gradient,
    photo,
    png_chunk,
    saved,
    with_gif_extension,
    with_jpeg_segment,
    with_png_chunk,
    with_tiff_entries,
    with_webp_chunk,
)

TURNED: dict[int, Callable[[np.ndarray], np.ndarray]] = {  # EXIF 3.0, table of the tag
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda a: np.rot90(a),
}
PICTURE = gradient(24, 16)
JPEG, PNG, TIFF = saved(PICTURE, "JPEG"), saved(PICTURE, "PNG"), saved(PICTURE, "TIFF")
WEBP, GIF = saved(PICTURE, "WEBP", lossless=True), saved(PICTURE, "GIF")
EXTREME = (0, 1, 2, 3, 4, 8, 1000, 2**16, 2**31, 2**32 - 1)
NONSENSE = [
    b"",
    b"\0",
    b"\xff" * 7,
    b"x\0\1" + bytes(9),
    b"Exif\0\0",
    b"Exif\0\0II*\0\x08\0\0\0\xff\xff",
    bytes(range(40)),
]


def pixels(source: bytes) -> np.ndarray:
    return np.asarray(decode(source).image)


def entry(order: str, tag: int, kind: int, count: int, value: bytes) -> bytes:
    return struct.pack(order + "HHI", tag, kind, count) + value.ljust(4, b"\0")


def odd_entry(rng: random.Random, order: str) -> bytes:
    """Any tag but those that say where the pixels are or how they are turned; any type, count and value."""
    known = [0x010E, 0x010F, 0x011A, 0x011B, 0x0128, 0x0132, 0x014A, 0x8769, 0x8825, 0x927C, 0xA005, 0xB001, 0xC4A5]
    tag = rng.choice([*known, *rng.sample(range(65_536), 5)])
    tag = 0x010F if tag in TIFF_TAGS or tag == 0x0112 else tag
    kind = rng.choice([*range(14), 16, 255, 65_535])
    return entry(order, tag, kind, rng.choice(EXTREME), struct.pack(order + "I", rng.choice(EXTREME)))


def srational_minus_one_over_zero(order: str, at: int) -> bytes:
    return entry(order, 0x9204, 10, 1, struct.pack(order + "I", at))


def embedded(container: str, order: str, entries: list[bytes], tail: bytes, first: int = 8) -> bytes:
    """The entries as EXIF of a picture, in one of four formats; in a TIFF, they stand in its own directory."""
    if container == "TIFF":
        return with_tiff_entries(TIFF, *entries)
    head = {"<": b"II", ">": b"MM"}[order] + struct.pack(order + "HI", 42, first)
    block = head + struct.pack(order + "H", len(entries)) + b"".join(entries) + tail
    if container == "PNG":
        return with_png_chunk(PNG, png_chunk(b"eXIf", block))
    if container == "WEBP":
        return with_webp_chunk(WEBP, b"EXIF", block)
    return with_jpeg_segment(JPEG, 0xE1, b"Exif\0\0" + block)


def test_1500_odd_exif_blocks_leave_the_picture_turned_as_the_intact_tag_says() -> None:
    rng = random.Random(20_261_124)
    upright = {"JPEG": pixels(JPEG), "PNG": pixels(PNG), "WEBP": pixels(WEBP), "TIFF": pixels(TIFF)}
    for number in range(1500):
        container = list(upright)[number % 4]
        order = "<" if container == "TIFF" else rng.choice("<>")
        entries = [odd_entry(rng, order) for _ in range(rng.randrange(9))]
        entries.append(srational_minus_one_over_zero(order, 8))
        turn = rng.choice([*range(10), 65_535])  # 0, 9 and 65,535 mean nothing
        kind, count = rng.choice([(3, 1)] * 3 + [(4, 1), (3, 2), (10, 1), (3, 0)])
        place = rng.randrange(len(entries) + 1)
        entries.insert(place, entry(order, 0x0112, kind, count, struct.pack(order + "H", turn)))
        tail = struct.pack(order + "I", rng.choice(EXTREME)) + rng.randbytes(rng.randrange(30))  # the next directory
        obeyed = turn if (kind, count) == (3, 1) and turn in TURNED else 1
        file = embedded(container, order, entries, tail)
        got = pixels(file)
        assert (got == TURNED[obeyed](upright[container])).all(), (number, container)


def test_500_exif_blocks_of_changed_bytes_leave_a_picture() -> None:
    rng = random.Random(7)
    upright = pixels(JPEG)
    turned = [turn(upright) for turn in TURNED.values()]
    for _ in range(500):
        block = bytearray(b"MM\0*\0\0\0\x08\0\3" + entry(">", 0x0112, 3, 1, b"\0\6") + rng.randbytes(28))
        for _ in range(rng.randrange(1, 6)):
            block[rng.randrange(len(block))] = rng.choice([0, 1, 8, 255, rng.randrange(256)])
        cut = bytes(block[: rng.randrange(len(block) + 1)])
        got = pixels(with_jpeg_segment(JPEG, 0xE1, b"Exif\0\0" + cut))
        assert any(got.shape == want.shape and (got == want).all() for want in turned)


@pytest.mark.parametrize("turn", TURNED)
def test_all_eight_orientations_as_the_standard_has_them(turn: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn
    assert (pixels(saved(PICTURE, "PNG", exif=exif)) == TURNED[turn](np.asarray(PICTURE))).all()
    assert (pixels(saved(PICTURE, "TIFF", tiffinfo={0x0112: turn})) == TURNED[turn](np.asarray(PICTURE))).all()


def test_a_directory_that_points_at_itself_or_beyond_is_left() -> None:
    for start in EXTREME:
        assert orientation(b"II*\0" + struct.pack("<I", start)) == 1
    assert orientation(b"II*\0\x04\0\0\0" + bytes(20)) == 1
    assert orientation(b"") == orientation(b"Exif\0\0") == orientation(b"XX*\0\x08\0\0\0") == 1


@pytest.mark.parametrize("content", NONSENSE)
@pytest.mark.parametrize(
    "kind",
    [
        *(b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"gAMA", b"cHRM", b"sRGB", b"pHYs", b"eXIf", b"tIME", b"bKGD"),
        *(b"sBIT", b"hIST", b"acTL", b"fcTL", b"fdAT", b"tRNS", b"heLO"),
    ],
)
def test_no_chunk_beside_the_picture_s_own_sinks_a_png(kind: bytes, content: bytes) -> None:
    for checksum_off_by in (0, 1):
        got = decode(with_png_chunk(PNG, png_chunk(kind, content, checksum_off_by)))
        assert (np.asarray(got.image) == np.asarray(PICTURE)).all()
        assert got.notes == ()


@pytest.mark.parametrize("content", NONSENSE)
@pytest.mark.parametrize(
    "start", [b"", b"Exif\0\0", b"ICC_PROFILE\0", b"MPF\0", b"Adobe", b"JFIF\0", b"Photoshop 3.0\x008BIM"]
)
def test_no_segment_beside_the_picture_s_own_sinks_a_jpeg(start: bytes, content: bytes) -> None:
    want = pixels(JPEG)
    for marker in (0xE0, 0xE1, 0xE2, 0xED, 0xEE, 0xEF, 0xFE):
        if (marker, start) in ((0xEE, b"Adobe"), (0xE0, b"JFIF\0")) and len(content) > 7:
            continue  # that is a whole one, which tells the colours
        got = decode(with_jpeg_segment(JPEG, marker, start + content))
        assert (np.asarray(got.image) == want).all()
        assert got.notes == ()


@pytest.mark.parametrize("content", NONSENSE)
def test_no_metadata_sinks_a_webp_a_gif_or_a_tiff(content: bytes) -> None:
    for kind in (b"EXIF", b"XMP ", b"ICCP", b"junk"):
        assert (pixels(with_webp_chunk(WEBP, kind, content)) == np.asarray(PICTURE)).all()
    want = pixels(GIF)
    for label, start in (
        (0xFE, ()),
        (0xFF, (b"NETSCAPE2.0",)),
        (0xFF, (b"XMP Data",)),
        (0x01, (bytes(12),)),
        (0xCE, ()),
    ):
        assert (pixels(with_gif_extension(GIF, label, *start, content)) == want).all()
    for tag in (270, 282, 296, 305, 700, 33_723, 34_377, 34_665, 34_675, 34_853):
        for kind in (0, 2, 5, 10, 12, 99):
            odd = entry("<", tag, kind, 1 + len(content), content[:4])
            assert (pixels(with_tiff_entries(TIFF, odd)) == np.asarray(PICTURE)).all()


def test_a_webp_cut_within_its_metadata_is_whole() -> None:
    file = with_webp_chunk(WEBP, b"XMP ", bytes(500))
    assert decode(file[:-300]).notes == ()
    assert (pixels(file[:-300]) == np.asarray(PICTURE)).all()


def test_a_bigtiff_is_read_like_a_tiff() -> None:
    file = saved(PICTURE, "TIFF", big_tiff=True, tiffinfo={0x0112: 6, 270: "a picture"})
    assert file[2] == 43
    assert (pixels(file) == TURNED[6](np.asarray(PICTURE))).all()


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow knows no AVIF")
def test_exif_does_not_sink_an_avif() -> None:
    exif = Image.Exif()
    exif[0x010F] = "a maker's name"
    file = saved(PICTURE, "AVIF", exif=exif)
    want = pixels(saved(PICTURE, "AVIF"))
    start = file.index(b"a maker's name") - 26
    assert file[start : start + 4] in (b"II*\0", b"MM\0*")
    for odd in (b"II*\0\xff\xff\xff\xff", b"XXXXXXXX", bytes(8)):
        assert (pixels(file[:start] + odd + file[start + 8 :]) == want).all()


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"keep_rgb": True}, {"subsampling": "4:2:0"}])
def test_the_colours_of_a_jpeg_are_those_its_segments_tell(options: dict) -> None:
    file = saved(photo(), "JPEG", **options)
    assert abs(pixels(file).astype(int) - np.asarray(photo())).mean() < 20
    inks = saved(photo().convert("CMYK"), "JPEG")  # Adobe's segment says that it is inverted
    assert abs(pixels(inks).astype(int) - np.asarray(photo())).mean() < 20


def test_a_photo_with_further_ones_in_it_is_that_photo() -> None:
    """MPO: a JPEG with a map of depth, or the other eye, behind it."""
    file = saved(PICTURE, "MPO", save_all=True, append_images=[PICTURE.rotate(180)])
    got = decode(file)
    assert (np.asarray(got.image) == pixels(JPEG)).all()
    assert got.notes == ()


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_several_pictures_the_first_is_taken_and_that_is_said(kind: str) -> None:
    frames = [Image.new("RGB", (40, 30), colour) for colour in ("red", "blue", "lime")]
    options = {"lossless": True} if kind == "WEBP" else {}
    got = decode(saved(frames[0], kind, save_all=True, append_images=frames[1:], **options))
    assert (np.asarray(got.image) == [255, 0, 0]).all()
    assert got.notes == (SEVERAL,)


def test_a_damaged_second_frame_does_not_touch_the_first() -> None:
    frames = [photo().quantize(16), photo().rotate(180).quantize(16)]
    file = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    got = decode(file[: -len(file) // 4])
    assert got.notes == (SEVERAL,)
    assert (np.asarray(got.image) == np.asarray(frames[0].convert("RGB"))).all()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "AVIF"])
def test_a_file_cut_anywhere_is_a_picture_or_words(kind: str) -> None:
    file = saved(photo(), kind)
    for end in [*range(0, 60), *range(60, len(file), max(1, len(file) // 40))]:
        without_metadata(file[:end])
        try:
            got = decode(file[:end])
        except Unreadable as error:
            assert "Try a JPEG" in str(error)  # noqa: PT017
        else:
            assert got.image.size == (96, 64)
            assert got.image.mode == "RGB"
            assert got.notes in ((), (CUT,))


def test_changed_bytes_anywhere_leave_a_picture_or_words() -> None:
    rng = random.Random(3)
    for kind in ("PNG", "JPEG", "GIF", "WEBP", "TIFF"):
        good = saved(PICTURE, kind)
        for _ in range(60):
            file = bytearray(good)
            for _ in range(rng.randrange(1, 5)):
                file[rng.randrange(len(file))] = rng.randrange(256)
            try:
                assert decode(bytes(file)).image.mode == "RGB"
            except Unreadable as error:
                assert str(error).endswith(("WebP.", "again."))  # noqa: PT017
