"""Attribution: which patches made the network say so."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr
import numpy as np

from viz import figures
from viz.attribution import METHODS, Attribution
from viz.microscope import Microscope, Selection
from viz.panels.asking import baseline_choice, explain_all, method_choices, output_choice, put
from viz.panels.lens import Lens, view
from viz.sanity import agreement

NAME = "Attribution"
FIRST = ["Gradient x input", "Integrated Gradients", "Patch ablation"]
PATCHES, PIXELS = "patches", "pixels"
RUNNER_UP = "the next likely class"
LONG = 5
"""seconds from which on a wait can be cancelled"""


@dataclass(frozen=True)
class Shown:
    """What the panel is to show, in plain values."""

    selection: Selection
    methods: tuple[str, ...]
    baseline: str
    output: str
    resolution: str
    opacity: float
    other: int
    """a class to compare with"""


def build(scope: Microscope, state: gr.State) -> Lens:
    methods = gr.CheckboxGroup(
        method_choices(scope),
        value=FIRST,
        label="Methods (in brackets: their cost in samples, forward passes of one image)",
        elem_id="attribution-methods",
    )
    with gr.Row():
        baseline, output = baseline_choice(), output_choice()
        resolution = gr.Radio([PATCHES, PIXELS], value=PATCHES, label="A value for each of the", min_width=160)
        opacity = gr.Slider(0.1, 1, 0.65, step=0.05, label="Opacity", buttons=[], min_width=160)
    with gr.Row():
        wait = gr.Markdown(elem_id="attribution-wait")
        cancel = gr.Button("Cancel", visible=False, scale=0, min_width=120, elem_id="attribution-cancel")
    maps = view(
        "attribution-maps",
        "Which patches speak for the class?",
        "What each patch adds to the class asked about, as against the same place in the baseline: red speaks for it, "
        "blue against it. All signed methods are on one scale; an unsigned one says how much, not in which direction, "
        "and has its own.",
        "Each method answers a question of its own, and a picture of it looks right whether it is or not: read the "
        "gap below, and what Doubt finds.",
    )
    with gr.Column(elem_classes="view"):
        gr.Markdown(
            "### Does it add up?\nThe sum of a method's values, against what it should explain: F(picture) - "
            "F(baseline), where F is the class's logit or probability."
        )
        table = gr.Markdown(elem_id="attribution-table")
        gr.Markdown(
            "*A gap of 0 says that nothing was lost, not that it went to the right patches. Methods without a gap do "
            "not claim to add up.*"
        )
    other = gr.Dropdown(
        [RUNNER_UP, *scope.classes], value=RUNNER_UP, label="Rather than", render=False, elem_id="rather-than"
    )
    with gr.Row(equal_height=True):
        difference = view(
            "attribution-difference",
            "Why this class rather than another?",
            "The values for the class asked about less those for another one: red speaks for the first, blue for the "
            "second. By the first signed method above.",
            "What speaks for both classes alike does not show, however strongly it does.",
            within=[other],
        )
        agree = view(
            "attribution-agreement",
            "Do the methods agree?",
            "The rank correlation of the patches' values between each two methods: 1 for the same order, 0 for none. "
            "Of magnitudes, where one is unsigned.",
            "Methods that share a flaw agree, too: the gradient methods all look at the same gradients.",
        )
    shown = gr.State()

    def ask(
        selection: Selection,
        methods: list[str],
        baseline: str,
        output: Any,
        resolution: str,
        opacity: float,
        other: str,
    ) -> Shown:
        chosen = tuple(name for name in METHODS if name in methods)
        # of the depth, only the block matters, and only to some of the methods
        selection = replace(selection, lens=NAME, depth=1 + 2 * selection.block)
        against = _runner_up(scope, selection) if other == RUNNER_UP else scope.classes.index(other)
        return Shown(selection, chosen, baseline, output, resolution, opacity, against)

    def explain(shown: Shown | None, progress: gr.Progress = gr.Progress()) -> Iterator[list[Any]]:
        if shown is None:  # a page that has just been opened
            yield [gr.skip()] * len(outputs)
            return
        questions = [(put(shown.selection, shown.baseline, shown.output), name) for name in shown.methods]
        compared = next((name for name in shown.methods if METHODS[name].signed), None)
        if compared:
            questions.append((put(shown.selection, shown.baseline, shown.output, shown.other), compared))
        cost = sum(scope.explanations.cost(asked, [name]) for asked, name in questions)
        if cost * scope.explanations.seconds_per_sample > LONG:
            yield [*[gr.skip()] * 4, _wait(scope, cost), gr.Button(visible=True)]
        found = explain_all(scope, questions, progress)
        answers, rest = found[: len(shown.methods)], found[len(shown.methods) :]
        yield [
            _maps(scope, shown, answers),
            _table(scope, shown, answers),
            _difference(scope, shown, answers, rest),
            _agreement(answers),
            _wait(scope, 0),
            gr.Button(visible=False),
        ]

    private: dict[str, Any] = {"api_visibility": "private"}
    options: list[Any] = [methods, baseline, output, resolution, opacity, other]
    for option in options:
        option.input(ask, [state, *options], shown, trigger_mode="always_last", show_progress="hidden", **private)
    outputs = [maps, table, difference, agree, wait, cancel]
    run = shown.change(
        explain,
        shown,
        outputs,
        concurrency_id="explanations",
        concurrency_limit=1,
        trigger_mode="always_last",
        show_progress_on=maps,
        **private,
    )
    cancel.click(_cancelled, None, [wait, cancel], cancels=run, queue=False, **private)
    return Lens([shown], lambda *values: [ask(*values)], options)


def _runner_up(scope: Microscope, selection: Selection) -> int:
    """The most likely class but for the one that is asked about."""
    ranked = scope.probabilities(selection.picture).argsort()[::-1]
    return int(next(i for i in ranked if i != selection.target))


def _cancelled() -> tuple[str, Any]:
    return "Cancelled. What was found before is kept; untick a slow method, or tick it again.", gr.Button(visible=False)


def _wait(scope: Microscope, cost: int) -> str:
    each = scope.explanations.seconds_per_sample
    if cost:
        return f"{cost:,} samples: about {cost * each:.0f} s."
    return f"100 samples take about {100 * each:.1f} s here; what was found is remembered."


def _maps(scope: Microscope, shown: Shown, answers: Sequence[Attribution]) -> figures.go.Figure:
    fine, grid = shown.resolution == PIXELS, scope.grid
    area = grid.patch_size[0] * grid.patch_size[1] if fine else 1
    coarse = [answer.values.reshape(grid.rows, grid.cols) / area for answer in answers]
    values = [
        answer.pixels if fine and answer.pixels is not None else patch
        for answer, patch in zip(answers, coarse, strict=True)
    ]
    return figures.overlays(
        scope.pixels(shown.selection.picture),
        values,
        [answer.method if answer.signed else f"{answer.method} (unsigned)" for answer in answers],
        [answer.signed for answer in answers],
        f"{shown.output} for {scope.classes[shown.selection.target]}, per {'pixel' if fine else 'patch'}",
        shown.opacity,
        (grid.rows, grid.cols),
        grid.position(shown.selection.patch),
    )


def _table(scope: Microscope, shown: Shown, answers: Sequence[Attribution]) -> str:
    place = figures.place(*scope.grid.position(shown.selection.patch))
    lines = [
        f"| method | {place} | sum | should be | gap | samples | seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    for answer in answers:
        value = f"{answer.values[shown.selection.patch]:.3g}"
        if answer.standard_error is not None:
            value += f" ± {answer.standard_error[shown.selection.patch]:.2g}"
        told = f"{answer.difference:.3g}" if answer.gap is not None else "-"
        gap = f"{answer.gap:+.2g}" if answer.gap is not None else "-"
        lines.append(
            f"| {answer.method} | {value} | {answer.total:.3g} | {told} | {gap} | {answer.samples} | "
            f"{answer.seconds:.2f} |"
        )
    return "\n".join(lines)


def _difference(
    scope: Microscope, shown: Shown, answers: Sequence[Attribution], other: Sequence[Attribution]
) -> figures.go.Figure | None:
    if not other:
        return None
    (against,) = other
    mine = next(answer for answer in answers if answer.method == against.method)
    names = f"{scope.classes[mine.target]} - {scope.classes[against.target]}"
    values = (mine.values - against.values).reshape(scope.grid.rows, scope.grid.cols)
    chosen = scope.grid.position(shown.selection.patch)
    return figures.over_picture(
        scope.pixels(shown.selection.picture), values, f"{names}, {mine.method}", signed=True, chosen=chosen
    )


def _agreement(answers: Sequence[Attribution]) -> figures.go.Figure | None:
    if len(answers) < 2:
        return None
    correlations = agreement(answers).astype(np.float32)
    return figures.agreement(correlations, [answer.method for answer in answers])
