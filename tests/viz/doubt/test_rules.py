from dataclasses import fields

import pytest

from viz.doubt.rules import RULES, Evidence, findings


def test_every_figure_has_a_rule():
    assert set(RULES) == {field.name for field in fields(Evidence)}


def test_words_and_rule_stand_together():
    found = findings(Evidence(deletion=0.98, insertion=0.62, randomisation=0.11))
    assert [(f.words, f.rule, f.met) for f in found] == [
        ("is better than 98% of random orders at deletion", "at least 95%", True),
        ("is better than 62% of random orders at insertion", "at least 95%", False),
        ("has a mean rank correlation of 0.11 with itself once all weights are random", "at most 0.50", True),
    ]


@pytest.mark.parametrize(
    ("evidence", "met"),
    [
        (Evidence(deletion=0.95), True),
        (Evidence(deletion=0.94), False),
        (Evidence(randomisation=1.0), False),
        (Evidence(randomisation=-0.9), False),  # the same ranks upside down are not independent of the weights
        (Evidence(randomisation=0.5), True),
        (Evidence(gap=-0.06), False),
        (Evidence(gap=-0.04), True),
        (Evidence(sensitivity=0.0), True),
        (Evidence(infidelity=0.51), False),
    ],
)
def test_rules(evidence: Evidence, met: bool):
    (finding,) = findings(evidence)
    assert finding.met is met


def test_what_was_not_measured_is_not_judged():
    assert findings(Evidence()) == ()
    assert [finding.figure for finding in findings(Evidence(gap=0.0, deletion=0.0))] == ["deletion", "gap"]


def test_what_is_not_met_is_called_out():
    kept, changed = (findings(Evidence(randomisation=value))[0] for value in (0.93, 0.1))
    assert "hardly depends on what was learned" in kept.means
    assert changed.means == ""
