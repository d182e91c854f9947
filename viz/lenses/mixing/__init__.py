"""Token mixing: which patches exchange information."""

from dataclasses import replace

from viz.lenses.mixing import image, network, shuffle, stem, unit, units, wiring
from viz.lenses.view import Lens
from viz.microscope import Microscope

NAME = "Token mixing"
SHOWS = "which patches a unit reads and writes, which patch influences which", "what a unit is used for"
PARTS = (units, stem, unit, wiring, image, network, shuffle)


def lenses(scope: Microscope) -> tuple[Lens, ...]:
    return tuple(replace(part.lens(scope), group=NAME, shows=SHOWS) for part in PARTS)
