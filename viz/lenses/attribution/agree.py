"""Agreement of the methods: the rank correlation of each pair."""

import numpy as np

from viz import figures
from viz.doubt.sanity import agreement
from viz.lenses.attribution.options import Listed, cache_keys, cached, missing_note, to_measure
from viz.lenses.view import Drawn, Numbers, View
from viz.microscope import Microscope
from viz.selection import Selection


def view(listed: Listed) -> View:
    return View(
        "agreement",
        "Agreement of the methods",
        "Do the methods rank the patches in the same order (1), with absolute values for unsigned methods?",
        "Limits: methods with the same flaw agree, too; all gradient methods use the same gradients.",
        lambda selection: cache_keys(selection, listed(selection)),
        lambda scope, selection: draw(scope, selection, listed(selection)),
        needs=lambda scope, selection: to_measure(scope, selection, listed(selection)),
    )


def draw(scope: Microscope, selection: Selection, methods: tuple[str, ...]) -> Drawn:
    answers = cached(scope, selection, methods)
    words = "Select two methods or more." if len(methods) < 2 else missing_note(scope, selection, methods, answers)
    if len(answers) < 2:
        return Drawn(words=words)
    names, values = list(answers), agreement(list(answers.values())).astype(np.float32)
    numbers = Numbers("rank correlation", {"method": names, "with": names}, values)
    return Drawn(figures.agreement(values, names), words=words, numbers=numbers)
