"""Doubt: what its views show, against what was computed, and what they say of what is not known."""

import re
from dataclasses import replace

import numpy as np
import pytest

from mixer.model import Mixer
from tests.viz.looking import cells, measure, microscope, pixels_of, select, view_of
from viz.attribution.attribute import attribute
from viz.attribution.query import question as question_of_query
from viz.doubt import faithfulness
from viz.doubt.rules import RULES
from viz.lenses import doubt
from viz.lenses.attribution.options import question_of
from viz.lenses.doubt import curves
from viz.lenses.view import Lens, Point
from viz.microscope import Microscope


@pytest.fixture
def scope() -> Microscope:
    return microscope(image_size=(16, 32))  # 4 x 2 patches: quick


@pytest.fixture
def lens(scope: Microscope) -> Lens:
    return doubt.lens(scope)


def test_attributions_are_held_against_chance(scope: Microscope, lens: Lens) -> None:
    methods = ["Gradient x input", "Patch ablation"]
    words = {"baseline": "black", "output": "probability", "filling": "own mean"}
    selection = select(scope, lens, methods=",".join(methods), removed="3", **words)
    question = question_of_query(scope, replace(question_of(selection), baseline="own mean"))
    for kind in ("deletion", "insertion"):
        view = view_of(lens, kind)
        if kind == "deletion":
            assert view.draw(scope, selection).words == "Not measured yet."
            orders = next(one for one in view.missing(scope, selection) if one.label == "Random orders")
            while waiting := [one for one in view.missing(scope, selection) if one.key != orders.key]:
                for one in waiting:
                    list(one.steps())
            alone = view.draw(scope, selection)  # the curves are there before the random orders
            assert "random orders are not measured yet" in alone.words
            assert len(alone.figure.data) == 4
        measure(scope, view, selection)
        drawn = view.draw(scope, selection)
        assert any(trace.name.startswith("9 of 10 random orders") for trace in drawn.figure.data)
        for i, method in enumerate(methods):
            found = attribute(scope.model, question_of_query(scope, question_of(selection)), method).values
            curves = faithfulness.curves(scope.model, question, found)
            curve = getattr(curves, kind)
            label = f"{method} (area {faithfulness.area(curve):.2f})"
            (line,) = [trace for trace in drawn.figure.data if trace.name == label]
            np.testing.assert_allclose(line.y, curve, rtol=1e-5)
            np.testing.assert_allclose(drawn.numbers.values[i], curve, rtol=1e-5)
        assert drawn.figure.layout.shapes[0].x0 == 3
        assert view.pick(scope, selection, Point(3, "", (7,))) == {"removed": "7"}
        with pytest.raises(ValueError, match="unpack"):
            view.pick(scope, selection, Point(3, "", (7, 1)))


def test_what_is_not_measured_is_said_and_never_counted(scope: Microscope, lens: Lens) -> None:
    view = view_of(lens, "verdict")
    selection = select(scope, lens, methods="Gradient x input,Integrated Gradients")
    seen = []
    while waiting := view.missing(scope, selection):
        seen.append(view.draw(scope, selection).html)
        list(min(waiting, key=lambda one: (one.on_request, one.seconds)).steps())
    seen.append(view.draw(scope, selection).html)
    assert not any("0 of 0" in html for html in seen)
    assert seen[0].count("<span>not tested yet</span>") == 2
    for html in seen:
        for card, possible in zip(html.split("<h4>")[1:], (len(RULES) - 1, len(RULES)), strict=True):
            (unknown,) = re.findall(r"Not measured yet: (.*?)</li>", card) or [""]
            known = card.count("<li") - bool(unknown)
            assert known + len(unknown.split(", ")) * bool(unknown) == possible  # one does not promise to add up
            told = re.search(r"passes (\d+) of (\d+) tests?", card)
            measured = (card.count("class='met'"), card.count("class='met'") + card.count("class='unmet'"))
            assert measured == ((int(told[1]), int(told[2])) if told else (0, 0))
    assert "Not measured yet" not in seen[-1]
    assert view.draw(scope, selection).numbers.values.shape == (2, len(RULES))


def test_randomising_waits_until_it_is_asked_for(scope: Microscope, lens: Lens) -> None:
    view, verdict = view_of(lens, "randomisation"), view_of(lens, "verdict")
    selection = select(scope, lens, methods="Gradient x input,Saliency")
    first, second = view.missing(scope, selection)
    assert first.on_request
    assert second.on_request
    assert {one.key for one in (first, second)} <= {one.key for one in verdict.missing(scope, selection)}
    assert view.draw(scope, selection).words == "Not measured yet: Gradient x input, Saliency."
    list(second.steps())
    drawn = view.draw(scope, selection)
    assert drawn.words.startswith("Not measured yet: Gradient x input. Small symbols ")
    assert [line.name for line in drawn.figure.data if line.showlegend] == ["Saliency"]
    list(first.steps())
    drawn = view.draw(scope, selection)
    assert [line.name for line in drawn.figure.data if line.showlegend] == ["Gradient x input", "Saliency"]
    assert list(drawn.figure.data[0].x) == ["trained", "head", "block 3", "block 2", "block 1", "stem"]
    assert drawn.words == "Small symbols show the last stage for 4 other draws of random weights."
    assert drawn.numbers.values.shape == (2, 5)
    assert view.missing(scope, selection) == []


def test_the_first_three_of_the_chosen_methods_are_judged_and_the_others_named(scope: Microscope, lens: Lens) -> None:
    chosen = "Gradient x input,Saliency,SmoothGrad,Patch ablation,Token Grad-CAM"
    view, selection = view_of(lens, "verdict"), select(scope, lens, methods=chosen)
    drawn = view.draw(scope, selection)
    assert re.findall(r"<h4>(.*?) <span>", drawn.html) == ["Gradient x input", "Saliency", "SmoothGrad"]
    assert drawn.words == (
        "The maps of these methods are in the tab <a href='#' data-words='lens=attribution'>Attribution</a>. "
        "At most 3 methods are tested at a time. Not tested: Patch ablation, Token Grad-CAM."
    )


@pytest.mark.parametrize("count", [0, 3, 8])
def test_the_picture_loses_its_patches_as_the_answer_falls(scope: Microscope, lens: Lens, count: int) -> None:
    view = view_of(lens, "picture")
    selection = select(scope, lens, methods="Patch ablation,Token Grad-CAM", removed=str(count), filling="blurred")
    assert view.draw(scope, selection).words == "Not measured yet."
    measure(scope, view, selection)
    drawn = view.draw(scope, selection)
    found = attribute(scope.model, question_of_query(scope, question_of(selection)), "Patch ablation").values
    question = question_of_query(scope, replace(question_of(selection), baseline="blurred"))
    curves = faithfulness.curves(scope.model, question, found)
    without, alone = curves.deletion[count], curves.insertion[count]
    assert f"<b>{without:.3f}</b> without its first {count} patches, <b>{alone:.3f}</b> with these alone" in drawn.words
    np.testing.assert_allclose(drawn.numbers.values, [[without, alone]], rtol=1e-5)
    (image,) = drawn.figure.data
    pixels = pixels_of(image)[4:, :32, :3]
    if count == 0:
        np.testing.assert_array_equal(pixels, scope.pixels(selection.picture))
    # 4 x 2 patches of 4 x 16 pixels; the pictures begin 4 pixels down, and the second 36 across
    assert view.pick(scope, selection, Point(0, "", (4 + 9, 17))) == {"patch": "2,1"}
    assert view.pick(scope, selection, Point(0, "", (4 + 13, 36 + 2))) == {"patch": "3,0"}
    with pytest.raises(ValueError, match="no picture"):
        view.pick(scope, selection, Point(0, "", (2, 2)))


def test_how_many_patches_are_gone_is_a_choice_of_all_numbers(scope: Microscope, lens: Lens) -> None:
    (removed,) = view_of(lens, "picture").options
    assert (removed.low, removed.high, removed.default) == (0, 8, 2)


@pytest.mark.parametrize("name", ["verdict", "deletion", "insertion", "picture", "randomisation"])
def test_without_a_method_all_is_said_in_words(scope: Microscope, lens: Lens, name: str) -> None:
    view, selection = view_of(lens, name), select(scope, lens, methods="")
    assert view.missing(scope, selection) == []
    drawn = view.draw(scope, selection)
    assert drawn.words == "No method is selected."
    assert drawn.figure is None


def test_all_methods_over_the_samples_are_shown_as_they_were_recorded(scope: Microscope, lens: Lens) -> None:
    view, selection = view_of(lens, "survey"), select(scope, lens)
    assert "evaluate --attributions" in view.draw(scope, selection).words
    named = Microscope(scope.model, {"data": {"name": "photos"}}, scope.device, "my runs/b")
    assert "evaluate --attributions &#x27;my runs/b&#x27;</code>" in view.draw(named, selection).words
    other = Microscope(Mixer(replace(scope.model.config, num_classes=3, classes=())), {}, scope.device)
    assert "evaluate --attributions --samples FOLDER</code>" in view.draw(other, selection).words
    row = {"deletion": 0.25, "insertion": 0.5, "gap": None, "seconds": 0.125}
    table = {"methods": {"Saliency": row}, "images": 200, "output": "probability", "baseline": "mean colour"}
    scope.metrics = {"attributions": table | {"steps": 9, "samples": 7, "block": 2, "removals": 16}}
    drawn = view.draw(scope, selection)
    assert "200 images, probability" in drawn.words
    assert "7 copies or orders" in drawn.words
    assert cells(drawn.html) == [["Saliency", "0.250", "0.500", "-", "0.12"]]
    np.testing.assert_array_equal(drawn.numbers.values, [[0.25, 0.5, np.nan, 0.125]])


@pytest.mark.parametrize(("patch_size", "few"), [((4, 16), 4), ((8, 16), 2)])
def test_one_view_has_the_defaults_of_each_network(patch_size: tuple[int, int], few: int) -> None:
    scope = microscope(patch_size=patch_size)
    lens = doubt.lens(scope)
    assert view_of(lens, "deletion") is curves.DELETION
    for words, want in (({}, few), ({"removed": "1"}, 1)):
        _, removed = curves.DELETION.sees(scope, select(scope, lens, **words))
        assert removed == want
