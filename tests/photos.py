"""A folder of photos that somebody might have, sorted by class: made, of many sizes, and quickly learned."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SIZES = ((90, 60), (64, 64), (120, 200), (75, 75))
"""(width, height)"""


def write(root: Path, count: int, classes: tuple[str, ...] = ("discs", "stripes"), seed: int = 0) -> Path:
    """Put so many photos into a folder for each class: a bright disc, or else stripes, on a noisy ground."""
    random = np.random.default_rng(seed)
    for number, name in enumerate(classes):
        (root / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            _picture(random, number).save(root / name / f"IMG_{i:04}.jpg", quality=90)
    return root


def _picture(random: np.random.Generator, kind: int) -> Image.Image:
    width, height = SIZES[random.integers(len(SIZES))]
    ground = random.integers(0, 110, 3) + random.integers(-15, 15, (height, width, 3))
    image = Image.fromarray(ground.clip(0, 255).astype(np.uint8))
    draw, colour = ImageDraw.Draw(image), tuple(random.integers(140, 256, 3).tolist())
    if kind == 0:
        radius = min(width, height) // 4
        x, y = (int(random.integers(radius, side - radius)) for side in (width, height))
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
    else:
        for y in range(int(random.integers(8)), height, 12 + 4 * kind):
            draw.rectangle((0, y, width, y + 4), fill=colour)
    return image
