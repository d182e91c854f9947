"""What if: change the picture, change the network, and see the answer follow."""

from dataclasses import replace

from viz.microscope import Microscope
from viz.panels.intervene import edit, knockout, patching, smallest
from viz.panels.view import Lens

NAME = "What if"
PARTS = (edit, patching, knockout, smallest)


def lenses(scope: Microscope) -> tuple[Lens, ...]:
    return tuple(replace(part.lens(scope), group=NAME) for part in PARTS)
