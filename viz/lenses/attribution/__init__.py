"""Attribution: which patches support the answer."""

from viz.lenses.attribution import agree, maps, sums, versus
from viz.lenses.attribution.options import BASELINE, OUTPUT, methods_of
from viz.lenses.view import Lens
from viz.microscope import Microscope


def lens(scope: Microscope) -> Lens:
    methods = methods_of(scope)
    listed = methods.value
    return Lens(
        "attribution",
        "Attribution",
        "Which patches support the selected class?",
        (
            (maps.view(scope, listed),),
            (sums.view(listed),),
            (versus.view(scope, listed), agree.view(listed)),
        ),
        (methods, BASELINE, OUTPUT),
    )
