"""Removal of metadata from picture files before decoding.

Decoders also read comments, colour profiles, EXIF and XMP, and reject the whole file if one of them is malformed,
although a browser shows it. So metadata is removed first. Only one value of it is used: the orientation (EXIF tag
0x0112).

Sources: PNG specification (3rd ed.), chapter 5; ITU T.81, annex B (JPEG); RFC 9649 (WebP); GIF89a; TIFF 6.0, section 2;
EXIF 3.0 (an EXIF block is a TIFF file without a picture).
"""

import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

ORIENTATION = 0x0112
SHORT = 3

PNG_CHUNKS = {b"IHDR", b"PLTE", b"IDAT"}
PNG_TRANSPARENT = {0: (2,), 2: (6,), 3: range(1, 257)}  # valid lengths of tRNS by colour type
PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
WEBP_CHUNKS = {b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF"}
WEBP_METADATA_FLAGS = 0x20 | 0x08 | 0x04  # of VP8X: colour profile, EXIF, XMP
MAX_ZEROS = 2**26  # a file of a few bytes may declare a length of gigabytes
TIFF_TAGS = {
    *(256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284),  # size, depth, compression, colours, strips
    *(292, 293, 317, 320, 322, 323, 324, 325, 332, 338, 339),  # fax options, predictor, palette, tiles, alpha, format
    *(347, *range(512, 522), 529, 530, 531, 532),  # JPEG within TIFF, YCbCr
}


@dataclass(frozen=True)
class PictureFile:
    """A file for the decoder."""

    data: bytes
    """the file without metadata; unchanged if the format is unknown"""
    exif: bytes = b""
    """its EXIF block, not parsed"""
    several: bool = False
    """whether it has more pictures, which were left out"""
    cut: bool = False
    """whether it was incomplete and padded with zeros"""


def without_metadata(data: bytes) -> PictureFile:
    """Remove the metadata of a PNG, JPEG, GIF, WebP, TIFF or AVIF file; other files are unchanged. Never raises."""
    for beginning, read in _FORMATS.items():
        if re.match(beginning, data, re.DOTALL):
            try:
                return read(data)
            except (struct.error, IndexError):
                break  # incomplete before the picture begins: the decoder reports the error
    return PictureFile(data)


def orientation(exif: bytes) -> int:
    """The orientation in an EXIF block, from 1 (upright, also if missing) to 8. Never raises.

    Only entries of the first directory are searched; no other entry is parsed.
    """
    try:
        directory = _Directory(exif.removeprefix(b"Exif\0\0"))
    except (struct.error, KeyError):
        return 1
    for tag, kind, count, value in directory.entries:
        if (tag, kind, count) == (ORIENTATION, SHORT, 1):
            (turn,) = struct.unpack(directory.order + "H", value[:2])
            return turn if 1 <= turn <= 8 else 1
    return 1


def _png(data: bytes) -> PictureFile:
    """All checksums are computed again, so that wrong ones are accepted: zlib checks the pixels itself."""
    parts, exif, kinds = [data[:8]], b"", set()
    at = 8
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        content = data[at + 8 : at + 8 + length]
        if kind in PNG_CHUNKS or (kind == b"tRNS" and length in PNG_TRANSPARENT.get(data[25], ())):
            parts += [struct.pack(">I", len(content)), kind, content, struct.pack(">I", zlib.crc32(kind + content))]
        elif kind == b"eXIf":
            exif = content
        kinds.add(kind)
        at += 12 + length
    return PictureFile(b"".join([*parts, PNG_END]), exif, several={b"acTL", b"fdAT"} <= kinds)


def _jpeg(data: bytes) -> PictureFile:
    parts, exif = [data[:2]], b""
    at = 2
    while data[at] == 0xFF and data[at + 1] != 0xDA:  # up to the start of the scan
        marker = data[at + 1]
        if marker in (0x01, 0xFF) or 0xD0 <= marker <= 0xD8:  # these have no length
            at += 1 if marker == 0xFF else 2
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        segment = data[at : at + 2 + length]
        content = segment[4:]
        # two application segments define the colour space
        colours = (content.startswith(b"JFIF\0") and length >= 16) or (content.startswith(b"Adobe") and length >= 14)
        if marker == 0xE1 and content.startswith(b"Exif\0\0"):
            exif = exif or content
        elif colours or not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            parts.append(segment)
        at += 2 + max(length, 2)
    return PictureFile(b"".join([*parts, data[at:]]), exif)


def _gif(data: bytes) -> PictureFile:
    """The first image and its graphic control extension (the transparent colour)."""

    def colours(flags: int) -> int:
        return 3 << (flags & 7) + 1 if flags & 0x80 else 0

    at = 13 + colours(data[10])
    parts, images = [data[:at]], 0
    while at < len(data) and data[at : at + 1] != b";":
        if data[at] not in b"!,":  # a stray byte between the blocks
            at += 1
            continue
        start, image = at, data[at : at + 1] == b","
        at += 11 + colours(data[at + 9]) if image else 2
        while at < len(data) and data[at]:  # blocks with their length, up to an empty one
            at += 1 + data[at]
        at += 1
        if not images and (image or data[start : start + 3] == b"!\xf9\4"):
            parts.append(data[start:at])
        images += image
    return PictureFile(b"".join([*parts, b";"]), several=images > 1)


def _webp(data: bytes) -> PictureFile:
    """An incomplete chunk is padded with zeros, because the decoder needs complete chunks."""
    parts, exif, cut = [], b"", False
    at = 12
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        content = data[at + 8 : at + 8 + length]
        if kind == b"EXIF":
            exif = content
        elif kind in WEBP_CHUNKS and content:
            if kind == b"VP8X":
                content = bytes([content[0] & ~WEBP_METADATA_FLAGS]) + content[1:]
            cut = cut or len(content) < length
            stated = min(length, len(content) + MAX_ZEROS)
            parts += [kind, struct.pack("<I", stated), content.ljust(stated + stated % 2, b"\0")]
        at += 8 + length + length % 2
    chunks = b"".join(parts)
    return PictureFile(b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks, exif, cut=cut)


def _tiff(data: bytes) -> PictureFile:
    """Rewrite the first directory in place, with only the entries that describe the pixels.

    The orientation is removed, too, because Pillow would apply it.
    """
    directory = _Directory(data)
    entries = [entry for entry in directory.raw if struct.unpack(directory.order + "H", entry[:2])[0] in TIFF_TAGS]
    number = struct.pack(directory.order + directory.number, len(entries))
    written = number + b"".join(entries) + bytes(directory.word)  # no next directory
    before = data[: directory.at]
    return PictureFile(before + written + data[len(before + written) :], exif=data, several=directory.next != 0)


def _avif(data: bytes) -> PictureFile:
    """Give the EXIF item an unknown type. The orientation is in other items (irot, imir)."""
    return PictureFile(re.sub(rb"(infe.{8})Exif", rb"\1skip", data, flags=re.DOTALL))


class _Directory:
    """The first directory of a TIFF file or EXIF block, classic or BigTIFF. Raises struct.error or KeyError if none."""

    def __init__(self, data: bytes):
        self.order = {b"II": "<", b"MM": ">"}[data[:2]]
        (version,) = struct.unpack_from(self.order + "H", data, 2)
        self.number, offset = ("Q", "Q") if version == 43 else ("H", "I")
        self.word = struct.calcsize("=" + offset)
        (self.at,) = struct.unpack_from(self.order + offset, data, self.word)
        (number,) = struct.unpack_from(self.order + self.number, data, self.at)
        self._entry = f"{self.order}HH{offset}{self.word}s"
        first, length = self.at + struct.calcsize("=" + self.number), struct.calcsize(self._entry)
        held = min(number, (len(data) - first) // length)
        self.raw = [data[first + i * length : first + (i + 1) * length] for i in range(held)]
        after = data[first + number * length :][: self.word]
        self.next = int.from_bytes(after, "little")  # only compared with 0
        self.entries = [struct.unpack(self._entry, entry) for entry in self.raw]


_FORMATS: dict[bytes, Callable[[bytes], PictureFile]] = {
    rb"\x89PNG\r\n\x1a\n": _png,
    rb"\xff\xd8\xff": _jpeg,
    rb"GIF8[79]a": _gif,
    rb"RIFF.{4}WEBP": _webp,
    rb"II[*+]\0|MM\0[*+]": _tiff,
    rb".{4}ftypavi[fs]": _avif,
}
