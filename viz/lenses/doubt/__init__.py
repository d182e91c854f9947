"""Reliability of maps: tests of attributions."""

from viz.lenses.attribution.options import BASELINE, FILLING, OUTPUT, methods_of
from viz.lenses.doubt import curves, marked_picture, randomisation, survey, verdict
from viz.lenses.view import Lens
from viz.microscope import Microscope


def lens(scope: Microscope) -> Lens:
    return Lens(
        "doubt",
        "Reliability of maps",
        "Can the attribution maps be trusted?",
        (
            (verdict.VIEW,),
            (curves.DELETION, marked_picture.view(scope)),
            (curves.INSERTION, randomisation.view(scope)),
            (survey.VIEW,),
        ),
        (methods_of(scope), BASELINE, OUTPUT, FILLING),
        shows=("whether a map does better than chance, and depends on the weights", "that a map is true"),
    )
