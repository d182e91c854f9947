"""Small pictures as text, which a browser shows without asking for them."""

from base64 import b64encode
from io import BytesIO

import numpy as np
from jaxtyping import UInt8
from PIL import Image


def png_url(pixels: UInt8[np.ndarray, "height width *channels"]) -> str:
    """A picture as an address that holds it: in grey, in colour, or in colour with opacity (4 channels)."""
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return f"data:image/png;base64,{b64encode(file.getvalue()).decode()}"
