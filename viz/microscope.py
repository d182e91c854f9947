"""The instrument that all lenses share: one network, the picture under it, and what was lately computed of it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from mixer.data import CLASSES, class_names, normalise, samples, to_picture
from mixer.model import Mixer
from viz import tokens
from viz.capture import Trace, depth_names, trace
from viz.explanations import Explanations

KEPT_TRACES = 8  # 15 MB each with the seed network
KEPT_BANKS = 8  # 13 MB each


@dataclass(frozen=True)
class Selection:
    """What a visitor looks at: the one small state that every lens reads. Plain values only."""

    picture: bytes
    """the picture as the network sees it: height x width x 3 bytes of RGB"""
    sample: int | None = None
    """its number among the shipped samples; None for a visitor's own picture"""
    target: int = 0
    """the class that is asked about"""
    patch: int = 0
    depth: int = 0
    """as in `depth_names`: 0 is the stem, then 1a, 1b, 2a, ..."""
    lens: str = "Overview"
    """the name of the open tab"""

    @property
    def block(self) -> int:
        """The block that the depth lies in, counted from 0; at the stem, the first, which reads it."""
        return max(0, (self.depth - 1) // 2)


class Microscope:
    """A network on its device, and the traces of the pictures it was last shown."""

    def __init__(self, model: Mixer, metrics: dict[str, Any], device: torch.device):
        self.model = model.to(device).eval()
        self.metrics = metrics
        self.device = device
        self.grid = model.config.grid
        self.classes = class_names(model.config)
        self.depth_names = depth_names(model.config.num_blocks)
        self.samples = samples()
        self.look = lru_cache(KEPT_TRACES)(self._look)
        self.explanations = Explanations(self.model, self.input, lambda: self.sample_inputs)
        self._banked = lru_cache(KEPT_BANKS * -(-len(self.samples) // tokens.BANK_BATCH))(self._bank_batch)

    def _look(self, picture: bytes) -> Trace:
        """The traced pass of one picture, from memory where it was made lately."""
        return trace(self.model, self.input(picture)[None])

    def pixels(self, picture: bytes) -> UInt8[np.ndarray, "height width 3"]:
        return np.frombuffer(picture, np.uint8).reshape(*self.grid.image_size, 3)

    def input(self, picture: bytes) -> Float[Tensor, "3 height width"]:
        """The picture as the network takes it, on its device."""
        pixels = torch.from_numpy(self.pixels(picture).copy()).permute(2, 0, 1)
        return normalise(pixels.to(self.device), self.model.config)

    def probabilities(self, picture: bytes) -> Float[np.ndarray, "classes"]:
        return self.look(picture).logits[0].softmax(0).cpu().numpy()

    def picture_of(self, image: Image.Image) -> bytes:
        """Any image as a picture for a `Selection`. Raises ValueError if it cannot be read."""
        return to_picture(image, self.grid.image_size).tobytes()

    def sample_image(self, sample: int) -> Image.Image:
        """A shipped sample in its own size."""
        return Image.fromarray(self.samples.images[sample].permute(1, 2, 0).numpy())

    def show(self, selection: Selection, picture: bytes, sample: int | None = None) -> Selection:
        """Put a picture under the microscope; the class that is asked about becomes the answer."""
        return replace(selection, picture=picture, sample=sample, target=int(self.probabilities(picture).argmax()))

    def show_sample(self, selection: Selection, sample: int) -> Selection:
        """Put a shipped sample under the microscope. Raises ValueError if there is no such sample."""
        if not 0 <= sample < len(self.samples):
            raise ValueError(f"sample {sample} does not exist: there are {len(self.samples)}, counted from 0")
        return self.show(selection, self.picture_of(self.sample_image(sample)), sample)

    def first(self) -> Selection:
        """What the page opens on: a sample, asked about at the last depth and at a patch near the middle."""
        patch = self.grid.index(self.grid.rows // 2, self.grid.cols // 2)
        empty = Selection(b"", patch=patch, depth=len(self.depth_names) - 1)
        return self.show_sample(empty, 0)

    def bank(
        self, depth: int, follow: Callable[[Iterable[int]], Iterable[int]] = iter
    ) -> Float[Tensor, "samples patches channels"]:
        """The tokens of all shipped samples at one depth, from memory where they were read lately.

        follow: goes through the batches, for a display of the progress (about 1.5 s on two cores for a new depth)
        """
        batches = range(-(-len(self.samples) // tokens.BANK_BATCH))
        return torch.cat([self._banked(depth, batch) for batch in follow(batches)])

    def _bank_batch(self, depth: int, batch: int) -> Float[Tensor, "batch patches channels"]:
        return tokens.bank(self.model, self.sample_inputs.split(tokens.BANK_BATCH)[batch], depth)

    @cached_property
    def sample_inputs(self) -> Float[Tensor, "samples 3 height width"]:
        pictures = [self.picture_of(self.sample_image(i)) for i in range(len(self.samples))]
        return torch.stack([self.input(picture) for picture in pictures])

    def sample_answers(self, follow: Callable[[Iterable[int]], Iterable[int]] = iter) -> list[int]:
        """The class that the network gives each shipped sample. follow: as for `bank`."""
        last = self.bank(len(self.depth_names) - 1, follow)
        return tokens.answer(self.model, last).argmax(1).tolist()

    def truth(self, sample: int) -> str:
        """What a sample is labelled, whether the network knows that class or not."""
        return CLASSES[self.samples.labels[sample]]

    @property
    def knows_samples(self) -> bool:
        """Whether the network's classes are the samples': only then can an answer to a sample be right or wrong."""
        return set(self.classes) == set(CLASSES)

    def truth_class(self, sample: int) -> int | None:
        """The number that a sample's true class has in this network; None where its classes are others."""
        return self.classes.index(self.truth(sample)) if self.knows_samples else None

    def leading(self, picture: bytes, count: int) -> list[int]:
        """The most probable classes, best first: as many as asked for, or as there are."""
        return np.argsort(-self.probabilities(picture), kind="stable")[:count].tolist()

    def rival(self, picture: bytes, target: int) -> int | None:
        """The most probable class but for the target; None where there is no other."""
        return next((i for i in self.leading(picture, 2) if i != target), None)
