"""Every question and every view, of networks with 1 and 1,000 classes that are not the samples'."""

import json
import re
import zlib
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

from mixer.checkpoint import DEFAULT
from mixer.data import CLASSES, samples
from mixer.model import PRESETS, Mixer, MixerConfig
from tests.viz.looking import measure, pixels_of
from viz import tokens
from viz.attribution.baselines import BASELINES
from viz.attribution.methods import METHODS
from viz.attribution.query import AttributionQuery, explanation, question
from viz.doubt import checks
from viz.doubt.checks import CheckQuery
from viz.doubt.rules import RULES, findings
from viz.doubt.survey import survey
from viz.figures import Figure
from viz.lenses.view import Lens, element_id
from viz.microscope import Microscope
from viz.mixing import influence, units
from viz.mixing.shuffle import permutation_experiment
from viz.page import specimen
from viz.page.instrument import Instrument
from viz.page.report import BROKEN
from viz.page.session import Session
from viz.selection import Number, Option, Params, Selection, Several, change, first

pytestmark = pytest.mark.usefixtures("few_draws")

PATCHES = 12
OWN = (7 * np.arange(12 * 20 * 3)).astype(np.uint8).tobytes()
"""a visitor's picture"""


@pytest.fixture(scope="session")
def foreign(foreign_scope: Microscope) -> Instrument:
    return Instrument(foreign_scope)


@pytest.fixture
def selection(foreign: Instrument) -> Selection:
    return first(foreign.scope, foreign.page)


def choose(instrument: Instrument, selection: Selection, words: Params) -> Selection:
    changed, said = change(instrument.scope, instrument.page, selection, words)
    assert not said, words
    return changed


# what is asked


def test_right_or_wrong_is_not_said_of_other_classes(foreign_scope: Microscope) -> None:
    count = foreign_scope.model.config.num_classes
    if count == 1000:
        assert foreign_scope.classes[:2] == ("tench", "goldfish")
    else:
        assert foreign_scope.classes == tuple(f"class {i}" for i in range(count))
    assert not foreign_scope.knows_samples
    assert foreign_scope.truth(19) == "truck"
    assert foreign_scope.truth_class(19) is None


def test_as_many_classes_of_other_names_are_other_classes() -> None:
    same_number = Microscope(Mixer(MixerConfig(num_blocks=1, hidden_dim=8, classes=())), {}, torch.device("cpu"))
    assert not same_number.knows_samples


def test_right_or_wrong_goes_by_the_names() -> None:
    own = Microscope(Mixer(replace(PRESETS["seed-rows"], classes=CLASSES)), {}, torch.device("cpu"))
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


def test_tokens_and_mixing(foreign_scope: Microscope, selection: Selection) -> None:
    scope, seen = foreign_scope, foreign_scope.look(selection.picture)
    lens = tokens.logit_lens(seen, scope.model)
    assert lens.probabilities.shape == (5, len(scope.classes))
    np.testing.assert_allclose(lens.probabilities.sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(tokens.votes(seen, scope.model, 4).mean(0), seen.logits[0], atol=1e-5)
    image = scope.input(selection.picture)
    assert permutation_experiment(scope.model, image, 0).largest_logit_difference < 1e-4
    assert np.isfinite(influence.token_jacobian(scope.model, image, 1)).all()
    *_, last = influence.network_influence(scope.model, image, 3, 0)
    assert np.isfinite(last.influence).all()
    *_, strengths = units.strengths_everywhere(scope.model, scope.sample_inputs[:9])
    assert np.isfinite(strengths).all()


def asked(scope: Microscope, selection: Selection, output: Any, baseline: str = "black") -> AttributionQuery:
    return AttributionQuery(selection.picture, len(scope.classes) - 1, baseline, output, 1)


@pytest.mark.parametrize("output", ["logit", "probability"])
def test_every_method_explains_the_last_class(foreign_scope: Microscope, selection: Selection, output: str) -> None:
    for method in METHODS:
        found = foreign_scope.measured(explanation(foreign_scope, asked(foreign_scope, selection, output), method))
        assert np.isfinite(found.values).all()
        assert np.isfinite([found.total, found.difference]).all()
        if output == "probability" and len(foreign_scope.classes) == 1:
            np.testing.assert_allclose(found.values, 0, atol=1e-6)  # the only class is always certain
    other = AttributionQuery(selection.picture, len(foreign_scope.classes), "black", "logit", 1)
    with pytest.raises(ValueError, match="does not exist: there are"):
        foreign_scope.measured(explanation(foreign_scope, other, "Saliency"))


def test_every_baseline_is_a_picture(foreign_scope: Microscope, selection: Selection) -> None:
    for name in BASELINES:
        put = question(foreign_scope, asked(foreign_scope, selection, "logit", name))
        assert torch.isfinite(put.baseline).all()


@pytest.mark.parametrize("output", ["logit", "probability"])
@pytest.mark.parametrize("method", ["Saliency", "Layer Conductance"])
def test_every_doubt_is_a_number(foreign_scope: Microscope, selection: Selection, method: str, output: str) -> None:
    scope = foreign_scope
    query = CheckQuery(asked(scope, selection, output).for_method(method), method, "own mean")
    while waiting := scope.missing(checks.all_checks(scope, [query])):
        assert list(waiting[0].steps())[-1] == waiting[0].total
    curves = scope.measured(checks.curves(scope, query))
    assert np.isfinite([curves.deletion, curves.insertion]).all()
    evidence = checks.evidence(scope, query)
    json.dumps(vars(evidence), allow_nan=False)
    assert len(findings(evidence)) >= len(RULES) - 1  # one of them is not for every method


def test_the_survey_of_all_methods_holds_numbers_only(foreign_scope: Microscope) -> None:
    table = survey(foreign_scope.model, foreign_scope.sample_inputs[:4])
    json.dumps(table, allow_nan=False)
    assert table["methods"].keys() == {*METHODS, "random order"}
    if len(foreign_scope.classes) == 1:  # always certain: there is nothing that a sum could miss a share of
        assert {row["gap"] for row in table["methods"].values()} == {None}


# what is shown


@pytest.fixture(params=["sample", "own"])
def visit(request: pytest.FixtureRequest, foreign: Instrument, selection: Selection) -> Session:
    """Of somebody who looks at the first sample, or at a picture of his own, at the other end of all choices."""
    if request.param == "sample":
        return Session(selection)
    picture = {"picture": urlsafe_b64encode(zlib.compress(OWN)).decode()}
    words = picture | {"class": foreign.scope.classes[-1], "patch": "2,3", "depth": "stem", "unit": "6"}
    return Session(choose(foreign, selection, words))


def opened(instrument: Instrument, visit: Session, lens: Lens) -> dict[str, dict[str, Any]]:
    """What the page is sent of each view of a lens."""
    visit.sent.clear()
    updates = instrument.answer(visit, {"words": {"lens": lens.id}})
    return {name: updates[name] for name in (element_id(lens, view) for view in lens.views)}


def complete(instrument: Instrument, visit: Session, lens: Lens, asked: bool = False) -> None:
    for view in lens.views:
        measure(instrument.scope, view, visit.selection, asked)


def no_number(text: str) -> None:
    raise AssertionError(f"{text} is no JSON")


def check(name: str, value: dict[str, Any]) -> None:
    """Something is shown, of numbers only, and nothing is called right or wrong."""
    json.dumps(value, allow_nan=False)
    if value["figure"]:
        json.loads(value["figure"], parse_constant=no_number)
    assert value["figure"] or value["html"] or value["words"], name
    words = f"{value['words']} {value['html']}"
    assert BROKEN not in words, name
    assert not re.search(r"\b(nan|inf|right|rightly|wrong|wrongly)\b", words), (name, words)


def test_every_view_of_every_lens_is_drawn(foreign: Instrument, visit: Session) -> None:
    for lens in foreign.lenses:
        for name, value in opened(foreign, visit, lens).items():
            assert BROKEN not in value["words"], name
            assert value["measure"] or value["waiting"] or value["figure"] or value["html"] or value["words"], name
        complete(foreign, visit, lens, asked=True)
        for name, value in opened(foreign, visit, lens).items():
            check(name, value)


def texts(option: Option) -> list[str]:
    """The extremes, or two values that are not the default, which is drawn above."""
    if isinstance(option, Number):
        return [str(option.low), str(option.high)]
    names = [name for name, _ in option.choices]
    if isinstance(option, Several):
        return ["", ",".join(names)]
    others = [name for name in names if name != option.default]
    return [*dict.fromkeys((*others[:1], *others[-1:]))]


def test_every_view_is_drawn_whatever_is_set(foreign: Instrument, selection: Selection) -> None:
    """Those that an option changes: the page is sent no others, and what it opens on is drawn above."""
    for lens in foreign.lenses:
        start = choose(foreign, selection, {"lens": lens.id})
        for option in lens.all_options:
            visit = Session(start)
            foreign.refresh(visit)
            for text in texts(option):
                chosen = choose(foreign, start, {option.name: text})
                complete(foreign, Session(chosen), lens)
                updates = foreign.answer(visit, {"words": {option.name: text}})
                assert visit.selection == chosen
                for name in (element_id(lens, view) for view in lens.views):
                    if name in updates:
                        check(f"{name}, {option.name}={text}", updates[name])


def points(figure: Figure) -> Iterator[dict[str, Any]]:
    """Clicks on some of what a figure shows, as a browser tells them."""
    for curve, drawn in enumerate(figure.data):
        if drawn.hoverinfo == "skip":  # as the picture under a map: no pointer finds it
            continue
        if drawn.type == "image" and drawn.source:
            shape = pixels_of(drawn).shape[:2]
        else:
            shape = np.shape(drawn.z)[:2] if drawn.type in ("heatmap", "image") else np.shape(drawn.x)
        for index in product(*(sorted({0, size // 3, size // 2, size - 1}) for size in shape)):
            yield {"curve": curve, "name": drawn.name or "", "index": list(index)}


def test_a_click_chooses_what_it_says(foreign: Instrument, selection: Selection) -> None:
    for lens in foreign.lenses:
        start = choose(foreign, selection, {"lens": lens.id})
        complete(foreign, Session(start), lens, asked=True)
        for view in lens.views:
            if view.pick is None:
                continue
            figure, name = view.draw(foreign.scope, start).figure, element_id(lens, view)
            if view.id == "difference" and len(foreign.scope.classes) == 1:
                assert figure is None  # there is no other class
                continue
            assert figure is not None, name
            clicks = [{"view": name, **point} for point in points(figure)]
            chosen = [(click, words) for click in clicks if (words := foreign._picked(Session(start), click))]
            assert chosen, name
            for _, words in chosen:
                choose(foreign, start, words)
            click, words = chosen[-1]
            visit = Session(start)
            updates = foreign.answer(visit, click)
            assert updates["status"]["message"] == "", name
            assert visit.selection == choose(foreign, start, words), name


def test_the_page_says_what_the_network_can_be_right_about(foreign: Instrument, visit: Session) -> None:
    scope, (words,) = foreign.scope, specimen.answer_texts(foreign.scope, visit.selection)
    if visit.selection.sample is None:
        assert words.startswith(f"The network can only answer with one of its {len(scope.classes)} class")
    else:
        assert words.startswith(
            "Test image 3 of CIFAR-10, labelled <b>airplane</b>. The network does not have this class"
        )
        assert words.endswith("so its answer is neither correct nor wrong.")
    assert scope.quality == "not evaluated"
    (kinds,) = foreign.specimen.all_options
    assert [name for name, _ in kinds.choices] == ["all", "unsure", *CLASSES]


def test_figures_of_other_classes_test_images_are_not_shown(foreign_mixer: Mixer) -> None:
    metrics = json.loads(
        (DEFAULT / "metrics.json").read_text(encoding="utf-8")
    )  # of a network that has the samples' classes
    instrument = Instrument(Microscope(foreign_mixer, metrics, torch.device("cpu")))
    (lens,) = (lens for lens in instrument.lenses if lens.id == "model")
    assert lens.question == "This network has not been evaluated on images of its classes."
    assert [view.id for view in lens.views] == ["pictures", "map", "mean", "training", "layers"]
    assert instrument.scope.quality == "not evaluated"
