"""A visitor's own photo, and the part of it that the network gets (its crop)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from html import escape

import numpy as np
from PIL import Image

from mixer.picture import Decoded, Framing, crop_box, to_picture
from viz.pictures import thumbnail_url

MAX_SIDE = 2048
"""pixels of the longer side of a stored photo"""
PREVIEW = 320
"""pixels: the largest height and width of a photo on the page"""
STEPS = 100
"""steps of the position of the crop"""
WORDS = ("framing", "position")
"""parameters of the crop"""


@dataclass(frozen=True, eq=False)
class Photo:
    image: Image.Image
    notes: tuple[str, ...]
    """messages about changes during decoding"""
    framing: Framing = Framing()
    name: str = ""
    """the name of its file"""

    @classmethod
    def of(cls, decoded: Decoded) -> "Photo":
        image = decoded.image.copy()
        image.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
        return cls(image, decoded.notes, name=decoded.name)

    def picture(self, size: tuple[int, int]) -> bytes:
        """The input of the network. size: (height, width)"""
        return to_picture(self.image, size, self.framing).tobytes()

    def with_crop(self, words: Mapping[str, str]) -> "Photo":
        """The photo with another crop. Raises ValueError for an unknown kind of crop."""
        kind = words.get("framing", self.framing.kind)
        position = int(words["position"]) / STEPS if "position" in words else self.framing.position
        return replace(self, framing=Framing(kind, position))  # type: ignore[arg-type]

    def params(self) -> dict[str, str]:
        return {"framing": self.framing.kind, "position": str(round(self.framing.position * STEPS))}

    def html(self, size: tuple[int, int]) -> str:
        """HTML: the photo with the movable frame of its crop, and the messages."""
        width, height = self.image.size
        left, top, right, bottom = crop_box(self.image.size, size, self.framing)
        high = bottom - top < height
        part = (bottom - top) / height if high else (right - left) / width
        moved = (
            f"<input type='range' data-word='position' min='0' max='{STEPS}' value='{self.params()['position']}' "
            f"class='{'down' if high else 'across'}' style='--part: {part:.2%}' "
            "aria-label='The part that the network gets' title='Drag the frame, or use the arrow keys'>"
        ) * (part < 1)
        address = thumbnail_url(np.asarray(self.image), PREVIEW)
        crop = "framed part" if moved else "whole picture"
        notes = [f"The network gets the {crop}.", *self.notes]
        return (
            f"<div class='photo'><img src='{address}' alt='your picture'>{moved}</div><p>{escape(' '.join(notes))}</p>"
        )
