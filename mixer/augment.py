"""Augmentation of batches. The random numbers come from torch's default generator of the images' device."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

MAX_SHIFT = 31
"""largest shift of a 32 x 32 image in pixels, because the reflected border must be smaller than the image"""


def crop_and_flip(
    images: UInt8[Tensor, "batch 3 height width"], pad: int, mirrored: Bool[Tensor, "batch"] | None = None
) -> UInt8[Tensor, "batch 3 height width"]:
    """Shift each image at random by up to `pad` pixels (reflected border), and flip the `mirrored` ones horizontally.

    mirrored: which images to flip; without it, each with probability 1/2
    """
    batch, _, height, width = images.shape
    device = images.device
    if mirrored is None:
        mirrored = torch.rand(batch, device=device) < 0.5
    padded = F.pad(images.float(), (pad,) * 4, mode="reflect").to(images.dtype)
    rows = torch.randint(2 * pad + 1, (batch, 1), device=device) + torch.arange(height, device=device)
    cols = torch.randint(2 * pad + 1, (batch, 1), device=device) + torch.arange(width, device=device)
    cols = torch.where(mirrored[:, None], cols.flip(1), cols)
    each, colour = torch.arange(batch, device=device).view(-1, 1, 1, 1), torch.arange(3, device=device).view(-1, 1, 1)
    return padded[each, colour, rows[:, None, :, None], cols[:, None, None, :]]


def mixup(
    images: Float[Tensor, "batch 3 height width"], targets: Float[Tensor, "batch classes"]
) -> tuple[Float[Tensor, "batch 3 height width"], Float[Tensor, "batch classes"]]:
    """Blend each image with another of the batch; one uniform share per batch (Zhang et al. 2018, alpha = 1)."""
    share = torch.rand((), device=images.device)
    other = torch.randperm(len(images), device=images.device)
    return torch.lerp(images[other], images, share), torch.lerp(targets[other], targets, share)


def cutmix(
    images: Float[Tensor, "batch 3 height width"], targets: Float[Tensor, "batch classes"]
) -> tuple[Float[Tensor, "batch 3 height width"], Float[Tensor, "batch classes"]]:
    """Replace one rectangle of all images by that of another image; its area is uniform (Yun et al. 2019)."""
    height, width = images.shape[2:]
    side = torch.rand(()).sqrt()  # of the rectangle, relative to the image
    y, x = int(torch.randint(height, ())), int(torch.randint(width, ()))
    dy, dx = int(side * height / 2), int(side * width / 2)
    rows, cols = slice(max(0, y - dy), y + dy), slice(max(0, x - dx), x + dx)
    other = torch.randperm(len(images), device=images.device)
    mixed = images.clone()
    mixed[:, :, rows, cols] = images[other, :, rows, cols]
    share = 1 - images[0, 0, rows, cols].numel() / (height * width)
    return mixed, torch.lerp(targets[other], targets, share)
