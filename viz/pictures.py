"""Pictures as data URLs."""

from base64 import b64encode
from io import BytesIO

import numpy as np
from jaxtyping import UInt8
from PIL import Image

THUMBNAIL = 96
"""pixels: the largest height and width of a thumbnail; its file has about 4 kB, that of a whole picture up to 100"""


def png_url(pixels: UInt8[np.ndarray, "height width colours"]) -> str:
    """The data URL of a lossless PNG; a fourth value of each pixel, if any, is its opacity."""
    return _url(Image.fromarray(pixels), "PNG")


def thumbnail_url(pixels: UInt8[np.ndarray, "height width 3"], side: int = THUMBNAIL) -> str:
    """The data URL of a picture, reduced if it is larger than a thumbnail of this height and width."""
    image = Image.fromarray(pixels)
    if max(image.size) <= side:
        return png_url(pixels)
    image.thumbnail((side, side))
    return _url(image, "JPEG")


def _url(image: Image.Image, kind: str) -> str:
    file = BytesIO()
    image.save(file, kind)
    return f"data:image/{kind.lower()};base64,{b64encode(file.getvalue()).decode()}"
