"""Token mixing: which patches exchange information."""

from dataclasses import replace

from viz.lenses.mixing import image, network, shuffle, stem, unit, units, wiring
from viz.lenses.view import Lens
from viz.microscope import Microscope

NAME = "Token mixing"
PARTS = (units, stem, unit, wiring, image, network, shuffle)


def lenses(scope: Microscope) -> tuple[Lens, ...]:
    return tuple(replace(part.lens(scope), group=NAME) for part in PARTS)
