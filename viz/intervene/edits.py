"""Edits of a picture, in the syntax of a link.

`mean:3,1;swap:0,1-2,2;shuffle:7;paste:12@3,1` fills patch (3, 1) with the mean colour, swaps two patches, shuffles all
patches (random order number 7), and replaces patch (3, 1) by that of sample 12. `-` joins patches; without patches, an
edit applies to all of them. Each edit applies to the result of the previous ones.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from jaxtyping import UInt8

from mixer.grid import PatchGrid
from mixer.model import MixerConfig
from mixer.picture import to_input
from viz.attribution.baselines import baseline, pixels

Pixels = UInt8[np.ndarray, "height width 3"]

MAX_EDITS = 64
"""the largest number of edits of one picture"""
ORDERS = 1000
"""the number of random orders"""
GREY = np.array([0.299, 0.587, 0.114])
"""the luma weights of red, green and blue (Rec. 601)"""


@dataclass(frozen=True)
class Edit:
    """One change of a picture."""

    kind: str
    """one of `KINDS`"""
    number: int | None
    """the sample to paste from, or the random order; None for the other kinds"""
    places: tuple[int, ...]
    """the patches that it changes; for a swap, those of one group, then those of the other"""


@dataclass(frozen=True, eq=False)
class Edited:
    """A picture during its edits, and the sources of other pixels."""

    now: Pixels
    """the picture after the previous edits"""
    original: Pixels
    config: MixerConfig
    sample: Callable[[int], Pixels]
    """from the number of a sample to its pixels in the network's size"""


def _filled(name: str) -> Callable[[Edit, Edited], Pixels]:
    """The source of one of `BASELINES`, in whole pixel values."""

    def source(edit: Edit, picture: Edited) -> Pixels:
        config = picture.config
        return pixels(baseline(name, to_input(picture.now, config), config), config)

    return source


def _noise(edit: Edit, picture: Edited) -> Pixels:
    """Normally distributed, with mean and deviation of the training images, and a fixed seed."""
    drawn = np.random.default_rng(0).normal(picture.config.mean, picture.config.std, picture.now.shape)
    return (255 * drawn).round().clip(0, 255).astype(np.uint8)


def _grey(edit: Edit, picture: Edited) -> Pixels:
    return np.repeat((picture.now @ GREY).round().astype(np.uint8)[..., None], 3, 2)


def _original(edit: Edit, picture: Edited) -> Pixels:
    return picture.original


def _sample(edit: Edit, picture: Edited) -> Pixels:
    assert edit.number is not None
    return picture.sample(edit.number)


def _swapped(edit: Edit, picture: Edited) -> Pixels:
    half = len(edit.places) // 2
    return _moved(picture, edit.places, (*edit.places[half:], *edit.places[:half]))


def _shuffled(edit: Edit, picture: Edited) -> Pixels:
    order = np.random.default_rng(edit.number).permutation(len(edit.places))
    return _moved(picture, edit.places, [edit.places[i] for i in order])


def _moved(picture: Edited, places: Sequence[int], origins: Sequence[int]) -> Pixels:
    """Copy the current patch of each origin to its place."""
    grid, moved = picture.config.grid, picture.now.copy()
    for place, origin in zip(places, origins, strict=True):
        moved[grid.pixels(place)] = picture.now[grid.pixels(origin)]
    return moved


@dataclass(frozen=True)
class Kind:
    """A kind of edit."""

    source: Callable[[Edit, Edited], Pixels]
    """the picture that the new patches are from"""
    done: str
    """its name in a list of edits"""
    tool: str = ""
    """the result of a click on a patch; empty if no click does this edit"""
    fills: bool = False
    """whether it can replace a removed patch"""
    numbers: Callable[[int], int] = lambda samples: 0
    """from the number of samples to the number of choices of `Edit.number`; 0: it has no number"""
    pairs: bool = False
    """whether it needs two groups of equal size; other kinds accept any patches, and by default change all"""


KINDS = {
    "mean": Kind(_filled("mean colour"), "mean colour", "the mean colour", fills=True),
    "black": Kind(_filled("black"), "black", "black", fills=True),
    "blur": Kind(_filled("blurred"), "blurred", "a blurred copy", fills=True),
    "noise": Kind(_noise, "noise", "noise", fills=True),
    "grey": Kind(_grey, "without colours", "a grey copy"),
    "shuffle": Kind(_shuffled, "shuffled", "shuffled single patches", numbers=lambda samples: ORDERS),
    "paste": Kind(_sample, "pasted", "the other picture's patch", numbers=lambda samples: samples),
    "swap": Kind(_swapped, "swapped", "the selected patch (swap)", pairs=True),
    "original": Kind(_original, "as it was"),
}


def parse(text: str, grid: PatchGrid, samples: int) -> tuple[Edit, ...]:
    """The edits from a link. Raises ValueError for an invalid one.

    samples: the number of samples to paste from
    """
    parts = [part for part in text.split(";") if part]
    if len(parts) > MAX_EDITS:
        raise ValueError(f"a picture takes at most {MAX_EDITS} edits, not {len(parts)}")
    return tuple(_parse(part, grid, samples) for part in parts)


def text(edits: Sequence[Edit], grid: PatchGrid) -> str:
    """The inverse of `parse`."""
    return ";".join(_text(edit, grid) for edit in edits)


def apply(edits: Sequence[Edit], original: Pixels, config: MixerConfig, sample: Callable[[int], Pixels]) -> Pixels:
    """The picture after all edits. sample: as in `Edited`"""
    return reduce(lambda now, edit: _apply(edit, Edited(now, original, config, sample)), edits, original)


def _apply(edit: Edit, picture: Edited) -> Pixels:
    source, changed = KINDS[edit.kind].source(edit, picture), picture.now.copy()
    for place in edit.places:
        rows, cols = picture.config.grid.pixels(place)
        changed[rows, cols] = source[rows, cols]
    return changed


def _parse(part: str, grid: PatchGrid, samples: int) -> Edit:
    kind, _, rest = part.partition(":")
    if kind not in KINDS:
        raise ValueError(f"an edit is one of {', '.join(KINDS)}, not {kind!r}")
    number, known = None, KINDS[kind]
    if most := known.numbers(samples):
        digits, _, rest = rest.partition("@")
        number = _whole(part, digits, most)
    places = [_place(part, place, grid) for place in rest.split("-")] if rest else range(grid.patches)
    if len(set(places)) != len(places):
        raise ValueError(f"the edit {part!r} names a patch twice")
    if known.pairs and (not rest or len(places) % 2):
        example = f"{kind}:0,0-{grid.rows - 1},{grid.cols - 1}"
        raise ValueError(f"a {kind} is of two patches, or of two groups of as many, as in {example}, not {part!r}")
    return Edit(kind, number, tuple(places))


def _place(part: str, place: str, grid: PatchGrid) -> int:
    row, _, col = place.partition(",")
    return grid.index(_whole(part, row, grid.rows), _whole(part, col, grid.cols))


def _whole(part: str, digits: str, count: int) -> int:
    if not (digits.isascii() and digits.isdecimal() and len(digits) < 10 and int(digits) < count):
        raise ValueError(f"the edit {part!r} needs a whole number from 0 to {count - 1} where it has {digits!r}")
    return int(digits)


def _text(edit: Edit, grid: PatchGrid) -> str:
    places = "-".join("{},{}".format(*grid.position(place)) for place in edit.places)
    if not KINDS[edit.kind].pairs and edit.places == tuple(range(grid.patches)):
        places = ""
    if edit.number is None:
        return f"{edit.kind}:{places}" if places else edit.kind
    return f"{edit.kind}:{edit.number}@{places}" if places else f"{edit.kind}:{edit.number}"
