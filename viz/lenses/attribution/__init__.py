"""Attribution: which patches support the answer."""

from viz.lenses.attribution import agree, maps, sums, versus
from viz.lenses.attribution.options import BASELINE, OUTPUT, methods_of
from viz.lenses.view import Lens
from viz.microscope import Microscope


def lens(scope: Microscope) -> Lens:
    return Lens(
        "attribution",
        "Attribution",
        "Which patches support the selected class?",
        (
            (maps.VIEW,),
            (sums.VIEW,),
            (versus.view(scope), agree.VIEW),
        ),
        (methods_of(scope), BASELINE, OUTPUT),
        shows=("a share of the answer for each patch", "causes: methods ask different questions"),
    )
