"""Attribution: which patches made the network say so."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import gradio as gr

from viz.attribution.attribute import Attribution
from viz.attribution.methods import METHODS
from viz.microscope import Microscope, Selection
from viz.panels.asking import QUEUE, asked_by, baseline_choice, explain, method_choices, output_choice, put
from viz.panels.attribution import agree, maps, sums, versus
from viz.panels.attribution.shown import PATCHES, PIXELS, Shown
from viz.panels.lens import Lens
from viz.panels.waiting import SHORT, Newest, Watch, cancel_button, follow

NAME = "Attribution"
FIRST = ["Gradient x input", "Patch ablation", "Token Grad-CAM"]
"""the fast ones: together they take half a second on two cores"""
ROOM = "(shown, room, newest) => [shown, document.querySelector('#attribution-maps').clientWidth || room, newest]"


def build(scope: Microscope, state: gr.State) -> Lens:
    methods = gr.CheckboxGroup(
        method_choices(scope),
        value=FIRST,
        label="Methods (in brackets: about how long they take)",
        elem_id="attribution-methods",
    )
    with gr.Row():
        baseline, output = baseline_choice(), output_choice()
        resolution = gr.Radio([PATCHES, PIXELS], value=PATCHES, label="A value for each of the", min_width=160)
        opacity = gr.Slider(0.1, 1, 0.65, step=0.05, label="Opacity", buttons=[], min_width=160)
    with gr.Row(elem_classes="waiting-row"):
        wait = gr.HTML(elem_id="attribution-wait", elem_classes="waiting")
        cancel = cancel_button("attribution-cancel")
    over_picture = maps.build()
    table = sums.build()
    with gr.Row(equal_height=True):
        difference, other = versus.build(scope)
        agreement = agree.build()
    shown, room = gr.State(), gr.Number(900, visible=False)
    newest = follow(shown, cancel, wait)

    def ask(
        selection: Selection,
        methods: list[str],
        baseline: str,
        output: str,
        resolution: str,
        opacity: float,
        other: str,
    ) -> Shown:
        chosen = tuple(name for name in METHODS if name in methods)
        # of the depth, only the block matters, and only to some of the methods
        depth = 1 + 2 * selection.block if any(METHODS[name].block for name in chosen) else 0
        selection = replace(selection, lens=NAME, depth=depth)
        against = versus.class_of(scope, selection, other)
        return Shown(selection, chosen, baseline, output, resolution, opacity, against)

    def answer(shown: Shown | None, room: float, newest: Newest) -> Iterator[list[Any]]:
        if shown is None:  # a page that has just been opened
            yield [gr.skip()] * len(outputs)
            return
        newest.shown = shown
        questions = [(put(shown.selection, shown.baseline, shown.output), name) for name in shown.methods]
        compared = versus.method_for(shown)
        if compared:
            questions.append((put(shown.selection, shown.baseline, shown.output, shown.other), compared))
        known = scope.explanations
        cost = sum(known.cost(asked, [name]) for asked, name in questions)
        watch, found = Watch(cost, "samples", cost * known.seconds_per_pass), list[Attribution]()
        waiting, button = [gr.skip()] * 4, gr.Button(visible=True)
        if watch.expected > SHORT:
            yield [*waiting, watch.bar(0), button]
        for done in explain(scope, questions, found):
            if newest.shown != shown:
                yield [*waiting, *newest.farewell()]
                return
            if watch.expected > SHORT:
                yield [*waiting, watch.bar(done), button]
        answers = found[: len(shown.methods)]
        yield [
            maps.draw(scope, shown, answers, min(max(int(room), 280), 1400)),
            sums.draw(scope, shown, answers),
            versus.draw(scope, shown, answers, found[-1]) if compared else None,
            agree.draw(answers),
            _about(scope, shown),
            gr.Button(visible=False),
        ]

    outputs = [over_picture, table, difference, agreement, wait, cancel]
    options: list[Any] = [methods, baseline, output, resolution, opacity, other]
    shown.change(
        answer,
        [shown, room, newest],
        outputs,
        js=ROOM,
        trigger_mode="always_last",
        show_progress_on=over_picture,
        **QUEUE,
    )
    return asked_by(ask, state, options, shown)


def _about(scope: Microscope, shown: Shown) -> str:
    layered = [name for name in shown.methods if METHODS[name].block]
    if not layered:
        return "What was found is remembered: a second look takes no time."
    block, count = shown.selection.block + 1, len(scope.model.blocks)
    return (
        f"{' and '.join(layered)} explain{'' if len(layered) > 1 else 's'} the tokens after block {block} of {count}. "
        "The slider Depth chooses another."
    )
