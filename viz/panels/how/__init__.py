"""How it works: the network as a drawing with its own numbers, each part at work, and what to read about it."""

from viz.microscope import Microscope
from viz.panels.how import detail, drawing
from viz.panels.how.part import BEYOND
from viz.panels.tokens import LOGIT_LENS, last_votes
from viz.panels.view import Lens


def lens(scope: Microscope) -> Lens:
    rows = ((drawing.view(scope),), (detail.view(scope),), (LOGIT_LENS, last_votes(scope)))
    return Lens("how", "How it works", "What becomes of the picture, and where does the answer come about?", rows, (BEYOND,))
