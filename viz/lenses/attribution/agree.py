"""Agreement of the methods: the rank correlation of each pair."""

import numpy as np

from viz import figures
from viz.doubt.sanity import agreement
from viz.lenses.attribution.options import cache_keys, cached, missing_note, needs, selected
from viz.lenses.view import Drawn, Numbers, View
from viz.microscope import Microscope
from viz.selection import Selection


def draw(scope: Microscope, selection: Selection) -> Drawn:
    answers, several = cached(scope, selection), len(selected(scope, selection)) > 1
    words = missing_note(scope, selection, answers) if several else "Select two methods or more."
    if len(answers) < 2:
        return Drawn(words=words)
    names, values = list(answers), agreement(list(answers.values())).astype(np.float32)
    numbers = Numbers("rank correlation", {"method": names, "with": names}, values)
    return Drawn(figures.agreement(values, names), words=words, numbers=numbers)


VIEW = View(
    "agreement",
    "Agreement of the methods",
    "Do the methods rank the patches in the same order (1), with absolute values for unsigned methods?",
    "Limits: methods with the same flaw agree, too; all gradient methods use the same gradients.",
    lambda scope, s: cache_keys(s, selected(scope, s)),
    draw,
    needs=needs,
)
