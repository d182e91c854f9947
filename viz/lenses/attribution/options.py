"""Options of the lenses Attribution and Reliability of maps, and the question that a selection defines."""

from collections.abc import Sequence
from html import escape
from typing import Any

from mixer.grid import Groups
from mixer.model import MixerConfig
from viz.attribution.attribute import Attribution
from viz.attribution.baselines import BASELINES, FILLINGS
from viz.attribution.methods import METHODS, Settings
from viz.attribution.query import AttributionQuery, explanation, passes
from viz.doubt.checks import CheckQuery
from viz.doubt.rules import Finding
from viz.lenses.view import counted
from viz.measuring import Measurement
from viz.microscope import Microscope
from viz.selection import Choice, Selection, Several

FAST = ("Gradient x input", "Patch ablation", "Token Grad-CAM")
"""one method each of gradients, removal and tokens: the default if the network has no benchmark of methods"""
LONG = 60e9
"""multiply-adds: about three seconds on two cores"""
SELECTED = 3
"""maximum number of methods selected by default"""
JUDGED = 3
"""maximum number of methods that Reliability of maps compares"""

BASELINE = Choice("baseline", "Baseline", tuple((name, name) for name in BASELINES), "mean colour")
OUTPUT = Choice("output", "Explain", tuple((name, name) for name in ("logit", "probability")), "logit")
FILLING = Choice("filling", "Fill with", tuple((name, name) for name in FILLINGS), FILLINGS[0])


def methods_of(scope: Microscope) -> Several:
    """The choice of methods."""
    names = tuple((name, name) for name in METHODS)
    return Several("methods", "Methods", names, scope.cached("default methods", lambda: _default(scope)))


def _default(scope: Microscope) -> str:
    """The methods of the better half of the network's benchmark that take a few seconds in all.

    They depend on the network only, so a link means the same on every machine.
    """
    first, left, best = list[str](), LONG, ranked(scope)
    for name in best[: max(SELECTED, len(best) // 2)]:
        cost = _cost(scope.model.config, name)
        if len(first) < SELECTED and cost < left:
            first.append(name)
            left -= cost
    return ",".join(name for name in METHODS if name in (first or FAST[:1]))


def ranked(scope: Microscope) -> Sequence[str]:
    """The methods by their area under the deletion curve, best first; without a benchmark, `FAST`."""
    measured = scope.metrics.get("attributions", {}).get("methods", {})
    return sorted(measured.keys() & METHODS.keys(), key=lambda name: measured[name]["deletion"]) or FAST


def best_for_two(scope: Microscope) -> str:
    """The best signed method that explains two classes in a few seconds."""
    quick = (n for n in ranked(scope) if METHODS[n].signed and 2 * _cost(scope.model.config, n) < LONG)
    return next(quick, FAST[0])


def selected(scope: Microscope, selection: Selection) -> tuple[str, ...]:
    """The selected methods."""
    return methods_of(scope).value(selection)


def judged(scope: Microscope, selection: Selection) -> tuple[CheckQuery, ...]:
    """The tests of the methods that Reliability of maps compares: the first `JUDGED` of the selected ones."""
    return checks_of(selection, selected(scope, selection)[:JUDGED])


def question_of(selection: Selection, target: int | None = None) -> AttributionQuery:
    """The question that a selection defines. target: the class to explain; None: the selected one"""
    target = selection.target if target is None else target
    output: Any = OUTPUT.value(selection)
    return AttributionQuery(
        selection.picture, target, BASELINE.value(selection), output, selection.block, selection.side
    )


def cache_keys(selection: Selection, methods: Sequence[str]) -> tuple[tuple[AttributionQuery, str], ...]:
    """(question, method) for each method, without the settings that the method ignores."""
    return tuple((question_of(selection).for_method(method), method) for method in methods)


def checks_of(selection: Selection, methods: Sequence[str]) -> tuple[CheckQuery, ...]:
    return tuple(
        CheckQuery(query, method, FILLING.value(selection)) for query, method in cache_keys(selection, methods)
    )


def needs(scope: Microscope, selection: Selection) -> list[Measurement[Attribution]]:
    """The measurements of the selected methods."""
    return [explanation(scope, question_of(selection), method) for method in selected(scope, selection)]


def cached(scope: Microscope, selection: Selection) -> dict[str, Attribution]:
    """The attributions in the memory, by method."""
    found = zip(selected(scope, selection), map(scope.latest, needs(scope, selection)), strict=True)
    return {method: answer for method, answer in found if answer is not None}


def missing_note(scope: Microscope, selection: Selection, answers: dict[str, Attribution]) -> str:
    """HTML: a sentence with the methods that are not measured and their costs; empty if all are."""
    methods = selected(scope, selection)
    if not methods:
        return "No method is selected."
    costs = [
        f"{escape(method)} ({passes(scope, method, selection.side):,} passes of the network)"
        for method in methods
        if method not in answers
    ]
    return f"Not measured yet: {', '.join(costs)}." if costs else ""


def passed_text(found: Sequence[Finding]) -> str:
    """The number of reliability tests that a method passes."""
    return f"passes {sum(one.met for one in found)} of {counted(len(found), 'test')}" if found else "not tested yet"


def unit_label(scope: Microscope, selection: Selection) -> str:
    """The unit of the values: logit or probability, and the class."""
    return f"{OUTPUT.value(selection)} for {scope.classes[selection.target]}"


def _cost(config: MixerConfig, method: str) -> float:
    """Multiply-adds of the layers for one picture."""
    patches, hidden = config.grid.patches, config.hidden_dim
    block = 2 * patches * hidden * (config.tokens_mlp_dim + config.channels_mlp_dim)
    one_pass = patches * hidden * config.grid.values + config.num_blocks * block
    return METHODS[method].passes(len(Groups(config.grid, config.grid.side)), Settings()) * one_pass
