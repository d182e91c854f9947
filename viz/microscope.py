"""The instrument that all lenses share: one network, the picture under it, and what was recently computed of it."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar
from unicodedata import normalize

import numpy as np
import torch
from cachetools import LRUCache
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from mixer.checkpoint import DEFAULT
from mixer.data import Labelled, Samples, cifar, class_names, published, samples
from mixer.evaluate import data_name
from mixer.image_folder import read_samples
from mixer.model import Mixer
from mixer.networks import display_name, open_network, quality_text, resolve, samples_of
from mixer.picture import decode, to_input, to_picture
from viz import tokens
from viz.capture import Trace, array, depth_names, trace
from viz.intervene import edits
from viz.intervene.edits import Edit
from viz.measuring import Measurement, Memory
from viz.pace import FIRST, seconds_per_pass
from viz.zerogpu import LENT

UNLABELLED = "picture"
KEPT_TRACES = 8  # 15 MB each with the seed network

T = TypeVar("T")
Picture = Image.Image | Path | str | np.ndarray | Tensor | bytes


class Microscope(Memory):
    """A network on its device, its samples, and what is known of them and of pictures.

    `model` is the network (torch, in eval mode), `classes` are the names of its classes, `depth_names` those of its
    depths, `grid` knows where its patches are, `samples` are pictures to look at. A picture is bytes, as `picture_of`
    makes them of a file, an image or an array, and `sample_picture` of a sample: so it can be compared and remembered.
    """

    def __init__(
        self,
        model: Mixer,
        metrics: dict[str, Any],
        device: torch.device,
        source: str = "",
        own_samples: Samples | None = None,
        folder: Path | None = None,
        data_root: Path | None = None,
    ):
        """own_samples: pictures of the network's own; without them, CIFAR-10's that ship with the project

        folder: where they are from
        data_root: where all test images of their data set may be, as for `mixer.data.cifar`
        """
        super().__init__()
        self.source, self.folder = source, folder
        """what `load` makes it of; in this project's folder, by the path there"""
        self.model = model.to(device).eval()
        self.metrics = metrics
        self.device = device
        self.grid = model.config.grid
        self.classes = class_names(model.config)
        self.depth_names = depth_names(model.config.num_blocks)
        self.samples = samples() if own_samples is None else own_samples
        self._data_root = data_root
        self.test_data = published(self.samples.source, data_root) if self.samples.held_out else None
        """the data set of the samples, if all of its test images are here"""
        self._traces: LRUCache[Hashable, Trace] = LRUCache(KEPT_TRACES)

    @classmethod
    def load(
        cls,
        source: Path | str = DEFAULT,
        device: torch.device | None = None,
        samples: Path | str | None = None,
        data_root: Path | None = None,
    ) -> "Microscope":
        """Of any Mixer that `mixer.networks.open_network` takes; on the GPU, if there is one and no other is given.

        samples: a folder of pictures that are its samples, in place of those that the network has
        data_root: a folder with CIFAR-10 or CIFAR-100, whose test images can then be looked at; without it
            $CIFAR10_ROOT, without that ./data
        """
        if device is None:
            device = torch.device("cuda" if torch.cuda.is_available() and not LENT else "cpu")
        found = resolve(source)  # once: a model of the Hub's is fetched
        model, metrics = open_network(found)
        folder = None if samples is None else Path(samples)
        own = samples_of(found) if folder is None else read_samples(folder, model.config.image_size, print)
        return cls(model, metrics, device, display_name(source), own, folder, data_root)

    @property
    def name(self) -> str:
        """Which network this is, in a few words."""
        return f"MLP-Mixer, {self.parameters:,} parameters, {self.quality}"

    @property
    def quality(self) -> str:
        """How good it is, as far as that was measured on images of its classes."""
        if "accuracy" not in self.metrics:
            return quality_text(self.metrics)
        return f"{data_name(self.metrics)} {quality_text(self.metrics)}" if self.evaluated else "not evaluated"

    @property
    def evaluated(self) -> bool:
        """Whether its record is of images of its classes."""
        metrics = self.metrics
        return "accuracy" in metrics and set(metrics.get("class_accuracy", ())) <= set(self.classes)

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
        """All that the network computes of one picture: a `Trace` of a batch of 1, of tensors on the network's device.

        The last few are remembered. picture: as `picture_of` and `sample_picture` give it; ValueError for another size
        """
        if (seen := self._traces.get(picture)) is None:
            seen = self._traces[picture] = trace(self.model, self.input(picture)[None])
        return seen

    def pixels(self, picture: bytes) -> UInt8[np.ndarray, "height width 3"]:
        """The picture as red, green and blue from 0 to 255."""
        return np.frombuffer(picture, np.uint8).reshape(*self.grid.image_size, 3)

    def edited(self, picture: bytes, changes: Sequence[Edit]) -> bytes:
        """A picture with edits, one after the other: `viz.intervene.edits.parse("mean:3,1", grid, samples)`."""
        original, config = self.pixels(picture), self.model.config
        return edits.apply(changes, original, config, lambda i: self.pixels(self.sample_picture(i))).tobytes()

    def input(self, picture: bytes) -> Float[Tensor, "3 height width"]:
        """The picture as the network takes it, on its device: colours less their mean, over their deviation."""
        return to_input(self.pixels(picture), self.model.config).to(self.device)

    def probabilities(self, picture: bytes) -> Float[np.ndarray, "classes"]:
        """What the network answers: the softmax of its logits. Remembered longer than the trace."""
        return self.remembered(("probabilities", picture), lambda: array(self.look(picture).logits[0].softmax(0)))

    def answer(self, picture: bytes) -> int:
        """The number of the class that the network finds most probable; its name is in `classes`."""
        return int(self.probabilities(picture).argmax())

    def decided_at(self, picture: bytes) -> int:
        """The depth from which on the answer is the most probable class, if the network ended there."""
        return tokens.logit_lens(self.look(picture), self.model).decided_at

    def class_number(self, text: str) -> int:
        """The class of that name, or else of one with the same letters. Raises ValueError where there is none."""
        if text in self.classes:
            return self.classes.index(text)
        composed = normalize("NFC", text)  # as keyboards and chats write it; older networks' names may be decomposed
        alike = [i for i, name in enumerate(self.classes) if normalize("NFC", name) == composed]
        if len(alike) != 1:
            raise ValueError(f"this network knows no class {text!r}")
        return alike[0]

    def block_number(self, block: int | None) -> int:
        """Of a block that is counted from 1, its number from 0; None is the last. Raises ValueError for others."""
        count = len(self.model.blocks)
        if block is not None and not 1 <= block <= count:
            raise ValueError(f"block is a whole number from 1 to {count}, not {block}")
        return (count if block is None else block) - 1

    def picture_of(self, image: Picture) -> bytes:
        """A file, Pillow's image or an array (also torch's) as a picture for a selection and `answer`: its middle.

        An array is height x width (grey) or height x width x 3 (red, green, blue), from 0 to 255. Bytes are such a
        picture already: height x width x 3 of them, in the network's size. Raises ValueError, in words, for others.
        """
        if isinstance(image, bytes):
            if len(image) != 3 * self.grid.image_size[0] * self.grid.image_size[1]:
                raise ValueError(f"bytes are a picture that picture_of gave for this network, not {len(image)} of them")
            return image
        if isinstance(image, Tensor):
            image = array(image, torch.float32 if image.is_floating_point() else image.dtype)
        if isinstance(image, np.ndarray):
            image = _image_of(image)
        if not isinstance(image, Image.Image | Path | str):
            kinds = "a file's name, an image of Pillow's or an array"
            raise ValueError(f"a picture is {kinds}, not {str(image)[:50]!r}, which is of type {type(image).__name__}")
        return to_picture(decode(image).image, self.grid.image_size).tobytes()

    @cached_property
    def test_images(self) -> Labelled | None:
        """All test images of the samples' data set, where they are here. Raises DataMissing where they are damaged."""
        return self.test_data and cifar(self.test_data, "test", self._data_root)

    @cached_property
    def test_numbers(self) -> list[int]:
        """The numbers of all test images: a sample's own, and from the last sample's on those of the others."""
        sample_of = {place: i for i, place in enumerate(self.samples.indices.tolist())}
        count, first = len(self.test_images or ()), len(self.samples)
        return [sample_of.get(place, first + place) for place in range(count)]

    def _found(self, sample: int) -> tuple[Labelled, int]:
        """The images that a number means one of, and its place there. Raises ValueError where there is none."""
        count = len(self.samples)
        if 0 <= sample < count:
            return self.samples, sample
        if sample >= count and self.test_images and sample - count < len(self.test_images):
            return self.test_images, sample - count
        raise ValueError(f"sample {sample} does not exist: there are {count}, counted from 0")

    def sample_image(self, sample: int) -> Image.Image:
        """A sample, or another of the test images, in its own size. Raises ValueError if there is none."""
        images, place = self._found(sample)
        return Image.fromarray(images.images[place].permute(1, 2, 0).numpy())

    def sample_picture(self, sample: int) -> bytes:
        """The same as the network sees it."""
        return self.picture_of(self.sample_image(sample))

    def sample_place(self, sample: int) -> int:
        """Where it stands among the test images, or the files of its folder."""
        images, place = self._found(sample)
        return int(images.indices[place]) if isinstance(images, Samples) else place

    @cached_property
    def sample_inputs(self) -> Float[Tensor, "samples 3 height width"]:
        return self.inputs(range(len(self.samples)))

    def inputs(self, numbers: Iterable[int]) -> Float[Tensor, "pictures 3 height width"]:
        """Samples, or other test images, as the network takes them."""
        return torch.stack([self.input(self.sample_picture(number)) for number in numbers])

    def truth(self, sample: int) -> str:
        """What a sample is labelled, whether the network knows that class or not; "picture" where it has no label."""
        images, place = self._found(sample)
        return images.classes[images.labels[place]] if images.classes else UNLABELLED

    @property
    def knows_samples(self) -> bool:
        """Whether the network has all classes of the samples: only then can an answer to a sample be right or wrong."""
        return bool(self.samples.classes) and set(self.samples.classes) <= set(self.classes)

    def truth_class(self, sample: int) -> int | None:
        """The number that a sample's true class has in this network; None where its classes are others."""
        return self.classes.index(self.truth(sample)) if self.knows_samples else None

    def leading(self, picture: bytes, count: int) -> list[int]:
        """The most probable classes, best first: as many as asked for, or as there are."""
        return [*map(int, np.argsort(-self.probabilities(picture), kind="stable")[:count])]

    def sample_tokens(self, depth: int) -> Measurement[Tensor]:
        """The tokens of all shipped samples at one depth: (samples, patches, channels); NaN where not read yet."""
        return self.over_samples(
            ("bank", depth),
            "Reading the samples",
            lambda: tokens.sample_tokens(self.model, self.sample_inputs, depth),
            first=FIRST,
        )

    def sample_stats(self) -> Measurement[tokens.SampleStats]:
        """The means over the shipped samples."""
        return self.over_samples(
            "typical",
            "Means over the samples",
            lambda: tokens.sample_stats(self.model, self.sample_inputs),
            first=FIRST,
        )

    @property
    def seconds_per_pass(self) -> float:
        """As it was seen last."""
        return seconds_per_pass(self.model)

    def measurement(
        self,
        key: Hashable,
        label: str,
        unit: str,
        total: int,
        steps: Callable[[], Iterator[int | T]],
        passes: float | None = None,
        on_request: bool = False,
        first: int | None = None,
    ) -> Measurement[T]:
        """What is measured of this network, and kept in its memory.

        steps: yields how many are done, and at last the result, as `Memory.kept` takes it
        passes: that it costs; None: as many as its steps
        first: after how many steps it yields a result that it refines then
        """
        seconds, reached = (total if passes is None else passes) * self.seconds_per_pass, self.reached(key)
        until_first = None if first is None else seconds * min(1, first / total)
        seconds *= 1 - min(1, reached / total)
        make = partial(self.kept, key, steps)
        return Measurement(key, label, unit, total, seconds, make, on_request, until_first, reached)

    def over_samples(
        self,
        key: Hashable,
        label: str,
        steps: Callable[[], Iterator[int | T]],
        passes: float = 1,
        on_request: bool = False,
        first: int | None = None,
    ) -> Measurement[T]:
        """What is measured on every sample. passes: that each costs; first: as for `measurement`"""
        count = len(self.samples)
        return self.measurement(key, label, "samples", count, steps, count * passes, on_request, first)


def _image_of(array: np.ndarray) -> Image.Image:
    if array.ndim not in (2, 3) or array.shape[2:] not in ((), (3,)) or 0 in array.shape:
        raise ValueError(f"an array is height x width or height x width x 3 to be a picture, not {array.shape}")
    if array.dtype.kind not in "iu" or array.min() < 0 or array.max() > 255:
        raise ValueError(
            f"a picture's array has whole numbers from 0 to 255, not {array.dtype} up to {array.max():.4g}"
        )
    return Image.fromarray(array.astype(np.uint8))
