"""What if: change the picture or the network, and see how the answer changes."""

from dataclasses import replace

from viz.lenses.intervene import ablation, edit, patching, smallest
from viz.lenses.view import Lens
from viz.microscope import Microscope

NAME = "What if"
SHOWS = "which edits, tokens and parts change the answer", "what pictures unlike the training data mean"
PARTS = (edit, patching, ablation, smallest)


def lenses(scope: Microscope) -> tuple[Lens, ...]:
    return tuple(replace(part.lens(scope), group=NAME, shows=SHOWS) for part in PARTS)
