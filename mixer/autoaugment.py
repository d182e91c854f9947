"""AutoAugment's policy for CIFAR-10 (Cubuk et al. 2019, arXiv 1805.09501), drawn for each image of a batch.

An operation of torchvision has one magnitude per call, so each image needs a call. Here an operation has a magnitude
per image and processes all its images of a batch in one call, without waiting for a GPU.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, UInt8
from torch import Tensor

LEVELS: dict[str, Callable[[float], float]] = {
    "Rotate": lambda level: 30 * level,  # degrees
    "ShearY": lambda level: 0.3 * level,
    "TranslateX": lambda level: int(150 / 331 * 32 * level),  # pixels
    "TranslateY": lambda level: int(150 / 331 * 32 * level),
    "Brightness": lambda level: 0.9 * level,  # added to a factor of 1
    "Color": lambda level: 0.9 * level,
    "Contrast": lambda level: 0.9 * level,
    "Sharpness": lambda level: 0.9 * level,
    "Posterize": lambda level: 8 - round(4 * level),  # bits to keep
    "Solarize": lambda level: 255 * (1 - level),  # pixels from this value on are inverted
    "Invert": lambda level: 0,  # solarized from 0 on
    "AutoContrast": lambda level: 0,
    "Equalize": lambda level: 0,
}
"""magnitude of each operation at a level (0 to 1)"""
OPERATIONS = tuple(LEVELS)
SIGNED = OPERATIONS[: OPERATIONS.index("Posterize")]
"""operations whose magnitude is negative with probability 1/2"""

POLICY = """
Invert 0.1 0, Contrast 0.2 6
Rotate 0.7 2, TranslateX 0.3 9
Sharpness 0.8 1, Sharpness 0.9 3
ShearY 0.5 8, TranslateY 0.7 9
AutoContrast 0.5 0, Equalize 0.9 0
ShearY 0.2 7, Posterize 0.3 7
Color 0.4 3, Brightness 0.6 7
Sharpness 0.3 9, Brightness 0.7 9
Equalize 0.6 0, Equalize 0.5 0
Contrast 0.6 7, Sharpness 0.6 5
Color 0.7 7, TranslateX 0.5 8
Equalize 0.3 0, AutoContrast 0.4 0
TranslateY 0.4 3, Sharpness 0.2 6
Brightness 0.9 6, Color 0.2 8
Solarize 0.5 2, Invert 0.0 0
Equalize 0.2 0, AutoContrast 0.6 0
Equalize 0.2 0, Equalize 0.6 0
Color 0.9 9, Equalize 0.6 0
AutoContrast 0.8 0, Solarize 0.2 8
Brightness 0.1 3, Color 0.7 0
Solarize 0.4 5, AutoContrast 0.9 0
TranslateY 0.9 9, TranslateY 0.7 9
AutoContrast 0.9 0, Solarize 0.8 3
Equalize 0.8 0, Invert 0.1 0
TranslateY 0.7 9, AutoContrast 0.9 0
"""
"""two successive operations per row: name, probability, level in ninths (table 7 of the paper)"""


def auto_augment(images: UInt8[Tensor, "batch 3 height width"]) -> UInt8[Tensor, "batch 3 height width"]:
    """Change colours and geometry at random. The CPU's generator draws, also for images on a GPU."""
    row = torch.randint(TABLE.shape[1], (len(images),))
    for operation, probability, magnitude, signed in TABLE[:, row].unbind(2):
        chance, sign = torch.rand(2, len(images))
        chosen = torch.where(chance < probability, operation, -1).long()
        images = apply(images, chosen, torch.where((sign < 0.5) & signed.bool(), -magnitude, magnitude))
    return images


def apply(
    images: UInt8[Tensor, "batch 3 height width"], operation: Int[Tensor, "batch"], magnitude: Float[Tensor, "batch"]
) -> UInt8[Tensor, "batch 3 height width"]:
    """Apply one operation (index in OPERATIONS; -1 for none) and magnitude per image."""
    out = images.clone()
    for names, change in CHANGES.items():
        numbers = torch.tensor([[OPERATIONS.index(name)] for name in names])
        which = (operation == numbers).any(0).nonzero()[:, 0]
        if len(which):
            magnitudes = torch.where(operation == numbers, magnitude, 0)[:, which]
            place = which.to(images.device, non_blocking=True)
            out[place] = change(images[place], *magnitudes.to(images.device, non_blocking=True))
    return out


def _move(
    images: UInt8[Tensor, "batch 3 height width"],
    degrees: Float[Tensor, "batch"],
    shear: Float[Tensor, "batch"],
    right: Float[Tensor, "batch"],
    down: Float[Tensor, "batch"],
) -> UInt8[Tensor, "batch 3 height width"]:
    """Rotate counterclockwise about the centre, shear from the left border, shift; empty pixels become black."""
    height, width = images.shape[2:]
    cos, sin = degrees.deg2rad().cos(), degrees.deg2rad().sin()
    from_x = torch.stack((cos, -sin, -right), 1)
    from_y = torch.stack((sin + shear, cos, shear * width / 2 - down), 1)
    y, x = (torch.arange(size, device=images.device) - (size - 1) / 2 for size in (height, width))
    to = torch.stack(torch.broadcast_tensors(x, y[:, None], torch.ones_like(x)))  # 3 height width
    grid = torch.stack(
        (torch.einsum("bk,khw->bhw", from_x, to) * 2 / width, torch.einsum("bk,khw->bhw", from_y, to) * 2 / height), 3
    )
    return F.grid_sample(images.float(), grid, mode="nearest", align_corners=False).to(torch.uint8)


def _blend(
    images: UInt8[Tensor, "batch 3 height width"],
    brightness: Float[Tensor, "batch"],
    colour: Float[Tensor, "batch"],
    contrast: Float[Tensor, "batch"],
    sharpness: Float[Tensor, "batch"],
) -> UInt8[Tensor, "batch 3 height width"]:
    """Blend with black, the grey image, its mean or the blurred image: towards it below 0, away from it above 0.

    At most one of the four amounts of an image is not 0.
    """
    values = images.float()
    grey = (values * values.new_tensor((0.2989, 0.587, 0.114)).view(3, 1, 1)).sum(1, keepdim=True).floor()
    blurred = values.clone()
    blurred[:, :, 1:-1, 1:-1] = ((9 * F.avg_pool2d(values, 3, 1) + 4 * values[:, :, 1:-1, 1:-1]) / 13).round()
    other = torch.zeros_like(values)  # black
    for amount, towards in (colour, grey), (contrast, grey.mean((2, 3), keepdim=True)), (sharpness, blurred):
        other = torch.where(amount[:, None, None, None] != 0, towards, other)
    ratio = (1 + brightness + colour + contrast + sharpness)[:, None, None, None]
    return (values * ratio + other * (1 - ratio)).clamp(0, 255).to(torch.uint8)


def _posterize(
    images: UInt8[Tensor, "batch 3 height width"], bits: Float[Tensor, "batch"]
) -> UInt8[Tensor, "batch 3 height width"]:
    return images & (256 - 2 ** (8 - bits)).to(torch.uint8)[:, None, None, None]


def _solarize(
    images: UInt8[Tensor, "batch 3 height width"], threshold: Float[Tensor, "batch"], zero: Float[Tensor, "batch"]
) -> UInt8[Tensor, "batch 3 height width"]:
    return torch.where(images >= (threshold + zero)[:, None, None, None], ~images, images)


def _auto_contrast(
    images: UInt8[Tensor, "batch 3 height width"], zero: Float[Tensor, "batch"]
) -> UInt8[Tensor, "batch 3 height width"]:
    from torchvision.transforms.v2 import functional  # imported here and below because loading is slow

    return functional.autocontrast(images)


def _equalize(
    images: UInt8[Tensor, "batch 3 height width"], zero: Float[Tensor, "batch"]
) -> UInt8[Tensor, "batch 3 height width"]:
    from torchvision.transforms.v2 import functional

    return functional.equalize(images)


CHANGES: dict[tuple[str, ...], Callable[..., Tensor]] = {
    ("Rotate", "ShearY", "TranslateX", "TranslateY"): _move,
    ("Brightness", "Color", "Contrast", "Sharpness"): _blend,
    ("Posterize",): _posterize,
    ("Solarize", "Invert"): _solarize,
    ("AutoContrast",): _auto_contrast,
    ("Equalize",): _equalize,
}
"""function of each operation; it gets the images and one magnitude per name, 0 for unused ones"""


def policy() -> list[list[tuple[str, float, int]]]:
    rows = [[step.split() for step in row.split(", ")] for row in POLICY.strip().splitlines()]
    return [[(name, float(probability), int(level)) for name, probability, level in row] for row in rows]


TABLE = torch.tensor(
    [[(OPERATIONS.index(n), p, LEVELS[n](level / 9), n in SIGNED) for n, p, level in steps] for steps in policy()]
).movedim(2, 0)
"""(4, rows, 2): index of the operation, probability, magnitude, and whether the magnitude is signed"""
