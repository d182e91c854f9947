"""Should I believe it? All that was measured of each method in words, with its rule."""

from html import escape

from viz.doubt.remembered import Doubts
from viz.doubt.rules import RULES, Evidence, Finding, findings
from viz.panels.doubt.shown import Shown

WHEN = {"randomisation": "the button below measures it", "sensitivity": "the button below measures it"}


def draw(doubts: Doubts, shown: Shown) -> str:
    """HTML: a card for each method."""
    cards = (_card(one.method, doubts.evidence(one)) for one in shown.doubted)
    return f"<div class='verdicts'>{''.join(cards)}</div>"


def _card(method: str, evidence: Evidence) -> str:
    found = findings(evidence)
    lines = "".join(map(_line, found))
    lines += "".join(
        f"<li class='open'>{escape(rule.about)}: not measured yet; {WHEN[name]}</li>"
        for name, rule in RULES.items()
        if name in WHEN and getattr(evidence, name) is None
    )
    count = f"meets {sum(f.met for f in found)} of {len(found)} rules"
    return f"<section><h4>{escape(method)} <span>{count}</span></h4><ul>{lines}</ul></section>"


def _line(finding: Finding) -> str:
    words, rule = escape(finding.words), escape(finding.rule)
    if finding.met:
        return f"<li class='met'>{words} <small>(rule: {rule}; met)</small></li>"
    return f"<li class='unmet'>{words} <small>(rule: {rule}; NOT met)</small>: {escape(finding.means)}</li>"
