"""Reliability of maps: tests of attributions."""

from viz.lenses.attribution.options import BASELINE, FILLING, OUTPUT, judged, methods_of
from viz.lenses.doubt import curves, marked_picture, randomisation, survey, verdict
from viz.lenses.view import Lens
from viz.microscope import Microscope


def lens(scope: Microscope) -> Lens:
    methods = methods_of(scope)
    listed, removed = judged(methods), marked_picture.removed_of(scope)
    return Lens(
        "doubt",
        "Reliability of maps",
        "Can the attribution maps be trusted?",
        (
            (verdict.view(methods, listed),),
            (curves.deletion(listed, removed), marked_picture.view(listed, removed)),
            (curves.insertion(listed, removed), randomisation.view(scope, listed)),
            (survey.view(),),
        ),
        (methods, BASELINE, OUTPUT, FILLING),
    )
