"""A visitor's own photo: which part of it the network gets, shown on the photo, to be moved or fitted."""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from html import escape
from io import BytesIO

from PIL import Image

from mixer.picture import Decoded, Framing, crop_box, to_picture

LARGEST = 2048
"""pixels of the longer side that are kept of a photo"""
PREVIEW = 320
STEPS = 100
"""places at which the crop can lie"""
WORDS = ("framing", "position")
"""what a visitor chooses here"""


@dataclass(frozen=True, eq=False)
class Photo:
    image: Image.Image
    notes: tuple[str, ...]
    """what was changed when it was decoded, in sentences"""
    framing: Framing = Framing()
    name: str = ""
    """of its file"""

    @classmethod
    def of(cls, decoded: Decoded) -> "Photo":
        image = decoded.image.copy()
        image.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
        return cls(image, decoded.notes, name=decoded.name)

    def picture(self, size: tuple[int, int]) -> bytes:
        """What the network gets. size: (height, width)"""
        return to_picture(self.image, size, self.framing).tobytes()

    def framed(self, words: Mapping[str, str]) -> "Photo":
        """The same photo, framed otherwise. Raises ValueError for a framing that does not exist."""
        kind = words.get("framing", self.framing.kind)
        place = int(words["position"]) / STEPS if "position" in words else self.framing.x
        return replace(self, framing=Framing(kind, place, place))  # type: ignore[arg-type]

    def chosen(self) -> dict[str, str]:
        return {"framing": self.framing.kind, "position": str(round(self.framing.x * STEPS))}

    def html(self, size: tuple[int, int]) -> str:
        """The photo, on it the part that is taken, which can be moved, and what was said of it."""
        width, height = self.image.size
        left, top, right, bottom = crop_box(self.image.size, size, self.framing)
        high = bottom - top < height
        part = (bottom - top) / height if high else (right - left) / width
        moved = (
            f"<input type='range' data-word='position' min='0' max='{STEPS}' value='{self.chosen()['position']}' "
            f"class='{'down' if high else 'across'}' style='--part: {part:.2%}' "
            "aria-label='The part that the network gets' title='Drag the frame, or use the arrow keys'>"
        ) * (part < 1)
        small = self.image.copy()
        small.thumbnail((PREVIEW, PREVIEW))
        file = BytesIO()
        small.save(file, "JPEG", quality=85)
        address = f"data:image/jpeg;base64,{b64encode(file.getvalue()).decode()}"
        taken = "framed part" if moved else "whole picture"
        said = [f"The network gets the {taken}.", *self.notes]
        return (
            f"<div class='photo'><img src='{address}' alt='your picture'>{moved}</div><p>{escape(' '.join(said))}</p>"
        )
