"""Do the methods agree? The rank correlation of each with each."""

from collections.abc import Sequence

import gradio as gr
import numpy as np

from viz import figures
from viz.attribution.attribute import Attribution
from viz.doubt.sanity import agreement
from viz.panels.lens import view


def build() -> gr.Plot:
    return view(
        "attribution-agreement",
        "Do the methods agree?",
        "The rank correlation of the patches' values between each two methods: 1 for the same order, 0 for none. Of "
        "magnitudes, where one is unsigned. For two methods or more.",
        "Methods that share a flaw agree, too: the gradient methods all look at the same gradients.",
    )


def draw(answers: Sequence[Attribution]) -> figures.go.Figure | None:
    if len(answers) < 2:
        return None
    return figures.agreement(agreement(answers).astype(np.float32), [answer.method for answer in answers])
