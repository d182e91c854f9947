"""How it works: the network as a drawing with its own numbers, each part at work, and what to read about it."""

from viz.lenses.how_it_works import detail, drawing, motion, paper, reading
from viz.lenses.how_it_works.part import BEYOND
from viz.lenses.how_it_works.tour import TOUR
from viz.lenses.tokens import LOGIT_LENS, last_votes
from viz.lenses.view import Lens
from viz.microscope import Microscope


def lens(scope: Microscope) -> Lens:
    rows = (
        (drawing.view(scope),),
        (detail.view(scope),),
        (LOGIT_LENS, last_votes(scope)),
        (motion.view(scope),),
        (reading.view(scope),),
        (paper.view(scope),),
        (reading.words(scope),),
    )
    asks = "Follow one picture through the network, from pixels to answer."
    return Lens("how", "How it works", asks, rows, (BEYOND, TOUR))
