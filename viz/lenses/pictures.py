"""Small pictures in HTML."""

from base64 import b64encode
from io import BytesIO

import numpy as np
from jaxtyping import UInt8
from PIL import Image


def png_url(pixels: UInt8[np.ndarray, "height width 3"]) -> str:
    """A picture as an address that holds it."""
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return f"data:image/png;base64,{b64encode(file.getvalue()).decode()}"
