"""Files of pictures, made byte by byte where Pillow would write only good ones."""

import struct
import zlib
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image


def gradient(width: int, height: int) -> Image.Image:
    """Red grows to the right, green downwards; no two of its turns and mirror images are alike."""
    y, x = np.mgrid[:height, :width]
    return Image.fromarray(np.stack([x * 255 // (width - 1), y * 255 // (height - 1), 0 * x], 2).astype(np.uint8))


def photo(width: int = 96, height: int = 64) -> Image.Image:
    """With detail in it, so that its files are longer than their headers."""
    y, x = np.mgrid[:height, :width]
    return Image.fromarray(np.stack([x * 2, y * 3, x * y % 256], 2).astype(np.uint8))


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png_chunk(kind: bytes, content: bytes, checksum_off_by: int = 0) -> bytes:
    checksum = zlib.crc32(kind + content) ^ checksum_off_by
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def with_png_chunk(png: bytes, chunk: bytes) -> bytes:
    return png[:33] + chunk + png[33:]


def png_of_size(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to no pixels."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", zlib.compress(bytes(1000))) + png_chunk(b"IEND", b"")


def with_jpeg_segment(jpeg: bytes, marker: int, content: bytes) -> bytes:
    return jpeg[:2] + bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content + jpeg[2:]


def with_webp_chunk(webp: bytes, kind: bytes, content: bytes) -> bytes:
    """Behind the picture, in the extended format, whose flags promise a profile, EXIF and XMP."""
    with Image.open(BytesIO(webp)) as image:
        width, height = image.size
    extended = struct.pack("<4sIB3x", b"VP8X", 10, 0x2C) + (width - 1).to_bytes(3, "little")
    extended += (height - 1).to_bytes(3, "little")
    chunk = kind + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)
    chunks = extended + webp[12:] + chunk
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks


def with_gif_extension(gif: bytes, label: int, *blocks: bytes) -> bytes:
    at = 13 + (3 << (gif[10] & 7) + 1)
    extension = bytes([0x21, label]) + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0"
    return gif[:at] + extension + gif[at:]


def with_tiff_entries(tiff: bytes, *entries: bytes) -> bytes:
    """A TIFF of Pillow's (little-endian) whose directory, now at the end, has further entries, in the order of tags."""
    (at,) = struct.unpack_from("<I", tiff, 4)
    (number,) = struct.unpack_from("<H", tiff, at)
    own = [tiff[at + 2 + 12 * i : at + 14 + 12 * i] for i in range(number)]
    together = sorted([*own, *entries], key=lambda entry: struct.unpack("<H", entry[:2]))
    directory = struct.pack("<H", len(together)) + b"".join(together) + bytes(4)
    return tiff[:4] + struct.pack("<I", len(tiff)) + tiff[8:] + directory


def grey_tiff(
    width: int, height: int, bits: int, content: bytes, sample_format: int = 1, photometric: int = 1
) -> bytes:
    """Grey values of any depth. sample_format: 1 unsigned, 2 signed, 3 float. photometric: 0 is white where 0."""
    tags = {
        256: width,
        257: height,
        258: bits,
        259: 1,
        262: photometric,
        273: 8,
        277: 1,
        278: height,
        279: len(content),
    }
    tags[339] = sample_format
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    start = 8 + len(content)
    return b"II*\0" + struct.pack("<I", start) + content + struct.pack("<H", len(tags)) + entries + bytes(4)
