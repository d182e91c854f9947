"""Reliability tests: the figures of `faithfulness` and `sanity` in words, each with its threshold."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Evidence:
    """What was measured of one attribution; None for what was not."""

    deletion: float | None = None
    """the share of random orders that it beats at deletion"""
    insertion: float | None = None
    """the share of random orders that it beats at insertion"""
    randomisation: float | None = None
    """the mean size of its rank correlation with itself once all weights are randomised"""
    infidelity: float | None = None
    """the share of shuffled copies of it that explain the effect of removing patches worse"""
    sensitivity: float | None = None
    """its largest change under imperceptible noise, as a share of its norm"""
    gap: float | None = None
    """the gap as a share of F(image) - F(baseline), for a method that is meant to be complete; the same values in other
    places have the same gap"""


@dataclass(frozen=True)
class Rule:
    """How to say what a figure is, and what it must be. Only its size counts, not its sign."""

    about: str
    """what is measured"""
    words: str
    """with the place {figure}"""
    limit: float
    at_least: bool
    """whether the figure must be at least the limit; otherwise at most"""
    unmet: str
    """what it means if it is not"""
    form: str = ".0%"
    """how figure and limit are written"""


RULES: dict[str, Rule] = {
    "deletion": Rule(
        "deletion",
        "is better than {figure} of random orders at deletion",
        0.95,
        at_least=True,
        unmet="its top patches may matter no more than others",
    ),
    "insertion": Rule(
        "insertion",
        "is better than {figure} of random orders at insertion",
        0.95,
        at_least=True,
        unmet="its top patches may not be those that produce the answer",
    ),
    "randomisation": Rule(
        "randomised weights",
        "has a mean rank correlation of {figure} with itself once all weights are random",
        0.5,
        at_least=False,
        unmet="it hardly depends on what was learned",
        form=".2f",
    ),
    "infidelity": Rule(
        "removing patches",
        "explains the effect of removing patches better than {figure} of shuffled copies of itself",
        0.95,
        at_least=True,
        unmet="its values could as well belong to other patches",
    ),
    "sensitivity": Rule(
        "sensitivity to noise",
        "changes by up to {figure} under imperceptible noise",
        0.25,
        at_least=False,
        unmet="a picture that looks the same gets another explanation",
    ),
    "gap": Rule(
        "completeness",
        "has a sum that differs by {figure} from what it should explain",
        0.05,
        at_least=False,
        unmet="part of the answer is left out, or counted twice",
        form=".1%",
    ),
}
"""for each field of `Evidence`; the limits are this project's choice, no law

Deletion, insertion and infidelity hold a map against chance: one map of twenty that knows nothing meets each. The
others cannot tell all that is wrong: see `randomisation`, `sensitivity` and `gap`. Each is tried on a toy with a known
truth (`tests/viz/doubt/test_truth.py`).
"""


@dataclass(frozen=True)
class Finding:
    """One figure in words, with its threshold."""

    figure: str
    """which field of `Evidence`"""
    words: str
    rule: str
    met: bool
    means: str
    """what to make of it; empty where the rule is met"""


def findings(evidence: Evidence) -> tuple[Finding, ...]:
    """What was measured, in the order of `RULES`."""
    figures = {name: figure for name, figure in asdict(evidence).items() if figure is not None}
    return tuple(_finding(name, figures[name], rule) for name, rule in RULES.items() if name in figures)


def _finding(name: str, figure: float, rule: Rule) -> Finding:
    met = abs(figure) >= rule.limit if rule.at_least else abs(figure) <= rule.limit
    demand = f"{'at least' if rule.at_least else 'at most'} {rule.limit:{rule.form}}"
    return Finding(name, rule.words.format(figure=f"{figure:{rule.form}}"), demand, met, "" if met else rule.unmet)
