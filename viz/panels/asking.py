"""What the panels that explain share: how a question is put, and how its answers are come by."""

from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from viz.attribution.attribute import Attribution
from viz.attribution.baselines import BASELINES
from viz.attribution.methods import METHODS, Settings
from viz.attribution.remembered import Asked
from viz.microscope import Microscope, Selection
from viz.panels.lens import Lens

LOGIT, PROBABILITY = "logit", "probability"
QUEUE: dict[str, Any] = {"concurrency_id": "explanations", "concurrency_limit": 1, "api_visibility": "private"}
"""explanations wait for each other, not for what the other lenses draw"""


def baseline_choice() -> gr.Dropdown:
    return gr.Dropdown(list(BASELINES), label="Compared with", min_width=160)


def output_choice() -> gr.Radio:
    return gr.Radio([LOGIT, PROBABILITY], value=LOGIT, label="Of the class's", min_width=160)


def method_choices(scope: Microscope) -> list[tuple[str, str]]:
    """Each method with its cost in seconds, as far as it is known beforehand."""
    return [(f"{name} ({_expected(scope, name)})", name) for name in METHODS]


def put(selection: Selection, baseline: str, output: Any, target: int | None = None) -> Asked:
    """The question about what is selected. target: another class than the one selected"""
    target = selection.target if target is None else target
    return Asked(selection.picture, target, baseline, output, selection.block)


def asked_by(ask: Callable[..., Any], state: gr.State, options: list[Any], shown: gr.State) -> Lens:
    """A lens that only says what is to be shown: what `ask` makes of the selection and the options."""
    for option in options:
        option.input(
            ask,
            [state, *options],
            shown,
            trigger_mode="always_last",
            show_progress="hidden",
            api_visibility="private",
        )
    return Lens([shown], lambda *values: [ask(*values)], options)


def explain(scope: Microscope, questions: list[tuple[Asked, str]], found: list[Attribution]) -> Iterator[int]:
    """Collects the answers to pairs of question and method in `found`. Yields the samples done so far.

    Raises gr.Error, in words, for a question that makes no sense.
    """
    known, done = scope.explanations, 0
    try:
        for asked, method in questions:
            cost = known.cost(asked, [method])
            for step in known.steps(asked, method):
                yield done + min(cost, step.samples)
            found.append(step)
            done += cost
    except ValueError as error:
        raise gr.Error(f"{error}.") from error


def _expected(scope: Microscope, method: str) -> str:
    seconds = METHODS[method].samples(scope.grid.patches, Settings()) * scope.explanations.seconds_per_pass
    return f"{seconds:.1f} s" if seconds < 1 else f"{seconds:.0f} s"
