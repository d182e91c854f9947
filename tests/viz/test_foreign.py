"""Every question, asked of networks with 1, 2, 10, 60 and 1,000 classes that are not the samples'."""

import json

import numpy as np
import pytest
import torch

from mixer.data import CLASSES, samples
from mixer.model import PRESETS, Mixer, MixerConfig
from viz import figures, influence, intervene, tokens, units
from viz.attribution import METHODS
from viz.baselines import BASELINES
from viz.doubts import Doubted, Doubts
from viz.explanations import Asked
from viz.method_table import method_table
from viz.microscope import Microscope, Selection
from viz.verdict import findings


@pytest.fixture
def selection(foreign_scope: Microscope) -> Selection:
    return foreign_scope.first()


def names(scope: Microscope) -> list[str]:
    if len(scope.classes) == 1000:
        return list(scope.classes)
    return [f"class {i}" for i in range(scope.model.config.num_classes)]


def test_right_or_wrong_is_not_said_of_other_classes(foreign_scope: Microscope) -> None:
    assert list(foreign_scope.classes) == names(foreign_scope)
    assert not foreign_scope.knows_samples
    assert foreign_scope.truth(199) == "truck"
    assert foreign_scope.truth_class(199) is None


def test_right_or_wrong_goes_by_the_names(tiny: MixerConfig) -> None:
    own = Microscope(Mixer(PRESETS["seed-rows"]), {}, torch.device("cpu"))
    assert own.knows_samples
    assert [own.truth_class(i) for i in range(200)] == samples().labels.tolist()
    turned = CLASSES[1:] + CLASSES[:1]
    other = Microscope(Mixer(MixerConfig(num_blocks=1, hidden_dim=8, classes=turned)), {}, torch.device("cpu"))
    assert other.knows_samples
    assert (other.truth_class(0), other.truth_class(20)) == (9, 0)


def test_the_leading_classes_are_the_most_probable(foreign_scope: Microscope, selection: Selection) -> None:
    probabilities = foreign_scope.probabilities(selection.picture)
    assert probabilities.sum() == pytest.approx(1, abs=1e-5)
    best = foreign_scope.leading(selection.picture, 5)
    assert len(best) == min(5, len(foreign_scope.classes))
    assert sorted(probabilities, reverse=True)[:5] == probabilities[best].tolist()
    assert selection.target == best[0]
    rival = foreign_scope.rival(selection.picture, best[0])
    assert rival == (best[1] if len(best) > 1 else None)
    if len(best) > 1:
        assert foreign_scope.rival(selection.picture, best[1]) == best[0]
    assert set(foreign_scope.sample_answers()) <= set(range(len(foreign_scope.classes)))


def test_tokens_and_their_figures(foreign_scope: Microscope, selection: Selection) -> None:
    scope, trace = foreign_scope, foreign_scope.look(selection.picture)
    lens = tokens.logit_lens(trace, scope.model)
    assert lens.probabilities.shape == (5, len(scope.classes))
    np.testing.assert_allclose(lens.probabilities.sum(1), 1, atol=1e-5)
    shown = sorted({selection.target, len(scope.classes) - 1})
    colours = [figures.class_colour(i) for i in range(len(scope.classes))]
    lines = figures.lines_over_depth(
        lens.probabilities, scope.depth_names, scope.classes, colours, "probability", 4, shown
    )
    assert len(lines.data) == min(10, len(scope.classes))
    assert {line.name for line in lines.data if line.showlegend} == {scope.classes[i] for i in shown}

    for depth in range(5):
        votes = tokens.votes(trace, scope.model, depth).reshape(3, 4, -1)
        figure = figures.answers_over_picture(scope.pixels(selection.picture), votes, scope.classes, (1, 1))
        assert figure.data[1].text[2][3] == scope.classes[votes[2, 3].argmax()]
    np.testing.assert_allclose(votes.mean((0, 1)), trace.logits[0], atol=1e-5)

    for joint in (True, False):
        found = tokens.pca_colours(trace, joint)
        assert np.isfinite(found.colours).all()
        assert np.isfinite(found.explained).all()
    found = tokens.neighbours(scope.bank(2), trace.depths[2, 0, 5], 3, exclude=0)
    assert 0 not in found.images


def test_mixing_and_shuffling(foreign_scope: Microscope, selection: Selection) -> None:
    scope, image = foreign_scope, foreign_scope.input(selection.picture)
    experiment = intervene.permutation_experiment(scope.model, image, 0)
    assert experiment.largest_logit_difference < 1e-4
    values = np.stack([experiment.original, experiment.both_permuted, experiment.patches_permuted])
    figure = figures.grouped_bars(values, ["a", "b", "c"], scope.classes, "probability")
    assert len(figure.data[0].x) == min(10, len(scope.classes))
    assert np.isfinite(influence.token_jacobian(scope.model, image, 1)).all()
    *_, last = influence.network_influence(scope.model, image, 3, 0)
    assert np.isfinite(last.influence).all()
    assert np.isfinite(units.sample_strengths(scope.model, scope.sample_inputs[:9])).all()


def asked(scope: Microscope, selection: Selection, output: str, baseline: str = "black") -> Asked:
    return Asked(selection.picture, len(scope.classes) - 1, baseline, output, 1)


@pytest.mark.parametrize("output", ["logit", "probability"])
def test_every_method_explains_the_last_class(foreign_scope: Microscope, selection: Selection, output: str) -> None:
    for method in METHODS:
        *_, found = foreign_scope.explanations.steps(asked(foreign_scope, selection, output), method)
        assert np.isfinite(found.values).all()
        assert np.isfinite([found.total, found.difference]).all()
        if output == "probability" and len(foreign_scope.classes) == 1:
            np.testing.assert_allclose(found.values, 0, atol=1e-6)  # the only class is always certain
        figures.overlays(
            foreign_scope.pixels(selection.picture), [found.values.reshape(3, 4)], ["it"], [found.signed],
            output, 0.5, (3, 4), (1, 1), 800,
        )  # fmt: skip
    other = Asked(selection.picture, len(foreign_scope.classes), "black", "logit", 1)
    with pytest.raises(ValueError, match="does not exist: there are"):
        [*foreign_scope.explanations.steps(other, "Saliency")]


def test_every_baseline_is_a_picture(foreign_scope: Microscope, selection: Selection) -> None:
    for name in BASELINES:
        question = foreign_scope.explanations.question(asked(foreign_scope, selection, "logit", name))
        assert torch.isfinite(question.baseline).all()


@pytest.mark.parametrize("output", ["logit", "probability"])
@pytest.mark.parametrize("method", ["Saliency", "Layer Conductance"])
def test_every_doubt_is_a_number(foreign_scope: Microscope, selection: Selection, method: str, output: str) -> None:
    doubts = Doubts(foreign_scope.explanations)
    doubted = Doubted(asked(foreign_scope, selection, output), method, "own mean")
    curves = doubts.curves(doubted)
    assert np.isfinite([curves.deletion, curves.insertion]).all()
    assert [*doubts.measure([doubted])][-1] == doubts.cost([]) + 101 + 20 * 11 + 2
    *_, disturbed = doubts.disturb(doubted)
    evidence = doubts.evidence(doubted)
    json.dumps(vars(evidence), allow_nan=False)
    assert len(findings(evidence)) >= 5
    assert disturbed.done == disturbed.total


def test_the_table_of_all_methods_holds_numbers_only(foreign_scope: Microscope) -> None:
    table = method_table(foreign_scope.model, foreign_scope.sample_inputs[:4])
    json.dumps(table, allow_nan=False)
    assert table["methods"].keys() == {*METHODS, "random order"}
    if len(foreign_scope.classes) == 1:  # always certain: there is nothing that a sum could miss a share of
        assert {row["gap"] for row in table["methods"].values()} == {None}
