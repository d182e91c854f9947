"""Reliability of maps: tests of attributions."""

from viz.lenses.attribution.options import BASELINE, FILLING, OUTPUT, judged, methods_of
from viz.lenses.doubt import curves, disturbed, losing, survey, verdict
from viz.lenses.view import Lens
from viz.microscope import Microscope


def lens(scope: Microscope) -> Lens:
    methods = methods_of(scope)
    listed, removed = judged(methods), losing.removed_of(scope)
    return Lens(
        "doubt",
        "Reliability of maps",
        "Can the attribution maps be trusted?",
        (
            (verdict.view(methods, listed),),
            (curves.deletion(listed, removed), losing.view(listed, removed)),
            (curves.insertion(listed, removed), disturbed.view(scope, listed)),
            (survey.view(),),
        ),
        (methods, BASELINE, OUTPUT, FILLING),
    )
