"""The instrument of all lenses: a network, its samples, and a cache of its results."""

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
from mixer.data import Labelled, Samples, at_hand, class_names, published, samples
from mixer.evaluate import data_name
from mixer.image_folder import read_samples
from mixer.model import Mixer
from mixer.networks import display_name, open_network, quality_text, resolve, samples_of
from mixer.picture import decode, to_input, to_picture
from mixer.validation import whole
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
    """A network on its device, its samples, and a cache of results.

    `model` is the network (torch, in eval mode), `classes` are the names of its classes, `depth_names` those of its
    depths, `grid` locates its patches, `samples` are its pictures. A picture is bytes, from `picture_of` (a file, an
    image or an array) or `sample_picture` (a sample), because bytes can be cache keys.
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
        """own_samples: the network's samples (default: the CIFAR-10 samples of this project)

        folder: their folder
        data_root: the folder for all test images of their data set, as for `mixer.data.published`
        """
        super().__init__()
        self.source, self.folder = source, folder
        """argument of `load`; within this project's folder, as a relative path"""
        self.model = model.to(device).eval()
        self.metrics = metrics
        self.device = device
        self.grid = model.config.grid
        self.classes = class_names(model.config)
        self.depth_names = depth_names(model.config.num_blocks)
        self.samples = samples() if own_samples is None else own_samples
        self._data_root = data_root
        self.test_data = at_hand(self.samples.source, data_root) if self.samples.held_out else None
        """the data set of the samples, if all of its test images are available"""
        self._traces: LRUCache[Hashable, Trace] = LRUCache(KEPT_TRACES)

    @classmethod
    def load(
        cls,
        source: Path | str = DEFAULT,
        device: torch.device | None = None,
        samples: Path | str | None = None,
        data_root: Path | None = None,
    ) -> "Microscope":
        """Open any Mixer that `mixer.networks.open_network` supports.

        device: without it, the GPU if available, else the CPU
        samples: a folder of pictures that replaces the samples of the network
        data_root: a folder with CIFAR-10 or CIFAR-100, for access to all test images (default: $CIFAR10_ROOT, then
            ./data)
        """
        if device is None:
            device = torch.device("cuda" if torch.cuda.is_available() and not LENT else "cpu")
        found = resolve(source)  # only once, because it downloads a model of the Hub
        model, metrics = open_network(found)
        folder = None if samples is None else Path(samples)
        own = samples_of(found) if folder is None else read_samples(folder, model.config.image_size, print)
        return cls(model, metrics, device, display_name(source), own, folder, data_root)

    @property
    def name(self) -> str:
        """A short description of the network."""
        return f"MLP-Mixer, {self.parameters:,} parameters, {self.quality}"

    @property
    def quality(self) -> str:
        """The test accuracy as text; "not evaluated" if it was not measured on images of its classes."""
        if "accuracy" not in self.metrics:
            return quality_text(self.metrics)
        return f"{data_name(self.metrics)} {quality_text(self.metrics)}" if self.evaluated else "not evaluated"

    @property
    def evaluated(self) -> bool:
        """Whether its recorded accuracy was measured on images of its classes."""
        metrics = self.metrics
        return "accuracy" in metrics and set(metrics.get("class_accuracy", ())) <= set(self.classes)

    @property
    def grown_from(self) -> tuple[int, ...]:
        """The smaller numbers of blocks in earlier stages of its training, from its record."""
        recipes = (stage.get("recipe", {}) for stage in self.metrics.get("stages", ()))
        counts = dict.fromkeys(recipe.get("blocks") or 0 for recipe in recipes)
        return tuple(count for count in counts if 0 < count < len(self.model.blocks))

    @property
    def parameters(self) -> int:
        return sum(p.numel() for p in self.model.parameters())

    def look(self, picture: bytes) -> Trace:
        """The `Trace` of one picture: a batch of 1, on the network's device. The last few are cached.

        picture: from `picture_of` or `sample_picture`. Raises ValueError for another size or type.
        """
        picture = self._checked(picture)
        if (seen := self._traces.get(picture)) is None:
            seen = self._traces[picture] = trace(self.model, self.input(picture)[None])
        return seen

    def pixels(self, picture: bytes) -> UInt8[np.ndarray, "height width 3"]:
        """The picture as red, green and blue from 0 to 255. Raises ValueError for another size or type."""
        return np.frombuffer(self._checked(picture), np.uint8).reshape(*self.grid.image_size, 3)

    def edited(self, picture: bytes, changes: Sequence[Edit]) -> bytes:
        """A picture after edits in order, as bytes of the same size: height x width x 3, from 0 to 255.

        picture: from `picture_of` or `sample_picture`
        changes: such as `viz.intervene.edits.parse("mean:3,1", scope.grid, len(scope.samples))`
        Raises ValueError for another size or type of the picture, and for an edit with a sample that does not exist.
        """
        original, config = self.pixels(picture), self.model.config
        return edits.apply(changes, original, config, lambda i: self.pixels(self.sample_picture(i))).tobytes()

    def input(self, picture: bytes) -> Float[Tensor, "3 height width"]:
        """The input of the network, on its device: colours minus their mean, divided by their standard deviation."""
        return to_input(self.pixels(picture), self.model.config).to(self.device)

    def probabilities(self, picture: bytes) -> Float[np.ndarray, "classes"]:
        """The softmax of the logits: a probability from 0 to 1 for each of `classes`, in their order.

        picture: from `picture_of` or `sample_picture`. Raises ValueError for another size or type. The cache holds more
        probabilities than traces.
        """
        picture = self._checked(picture)
        return self.cached(("probabilities", picture), lambda: array(self.look(picture).logits[0].softmax(0)))

    def answer(self, picture: bytes) -> int:
        """The number of the most probable class, counted from 0; `classes` has its name.

        picture: from `picture_of` or `sample_picture`. Raises ValueError for another size or type.
        """
        return int(self.probabilities(picture).argmax())

    def decided_at(self, picture: bytes) -> int:
        """The first depth from which on the logit lens gives the final answer."""
        return tokens.logit_lens(self.look(picture), self.model).decided_at

    def class_number(self, text: str) -> int:
        """The number of the class of that name, in any Unicode form. Raises ValueError if no single class has it."""
        if not isinstance(text, str):
            raise ValueError(f"a class is given by its name, such as {self.classes[0]!r}, not {repr(text)[:50]}")
        if text in self.classes:
            return self.classes.index(text)
        composed = normalize("NFC", text)  # the form of keyboards; names of older networks may be decomposed
        alike = [i for i, name in enumerate(self.classes) if normalize("NFC", name) == composed]
        if len(alike) != 1:
            raise ValueError(f"this network has no class {text!r}")
        return alike[0]

    def block_number(self, block: object) -> int:
        """From a block counted from 1 (None: the last) to its index from 0. Raises ValueError if it does not exist."""
        count = len(self.model.blocks)
        if block is None:
            return count - 1
        number = whole(block)
        if number is None or not 1 <= number <= count:
            raise ValueError(f"block is a whole number from 1 to {count}, not {repr(block)[:50]}")
        return number - 1

    def group_side(self, groups: object) -> int:
        """The patches along each side of a group (None: 1). Raises ValueError if the grid has no such groups."""
        sides = self.grid.sides
        side = 1 if groups is None else whole(groups)
        if side is None or side not in sides:
            valid = " or ".join(map(str, sides))
            raise ValueError(f"groups of patches are {valid} along each side here, not {repr(groups)[:50]}")
        return side

    def picture_of(self, image: Picture) -> bytes:
        """The central crop of an image, as a picture for a selection, `look` and `answer`: bytes of height x width x 3
        (red, green, blue, from 0 to 255) in the network's size, `scope.grid.image_size`.

        image: an image of Pillow, a file, or an array (also of torch) from 0 to 255, height x width (grey) or height x
            width x 3 (red, green, blue). Bytes must be such a picture: height x width x 3 of them, in the network's
            size.
        Raises ValueError for any other argument, FileNotFoundError (or another OSError) for a file that is missing or
            cannot be opened, and `mixer.picture.Unreadable`, a ValueError, for a file that is not a picture.
        """
        if isinstance(image, bytes):
            return self._checked(image)
        if isinstance(image, Tensor):
            image = array(image, torch.float32 if image.is_floating_point() else image.dtype)
        if isinstance(image, np.ndarray):
            image = _image_of(image)
        if not isinstance(image, Image.Image | Path | str):
            raise ValueError(f"a picture is a file's name, an image of Pillow's or an array, not {typed(image)}")
        return to_picture(decode(image).image, self.grid.image_size).tobytes()

    def _checked(self, picture: bytes) -> bytes:
        """The picture. Raises ValueError unless it is the bytes of a picture in the network's size."""
        if not isinstance(picture, bytes):
            raise ValueError(f"a picture is bytes from picture_of or sample_picture here, not {typed(picture)}")
        if len(picture) != 3 * self.grid.image_size[0] * self.grid.image_size[1]:
            raise ValueError(f"bytes must be a picture from picture_of for this network, not {len(picture):,} bytes")
        return picture

    @cached_property
    def test_images(self) -> Labelled | None:
        """All test images of the samples' data set, if available. Raises DataMissing if they are damaged."""
        return published(self.test_data, "test", self._data_root) if self.test_data else None

    @cached_property
    def test_numbers(self) -> list[int]:
        """The numbers of all test images: samples keep theirs, the others have numbers after the last sample."""
        sample_of = {place: i for i, place in enumerate(self.samples.indices.tolist())}
        count, first = len(self.test_images or ()), len(self.samples)
        return [sample_of.get(place, first + place) for place in range(count)]

    def _found(self, sample: int) -> tuple[Labelled, int]:
        """From a number to its images and the index there. Raises ValueError if it does not exist."""
        count = len(self.samples)
        if 0 <= sample < count:
            return self.samples, sample
        if sample >= count and self.test_images and sample - count < len(self.test_images):
            return self.test_images, sample - count
        raise ValueError(f"sample {sample} does not exist: there are {count}, counted from 0")

    def sample_image(self, sample: int) -> Image.Image:
        """A sample, or another test image, in its original size. Raises ValueError if it does not exist."""
        images, place = self._found(sample)
        return Image.fromarray(images.images[place].permute(1, 2, 0).numpy())

    def sample_picture(self, sample: int) -> bytes:
        """The central crop of a sample, or another test image, as a picture: bytes of height x width x 3 (red, green,
        blue, from 0 to 255) in the network's size.

        sample: its number, counted from 0; other test images follow the samples.
        Raises ValueError if it does not exist.
        """
        return to_picture(self.sample_image(sample), self.grid.image_size).tobytes()

    def sample_place(self, sample: int) -> int:
        """Its index among the test images, or among the files of its folder."""
        images, place = self._found(sample)
        return int(images.indices[place]) if isinstance(images, Samples) else place

    @cached_property
    def sample_inputs(self) -> Float[Tensor, "samples 3 height width"]:
        return self.inputs(range(len(self.samples)))

    def inputs(self, numbers: Iterable[int]) -> Float[Tensor, "pictures 3 height width"]:
        """The network's inputs for samples or other test images."""
        return torch.stack([self.input(self.sample_picture(number)) for number in numbers])

    def truth(self, sample: int) -> str:
        """The label of a sample, which may be a class that the network does not have; "picture" without a label."""
        images, place = self._found(sample)
        return images.classes[images.labels[place]] if images.classes else UNLABELLED

    @property
    def knows_samples(self) -> bool:
        """Whether the network has all classes of the samples: only then can an answer to a sample be right or wrong."""
        return bool(self.samples.classes) and set(self.samples.classes) <= set(self.classes)

    def truth_class(self, sample: int) -> int | None:
        """The number of a sample's true class in this network; None if the network has other classes."""
        return self.classes.index(self.truth(sample)) if self.knows_samples else None

    def leading(self, picture: bytes, count: int) -> list[int]:
        """The `count` most probable classes, or all if there are fewer; best first."""
        return [*map(int, np.argsort(-self.probabilities(picture), kind="stable")[:count])]

    def sample_tokens(self, depth: int) -> Measurement[Tensor]:
        """The tokens of all samples at one depth: (samples, patches, channels); NaN for samples not measured yet."""
        return self.over_samples(
            ("bank", depth),
            "Reading the samples",
            lambda: tokens.sample_tokens(self.model, self.sample_inputs, depth),
            first=FIRST,
        )

    def sample_stats(self) -> Measurement[tokens.SampleStats]:
        """The means over the samples."""
        return self.over_samples(
            "typical",
            "Means over the samples",
            lambda: tokens.sample_stats(self.model, self.sample_inputs),
            first=FIRST,
        )

    @property
    def seconds_per_pass(self) -> float:
        """The duration of a forward pass, as last measured."""
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
        """A measurement of this network, whose result is stored in its memory.

        steps: yields the number of steps done, finally the result, as for `Memory.resumable`
        passes: its cost in forward passes (default: one for each step)
        first: the number of steps before the first result, if the result is refined later
        """
        per_step = self.seconds_per_pass * (1 if passes is None else passes / max(1, total))
        make = partial(self.resumable, key, steps)
        return Measurement(key, label, unit, total, per_step, make, on_request, first, partial(self.reached, key))

    def over_samples(
        self,
        key: Hashable,
        label: str,
        steps: Callable[[], Iterator[int | T]],
        passes: float = 1,
        on_request: bool = False,
        first: int | None = None,
    ) -> Measurement[T]:
        """A measurement on every sample. passes: the cost of each; first: as for `measurement`"""
        count = len(self.samples)
        return self.measurement(key, label, "samples", count, steps, count * passes, on_request, first)


def typed(value: object) -> str:
    """A value and its type, for a message."""
    return f"{str(value)[:50]!r}, which is of type {type(value).__name__}"


def _image_of(array: np.ndarray) -> Image.Image:
    if array.ndim not in (2, 3) or array.shape[2:] not in ((), (3,)) or 0 in array.shape:
        raise ValueError(f"an array is height x width or height x width x 3 to be a picture, not {array.shape}")
    if array.dtype.kind not in "iu" or array.min() < 0 or array.max() > 255:
        raise ValueError(
            f"a picture's array has whole numbers from 0 to 255, not {array.dtype} up to {array.max():.4g}"
        )
    return Image.fromarray(array.astype(np.uint8))
