"""Pictures as addresses that hold them."""

from base64 import b64encode
from io import BytesIO

import numpy as np
from jaxtyping import UInt8
from PIL import Image

THUMBNAIL = 96
"""pixels: a small picture is at most as high and wide; its file has some 4 kB, where a whole one may have 100"""


def png_url(pixels: UInt8[np.ndarray, "height width colours"]) -> str:
    """With every pixel as it is; the fourth value, if any, is its opacity."""
    return _url(Image.fromarray(pixels), "PNG")


def thumbnail_url(pixels: UInt8[np.ndarray, "height width 3"]) -> str:
    """To recognise a picture by: one that is larger is made smaller."""
    image = Image.fromarray(pixels)
    if max(image.size) <= THUMBNAIL:
        return png_url(pixels)
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    return _url(image, "JPEG")


def _url(image: Image.Image, kind: str) -> str:
    file = BytesIO()
    image.save(file, kind)
    return f"data:image/{kind.lower()};base64,{b64encode(file.getvalue()).decode()}"
