"""The instrument that all lenses share: one network, the picture under it, and what was recently computed of it."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from cachetools import LRUCache
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from mixer.checkpoint import DEFAULT
from mixer.data import Samples, class_names, samples
from mixer.model import Mixer
from mixer.opening import located, named, open_network, samples_of, told
from mixer.picture import decode, to_input, to_picture
from viz import tokens
from viz.attribution.remembered import Explanations
from viz.capture import Trace, depth_names, trace
from viz.doubt.remembered import Doubts
from viz.intervene import edits
from viz.intervene.edits import Edit
from viz.lent_gpu import LENT
from viz.pace import batches
from viz.running import Measurement

KEPT_TRACES = 8  # 15 MB each with the seed network
KEPT_BANKS = 8  # 13 MB each
KEPT_RESULTS = 256  # some KB each

T = TypeVar("T")


class Microscope:
    """A network on its device, the shipped samples, and what was recently found of which picture."""

    def __init__(
        self,
        model: Mixer,
        metrics: dict[str, Any],
        device: torch.device,
        source: str = "",
        own_samples: Samples | None = None,
    ):
        """own_samples: test images of the network's data; without them, CIFAR-10's that ship with the project"""
        self.source = source
        """what `load` makes it of; in this project's folder, by the path there"""
        self.model = model.to(device).eval()
        self.metrics = metrics
        self.device = device
        self.grid = model.config.grid
        self.classes = class_names(model.config)
        self.depth_names = depth_names(model.config.num_blocks)
        self.samples = samples() if own_samples is None else own_samples
        self.explanations = Explanations(self.model, self.input, lambda: self.sample_inputs)
        self.doubts = Doubts(self.explanations)
        self._traces: LRUCache[Hashable, Trace] = LRUCache(KEPT_TRACES)
        self._banks: LRUCache[Hashable, Tensor] = LRUCache(KEPT_BANKS)
        self._results: LRUCache[Hashable, Any] = LRUCache(KEPT_RESULTS)

    @classmethod
    def load(cls, source: Path | str = DEFAULT, device: torch.device | None = None) -> "Microscope":
        """Of any Mixer that `mixer.opening.open_network` takes; on the GPU, if there is one and no other is given."""
        if device is None:
            device = torch.device("cuda" if torch.cuda.is_available() and not LENT else "cpu")
        found = located(source)  # once: a model of the Hub's is fetched
        return cls(*open_network(found), device, named(source), samples_of(found))

    @property
    def name(self) -> str:
        """Which network this is, in a few words."""
        return f"MLP-Mixer, {self.parameters:,} parameters, {self.quality}"

    @property
    def quality(self) -> str:
        """How good it is, as far as that was measured on images of its classes."""
        if "accuracy" not in self.metrics:
            return told(self.metrics)
        if not self.knows_samples:
            return "not evaluated"
        whose = f"{self.samples.source}'{'' if self.samples.source.endswith('s') else 's'}"
        return f"{self.metrics['accuracy']:.2%} of {whose} test images right"

    @property
    def grown_from(self) -> tuple[int, ...]:
        """How many blocks it had in earlier stages of its training, where it was grown since; as its record says."""
        recipes = (stage.get("recipe", {}) for stage in self.metrics.get("stages", ()))
        counts = dict.fromkeys(recipe.get("blocks") or 0 for recipe in recipes)
        return tuple(count for count in counts if 0 < count < len(self.model.blocks))

    @property
    def parameters(self) -> int:
        return sum(p.numel() for p in self.model.parameters())

    def look(self, picture: bytes) -> Trace:
        """The traced pass of one picture, as `picture_of` and `sample_picture` give it."""
        if (seen := self._traces.get(picture)) is None:
            seen = self._traces[picture] = trace(self.model, self.input(picture)[None])
        return seen

    def remembered(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` gives, from memory where it was made recently. The key says what it is, and of what."""
        if (result := self._results.get(key)) is None:
            result = self._results[key] = make()
        return result

    def recall(self, key: Hashable) -> Any:
        """What was remembered under a key, or None."""
        return self._results.get(key)

    def remember(self, key: Hashable, result: Any) -> None:
        self._results[key] = result

    def keep(self, key: Hashable, parts: Iterator[int | T]) -> Iterator[int]:
        """The numbers of what measures step by step and ends with its result, which is remembered."""
        for part in parts:
            if isinstance(part, int):
                yield part
            else:
                self.remember(key, part)

    def pixels(self, picture: bytes) -> UInt8[np.ndarray, "height width 3"]:
        return np.frombuffer(picture, np.uint8).reshape(*self.grid.image_size, 3)

    def edited(self, picture: bytes, changes: Sequence[Edit]) -> bytes:
        """A picture with edits."""
        original, config = self.pixels(picture), self.model.config
        return edits.apply(changes, original, config, lambda i: self.pixels(self.sample_picture(i))).tobytes()

    def input(self, picture: bytes) -> Float[Tensor, "3 height width"]:
        """The picture as the network takes it, on its device."""
        return to_input(self.pixels(picture), self.model.config).to(self.device)

    def probabilities(self, picture: bytes) -> Float[np.ndarray, "classes"]:
        """What the network answers; remembered longer than the trace."""
        return self.remembered(
            ("probabilities", picture), lambda: self.look(picture).logits[0].softmax(0).cpu().numpy()
        )

    def answer(self, picture: bytes) -> int:
        """The class that the network finds most probable."""
        return int(self.probabilities(picture).argmax())

    def class_number(self, text: str) -> int:
        """The class of that name. Raises ValueError where there is none."""
        if text not in self.classes:
            raise ValueError(f"this network knows no class {text!r}")
        return self.classes.index(text)

    def picture_of(self, image: Image.Image | Path | str | np.ndarray) -> bytes:
        """An image of Pillow's, a file or an array as a picture for a selection, `look` and `answer`: its middle.

        An array is height x width (grey) or height x width x 3 (red, green, blue), from 0 to 255.
        Raises ValueError, in words, for others.
        """
        if isinstance(image, np.ndarray):
            image = _image_of(image)
        return to_picture(decode(image).image, self.grid.image_size).tobytes()

    def sample_image(self, sample: int) -> Image.Image:
        """A shipped sample in its own size."""
        return Image.fromarray(self.samples.images[sample].permute(1, 2, 0).numpy())

    def sample_picture(self, sample: int) -> bytes:
        """A shipped sample as the network sees it. Raises ValueError if there is no such sample."""
        if not 0 <= sample < len(self.samples):
            raise ValueError(f"sample {sample} does not exist: there are {len(self.samples)}, counted from 0")
        return self.picture_of(self.sample_image(sample))

    @cached_property
    def sample_inputs(self) -> Float[Tensor, "samples 3 height width"]:
        return torch.stack([self.input(self.sample_picture(i)) for i in range(len(self.samples))])

    def truth(self, sample: int) -> str:
        """What a sample is labelled, whether the network knows that class or not."""
        return self.samples.classes[self.samples.labels[sample]]

    @property
    def knows_samples(self) -> bool:
        """Whether the network's classes are the samples': only then can an answer to a sample be right or wrong."""
        return set(self.classes) == set(self.samples.classes)

    def truth_class(self, sample: int) -> int | None:
        """The number that a sample's true class has in this network; None where its classes are others."""
        return self.classes.index(self.truth(sample)) if self.knows_samples else None

    def leading(self, picture: bytes, count: int) -> list[int]:
        """The most probable classes, best first: as many as asked for, or as there are."""
        return np.argsort(-self.probabilities(picture), kind="stable")[:count].tolist()

    def rival(self, picture: bytes, target: int) -> int | None:
        """The most probable class but for the target; None where there is no other."""
        return next((i for i in self.leading(picture, 2) if i != target), None)

    def bank(self, depth: int) -> Float[Tensor, "samples patches channels"] | None:
        """The tokens of all shipped samples at one depth; None where what `bank_needed` gives was not measured."""
        return self._banks.get(depth)

    def bank_needed(self, depth: int) -> list[Measurement]:
        """What has to be measured before `bank` knows a depth: nothing, or the reading of the samples."""
        return [] if depth in self._banks else [self._reading(depth)]

    def sample_answers(self) -> list[int] | None:
        """The class that the network gives each shipped sample; None where the last depth has not been read."""
        last = self.bank(len(self.depth_names) - 1)
        return None if last is None else tokens.answer(self.model, last).argmax(1).tolist()

    def typical(self) -> tokens.Typical | None:
        """What is usual over the shipped samples; None where `typical_needed` has not been measured."""
        return self.recall("typical")

    def typical_needed(self) -> list[Measurement]:
        def steps() -> Iterator[int]:
            return self.keep("typical", tokens.typical(self.model, self.sample_inputs))

        return [] if self.typical() else [self.over_samples("typical", "What is usual over the samples", steps)]

    def _reading(self, depth: int) -> Measurement:
        def steps() -> Iterator[int]:
            parts, done = [], 0
            for batch in batches(self.model, self.sample_inputs):
                parts.append(tokens.bank(self.model, batch, depth))
                done += len(batch)
                yield done
            self._banks[depth] = torch.cat(parts)

        return self.over_samples(("bank", depth), "Reading the samples", steps)

    def over_samples(
        self,
        key: Hashable,
        label: str,
        steps: Callable[[], Iterator[int]],
        passes: float = 1,
        asked: bool = False,
    ) -> Measurement:
        """What is measured on every sample. passes: what each costs"""
        count = len(self.samples)
        seconds = count * passes * self.explanations.seconds_per_pass
        return Measurement(key, label, "samples", count, seconds, steps, asked)


def _image_of(array: np.ndarray) -> Image.Image:
    if array.ndim not in (2, 3) or array.shape[2:] not in ((), (3,)) or 0 in array.shape:
        raise ValueError(f"an array is height x width or height x width x 3 to be a picture, not {array.shape}")
    if array.dtype.kind not in "iu" or array.min() < 0 or array.max() > 255:
        raise ValueError(
            f"a picture's array has whole numbers from 0 to 255, not {array.dtype} up to {array.max():.4g}"
        )
    return Image.fromarray(array.astype(np.uint8))
