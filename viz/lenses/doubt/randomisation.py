"""Model randomisation test: attributions while the weights are randomised."""

from html import escape

import numpy as np

from viz import figures
from viz.doubt.checks import DRAWS, robustness, stages
from viz.lenses.attribution.options import judged
from viz.lenses.view import Drawn, Numbers, View
from viz.microscope import Microscope
from viz.selection import Selection


def view(scope: Microscope) -> View:
    return View(
        "randomisation",
        "Model randomisation test",
        f"Does the order of the patches change if the weights are randomised from the head down, in {stages(scope)} "
        "stages?",
        "Limits: a map whose line stays near 1 does not depend on what was learned, but one whose line falls may still "
        "be wrong.",
        lambda scope, s: tuple((one.query, one.method) for one in judged(scope, s)),
        draw,
        needs=lambda scope, s: [robustness(scope, one) for one in judged(scope, s)],
    )


def draw(scope: Microscope, selection: Selection) -> Drawn:
    several = judged(scope, selection)
    if not several:
        return Drawn(words="No method is selected.")
    measured = {one.method: found for one in several if (found := scope.latest(robustness(scope, one)))}
    missing = [escape(one.method) for one in several if one.method not in measured]
    words = f"Not measured yet: {', '.join(missing)}." if missing else ""
    if not measured:
        return Drawn(words=words)
    randomised = [found.randomised for found in measured.values()]
    lines, draws = (np.stack([getattr(one, name) for one in randomised]) for name in ("correlations", "draws"))
    words += f" Small symbols show the last stage for {DRAWS - 1} other draws of random weights."
    names = randomised[0].stages
    numbers = Numbers("rank correlation", {"method": list(measured), "randomised down to": names}, lines)
    return Drawn(figures.randomised(names, lines, draws, list(measured)), words=words.strip(), numbers=numbers)
