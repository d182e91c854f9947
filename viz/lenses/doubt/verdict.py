"""Reliability tests: the results of each method, with their thresholds."""

from dataclasses import astuple
from html import escape

import numpy as np

from viz.attribution.methods import METHODS
from viz.doubt import checks
from viz.doubt.rules import RULES, Evidence, Finding, findings
from viz.lenses.attribution.options import JUDGED, Listed, checks_of
from viz.lenses.view import Drawn, Numbers, View, counted
from viz.measuring import Measurement
from viz.microscope import Microscope
from viz.selection import Selection, Several


def view(methods: Several, listed: Listed) -> View:
    """methods: the option; listed: those of them that are tested"""
    return View(
        "verdict",
        "Reliability tests",
        "Which reliability tests does each map pass?",
        "Limits: the thresholds are this project's choice; only deletion, insertion and removing patches compare a map "
        "with chance.",
        # those that are not judged are named
        lambda selection: (checks_of(selection, listed(selection)), methods.value(selection)),
        lambda scope, selection: draw(scope, selection, listed(selection), methods.value(selection)),
        needs=lambda scope, selection: needs(scope, selection, listed(selection)),
    )


def needs(scope: Microscope, selection: Selection, methods: tuple[str, ...]) -> list[Measurement]:
    return checks.all_checks(scope, checks_of(selection, methods))


def draw(scope: Microscope, selection: Selection, methods: tuple[str, ...], chosen: tuple[str, ...]) -> Drawn:
    if not methods:
        return Drawn(words="No method is selected.")
    evidence = {one.method: checks.evidence(scope, one) for one in checks_of(selection, methods)}
    cards = "".join(_card(method, found) for method, found in evidence.items())
    left_out = [escape(method) for method in chosen if method not in methods]
    words = "The maps of these methods are in the tab <a href='#' data-words='lens=attribution'>Attribution</a>."
    if left_out:
        words += f" At most {JUDGED} methods are tested at a time. Not tested: {', '.join(left_out)}."
    values = np.array([astuple(found) for found in evidence.values()], float)  # NaN if not measured
    numbers = Numbers("measured", {"method": methods, "what": list(RULES)}, values)
    return Drawn(html=f"<div class='verdicts'>{cards}</div>", words=words, numbers=numbers)


def _card(method: str, evidence: Evidence) -> str:
    found = findings(evidence)
    lines = "".join(map(_line, found))
    missing = [
        rule.about
        for name, rule in RULES.items()
        if getattr(evidence, name) is None and (name != "gap" or METHODS[method].complete)
    ]
    lines += f"<li class='open'>Not measured yet: {escape(', '.join(missing))}</li>" if missing else ""
    met = f"passes {sum(f.met for f in found)} of {counted(len(found), 'test')}" if found else "not tested yet"
    return f"<div><h4>{escape(method)} <span>{met}</span></h4><ul>{lines}</ul></div>"


def _line(finding: Finding) -> str:
    words, rule = escape(finding.words), escape(finding.rule)
    if finding.met:
        return f"<li class='met'>{words} <small>(threshold {rule}: passed)</small></li>"
    return f"<li class='unmet'>{words} <small>(threshold {rule}: failed)</small>: {escape(finding.means)}</li>"
