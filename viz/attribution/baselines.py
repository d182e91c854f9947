"""Baseline images. An attribution compares each patch with the content of a baseline at the same position.

No baseline is neutral: a grey patch in a picture is as unnatural as a black one, and a dark patch hardly differs from
black. So the page shows the choice beside the answer; results should hold for several baselines.
"""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from mixer.data import normalise
from mixer.model import MixerConfig

BLUR = 8
"""the image's shorter side divided by the standard deviation of the blur, which removes shapes but not large areas"""


def _mean_colour(image: Float[Tensor, "3 height width"], config: MixerConfig) -> Float[Tensor, "3 height width"]:
    """The mean colour of the training set, which is 0 after normalisation."""
    return torch.zeros_like(image)


def _black(image: Float[Tensor, "3 height width"], config: MixerConfig) -> Float[Tensor, "3 height width"]:
    return normalise(torch.zeros_like(image, dtype=torch.uint8), config).to(image.dtype)


def _blurred(image: Float[Tensor, "3 height width"], config: MixerConfig) -> Float[Tensor, "3 height width"]:
    """A Gaussian blur, cut off at three standard deviations, with reflection at the edges."""
    from torchvision.transforms.functional import gaussian_blur  # here, because its import needs a second

    side = min(image.shape[1:])
    reach = min(-(-3 * side // BLUR), side - 1)
    return gaussian_blur(image, [2 * reach + 1] * 2, [side / BLUR] * 2)


def _own_mean(image: Float[Tensor, "3 height width"], config: MixerConfig) -> Float[Tensor, "3 height width"]:
    """The mean colour of the image itself."""
    return image.mean((1, 2), keepdim=True).expand_as(image).contiguous()


BASELINES: dict[str, Callable[[Tensor, MixerConfig], Tensor]] = {
    "mean colour": _mean_colour,
    "black": _black,
    "blurred": _blurred,
    "own mean": _own_mean,
}
FILLINGS = ("mean colour", "own mean", "blurred")
"""the baselines that replace removed patches in tests of faithfulness"""


def baseline(name: str, image: Float[Tensor, "3 height width"], config: MixerConfig) -> Float[Tensor, "3 height width"]:
    """One of `BASELINES` for a normalised image, on the image's device. Raises ValueError for another name."""
    if name not in BASELINES:
        raise ValueError(f"no baseline is named {name!r}: there are {', '.join(BASELINES)}")
    with torch.no_grad():
        return BASELINES[name](image, config)


def pixels(image: Float[Tensor, "3 height width"], config: MixerConfig) -> UInt8[np.ndarray, "height width 3"]:
    """From a normalised image to colours from 0 to 255."""
    mean, std = (image.new_tensor(values).view(3, 1, 1) for values in (config.mean, config.std))
    colours = (image * std + mean).mul(255).round().clamp(0, 255)
    return colours.permute(1, 2, 0).cpu().numpy().astype(np.uint8)
