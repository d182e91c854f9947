"""Deletion and insertion curves of several methods, compared with random orders."""

from functools import partial

import numpy as np
from jaxtyping import Float64

from mixer.grid import Groups
from viz import figures
from viz.doubt import checks
from viz.doubt.faithfulness import Curves, area, band
from viz.lenses.attribution.options import judged, unit_label
from viz.lenses.view import Drawn, Numbers, Point, View, parts_text
from viz.microscope import Microscope
from viz.selection import Number, Params, Selection


def removed_of(scope: Microscope) -> Number:
    """The option for the number of removed or inserted patches."""
    few = len(Groups(scope.grid, scope.grid.side))
    return Number("removed", "Patches" if few == scope.grid.patches else "Groups", 0, scope.grid.patches, few // 4)


def _pick(scope: Microscope, selection: Selection, point: Point) -> Params:
    """A click on a point of a curve: the number of patches."""
    (count,) = point.index
    return {removed_of(scope).name: str(count)}


def _draw(kind: str, scope: Microscope, selection: Selection) -> Drawn:
    """kind: deletion or insertion. Random orders are shown after their measurement."""
    several = judged(scope, selection)
    own = {one.method: curves for one in several if (curves := scope.latest(checks.curves(scope, one)))}
    if not own:
        return Drawn(words="Not measured yet." if several else "No method is selected.")
    both = [*own.values()], [curves.reverse for curves in own.values()]
    lines, backwards = (
        np.stack([_line(curves, kind, len(several[0].groups(scope))) for curves in each]) for each in both
    )
    areas = np.stack([[area(getattr(curves, kind), curves.counts) for curves in each] for each in both])
    orders = scope.latest(checks.orders(scope, several[0]))
    random = getattr(orders, kind) if orders else np.empty((0, 0))
    figure = figures.against_chance(
        lines,
        backwards,
        areas,
        list(own),
        unit_label(scope, selection),
        f"{parts_text(selection.side)} {'removed' if kind == 'deletion' else 'inserted'}",
        min(removed_of(scope).value(selection), lines.shape[1] - 1),
        (orders.counts, band(random), float(area(random, orders.counts).mean())) if orders else None,
    )
    numbers = Numbers(
        unit_label(scope, selection), {"method": list(own), parts_text(selection.side): range(lines.shape[1])}, lines
    )
    return Drawn(figure, words="" if orders else "The random orders are not measured yet.", numbers=numbers)


def _line(curves: Curves, kind: str, groups: int) -> Float64[np.ndarray, "points"]:
    """The values of a curve for each number of groups; NaN before the measurement."""
    line = np.full(groups + 1, np.nan)
    line[curves.counts] = getattr(curves, kind)
    return line


def _view(id: str, title: str, question: str, caution: str) -> View:
    return View(
        id,
        title,
        question,
        caution,
        lambda scope, s: (judged(scope, s), removed_of(scope).value(s)),
        partial(_draw, id),
        pick=_pick,
        needs=lambda scope, s: checks.all_curves(scope, judged(scope, s)),
    )


DELETION = _view(
    "deletion",
    "Deletion curve",
    "Does the score fall faster than for random orders (grey) if the best patches of the map are removed first?",
    "Limits: pictures with holes are unlike training pictures; compare with the grey band only, and with another "
    "filling.",
)
INSERTION = _view(
    "insertion",
    "Insertion curve",
    "Does the score rise faster than for random orders (grey) if the best patches of the map are inserted first?",
    "Limits: an early peak above the end means that other patches oppose the class, not that the order is bad.",
)
