"""Completeness check: each method's value for the selected patch, its sum, and the sum that it should have."""

import numpy as np

from viz import figures
from viz.attribution.attribute import Attribution
from viz.attribution.methods import METHODS
from viz.figures import with_sign
from viz.lenses.attribution.options import cache_keys, cached, missing_note, needs, selected
from viz.lenses.table import table
from viz.lenses.view import Drawn, Numbers, View, group_place
from viz.microscope import Microscope
from viz.selection import Selection, groups_of

NONE = "-"
COLUMNS = ("sum", "should be", "gap", "network passes", "seconds")


def draw(scope: Microscope, selection: Selection) -> Drawn:
    answers = cached(scope, selection)
    words = missing_note(scope, selection, answers)
    if not answers:
        return Drawn(words=words)
    groups = groups_of(scope, selection)
    group = int(groups.of[selection.patch])
    columns = (figures.patch_label(*group_place(groups, selection.patch)), *COLUMNS)
    html = table(["method", *columns], [_row(answer, group) for answer in answers.values()])
    values = np.array([_figures(answer, group) for answer in answers.values()])
    return Drawn(html=html, words=words, numbers=Numbers("value", {"method": list(answers), "of": columns}, values))


def _figures(answer: Attribution, group: int) -> list[float]:
    """The values of the columns; NaN if a method claims no sum."""
    method = METHODS[answer.method]
    should = answer.difference if method.signed and (method.baseline or method.background) else np.nan
    gap = answer.total - should
    return [float(answer.values[group]), answer.total, should, gap, answer.passes, answer.seconds]


def _row(answer: Attribution, group: int) -> list[str]:
    value, total, should, gap, passes, seconds = _figures(answer, group)
    error = np.nan if answer.standard_error is None else answer.standard_error[group]
    uncertain = "" if np.isnan(error) else f" ± {error:.2g}"
    signed_gap = with_sign(gap, ".3g")
    shown_gap = NONE if np.isnan(gap) else signed_gap if METHODS[answer.method].complete else f"({signed_gap})"
    shown_sum = NONE if np.isnan(should) else f"{should:.3g}"
    return [
        answer.method,
        f"{value:.3g}{uncertain}",
        f"{total:.3g}",
        shown_sum,
        shown_gap,
        f"{passes:,}",
        f"{seconds:.2f}",
    ]


VIEW = View(
    "sums",
    "Completeness check",
    "Do the values add up to the output for the picture minus that for the baseline (brackets: not claimed)?",
    "Limits: a gap of 0 says that the total is correct, not that its parts belong to the right patches.",
    lambda scope, s: (cache_keys(s, selected(scope, s)), s.patch),
    draw,
    needs=needs,
)
