"""Reliability tests: the results of each method, with their thresholds."""

from dataclasses import astuple
from html import escape

import numpy as np

from viz.attribution.methods import METHODS
from viz.doubt import checks
from viz.doubt.rules import RULES, Evidence, Finding, findings
from viz.lenses.attribution.options import JUDGED, judged, passed_text, selected
from viz.lenses.view import Drawn, Numbers, View
from viz.microscope import Microscope
from viz.selection import Selection


def draw(scope: Microscope, selection: Selection) -> Drawn:
    evidence = {one.method: checks.evidence(scope, one) for one in judged(scope, selection)}
    if not evidence:
        return Drawn(words="No method is selected.")
    cards = "".join(_card(method, found) for method, found in evidence.items())
    left_out = [escape(method) for method in selected(scope, selection) if method not in evidence]
    words = "The maps of these methods are in the tab <a href='#' data-words='lens=attribution'>Attribution</a>."
    if left_out:
        words += f" At most {JUDGED} methods are tested at a time. Not tested: {', '.join(left_out)}."
    values = np.array([astuple(found) for found in evidence.values()], float)  # NaN if not measured
    numbers = Numbers("measured", {"method": list(evidence), "what": list(RULES)}, values)
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
    return f"<div><h4>{escape(method)} <span>{passed_text(found)}</span></h4><ul>{lines}</ul></div>"


def _line(finding: Finding) -> str:
    words, rule = escape(finding.words), escape(finding.rule)
    if finding.met:
        return f"<li class='met'>{words} <small>(threshold {rule}: passed)</small></li>"
    return f"<li class='unmet'>{words} <small>(threshold {rule}: failed)</small>: {escape(finding.means)}</li>"


VIEW = View(
    "verdict",
    "Reliability tests",
    "Which reliability tests does each map pass?",
    "Limits: the thresholds are this project's choice; only deletion, insertion and removing patches compare a map "
    "with chance.",
    lambda scope, s: (judged(scope, s), selected(scope, s)),  # those that are not judged are named
    draw,
    needs=lambda scope, s: checks.all_checks(scope, judged(scope, s)),
)
