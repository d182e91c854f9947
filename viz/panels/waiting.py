"""A wait whose end is in sight, and that can be ended: a bar with the unit that advances, and a cancel button."""

import time
from typing import Any

import gradio as gr

SHORT = 1
"""seconds from which on a wait is shown, and can be cancelled"""
CANCELLED = "Cancelled. What was finished before is kept; choose anything to go on."


class Watch:
    """How far a computation is.

    total: what there is to do, in `unit`s
    expected: how many seconds all of it will take, as far as one can know beforehand
    """

    def __init__(self, total: int, unit: str, expected: float):
        self.total, self.unit, self.expected = total, unit, expected
        self._started = time.monotonic()

    def bar(self, done: int) -> str:
        """HTML: a bar, what is done, and how long the rest will take, soon by the pace so far."""
        share = done / max(self.total, 1)
        whole = (time.monotonic() - self._started) / share if share > 0.1 else self.expected
        return (
            f'<progress value="{done}" max="{self.total}" aria-label="{self.unit}"></progress> '
            f"{done:,} of {self.total:,} {self.unit}, about {whole * (1 - share):.0f} s left"
        )


def cancel_button(elem_id: str) -> gr.Button:
    return gr.Button("Cancel", visible=False, elem_id=elem_id, scale=0, min_width=120)


class Newest:
    """What one visitor wants to see now, in a `gr.State`: a run for anything else ends at its next step.

    Not by Gradio's `cancels`: a run that begins while another is being cancelled cannot be cancelled itself (6.31).
    """

    shown: Any = None
    """None when the visitor cancelled"""

    def farewell(self) -> list[Any]:
        """What a run that ends early leaves for the bar and the cancel button; the next run, if any, fills them."""
        return [gr.skip(), gr.skip()] if self.shown is not None else [CANCELLED, gr.Button(visible=False)]


def follow(shown: gr.State, cancel: gr.Button, bar: gr.HTML) -> gr.State:
    """A `Newest` that follows what is to be shown and the cancel button, without waiting for the runs."""
    newest = gr.State(Newest())

    def note(shown: Any, newest: Newest) -> None:
        newest.shown = shown

    def stop(newest: Newest) -> list[Any]:
        newest.shown = None
        return newest.farewell()

    plain: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    shown.change(note, [shown, newest], None, **plain)
    cancel.click(stop, newest, [bar, cancel], queue=False, **plain)
    return newest
