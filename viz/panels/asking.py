"""What the panels that explain share: how a question is put, and how the wait for its answer is shown."""

from typing import Any

import gradio as gr

from viz.attribution import METHODS, Attribution
from viz.baselines import BASELINES
from viz.explanations import Asked
from viz.methods import Settings
from viz.microscope import Microscope, Selection

LOGIT, PROBABILITY = "logit", "probability"


def baseline_choice() -> gr.Dropdown:
    return gr.Dropdown(list(BASELINES), label="Compared with", min_width=160)


def output_choice() -> gr.Radio:
    return gr.Radio([LOGIT, PROBABILITY], value=LOGIT, label="Of the class's", min_width=160)


def method_choices(scope: Microscope) -> list[tuple[str, str]]:
    """Each method with its cost in samples, known beforehand."""
    patches = scope.grid.patches
    return [(f"{name} ({method.samples(patches, Settings())})", name) for name, method in METHODS.items()]


def put(selection: Selection, baseline: str, output: Any, target: int | None = None) -> Asked:
    """The question about what is selected. target: another class than the one selected"""
    target = selection.target if target is None else target
    return Asked(selection.picture, target, baseline, output, selection.block)


def explain_all(
    scope: Microscope, questions: list[tuple[Asked, str]], progress: gr.Progress | None = None
) -> list[Attribution]:
    """The answers to pairs of question and method, with the samples that are done. Raises gr.Error, in words."""
    known = scope.explanations
    costs = [known.cost(asked, [method]) for asked, method in questions]
    done, found = 0, []
    try:
        for (asked, method), cost in zip(questions, costs, strict=True):
            for step in known.steps(asked, method):
                if progress is not None and cost:
                    progress((done + step.samples, sum(costs)), desc=method, unit="samples")
            found.append(step)
            done += cost
    except ValueError as error:
        raise gr.Error(f"{error}.") from error
    return found
