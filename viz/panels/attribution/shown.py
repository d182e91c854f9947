"""What the panel is to show."""

from dataclasses import dataclass

from viz.microscope import Selection

PATCHES, PIXELS = "patches", "pixels"


@dataclass(frozen=True)
class Shown:
    """The selection and the panel's own options, in plain values."""

    selection: Selection
    methods: tuple[str, ...]
    baseline: str
    output: str
    resolution: str
    """`PATCHES` or `PIXELS`"""
    opacity: float
    other: int
    """a class to compare with"""
