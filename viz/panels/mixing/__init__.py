"""Token mixing: who talks to whom."""

from dataclasses import replace

from viz.microscope import Microscope
from viz.panels.mixing import image, network, shuffle, stem, unit, units, wiring
from viz.panels.view import Lens

NAME = "Token mixing"
PARTS = (units, stem, unit, wiring, image, network, shuffle)


def lenses(scope: Microscope) -> tuple[Lens, ...]:
    return tuple(replace(part.lens(scope), group=NAME) for part in PARTS)
