"""Learn: an introduction, the findings of the paper, and the glossary."""

from viz.lenses import glossary
from viz.lenses.learn import paper, reading
from viz.lenses.view import Lens
from viz.microscope import Microscope


def lens(scope: Microscope) -> Lens:
    rows = ((reading.VIEW,), (paper.VIEW,), (glossary.VIEW,))
    return Lens("learn", "Learn", "How does a Mixer work, and what do the terms mean?", rows)
