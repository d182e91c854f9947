"""Doubt: should an attribution be believed?"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import gradio as gr

from viz.attribution.attribute import Attribution
from viz.attribution.baselines import FILLINGS
from viz.attribution.methods import METHODS
from viz.doubt.remembered import NOISY, Doubts
from viz.microscope import Microscope, Selection
from viz.panels.asking import QUEUE, asked_by, baseline_choice, explain, output_choice, put
from viz.panels.doubt import curves, disturbed, methods_table, verdict
from viz.panels.doubt.shown import Shown
from viz.panels.lens import Lens
from viz.panels.waiting import SHORT, Newest, Watch, cancel_button, follow

NAME = "Doubt"
FIRST = ["Patch ablation"]
MOST = 3
"""methods that are held against each other"""
REMEMBERED = "What was measured is remembered: a second look takes no time."


def build(scope: Microscope, state: gr.State) -> Lens:
    doubts = Doubts(scope.explanations)
    with gr.Row():
        methods = gr.Dropdown(
            list(METHODS),
            value=FIRST,
            multiselect=True,
            max_choices=MOST,
            label=f"Methods (up to {MOST})",
            min_width=220,
            elem_id="doubt-methods",
        )
        baseline, output = baseline_choice(), output_choice()
        filling = gr.Radio(list(FILLINGS), value=FILLINGS[0], label="A patch that is gone becomes", min_width=160)
    with gr.Column(elem_classes="view"):
        gr.Markdown(
            "### Should I believe it?\nWhat was measured of this attribution, each with the rule it is held to."
        )
        words = gr.HTML(elem_id="doubt-verdict")
        with gr.Row(elem_classes="waiting-row"):
            start = gr.Button("Randomise and disturb", variant="primary", scale=0, min_width=240, elem_id="doubt-start")
            with gr.Column(min_width=220):
                cost = gr.Markdown(elem_id="doubt-cost")
        with gr.Row(elem_classes="waiting-row"):
            wait = gr.HTML(elem_id="doubt-wait", elem_classes="waiting")
            cancel = cancel_button("doubt-cancel")
        gr.Markdown(
            "*The limits are this project's choice. To meet them all proves nothing; not to meet one is a reason to "
            "look at another method, or to give up on this picture.*",
            elem_classes="foot",
        )
    with gr.Row(equal_height=True):
        deletion, insertion = curves.build()
    with gr.Column(visible=False) as measured:
        randomisation = disturbed.build(doubts)
    methods_table.build(scope)
    shown = gr.State()
    newest = follow(shown, cancel, wait)

    def ask(selection: Selection, methods: list[str], baseline: str, output: str, filling: str) -> Shown:
        chosen = tuple(name for name in METHODS if name in methods)[:MOST]
        asked = put(selection, baseline, output)
        if not any(METHODS[name].block for name in chosen):
            asked = replace(asked, block=0)  # so that nothing is drawn anew with another depth
        return Shown(asked, chosen, filling)

    def drawn(shown: Shown) -> list[Any]:
        return [
            verdict.draw(doubts, shown),
            *curves.draw(scope, doubts, shown),
            gr.Column(visible=any(doubts.disturbed(one) for one in shown.doubted)),
            disturbed.draw(doubts, shown),
            *_start(scope, doubts, shown),
        ]

    def measure(shown: Shown | None, newest: Newest) -> Iterator[list[Any]]:
        if shown is None:  # a page that has just been opened
            yield [gr.skip()] * len(outputs)
            return
        newest.shown = shown
        pace, found = scope.explanations.seconds_per_pass, list[Attribution]()
        cost = scope.explanations.cost(shown.asked, list(shown.methods))
        watch = Watch(cost, "samples", cost * pace)
        for done in explain(scope, [(shown.asked, name) for name in shown.methods], found):
            if newest.shown != shown:
                yield [*skipped, *newest.farewell()]
                return
            if watch.expected > SHORT:
                yield [*skipped, watch.bar(done), gr.Button(visible=True)]
        cost = doubts.cost(shown.doubted)
        if cost:
            first = drawn(shown)
            watch = Watch(cost, "samples", cost * pace)
            yield [*first, watch.bar(0), gr.Button(visible=True)]
        for done in doubts.measure(shown.doubted):
            if newest.shown != shown:
                yield [*skipped, *newest.farewell()]
                return
            yield [*skipped, watch.bar(done), gr.Button(visible=True)]
        yield [*drawn(shown), REMEMBERED, gr.Button(visible=False)]

    def disturb(shown: Shown, newest: Newest) -> Iterator[list[Any]]:
        newest.shown = shown
        missing = [one for one in shown.doubted if not doubts.disturbed(one)]
        each = doubts.stages + NOISY
        seconds = sum(map(doubts.disturb_cost, missing)) * scope.explanations.seconds_per_pass
        watch = Watch(each * len(missing), "attributions", seconds)
        yield [*skipped, watch.bar(0), gr.Button(visible=True)]
        for before, one in enumerate(missing):
            for step in doubts.disturb(one):
                if newest.shown != shown:
                    yield [*skipped, *newest.farewell()]
                    return
                yield [*skipped, watch.bar(each * before + step.done), gr.Button(visible=True)]
        yield [*drawn(shown), REMEMBERED, gr.Button(visible=False)]

    outputs = [words, deletion, insertion, measured, randomisation, start, cost, wait, cancel]
    skipped = [gr.skip()] * 7
    options: list[Any] = [methods, baseline, output, filling]
    shown.change(measure, [shown, newest], outputs, trigger_mode="always_last", show_progress_on=deletion, **QUEUE)
    start.click(disturb, [shown, newest], outputs, show_progress="hidden", **QUEUE)
    return asked_by(ask, state, options, shown)


def _start(scope: Microscope, doubts: Doubts, shown: Shown) -> list[Any]:
    """The button, and in words what it costs."""
    costs = [cost for one in shown.doubted if (cost := doubts.disturb_cost(one))]
    if not costs:
        return [gr.Button(interactive=False), "Nothing is left to measure."]
    count = (doubts.stages + 1 + NOISY) * len(costs)
    seconds = sum(costs) * scope.explanations.seconds_per_pass
    return [gr.Button(interactive=True), f"{count} attributions: about {seconds:.0f} s."]
