"""Token mixing: who talks to whom."""

from viz.microscope import Microscope
from viz.panels.mixing import image, network, shuffle, stem, unit, units, wiring
from viz.panels.view import Lens

PARTS = (units, stem, unit, wiring, image, network, shuffle)


def lenses(scope: Microscope) -> tuple[Lens, ...]:
    return tuple(part.lens(scope) for part in PARTS)
