"""Which method can be believed in general? All of them over the shipped samples."""

import gradio as gr

from viz.doubt.survey import CAUTION, COLUMNS, in_words, rows
from viz.microscope import Microscope
from viz.panels.table import table

MISSING = "Not measured for this checkpoint: `python main.py evaluate --attributions` does that."


def build(scope: Microscope) -> None:
    measured = scope.metrics.get("attributions")
    with gr.Column(elem_classes="view"):
        gr.Markdown(
            "### Which method can be believed in general?\nOver the shipped samples, each for the class that the "
            f"network answers; the best at deletion first. {in_words(measured) if measured else MISSING}"
        )
        if measured:
            gr.HTML(table(COLUMNS, rows(measured)), elem_id="doubt-table")
        gr.Markdown(f"*{CAUTION}*", elem_classes="foot")
