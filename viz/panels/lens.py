"""What every lens is made of: a question, a figure, how not to read it, and its numbers to take away."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.blocks import Block

SAVE_NUMBERS = Path(__file__).with_name("numbers.js").read_text().split("\n", 1)[1]


@dataclass(frozen=True)
class Lens:
    """A tab: which components it fills, and what with."""

    outputs: Sequence[Any]
    draw: Callable[..., Sequence[Any]]
    """takes the selection, then the values of `options`"""
    options: Sequence[Any] = ()
    """components that set how this lens alone shows the selection"""


def view(elem_id: str, title: str, question: str, caution: str, within: Sequence[Block] = ()) -> gr.Plot:
    """A figure under the question that it answers, over the sentence on how not to read it.

    within: what stands over the figure, made with `render=False`
    """
    with gr.Column(elem_classes="view"):
        gr.Markdown(f"### {title}\n{question}")
        for component in within:
            component.render()
        plot = gr.Plot(show_label=False, container=False, elem_id=elem_id)
        with gr.Row(elem_classes="foot"):
            gr.Markdown(f"*{caution}*")
            save = gr.Button("Numbers (CSV)", size="sm", scale=0, min_width=130)
        save.click(None, js=SAVE_NUMBERS.replace("ID", elem_id), api_visibility="private")
    return plot
