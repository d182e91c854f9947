"""The other picture, the source of pasted patches, tokens and updates."""

from viz.microscope import Microscope
from viz.selection import Choice, Selection

FIRST = 60
"""a cat among the shipped samples; with fewer samples, the last one"""


def other_of(scope: Microscope) -> Choice:
    """The choice among the samples."""
    names = tuple((str(i), f"{scope.truth(i)} {scope.samples.indices[i]}") for i in range(len(scope.samples)))
    return Choice("other", "Other picture", names, str(min(FIRST, len(names) - 1)))


def other_picture(scope: Microscope, other: Choice, selection: Selection) -> bytes:
    return scope.sample_picture(int(other.value(selection)))
