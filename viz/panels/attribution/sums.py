"""Does it add up? The chosen patch's value under every method, and each method's sum against what it should be."""

from collections.abc import Sequence

import gradio as gr

from viz import figures
from viz.attribution.attribute import Attribution
from viz.attribution.methods import METHODS
from viz.microscope import Microscope
from viz.panels.attribution.shown import Shown
from viz.panels.table import table

NONE = "-"
COLUMNS = ("sum", "should be", "gap", "samples", "seconds")


def build() -> gr.HTML:
    with gr.Column(elem_classes="view"):
        gr.Markdown(
            "### Does it add up?\nThe value of the chosen patch, and the sum of all values against what there is to "
            "explain: F(picture) - F(baseline), where F is the class's logit or probability. A gap in brackets is of a "
            "method that does not promise to add up; an unsigned method, or one without a baseline, cannot."
        )
        sums = gr.HTML(elem_id="attribution-table")
        gr.Markdown(
            "*A gap of 0 says that nothing was lost, not that it went to the right patches.*", elem_classes="foot"
        )
    return sums


def draw(scope: Microscope, shown: Shown, answers: Sequence[Attribution]) -> str:
    patch = shown.selection.patch
    place = figures.place(*scope.grid.position(patch))
    return table(["method", place, *COLUMNS], [_row(answer, patch) for answer in answers])


def _row(answer: Attribution, patch: int) -> list[str]:
    method = METHODS[answer.method]
    value = f"{answer.values[patch]:.3g}"
    if answer.standard_error is not None:
        value += f" ± {answer.standard_error[patch]:.2g}"
    wanted, gap = NONE, NONE
    if method.signed and (method.baseline or method.background):
        wanted, gap = f"{answer.difference:.3g}", f"{answer.total - answer.difference:+.3g}"
    if not method.complete and gap != NONE:
        gap = f"({gap})"
    return [answer.method, value, f"{answer.total:.3g}", wanted, gap, f"{answer.samples:,}", f"{answer.seconds:.2f}"]
