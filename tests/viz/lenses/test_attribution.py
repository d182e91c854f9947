"""Attribution: what its views show, against what was computed."""

import re
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from plotly.graph_objects import Figure, Heatmap

from mixer.model import PRESETS
from tests.viz.looking import cells, measure, microscope, page_of, select, view_of
from viz.attribution.attribute import attribute
from viz.attribution.methods import METHODS, SHAPLEY, Settings
from viz.attribution.query import question as question_of_query
from viz.lenses import attribution, doubt
from viz.lenses.attribution.options import methods_of, question_of
from viz.lenses.attribution.versus import why_not
from viz.lenses.view import Lens, Point
from viz.measuring import Memory
from viz.microscope import Microscope
from viz.selection import Selection


@pytest.fixture(scope="module")
def scope() -> Microscope:
    return microscope()


@pytest.fixture
def fresh() -> Microscope:
    return microscope()


@pytest.fixture(scope="module")
def lens(scope: Microscope) -> Lens:
    return attribution.lens(scope)


def heatmaps(figure: Figure) -> list[Heatmap]:
    return [trace for trace in figure.data if trace.type == "heatmap"]


def values(scope: Microscope, selection: Selection, method: str, target: int | None = None) -> np.ndarray:
    question = question_of_query(scope, question_of(selection, target), background=True)
    return attribute(scope.model, question, method, Settings(block=selection.block)).values


def test_every_method_s_values_lie_over_the_picture_on_one_scale(scope: Microscope, lens: Lens) -> None:
    view, every = view_of(lens, "maps"), [name for name in METHODS if name != SHAPLEY]
    selection = select(scope, lens, methods=",".join(every), patch="3,1", depth="2b")
    measure(scope, view, selection)
    drawn = view.draw(scope, selection)
    maps = heatmaps(drawn.figure)
    for trace, method in zip(maps, every, strict=True):
        expected = values(scope, selection, method).reshape(8, 2)
        np.testing.assert_allclose(trace.z, expected, rtol=1e-4, atol=1e-7)
        assert trace.customdata[3][1].tolist() == [3, 1]
    signed = [trace for trace, method in zip(maps, every, strict=True) if METHODS[method].signed]
    (span,) = {trace.zmax for trace in signed}
    assert {trace.zmin for trace in signed} == {-span}
    assert "Signed maps share one colour scale" in drawn.words
    largest = values(scope, selection, "Saliency").max()
    assert f"Unsigned maps show sizes, from 0 to: Saliency {largest:.3g}, SmoothGrad " in drawn.words
    assert (
        "Token Grad-CAM and Layer Integrated Gradients and Layer Conductance explain the tokens after block 2 of 3"
        in drawn.words
    )
    assert drawn.numbers.values.shape == (10, 8, 2)
    np.testing.assert_allclose(drawn.numbers.values[0], maps[0].z)


def test_fast_methods_are_shown_while_slow_ones_are_not_measured(fresh: Microscope) -> None:
    lens = attribution.lens(fresh)
    view = view_of(lens, "maps")
    selection = select(fresh, lens, methods=f"Saliency,{SHAPLEY}")
    fast, slow = view.missing(fresh, selection)
    assert (fast.label, slow.label) == ("Saliency", SHAPLEY)
    nothing = view.draw(fresh, selection)
    assert all(np.isnan(np.asarray(trace.z, float)).all() for trace in heatmaps(nothing.figure))
    assert nothing.words.startswith("Not measured yet: Saliency (2 passes of the network), Shapley values (300 passes")
    assert nothing.numbers is None
    list(fast.steps())
    next(slow.steps())  # and then given up
    assert [one.key for one in view.missing(fresh, selection)] == [slow.key]
    drawn = view.draw(fresh, selection)
    first, second = heatmaps(drawn.figure)
    np.testing.assert_allclose(first.z, values(fresh, selection, "Saliency").reshape(8, 2), rtol=1e-5)
    assert np.isnan(np.asarray(second.z, float)).all()
    titles = [label.text for label in drawn.figure.layout.annotations]
    assert titles == ["Saliency (unsigned)<br>not tested yet", "Shapley values<br>not measured yet"]
    assert drawn.numbers.axes["method"] == ["Saliency"]
    assert "Shapley values (300 passes" in drawn.words
    assert cells(view_of(lens, "sums").draw(fresh, selection).html)[0][0] == "Saliency"


def test_after_a_cancel_nothing_of_the_picture_before_is_shown(fresh: Microscope) -> None:
    lens = attribution.lens(fresh)
    before, after = select(fresh, lens), select(fresh, lens, sample="3")
    for view in lens.views:
        measure(fresh, view, before)
        drawn = view.draw(fresh, after)
        assert "ot measured yet" in drawn.words
        assert drawn.numbers is None
        assert not drawn.html
        maps = heatmaps(drawn.figure) if drawn.figure else []
        assert all(np.isnan(np.asarray(trace.z, float)).all() for trace in maps)


def test_beside_every_method_stand_its_value_and_its_sum(scope: Microscope, lens: Lens) -> None:
    methods = ["Gradient x input", "Saliency", "Integrated Gradients", SHAPLEY, "Token Grad-CAM"]
    view = view_of(lens, "sums")
    selection = select(scope, lens, methods=",".join(methods), patch="3,1", depth="2b")
    measure(scope, view, selection)
    drawn = view.draw(scope, selection)
    assert "<th scope='col'>patch (3, 1)</th>" in drawn.html
    for i, (name, row) in enumerate(zip(methods, cells(drawn.html), strict=True)):
        head, value, total, wanted, gap, passes, _ = row
        question = question_of_query(scope, question_of(selection))
        answer = attribute(scope.model, question, name, Settings(block=1))
        assert head == name
        assert float(value.split(" ± ")[0]) == pytest.approx(answer.values[7], rel=5e-3)
        assert (" ± " in value) == (name == SHAPLEY)
        assert float(total) == pytest.approx(answer.total, rel=5e-3)
        assert int(passes) == answer.passes == drawn.numbers.values[i, 4]
        if name in ("Saliency", "Token Grad-CAM"):  # one has no sign, one no baseline
            assert wanted == gap == "-"
            assert np.isnan(drawn.numbers.values[i, 2:4]).all()
            continue
        assert float(wanted) == pytest.approx(answer.difference, rel=5e-3)
        assert gap.startswith("(") == (answer.gap is None)
        assert float(gap.strip("()")) == pytest.approx(answer.total - answer.difference, rel=5e-3, abs=1e-6)


def test_pixels_add_up_to_their_patches(scope: Microscope, lens: Lens) -> None:
    view, found = view_of(lens, "maps"), {}
    for resolution in ("patches", "pixels"):
        selection = select(scope, lens, methods="Integrated Gradients,Patch ablation", resolution=resolution)
        measure(scope, view, selection)
        drawn = view.draw(scope, selection)
        found[resolution] = [np.asarray(trace.z) for trace in heatmaps(drawn.figure)]
    fine, coarse = found["pixels"], found["patches"]
    assert fine[0].shape == (32, 32)
    np.testing.assert_allclose(fine[0].reshape(8, 4, 2, 16).sum((1, 3)), coarse[0], rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(fine[1] * 64, coarse[1], rtol=1e-5)  # this method has none: its values, spread
    per_pixel = drawn.numbers.values[1].reshape(8, 4, 2, 16)
    np.testing.assert_allclose(per_pixel.sum((1, 3)), coarse[1], rtol=1e-4)


@pytest.mark.parametrize("resolution", ["patches", "pixels"])
def test_a_cell_of_any_map_chooses_its_patch(scope: Microscope, lens: Lens, resolution: str) -> None:
    view = view_of(lens, "maps")
    selection = select(scope, lens, methods="Saliency,Patch ablation", resolution=resolution)
    measure(scope, view, selection)
    figure, chosen = view.draw(scope, selection).figure, set()
    for curve, trace in enumerate(figure.data):
        if trace.type != "heatmap":
            continue
        for index in np.ndindex(np.asarray(trace.z).shape):
            words = view.pick(scope, selection, Point(curve, "", index))
            row, col = words["patch"].split(",")
            assert trace.customdata[index].tolist() == [int(row), int(col)]
            chosen.add((curve, words["patch"]))
    assert len(chosen) == 2 * 16
    for wrong in (
        Point(4, "", (0, 0)),
        Point(1, "", (32, 0)),
        Point(1, "", (0, -1)),
        Point(1, "", (3,)),
        Point(9, "", (0, 0)),
    ):
        with pytest.raises((IndexError, ValueError)):
            view.pick(scope, selection, wrong)


def test_the_difference_of_two_classes(scope: Microscope, lens: Lens) -> None:
    view = view_of(lens, "difference")
    selection = select(scope, lens, methods="Saliency,Patch ablation", rather_than="truck", sample="11", class_="bird")
    assert [one.label for one in view.missing(scope, selection)] == ["Patch ablation"] * 2
    measure(scope, view, selection)
    drawn = view.draw(scope, selection)
    expected = values(scope, selection, "Patch ablation", 2) - values(scope, selection, "Patch ablation", 9)
    np.testing.assert_allclose(np.ravel(drawn.figure.data[1].z), expected, rtol=1e-4, atol=1e-6)
    assert "<b>bird - truck</b>, by Patch ablation" in drawn.words
    assert view.pick(scope, selection, Point(1, "", (5, 1))) == {"patch": "5,1"}


def test_the_next_likely_class_is_not_the_one_asked_about(scope: Microscope, lens: Lens) -> None:
    view, selection = view_of(lens, "difference"), select(scope, lens)
    ranked = np.argsort(scope.probabilities(selection.picture))[::-1].tolist()
    for target, other in ((ranked[0], ranked[1]), (ranked[5], ranked[0])):
        asked = replace(selection, target=target)
        assert f"{scope.classes[target]} - {scope.classes[other]}" in view.draw(scope, asked).words
    same = select(scope, lens, rather_than="cat", class_="cat")
    assert "select another" in view.draw(scope, same).words


def test_of_many_classes_the_other_is_chosen_by_its_rank() -> None:
    many = microscope(num_classes=61)
    lens = attribution.lens(many)
    view = view_of(lens, "difference")
    (option,) = view.options
    assert len(option.choices) == 11
    selection = select(many, lens, rather_than="top-3")
    third = np.argsort(many.probabilities(selection.picture))[-3]
    assert f"- {many.classes[third]}</b>" in view.draw(many, selection).words


def test_methods_that_are_not_measured_are_not_compared(scope: Microscope, lens: Lens) -> None:
    view = view_of(lens, "agreement")
    assert "two methods" in view.draw(scope, select(scope, lens, methods="Saliency")).words
    selection = select(scope, lens, methods="Saliency,Patch ablation,Gradient x input", sample="9")
    measure(scope, view, selection)
    drawn = view.draw(scope, selection)
    assert np.asarray(drawn.figure.data[0].z).shape == (3, 3)
    assert view.pick is None


@pytest.mark.parametrize("name", ["maps", "sums", "difference", "agreement"])
def test_without_a_method_all_is_said_in_words(scope: Microscope, lens: Lens, name: str) -> None:
    view, selection = view_of(lens, name), select(scope, lens, methods="")
    assert view.missing(scope, selection) == []
    drawn = view.draw(scope, selection)
    assert re.match(r"No (signed )?method is selected|Select two methods", drawn.words)
    assert drawn.figure is None


def test_under_a_name_stands_what_doubt_found(fresh: Microscope) -> None:
    lens, other = attribution.lens(fresh), doubt.lens(fresh)
    view, verdict = view_of(lens, "maps"), view_of(other, "verdict")
    selection = select(fresh, lens, methods="Patch ablation,Integrated Gradients")

    def marks() -> list[str]:
        return [label.text.split("<br>")[-1] for label in view.draw(fresh, selection).figure.layout.annotations]

    assert marks() == ["not measured yet"] * 2
    measure(fresh, view, selection)
    assert marks() == ["not tested yet"] * 2
    seen = view.sees(fresh, selection)
    measure(fresh, verdict, selection)
    assert view.sees(fresh, selection) != seen  # so that it is drawn anew
    html = verdict.draw(fresh, selection).html
    assert marks() == re.findall(r"<h4>[^<]* <span>(.*?)</span>", html)
    assert [mark.split(" of ")[1] for mark in marks()] == ["4 tests", "3 tests"]
    assert "data-words='lens=doubt'" in view.draw(fresh, selection).words


@pytest.mark.parametrize(
    ("preset", "measured", "methods"),
    [
        ("seed", {}, ("Gradient x input", "Patch ablation", "Token Grad-CAM")),
        ("B/16", {}, ("Gradient x input", "Token Grad-CAM")),
        ("H/14", {"Patch ablation": 0.1, "Saliency": 0.2}, ("Gradient x input",)),
        # of the best three those that take a few seconds together: Shapley values alone take longer
        (
            "seed",
            {"Saliency": 0.3, SHAPLEY: 0.1, "Token Grad-CAM": 0.9, "Integrated Gradients": 0.2, "random order": 0.0},
            ("Saliency", "Integrated Gradients"),
        ),
    ],
)
def test_what_is_chosen_at_first_fits_the_network(
    preset: str, measured: dict[str, float], methods: tuple[str, ...]
) -> None:
    network = SimpleNamespace(
        model=SimpleNamespace(config=PRESETS[preset]),
        metrics={"attributions": {"methods": {name: {"deletion": area} for name, area in measured.items()}}},
        cached=Memory().cached,
    )
    assert methods_of(cast("Microscope", network)).value(Selection(b"")) == methods


def test_both_lenses_share_what_is_chosen(scope: Microscope, lens: Lens) -> None:
    shared = set(lens.options) & set(doubt.lens(scope).options)
    assert {option.name for option in shared} == {"methods", "baseline", "output"}
    names = [option.name for option in page_of(lens, doubt.lens(scope)).options]
    assert len(names) == len(set(names))


def test_a_wrong_answer_leads_to_the_comparison_with_the_label_by_a_good_method(fresh: Microscope) -> None:
    lens = attribution.lens(fresh)
    fresh.metrics = {"attributions": {"methods": {"Patch ablation": {"deletion": 0.1}, "Saliency": {"deletion": 0.0}}}}
    picture = fresh.sample_picture(3)
    other = fresh.leading(picture, 5)[-1]
    words = why_not(fresh, picture, other)
    assert words is not None
    assert words["methods"] == "Patch ablation"  # Saliency has no sign
    chosen = {name.replace("-", "_"): text for name, text in words.items() if name != "lens"}
    selection = select(fresh, lens, sample="3", **chosen)
    view = view_of(lens, "difference")
    measure(fresh, view, selection)
    told = view.draw(fresh, selection).words
    assert f"{fresh.classes[fresh.answer(picture)]} - {fresh.classes[other]}" in told
    assert "by Patch ablation" in told
