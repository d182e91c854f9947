"""Overview: how the answer comes about, on one page."""

from viz.microscope import Microscope
from viz.panels.tokens import LOGIT_LENS, last_votes
from viz.panels.view import Lens


def lens(scope: Microscope) -> Lens:
    return Lens("overview", "Overview", "How does the answer come about?", ((LOGIT_LENS, last_votes(scope)),))
