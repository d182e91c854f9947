"""From a picture file to the input of the network: decode, crop, resize, normalise.

file --decode--> RGB image and notes --to_picture--> pixels --to_input--> tensor
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Shaped, UInt8
from PIL import Image, ImageFile, ImageOps, ImageStat
from torch import Tensor

from mixer.data import normalise
from mixer.image_metadata import PictureFile, orientation, without_metadata
from mixer.model import MixerConfig

MAX_PIXELS = Image.MAX_IMAGE_PIXELS or 2**31  # 89 million; a quarter of a gigabyte in RGB
WHITES = (255, 4_095, 65_535)  # for 8, 12 and 16 bits
PHOTOMETRIC, WHITE_IS_ZERO = 262, 0  # a TIFF tag, and its value for negatives
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

NO_PICTURE = "This file cannot be read as a picture. Try a JPEG, PNG, GIF or WebP."
TOO_LARGE = f"This picture has too many pixels (over {MAX_PIXELS // 10**6} megapixels). Make it smaller and try again."

SEVERAL = "The file contains several pictures (an animation, or pages): the first is used."
CUT = "The file is damaged or incomplete: parts of the picture may be missing (grey or plain) or coarse."
TRANSPARENT = "Transparent pixels are shown white."
SCALED = "Its values are not stored in 8 bits: {:,g} is shown black, {:,g} white."
NOT_FINITE = "Values that are not numbers are shown black, infinite values black or white."


class Unreadable(ValueError):
    """A file cannot be read as a picture. The message is for users and ends with the next step."""


@dataclass(frozen=True)
class Decoded:
    """A decoded picture."""

    image: Image.Image
    """RGB, upright"""
    notes: tuple[str, ...]
    """sentences about what was left out or changed"""
    name: str
    """file name, if known"""


@dataclass(frozen=True)
class Framing:
    """The part of a picture that the network gets."""

    kind: Literal["crop", "whole"] = "crop"
    """crop: the largest part with the shape of the network's input (a square for most networks);
    whole: the whole picture, with bars in its mean colour"""
    position: float = 0.5
    """of the crop: 0 at the left of a wide picture or the top of a high one, 1 at the other end"""

    def __post_init__(self) -> None:
        if self.kind not in ("crop", "whole"):
            raise ValueError(f"kind must be 'crop' or 'whole', not {self.kind!r}")
        if not 0 <= self.position <= 1:
            raise ValueError(f"the position must lie between 0 and 1, not {self.position}")


def decode(source: bytes | str | Path | Image.Image) -> Decoded:
    """Decode a file (content or path) or a Pillow image; of a damaged file, the readable part.

    The EXIF orientation is applied; other metadata is not read. Of an animation or several pages, the first is used.
    Transparent pixels become white. Values of more than 8 bits are scaled by `to_8_bits`. The missing part of an
    incomplete file is grey (or uniform, in formats without grey). The notes mention each of these changes.
    Raises Unreadable if the file cannot be decoded or has more than `MAX_PIXELS`, OSError if the path cannot be read.
    """
    if isinstance(source, Image.Image):
        file, opened = PictureFile(b"", exif=source.info.get("exif", b"")), source
    else:
        file = without_metadata(source if isinstance(source, bytes) else Path(source).read_bytes())
        opened = None
    with _decoder_lock, _readable_errors():
        loaded = _loaded(opened) if opened else _read(file)
        image, notes = _rgb(loaded)
    turn = TURNS.get(orientation(file.exif or loaded.image.info.get("exif", b"")))
    upright = image if turn is None else image.transpose(turn)
    conditions = ((SEVERAL, file.several or loaded.several), (CUT, file.cut or loaded.partial))
    name = Path(source).name if isinstance(source, (str, Path)) else ""
    return Decoded(upright, (*(note for note, holds in conditions if holds), *notes), name)


def to_8_bits(values: Shaped[np.ndarray, "height width"]) -> tuple[UInt8[np.ndarray, "height width"], float, float]:
    """Grey values of any type in 8 bits, and the values that become black (0) and white (255). The first matching rule:

    1. floats from 0 to 1: 1 is white;
    2. integers from 0 to 65,535, of any type: white is the smallest of 255, 4,095 and 65,535 (8, 12, 16 bits) that no
       value exceeds, so 12-bit values in 16 bits are recognised;
    3. others: black is the minimum (0 without negative values), white the maximum.

    The range is that of the finite values: NaN and -infinity become black, infinity white.
    """
    exact = values.astype(np.float64)  # changed in place, because a large picture takes up to 0.7 GB
    finite = np.isfinite(exact)
    least, greatest = exact.min(initial=0, where=finite), exact.max(initial=0, where=finite)
    black, white = 0.0, 1.0
    if values.dtype.kind != "f" or least < 0 or greatest > 1:
        whole = least >= 0 and greatest <= WHITES[-1]
        whole = whole and (values.dtype.kind != "f" or (exact == np.rint(exact)).all(where=finite))
        black, white = (0, next(w for w in WHITES if greatest <= w)) if whole else (least, greatest)
    np.nan_to_num(exact, copy=False, nan=black, posinf=white, neginf=black)
    exact -= black
    exact *= 255
    exact /= white - black
    return np.rint(exact, out=exact).astype(np.uint8), float(black), float(white)


def crop_box(image_size: tuple[int, int], size: tuple[int, int], framing: Framing) -> tuple[int, int, int, int]:
    """The part of an image for `to_picture`: left, top, right, bottom in pixels (the last two exclusive).

    image_size: (width, height), as in Pillow. size: (height, width) of the network's input.
    """
    width, height = image_size
    if framing.kind == "whole":
        return 0, 0, width, height
    part_width = min(width, max(1, round(height * size[1] / size[0])))
    part_height = min(height, max(1, round(width * size[0] / size[1])))
    left, top = (round(free * framing.position) for free in (width - part_width, height - part_height))
    return left, top, left + part_width, top + part_height


def to_picture(
    image: Image.Image, size: tuple[int, int], framing: Framing = Framing()
) -> UInt8[np.ndarray, "height width 3"]:
    """The framed part of an RGB image, resized to size (height, width): the picture that the network gets.

    Resizing is antialiased bicubic; a part with this size is not changed. Raises ValueError for another mode than RGB.
    """
    if image.mode != "RGB":
        raise ValueError(f"the image must be RGB, not {image.mode}: use `decode` first")
    height, width = size
    if framing.kind == "crop":
        return np.array(image.resize((width, height), Image.Resampling.BICUBIC, crop_box(image.size, size, framing)))
    mean = tuple(round(value) for value in ImageStat.Stat(image).mean)
    return np.array(ImageOps.pad(image, (width, height), Image.Resampling.BICUBIC, mean))


def to_input(pixels: UInt8[np.ndarray, "height width 3"], config: MixerConfig) -> Float[Tensor, "3 height width"]:
    """The network input for a picture from `to_picture`."""
    return normalise(torch.tensor(pixels).permute(2, 0, 1), config)


# Pillow's setting for truncated files is global, so only one file is decoded at a time
_decoder_lock = threading.Lock()


@contextmanager
def _truncated_allowed() -> Iterator[None]:
    ImageFile.LOAD_TRUNCATED_IMAGES = True  # type: ignore[bad-assignment]
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False


@contextmanager
def _readable_errors() -> Iterator[None]:
    """Convert all errors of a decoder to Unreadable: struct.error, TypeError, KeyError and many others."""
    try:
        yield
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise Unreadable(TOO_LARGE) from error
    except Exception as error:
        raise Unreadable(NO_PICTURE) from error


@dataclass(frozen=True)
class _Loaded:
    image: Image.Image
    layout: str
    """Pillow's name of the pixel format in the file: "I;32N" is unsigned 32 bits"""
    several: bool
    partial: bool = False


def _read(file: PictureFile) -> _Loaded:
    """Decode a file, or the readable part of a damaged one."""
    try:
        return _loaded(_opened(file.data))
    except Image.DecompressionBombError:
        raise
    except Exception:
        with _truncated_allowed():
            return _loaded_partially(_opened(file.data))


def _opened(data: bytes) -> ImageFile.ImageFile:
    image = Image.open(BytesIO(data))
    if image.width * image.height > MAX_PIXELS:
        raise Image.DecompressionBombError
    return image


def _loaded(image: Image.Image) -> _Loaded:
    several = getattr(image, "is_animated", False)
    image.seek(0)
    tiles = getattr(image, "tile", ())
    layout = str(tiles[0][3]) if tiles else ""  # before loading, which empties the list
    image.load()
    return _Loaded(image, layout, several)


def _loaded_partially(image: ImageFile.ImageFile) -> _Loaded:
    """The readable part on grey. Raises OSError if there is none."""
    plain = Image.new(image.mode, image.size, "grey" if image.mode in ("L", "LA", "RGB", "RGBA") else 0)
    image.im = plain.copy().im
    try:
        loaded = _loaded(image)
    except OSError:  # TIFF: the strips before the damaged one are loaded
        loaded = _Loaded(image, "", False)
        image.tile = []
    if image.tobytes() == plain.tobytes():
        raise OSError("no part of it can be decoded")
    return replace(loaded, partial=True)


def _rgb(loaded: _Loaded) -> tuple[Image.Image, list[str]]:
    """The picture in RGB, and notes about the conversion."""
    image, notes = loaded.image, []
    if image.mode == "F" or image.mode.startswith("I"):
        values = np.asarray(image)
        if "I;32N" in loaded.layout:  # Pillow has only signed numbers
            values = values.view(np.uint32)
        pixels, black, white = to_8_bits(values)
        if getattr(image, "tag_v2", {}).get(PHOTOMETRIC) == WHITE_IS_ZERO:
            pixels, black, white = 255 - pixels, white, black
        notes.append(SCALED.format(black, white))
        if not np.isfinite(values).all():
            notes.append(NOT_FINITE)
        image = Image.fromarray(pixels)
    elif ";16" in loaded.layout:  # Pillow keeps the upper 8 bits of each colour
        notes.append(SCALED.format(0, WHITES[-1]))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        if np.asarray(image.getchannel("A")).min() < 255:
            notes.append(TRANSPARENT)
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB"), notes
