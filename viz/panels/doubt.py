"""Doubt: should an attribution be believed?"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from viz import faithfulness, figures, sanity
from viz.attribution import METHODS, attribute
from viz.baselines import FILLINGS
from viz.explanations import Asked
from viz.method_table import COLUMNS, in_words
from viz.methods import Settings
from viz.microscope import Microscope, Selection
from viz.panels.asking import baseline_choice, explain_all, output_choice, put
from viz.panels.lens import Lens, view
from viz.verdict import Evidence, findings

NAME = "Doubt"
FIRST = "Patch ablation"
ORDERS = 20
"""random orders that an attribution is held against"""
REMOVALS = 100
"""random removals for the infidelity"""
NOISY = 10
"""pictures with noise for the sensitivity"""
RADIUS = 0.02
"""of that noise, in normalised units: about one step of 256, which nobody sees"""
SEED = 0
KEPT = 64


@dataclass(frozen=True)
class Doubted:
    """Which attribution is doubted, in plain values."""

    asked: Asked
    method: str
    filling: str
    """what stands where a patch is gone: one of `FILLINGS`"""


def build(scope: Microscope, state: gr.State) -> Lens:
    with gr.Row():
        method = gr.Dropdown(list(METHODS), value=FIRST, label="Method", min_width=160, elem_id="doubt-method")
        baseline, output = baseline_choice(), output_choice()
        filling = gr.Radio(list(FILLINGS), value=FILLINGS[0], label="A patch that is gone becomes", min_width=160)
    stages = len(scope.model.blocks) + 2
    with gr.Column(elem_classes="view"):
        gr.Markdown(
            "### Should I believe it?\nWhat was measured of this attribution, each with the rule it is held to."
        )
        verdict = gr.Markdown(elem_id="doubt-verdict")
        with gr.Row():
            start = gr.Button("Randomise and disturb", variant="primary", scale=0, min_width=240, elem_id="doubt-start")
            cancel = gr.Button("Cancel", visible=False, scale=0, min_width=120, elem_id="doubt-cancel")
        wait = gr.Markdown(elem_id="doubt-wait")
        gr.Markdown(
            "*The limits are this project's choice. To meet them all proves nothing; not to meet one is a reason to "
            "look at another method, or to give up on this picture.*"
        )
    with gr.Row(equal_height=True):
        deletion = view(
            "doubt-deletion",
            "Does the answer go with its patches?",
            "Patches are removed, those that speak most for the class first. If the values are right, its "
            "logit or probability falls faster than for nearly all random orders (grey).",
            "A picture with holes is unlike all that the network has seen. Only its distance from the grey counts.",
        )
        insertion = view(
            "doubt-insertion",
            "Does it come back with them?",
            "The other way round: patches come into an empty picture, those that speak most for the class first: "
            "the curve should rise above the band.",
            "An early peak above the end means that other patches speak against the class, not that the order is bad.",
        )
    with gr.Row(equal_height=True):
        randomisation = view(
            "doubt-randomisation",
            "Does it depend on what was learned?",
            f"The attribution again while the weights are randomised, from the head down, in {stages} stages: how far "
            "it still puts the patches into the same order (Adebayo et al. 2018).",
            "A line that stays near 1 shows the picture, not the network's reasons. One that falls may still be wrong.",
        )
        with gr.Column(elem_classes="view"):
            gr.Markdown(
                "### Which method can be believed in general?\n"
                "Over the shipped samples, for the class that the network answers."
            )
            gr.Markdown(in_words(scope.metrics.get("attributions")), elem_id="doubt-table")
            gr.Markdown(f"*{COLUMNS}*")
    shown = gr.State()
    chance: dict[tuple[Asked, str], faithfulness.RandomOrders] = {}
    evidence: dict[Doubted, Evidence] = {}
    changes: dict[Doubted, list[sanity.Randomised]] = {}

    def ask(selection: Selection, method: str, baseline: str, output: Any, filling: str) -> Doubted:
        return Doubted(put(selection, baseline, output), method, filling)

    def measure(shown: Doubted | None, progress: gr.Progress = gr.Progress()) -> list[Any]:
        if shown is None:  # a page that has just been opened
            return [gr.skip()] * 5
        (answer,) = explain_all(scope, [(shown.asked, shown.method)], progress)
        question = scope.explanations.question(replace(shown.asked, baseline=shown.filling))
        own = faithfulness.curves(scope.model, question, answer.values)
        key = replace(shown.asked, block=0, baseline=""), shown.filling
        if key not in chance:
            for orders in faithfulness.random_orders(scope.model, question, ORDERS, SEED):
                progress((orders.done, ORDERS), desc="Random orders", unit="orders")
            _keep(chance, key, orders)
        known = evidence.get(shown, Evidence())
        if known.deletion is None:
            told = faithfulness.infidelity(scope.model, question, answer.values, REMOVALS, SEED)
            gap = abs(answer.gap / answer.difference) if answer.gap is not None and answer.difference else None
            deletion, insertion = faithfulness.better_than(own, chance[key])
            measured = {"deletion": deletion, "insertion": insertion, "infidelity": told.share, "gap": gap}
            _keep(evidence, shown, replace(known, **measured))
        label = f"{answer.output} of {scope.classes[answer.target]}"
        return [
            _verdict(shown, evidence[shown]),
            *_curves(own, chance[key], label),
            _randomised(shown, changes.get(shown)),
            f"{stages + 1} + {NOISY + 1} attributions: about {_seconds(scope, shown.method, stages):.0f} s",
        ]

    def disturb(shown: Doubted, progress: gr.Progress = gr.Progress()) -> Iterator[list[Any]]:
        yield [gr.skip(), gr.skip(), gr.Button(visible=False), gr.Button(visible=True)]
        question, settings = scope.explanations.question(shown.asked), Settings(block=shown.asked.block)
        total, found = stages + 1 + NOISY + 1, []
        for step in sanity.randomisation(
            scope.model, lambda model: attribute(model, question, shown.method, settings).values, SEED
        ):
            found.append(step)
            progress((step.done + 1, total), desc="Randomising", unit="attributions")
        done = iter(range(stages + 2, total + 1))

        def explain(image: Any) -> Any:
            progress((next(done), total), desc="Disturbing", unit="attributions")
            return attribute(scope.model, replace(question, image=image), shown.method, settings).values

        largest = sanity.sensitivity(explain, question.image, RADIUS, NOISY, SEED)
        _keep(changes, shown, found)
        known = evidence.get(shown, Evidence())
        _keep(evidence, shown, replace(known, randomisation=found[-1].correlation, sensitivity=largest))
        yield [
            _verdict(shown, evidence[shown]),
            _randomised(shown, found),
            gr.Button(visible=True),
            gr.Button(visible=False),
        ]

    private: dict[str, Any] = {"api_visibility": "private"}
    options: list[Any] = [method, baseline, output, filling]
    for option in options:
        option.input(ask, [state, *options], shown, show_progress="hidden", trigger_mode="always_last", **private)
    queue: dict[str, Any] = {"concurrency_id": "explanations", "concurrency_limit": 1}
    shown.change(
        measure,
        shown,
        [verdict, deletion, insertion, randomisation, wait],
        trigger_mode="always_last",
        show_progress_on=deletion,
        **queue,
        **private,
    )
    buttons = [start, cancel]
    run = start.click(
        disturb, shown, [verdict, randomisation, *buttons], show_progress_on=randomisation, **queue, **private
    )
    cancel.click(
        lambda: (gr.Button(visible=True), gr.Button(visible=False)), None, buttons, cancels=run, queue=False, **private
    )
    return Lens([shown], lambda *values: [ask(*values)], options)


def _keep(memory: dict[Any, Any], key: Any, value: Any) -> None:
    memory[key] = value
    while len(memory) > KEPT:
        memory.pop(next(iter(memory)))


def _seconds(scope: Microscope, method: str, stages: int) -> float:
    each = METHODS[method].samples(scope.grid.patches, Settings()) * scope.explanations.seconds_per_sample
    return (stages + 1 + NOISY + 1) * each


def _verdict(shown: Doubted, evidence: Evidence) -> str:
    found = findings(evidence)
    lines = [f"**{shown.method}** meets **{sum(f.met for f in found)} of {len(found)}** rules.", ""]
    lines += [f"- {'✓' if f.met else '✗'} {f.words} (rule: {f.rule})" for f in found]
    if evidence.randomisation is None:
        lines.append("- not measured yet: randomised weights, invisible noise (the button starts both)")
    return "\n".join(lines)


def _curves(own: faithfulness.Curves, chance: faithfulness.RandomOrders, label: str) -> list[Any]:
    area, reverse = faithfulness.area, own.reverse
    return [
        figures.against_chance(
            mine,
            other,
            faithfulness.band(random),
            label,
            steps,
            [float(area(c)) for c in (mine, other, random.mean(0))],
        )
        for mine, other, random, steps in (
            (own.deletion, reverse.deletion, chance.deletion, "patches gone"),
            (own.insertion, reverse.insertion, chance.insertion, "patches there"),
        )
    ]


def _randomised(shown: Doubted, found: list[sanity.Randomised] | None) -> Any:
    if found is None:
        return None
    return figures.randomised([f.stage for f in found], [f.correlation for f in found], shown.method)
