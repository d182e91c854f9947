"""The one way from any picture to the network's input: decode it, choose the part that is taken, resize, normalise.

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

MAX_PIXELS = Image.MAX_IMAGE_PIXELS or 2**31  # 89 million: as RGB, a quarter of a gigabyte
WHITES = (255, 4_095, 65_535)  # of 8, 12 and 16 bits
PHOTOMETRIC, WHITE_IS_ZERO = 262, 0  # a tag of TIFF, and its value for negatives
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
    """No picture can be made of it. The message is for whoever gave it, and ends with the next step."""


@dataclass(frozen=True)
class Decoded:
    """A picture as it is meant to be seen."""

    image: Image.Image
    """RGB, upright"""
    notes: tuple[str, ...] = ()
    """what was left out or changed on the way, in sentences"""
    name: str = ""
    """of its file, where it has one"""


@dataclass(frozen=True)
class Framing:
    """Which part of a picture the network gets."""

    kind: Literal["crop", "whole"] = "crop"
    """crop: the largest part of the network's own shape (a square for most networks);
    whole: all of it, made to fit by bars in its mean colour"""
    x: float = 0.5
    """where the crop lies in a picture that is too wide: 0 at the left, 1 at the right"""
    y: float = 0.5
    """where it lies in a picture that is too high: 0 at the top, 1 at the bottom"""

    def __post_init__(self) -> None:
        if self.kind not in ("crop", "whole"):
            raise ValueError(f"kind must be 'crop' or 'whole', not {self.kind!r}")
        if not (0 <= self.x <= 1 and 0 <= self.y <= 1):
            raise ValueError(f"x and y must lie between 0 and 1, not ({self.x}, {self.y})")


def decode(source: bytes | str | Path | Image.Image) -> Decoded:
    """Decode a file (its content or its path) or an image of Pillow's, as far as that is possible.

    It is turned as its EXIF says; no other metadata is read. Of an animation or of pages, the first counts. What is
    transparent becomes white. Values of more than 8 bits are scaled as `to_8_bits` says. Where a file breaks off, the
    rest is grey (or plain, in formats without a grey). All this is said in the notes.
    Raises Unreadable if no picture can be made of it or if it has more than `MAX_PIXELS`, OSError for a path that
    cannot be read.
    """
    if isinstance(source, Image.Image):
        file, opened = PictureFile(b"", exif=source.info.get("exif", b"")), source
    else:
        file = without_metadata(source if isinstance(source, bytes) else Path(source).read_bytes())
        opened = None
    with _one_at_a_time, _in_words():
        loaded = _loaded(opened) if opened else _read(file)
        image, notes = _rgb(loaded)
    turn = TURNS.get(orientation(file.exif or loaded.image.info.get("exif", b"")))
    upright = image if turn is None else image.transpose(turn)
    said = ((SEVERAL, file.several or loaded.several), (CUT, file.cut or loaded.partly))
    name = Path(source).name if isinstance(source, (str, Path)) else ""
    return Decoded(upright, (*(note for note, holds in said if holds), *notes), name)


def to_8_bits(values: Shaped[np.ndarray, "height width"]) -> tuple[UInt8[np.ndarray, "height width"], float, float]:
    """Grey values of any type in 8 bits, and which values become black (0) and white (255). The first that fits:

    1. floats from 0 to 1: 1 is white;
    2. whole numbers from 0 to 65,535, in whatever type: white is the first of 255, 4,095 and 65,535 (8, 12, 16 bits)
       that none exceeds, so 12-bit values stored in 16 bits are taken as 12-bit ones;
    3. any other: from the least (from 0, if none is negative) to the greatest.

    Values that are not finite do not count for the range: NaN and -infinity become black, infinity white.
    """
    exact = values.astype(np.float64)  # changed in place: a large picture takes up to 0.7 GB
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
    """The part that `to_picture` takes of an image, in its pixels: left, top, right, bottom (the last two excluded).

    image_size: (width, height), as Pillow says it. size: of the network's pictures, (height, width).
    """
    width, height = image_size
    if framing.kind == "whole":
        return 0, 0, width, height
    part_width = min(width, max(1, round(height * size[1] / size[0])))
    part_height = min(height, max(1, round(width * size[0] / size[1])))
    left, top = round((width - part_width) * framing.x), round((height - part_height) * framing.y)
    return left, top, left + part_width, top + part_height


def to_picture(
    image: Image.Image, size: tuple[int, int], framing: Framing = Framing()
) -> UInt8[np.ndarray, "height width 3"]:
    """The part of an RGB image that the framing says, resized to size (height, width): what the network sees.

    Resized by antialiased bicubic interpolation; a part that has the size already comes through unchanged.
    Raises ValueError for an image that is not RGB: `decode` makes it so.
    """
    if image.mode != "RGB":
        raise ValueError(f"the image must be RGB, not {image.mode}: give it to `decode` first")
    height, width = size
    if framing.kind == "crop":
        return np.array(image.resize((width, height), Image.Resampling.BICUBIC, crop_box(image.size, size, framing)))
    mean = tuple(round(value) for value in ImageStat.Stat(image).mean)
    return np.array(ImageOps.pad(image, (width, height), Image.Resampling.BICUBIC, mean))


def to_input(pixels: UInt8[np.ndarray, "height width 3"], config: MixerConfig) -> Float[Tensor, "3 height width"]:
    """A picture of `to_picture` as input of the network with this config."""
    return normalise(torch.tensor(pixels).permute(2, 0, 1), config)


# Pillow reads broken files or refuses them by a switch for the whole process, so one file is read at a time
_one_at_a_time = threading.Lock()


@contextmanager
def _all_that_is_there() -> Iterator[None]:
    ImageFile.LOAD_TRUNCATED_IMAGES = True  # type: ignore[bad-assignment]
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False


@contextmanager
def _in_words() -> Iterator[None]:
    """Whatever a decoder raises becomes Unreadable. There is no list of it: struct.error, TypeError, KeyError, ..."""
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
    """how a pixel lies in the file, as Pillow says it: "I;32N" are unsigned 32 bits"""
    several: bool
    partly: bool = False


def _read(file: PictureFile) -> _Loaded:
    """Decode a file, or else what there is of it."""
    try:
        return _loaded(_opened(file.data))
    except Image.DecompressionBombError:
        raise
    except Exception:
        with _all_that_is_there():
            return _partly(_opened(file.data))


def _opened(data: bytes) -> ImageFile.ImageFile:
    image = Image.open(BytesIO(data))
    if image.width * image.height > MAX_PIXELS:
        raise Image.DecompressionBombError
    return image


def _loaded(image: Image.Image) -> _Loaded:
    several = getattr(image, "is_animated", False)
    image.seek(0)
    tiles = getattr(image, "tile", ())
    layout = str(tiles[0][3]) if tiles else ""  # here, as loading empties the list
    image.load()
    return _Loaded(image, layout, several)


def _partly(image: ImageFile.ImageFile) -> _Loaded:
    """What can be decoded, over grey. Raises OSError if that is nothing."""
    plain = Image.new(image.mode, image.size, "grey" if image.mode in ("L", "LA", "RGB", "RGBA") else 0)
    image.im = plain.copy().im
    try:
        loaded = _loaded(image)
    except OSError:  # TIFF: the strips before the broken one are there
        loaded = _Loaded(image, "", False)
        image.tile = []
    if image.tobytes() == plain.tobytes():
        raise OSError("nothing of it can be decoded")
    return replace(loaded, partly=True)


def _rgb(loaded: _Loaded) -> tuple[Image.Image, list[str]]:
    """The picture in RGB, and what had to be done for that."""
    image, notes = loaded.image, []
    if image.mode == "F" or image.mode.startswith("I"):
        values = np.asarray(image)
        if "I;32N" in loaded.layout:  # Pillow has signed numbers only
            values = values.view(np.uint32)
        pixels, black, white = to_8_bits(values)
        if getattr(image, "tag_v2", {}).get(PHOTOMETRIC) == WHITE_IS_ZERO:
            pixels, black, white = 255 - pixels, white, black
        notes.append(SCALED.format(black, white))
        if not np.isfinite(values).all():
            notes.append(NOT_FINITE)
        image = Image.fromarray(pixels)
    elif ";16" in loaded.layout:  # Pillow took the upper 8 bits of each colour
        notes.append(SCALED.format(0, WHITES[-1]))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        if np.asarray(image.getchannel("A")).min() < 255:
            notes.append(TRANSPARENT)
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB"), notes
