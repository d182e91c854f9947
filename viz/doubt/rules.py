"""Reliability tests: the figures of `faithfulness` and `sanity` as sentences, each with its threshold."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Evidence:
    """The measured figures of one attribution; None if not measured."""

    deletion: float | None = None
    """the share of random orders that are worse at deletion"""
    insertion: float | None = None
    """the share of random orders that are worse at insertion"""
    randomisation: float | None = None
    """the mean size of its rank correlation with itself once all weights are randomised"""
    infidelity: float | None = None
    """the share of shuffled copies of it that explain the effect of removing patches worse"""
    sensitivity: float | None = None
    """its largest change under imperceptible noise, as a share of its norm"""
    gap: float | None = None
    """the gap as a share of F(image) - F(baseline), for a complete method; it does not depend on the order of the
    values"""


@dataclass(frozen=True)
class Rule:
    """A threshold and its wording. Only the size of the figure counts, not its sign."""

    about: str
    """the measured property"""
    words: str
    """the sentence, with the placeholder {figure}"""
    limit: float
    at_least: bool
    """whether the figure must be at least the limit; otherwise at most"""
    unmet: str
    """the meaning of a failure"""
    form: str = ".0%"
    """the format of figure and limit"""


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
"""for each field of `Evidence`; this project chose the limits

Deletion, insertion and infidelity compare a map with chance: one of twenty uninformative maps passes each. The other
tests do not detect all errors: see `randomisation`, `sensitivity` and `gap`. `tests/viz/doubt/test_truth.py` tries
each on a toy with a known truth.
"""


@dataclass(frozen=True)
class Finding:
    """One figure as a sentence, with its threshold."""

    figure: str
    """the field of `Evidence`"""
    words: str
    rule: str
    met: bool
    means: str
    """the meaning of a failure; empty if the rule is met"""


def findings(evidence: Evidence) -> tuple[Finding, ...]:
    """The findings of all measured figures, in the order of `RULES`."""
    figures = {name: figure for name, figure in asdict(evidence).items() if figure is not None}
    return tuple(_finding(name, figures[name], rule) for name, rule in RULES.items() if name in figures)


def _finding(name: str, figure: float, rule: Rule) -> Finding:
    met = abs(figure) >= rule.limit if rule.at_least else abs(figure) <= rule.limit
    demand = f"{'at least' if rule.at_least else 'at most'} {rule.limit:{rule.form}}"
    return Finding(name, rule.words.format(figure=f"{figure:{rule.form}}"), demand, met, "" if met else rule.unmet)
