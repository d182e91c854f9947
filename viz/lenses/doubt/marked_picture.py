"""The picture at the marked point of the deletion and insertion curves."""

from html import escape

import numpy as np

from mixer.grid import Groups
from viz import figures
from viz.doubt import checks
from viz.lenses.attribution.options import OUTPUT, Listed, checks_of
from viz.lenses.doubt import curves
from viz.lenses.view import Drawn, Numbers, View, parts_text, pick_in_pictures
from viz.microscope import Microscope
from viz.selection import Number, Selection


def view(listed: Listed, removed: Number) -> View:
    def first(selection: Selection) -> tuple[str, ...]:
        return listed(selection)[:1]

    return View(
        "picture",
        "Picture at the marked point",
        "What is visible without the best patches of the first method, and with these alone (number: dotted line)?",
        "Limits: what you see in such a picture may differ from what the network uses.",
        lambda selection: (checks_of(selection, first(selection)), removed.value(selection)),
        lambda scope, selection: draw(scope, selection, first(selection), removed.value(selection)),
        options=(removed,),
        pick=pick_in_pictures(2),
        needs=lambda scope, selection: curves.needs(first, scope, selection),
    )


def removed_of(scope: Microscope) -> Number:
    """The option for the number of removed or inserted patches."""
    few = len(Groups(scope.grid, scope.grid.side))
    return Number("removed", "Patches" if few == scope.grid.patches else "Groups", 0, scope.grid.patches, few // 4)


def draw(scope: Microscope, selection: Selection, methods: tuple[str, ...], count: int) -> Drawn:
    if not methods:
        return Drawn(words="No method is selected.")
    (one,), grid = checks_of(selection, methods), scope.grid
    groups = len(one.groups(scope))
    count = min(count, groups)
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
