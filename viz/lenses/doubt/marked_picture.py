"""The picture at the marked point of the deletion and insertion curves."""

from html import escape

import numpy as np

from viz import figures
from viz.doubt import checks
from viz.lenses.attribution.options import OUTPUT, judged
from viz.lenses.doubt.curves import removed_of
from viz.lenses.view import Drawn, Numbers, View, parts_text, pick_in_pictures
from viz.microscope import Microscope
from viz.selection import Selection


def view(scope: Microscope) -> View:
    return View(
        "picture",
        "Picture at the marked point",
        "What is visible without the best patches of the first method, and with these alone (number: dotted line)?",
        "Limits: what you see in such a picture may differ from what the network uses.",
        lambda scope, s: judged(scope, s)[:1],
        draw,
        options=(removed_of(scope),),
        pick=pick_in_pictures(2),
        needs=lambda scope, s: checks.all_curves(scope, judged(scope, s)[:1]),
    )


def draw(scope: Microscope, selection: Selection) -> Drawn:
    one, grid = next(iter(judged(scope, selection)), None), scope.grid
    if one is None:
        return Drawn(words="No method is selected.")
    groups = len(one.groups(scope))
    count = min(removed_of(scope).value(selection), groups)
    found = scope.finished(checks.curves(scope, one))
    if found is None:
        return Drawn(words="Not measured yet.")
    whole, without, alone = found.deletion[0], found.deletion[count], found.insertion[count]
    names = (f"without {count} of {groups}: {without:.3f}", f"those {count} alone: {alone:.3f}")
    shown = checks.pictures(scope, one, count)
    words = (
        f"By {escape(one.method)}: the {OUTPUT.value(selection)} for <b>{escape(scope.classes[selection.target])}</b> "
        f"is {whole:.3f} for the whole picture, <b>{without:.3f}</b> without its first {count} "
        f"{parts_text(selection.side)}, <b>{alone:.3f}</b> with these alone."
    )
    values = np.array([[without, alone]])
    numbers = Numbers(
        OUTPUT.value(selection), {parts_text(selection.side): [count], "these": ["removed", "alone"]}, values
    )
    return Drawn(figures.pictures(shown, names, (grid.rows, grid.cols)), words=words, numbers=numbers)
