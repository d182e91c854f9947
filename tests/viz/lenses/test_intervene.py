"""What if: edits by click and by button, and what the views of the lens say of what they changed."""

import re
from html import unescape
from urllib.parse import parse_qs

import numpy as np
import pytest
import torch

from tests.viz.looking import measure, microscope, page_of, select, view_of
from viz.capture import run_from, trace
from viz.intervene import ablation as measures
from viz.lenses.intervene import ablation, edit, patching, smallest
from viz.lenses.mixing.selected_unit import unit_of
from viz.lenses.view import Drawn, Lens, Point, View, facts_of, file_name
from viz.microscope import Microscope
from viz.pace import finish
from viz.page.specimen import answer_texts
from viz.pictures import thumbnail_url
from viz.selection import Selection, change

PIXELS = 32
GAP = PIXELS // 8
"""between two pictures of a figure"""


@pytest.fixture(scope="module")
def scope() -> Microscope:
    return microscope()


@pytest.fixture(scope="module")
def editing(scope: Microscope) -> Lens:
    return edit.lens(scope)


def click(scope: Microscope, view: View, selection: Selection, picture: int, row: int, col: int) -> dict[str, str]:
    """On a patch of one of the pictures of a figure; the patches are 4 x 16."""
    assert view.pick
    y, x = GAP + 4 * row + 2, picture * (PIXELS + GAP) + 16 * col + 7
    return dict(view.pick(scope, selection, Point(0, "", (y, x))))


def buttons(drawn: Drawn) -> dict[str, dict[str, str]]:
    """What each button chooses; those that choose nothing are not among them."""
    found = re.findall(r"<button type='button' data-words='(.*?)'>(.*?)</button>", drawn.words)
    parsed = {name: parse_qs(unescape(words), keep_blank_values=True) for words, name in found}
    return {name: {word: texts[0] for word, texts in words.items()} for name, words in parsed.items()}


def after(scope: Microscope, lens: Lens, selection: Selection, words: dict[str, str]) -> Selection:
    changed, wrong = change(scope, page_of(lens), selection, words)
    assert not wrong
    return changed


# edit


@pytest.mark.parametrize(
    ("tool", "made"), [("mean", "mean:3,1"), ("noise", "noise:3,1"), ("swap", "swap:4,1-3,1"), ("grey", "grey:3,1")]
)
def test_a_click_on_the_edited_picture_uses_the_tool(scope: Microscope, editing: Lens, tool: str, made: str) -> None:
    view, start = view_of(editing, "picture"), select(scope, editing, tool=tool, edits="black:0,0", patch="4,1")
    assert click(scope, view, start, 1, 3, 1) == {"edits": f"black:0,0;{made}"}
    if tool == "swap":
        assert click(scope, view, start, 1, 4, 1) == {}


@pytest.mark.parametrize(
    ("area", "places"),
    [
        ("patch", "2,1"),
        ("around", "1,0-1,1-2,0-2,1-3,0-3,1"),
        ("row", "2,0-2,1"),
        ("column", "0,1-1,1-2,1-3,1-4,1-5,1-6,1-7,1"),
        ("all", ""),
    ],
)
def test_a_click_takes_an_area(scope: Microscope, editing: Lens, area: str, places: str) -> None:
    """Of 8 x 2 patches."""
    view = view_of(editing, "picture")
    said, at = (f"{mark}{places}" if places else "" for mark in ":@")
    clicks = ((0, "mean", f"original{said}"), (1, "black", f"black{said}"), (1, "swap", "swap:4,1-2,1"))
    for picture, tool, made in clicks:
        start = select(scope, editing, tool=tool, area=area, patch="4,1")
        assert click(scope, view, start, picture, 2, 1) == {"edits": made}
    pasted = click(scope, view, select(scope, editing, tool="paste", area=area, other="4"), 1, 2, 1)
    assert pasted == click(scope, view, select(scope, editing, area=area, other="4"), 2, 2, 1)
    assert pasted == {"edits": f"paste:4{at}"}
    shuffled = click(scope, view, select(scope, editing, tool="shuffle", area=area), 1, 2, 1)
    assert shuffled == ({} if area == "patch" else {"edits": f"shuffle:0{at}"})


def test_a_click_beside_it_brings_back_or_pastes(scope: Microscope, editing: Lens) -> None:
    view, start = view_of(editing, "picture"), select(scope, editing, other="7", edits="black")
    back = after(scope, editing, start, click(scope, view, start, 0, 5, 0))
    rows, cols = scope.grid.pixels(10)
    assert (scope.pixels(back.picture)[rows, cols] == scope.pixels(start.original)[rows, cols]).all()
    pasted = after(scope, editing, start, click(scope, view, start, 2, 5, 0))
    sample = scope.pixels(scope.sample_picture(7))
    assert (scope.pixels(pasted.picture)[rows, cols] == sample[rows, cols]).all()
    assert (scope.pixels(pasted.picture) == 0).all(2).sum() == 1024 - 64


def test_edits_are_undone_done_again_and_reset(scope: Microscope, editing: Lens) -> None:
    view, start = view_of(editing, "picture"), select(scope, editing)
    assert buttons(view.draw(scope, start)).keys().isdisjoint({"Undo", "Redo", "Reset"})
    steps = [start]
    for words in ({"edits": "black:0,0"}, {"edits": "black:0,0;swap:0,0-1,1"}):
        steps.append(after(scope, editing, steps[-1], words))

    def press(name: str, selection: Selection) -> Selection:
        return after(scope, editing, selection, buttons(view.draw(scope, selection))[name])

    once = press("Undo", steps[2])
    assert (once.picture, once.edits) == (steps[1].picture, steps[1].edits)
    twice = press("Undo", once)
    assert twice.picture == start.picture
    assert "Undo" not in buttons(view.draw(scope, twice))
    assert press("Redo", press("Redo", twice)) == steps[2]
    reset = press("Reset", steps[2])
    assert reset.picture == start.picture
    assert press("Redo", press("Redo", reset)) == steps[2]
    assert after(scope, editing, once, {"edits": "black:0,0;grey"}).undone == ()


def test_the_buttons_do_without_a_mouse_what_a_click_does(scope: Microscope, editing: Lens) -> None:
    view, start = view_of(editing, "picture"), select(scope, editing, patch="2,1", tool="black", other="4")
    said = buttons(view.draw(scope, start))
    assert said["Apply to patch (2, 1)"] == {"edits": "black:2,1"}
    again = select(scope, editing, edits="shuffle:0", tool="shuffle", area="all", patch="2,1")
    assert buttons(view.draw(scope, again))["Apply to all patches"] == {"edits": "shuffle:0;shuffle:1"}
    full = select(scope, editing, edits=";".join(["grey"] * 64))
    assert buttons(view.draw(scope, full)).keys() == {"Undo", "Reset"}


def test_the_bars_are_the_probabilities_before_and_after(scope: Microscope, editing: Lens) -> None:
    view, selection = view_of(editing, "answer"), select(scope, editing, sample="3", edits="paste:15")
    drawn = view.draw(scope, selection)
    before, changed = scope.probabilities(scope.sample_picture(3)), scope.probabilities(scope.sample_picture(15))
    assert drawn.numbers
    np.testing.assert_array_equal(drawn.numbers.values, [before, changed])
    assert drawn.figure
    first, second = drawn.figure.data
    listed = [scope.classes.index(name) for name in first.y]
    assert {before.argmax(), changed.argmax()} <= set(listed)
    np.testing.assert_allclose(second.x, changed[listed], atol=1e-6)
    change = 100 * (changed - before)[listed[0]]
    assert f"({change:+.1f})" in second.text[0]
    assert view.pick
    assert view.pick(scope, selection, Point(1, "", (0,))) == {"class": first.y[0]}


def test_nothing_is_called_right_of_an_edited_picture_and_its_figures_are_named_so(
    scope: Microscope, editing: Lens
) -> None:
    selection = select(scope, editing, edits="black:0,0;grey")
    (words,) = answer_texts(scope, selection)
    assert "<b>2 edits</b>" in words
    assert "right" not in words
    facts = facts_of(scope, selection, ())
    assert (facts["picture"], facts["edits"]) == ("airplane-3 edited", "black:0,0;grey")
    assert file_name(scope, selection, view_of(editing, "answer")) == "airplane-3-edited_3b_answer"


# patching


def test_the_map_says_how_much_of_the_difference_a_token_carries(scope: Microscope) -> None:
    lens = patching.lens(scope)
    view, selection = view_of(lens, "map"), select(scope, lens, other="15", sample="1")
    (needed,) = view.missing(scope, selection)
    assert needed.on_request
    measure(scope, view, selection, asked=True)
    drawn = view.draw(scope, selection)
    this, other = (scope.look(picture) for picture in (selection.picture, scope.sample_picture(15)))
    tokens = this.depths[4].clone()
    tokens[0, 9] = other.depths[4, 0, 9]
    found = patching.between(scope, selection.picture, scope.sample_picture(15))
    with torch.no_grad():
        change = found.of(run_from(scope.model, tokens, 4)) - found.of(this.logits)
    assert drawn.numbers
    whole = float(found.of(other.logits) - found.of(this.logits))
    assert drawn.numbers.values[4, 4, 1] == pytest.approx(float(change) / whole, abs=1e-4)
    assert f"the difference is <b>{whole:+.2f}</b>" in drawn.words


def test_both_pictures_are_shown_with_their_answers(scope: Microscope) -> None:
    lens = patching.lens(scope)
    selection = select(scope, lens, other="15", sample="1")
    words = view_of(lens, "updates").draw(scope, selection).words
    for name, picture in (("This", selection.picture), ("The other", scope.sample_picture(15))):
        answer, probability = scope.classes[scope.answer(picture)], scope.probabilities(picture).max()
        assert f"<img src='{thumbnail_url(scope.pixels(picture))}' alt=''>{name}: <b>{answer}</b>" in words
        assert f"({probability:.1%})" in words


def test_a_picture_has_nothing_to_carry_over_to_itself(scope: Microscope) -> None:
    lens = patching.lens(scope)
    selection = select(scope, lens, other="1", sample="1")
    for name in ("updates", "map"):
        view = view_of(lens, name)
        measure(scope, view, selection, asked=True)
        drawn = view.draw(scope, selection)
        assert drawn.numbers
        np.testing.assert_allclose(drawn.numbers.values, 0, atol=1e-4)
        assert "Both pictures get the same answer" in drawn.words


# ablation


@pytest.mark.parametrize("how", ["skipped", "mean"])
def test_sublayers_are_ablated_for_this_picture_and_over_the_samples(scope: Microscope, how: str) -> None:
    lens = ablation.lens(scope)
    view, selection = view_of(lens, "sublayers"), select(scope, lens, sample="6", class_="deer", ablation=how)
    made = measure(scope, view, selection, asked=True)
    assert [one.on_request for one in made] == [False] * (len(made) - 1) + [True]
    drawn = view.draw(scope, selection)
    means = None
    if how == "mean":
        *_, means = measures.mean_updates(scope.model, scope.sample_inputs)
    changes = finish(measures.ablate_sublayers(scope.model, trace(scope.model, scope.sample_inputs), means))
    expected = changes[..., 4]
    assert drawn.numbers
    values = drawn.numbers.values
    np.testing.assert_allclose(values, [expected[:, 6], expected.mean(1), expected.std(1, ddof=1)], atol=1e-3)
    assert view.pick
    assert view.pick(scope, selection, Point(0, "", (2,))) == {"depth": "2a"}


def test_units_are_silenced_and_the_chosen_one_over_the_samples(scope: Microscope) -> None:
    lens = ablation.lens(scope)
    view, selection = view_of(lens, "units"), select(scope, lens, depth="2a", class_="deer")
    measure(scope, view, selection, asked=True)
    drawn = view.draw(scope, selection)
    assert drawn.numbers
    strongest = unit_of(scope, selection)
    *_, spread = measures.ablate_unit_over(scope.model, scope.sample_inputs, 1, strongest)
    assert f"Unit {strongest} over the samples: {spread.mean[4]:+.3f} ± {spread.deviation[4]:.3f}." in drawn.words
    assert view.pick
    most = int(np.abs(drawn.numbers.values).argmax())
    assert view.pick(scope, selection, Point(0, "", (0,))) == {"unit": str(most)}


# smallest change


@pytest.mark.parametrize("kind", ["remove", "keep", "paste"])
def test_what_is_found_is_put_under_the_microscope_and_does_what_it_says(scope: Microscope, kind: str) -> None:
    lens = smallest.lens(scope)
    view, start = view_of(lens, "search"), select(scope, lens, sample="1", other="15", edits="grey:0,0", goal=kind)
    assert view.draw(scope, start).words == "Not searched yet."
    measure(scope, view, start, asked=True)
    drawn = view.draw(scope, start)
    assert drawn.numbers
    count = int((drawn.numbers.values > 0).sum())
    if not count:
        assert drawn.words.startswith(("No patch is needed:", "No number"))
        return
    assert f"<b>{count} patch" in drawn.words
    edited = after(scope, lens, start, buttons(drawn)["Use this picture"])
    assert edited.edits[0] == start.edits[0]
    before, answer = scope.answer(start.picture), scope.answer(edited.picture)
    assert (
        answer == scope.answer(scope.sample_picture(15)) if kind == "paste" else (answer == before) == (kind == "keep")
    )
