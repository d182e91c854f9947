"""The other picture, the source of pasted patches, tokens and updates."""

from viz.microscope import Microscope
from viz.selection import Choice, Selection

FIRST = 60
"""a cat among the shipped samples; with fewer samples, the last one"""


def other_of(scope: Microscope) -> Choice:
    """The choice among the samples."""
    return scope.cached("other pictures", lambda: _other_of(scope))


def _other_of(scope: Microscope) -> Choice:
    names = tuple((str(i), f"{scope.truth(i)} {scope.sample_place(i)}") for i in range(len(scope.samples)))
    return Choice("other", "Other picture", names, str(min(FIRST, len(names) - 1)))


def other_sample(scope: Microscope, selection: Selection) -> int:
    return int(other_of(scope).value(selection))


def other_picture(scope: Microscope, selection: Selection) -> bytes:
    return scope.sample_picture(other_sample(scope, selection))
