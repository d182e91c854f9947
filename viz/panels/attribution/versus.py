"""Why this class rather than another? The difference of two attributions."""

from collections.abc import Sequence

import gradio as gr

from viz import figures
from viz.attribution.attribute import Attribution
from viz.attribution.methods import METHODS
from viz.microscope import Microscope, Selection
from viz.panels.attribution.shown import Shown
from viz.panels.lens import view

RUNNER_UP = "the next likely class"


def build(scope: Microscope) -> tuple[gr.Plot, gr.Dropdown]:
    """The figure, and the choice of the other class."""
    choices = [RUNNER_UP, *scope.classes]
    other = gr.Dropdown(choices, value=RUNNER_UP, label="Rather than", render=False, elem_id="rather-than")
    plot = view(
        "attribution-difference",
        "Why this class rather than another?",
        "The values for the class asked about less those for another one: red speaks for the first, blue for the "
        "second. By the first signed method above.",
        "What speaks for both classes alike does not show, however strongly it does.",
        within=[other],
    )
    return plot, other


def class_of(scope: Microscope, selection: Selection, other: str) -> int:
    """The number of the other class: the one that is named, or the most likely but for the one asked about."""
    if other != RUNNER_UP:
        return scope.classes.index(other)
    ranked = scope.probabilities(selection.picture).argsort()[::-1].tolist()
    return next(i for i in ranked if i != selection.target)


def method_for(shown: Shown) -> str | None:
    """The first signed method, if there is one."""
    return next((name for name in shown.methods if METHODS[name].signed), None)


def draw(scope: Microscope, shown: Shown, answers: Sequence[Attribution], against: Attribution) -> figures.go.Figure:
    """against: the answer of `method_for` for the other class"""
    mine = next(answer for answer in answers if answer.method == against.method)
    names = f"{scope.classes[mine.target]} - {scope.classes[against.target]}"
    values = (mine.values - against.values).reshape(scope.grid.rows, scope.grid.cols)
    chosen = scope.grid.position(shown.selection.patch)
    label = f"{shown.output}: {names}, {mine.method}"
    return figures.over_picture(scope.pixels(shown.selection.picture), values, label, signed=True, chosen=chosen)
