"""Learn: an introduction, the findings of the paper, and the glossary."""

from collections.abc import Sequence

from viz.lenses import glossary
from viz.lenses.learn import paper, reading
from viz.lenses.view import Lens


def lens(others: Sequence[Lens]) -> Lens:
    """others: all other lenses"""
    rows = ((reading.view(others),), (paper.VIEW,), (glossary.VIEW,))
    return Lens("learn", "Learn", "How does a Mixer work, and what do the terms mean?", rows)
