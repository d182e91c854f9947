"""How it works: the computation of the network for this picture."""

from viz.lenses.how_it_works import stage
from viz.lenses.how_it_works.part import PART
from viz.lenses.how_it_works.tour import TOUR
from viz.lenses.tokens import LOGIT_LENS
from viz.lenses.view import Lens
from viz.microscope import Microscope


def lens(scope: Microscope) -> Lens:
    rows = (stage.VIEW,), (LOGIT_LENS,)
    asks = "Token mixing exchanges information between patches; channel mixing combines the features within a patch."
    shows = "each part with its numbers, and where the head can read the answer", "why the weights are so"
    return Lens("how", "How it works", asks, rows, (PART, TOUR), shows=shows)
