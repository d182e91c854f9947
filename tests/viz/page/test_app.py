"""The page draws what changed and nothing else, and never shows one picture's figure as another's."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from viz.lenses import tokens
from viz.lenses.view import Drawn
from viz.measuring import Measurement
from viz.microscope import Microscope
from viz.page.instrument import Instrument
from viz.page.session import Session
from viz.selection import Selection, first


def test_a_click_on_a_patch_redraws_the_views_that_show_it_and_no_others(instrument: Instrument) -> None:
    visit = Session(first(instrument.scope, instrument.page))
    instrument.answer(visit, {"words": {"lens": "tokens"}})
    updates = instrument.answer(visit, {"words": {"patch": "2,1"}})
    changed = set(updates)
    assert changed == {
        "picker", "answer", "status", "tokens-similarity", "tokens-answers",
        "tokens-votes", "tokens-neighbours",
    }  # fmt: skip
    assert set(instrument.answer(visit, {"words": {"patch": "2,1"}})) == {"status"}


def test_what_is_not_open_is_not_drawn_until_it_is(instrument: Instrument) -> None:
    visit = Session(first(instrument.scope, instrument.page))
    instrument.answer(visit, {"redraw": True})
    updates = instrument.answer(visit, {"words": {"sample": "40"}})
    assert not any(name.startswith("tokens") for name in updates)
    opened = set(instrument.answer(visit, {"words": {"lens": "tokens"}}))
    assert {f"tokens-{view.id}" for view in (tokens.NORMS, tokens.PCA)} <= opened


def test_all_that_is_open_is_sent_again_when_an_answer_was_lost(instrument: Instrument) -> None:
    visit = Session(first(instrument.scope, instrument.page))
    opened = instrument.answer(visit, {"words": {"lens": "tokens"}})
    assert opened.keys() <= instrument.answer(visit, {"redraw": True, "again": True}).keys()
    assert set(instrument.answer(visit, {"redraw": True})) == {"status"}


@pytest.mark.parametrize(
    "event",
    [
        {"words": {"patch": "9,9"}},
        {"words": {"sample": None}},
        {"words": "patch"},
        {"words": [1]},
        {"view": "nowhere", "curve": 0, "index": [0, 0]},
        {"view": "tokens-votes", "curve": "x", "index": [0, 0]},
        {"view": "tokens-votes"},
        {"csv": ["tokens-votes"]},
        {"measure": "nowhere"},
        {"link": {"a": 1}},
        {},
    ],
)
def test_nonsense_from_a_browser_is_answered_in_words_and_changes_nothing(
    instrument: Instrument, event: dict[str, Any]
) -> None:
    visit = Session(first(instrument.scope, instrument.page))
    updates = instrument.answer(visit, event)
    assert visit.selection == first(instrument.scope, instrument.page)
    said = updates["status"]["message"] if event else "nothing"
    assert said


def test_a_click_outside_of_any_tile_chooses_nothing(instrument: Instrument) -> None:
    visit = Session(first(instrument.scope, instrument.page))
    before = visit.selection
    for index in ([0, 0], [-1, 5], [10**6, 10**6]):
        instrument.answer(visit, {"view": "tokens-norms", "curve": 0, "name": "", "index": index})
        assert visit.selection == before


def test_a_click_on_a_tile_chooses_its_depth_and_patch(instrument: Instrument) -> None:
    """8 rows and 2 columns a tile, all in one line, 3 cells of gap over each and 1 beside each."""
    visit = Session(first(instrument.scope, instrument.page))
    instrument.answer(visit, {"view": "tokens-similarity", "curve": 0, "name": "", "index": [3 + 6, 6 * 3 + 1]})
    assert instrument.scope.depth_names[visit.selection.depth] == "3b"
    assert instrument.scope.grid.position(visit.selection.patch) == (6, 1)


def test_a_view_that_cannot_be_drawn_says_so_and_the_others_are_drawn(
    instrument: Instrument, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    visit = Session(first(instrument.scope, instrument.page))

    def broken(picture: bytes) -> None:
        raise RuntimeError("a fault of ours")

    instrument.answer(visit, {"redraw": True})
    monkeypatch.setattr(instrument.scope, "pixels", broken)
    updates = instrument.answer(visit, {"words": {"lens": "tokens"}})
    assert "could not be drawn" in updates["tokens-votes"]["words"]
    assert updates["tokens-votes"]["figure"] is None
    assert updates["tokens-norms"]["figure"]
    assert "a fault of ours" in caplog.text


def run(
    instrument: Instrument, visit: Session, until: Callable[[dict[str, Any]], None] = lambda update: None
) -> list[Any]:
    async def collect() -> list[Any]:
        found = []
        async for update in instrument.run(visit):
            until(update)
            found.append(update)
        return found

    return asyncio.run(collect())


@pytest.fixture
def slow(instrument: Instrument, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """One view needs what takes ten seconds, as it is said, in ten steps; returns what has been measured."""
    done = set[str]()

    def steps() -> Iterator[int]:
        yield from range(1, 11)
        done.add("it")

    def needs(scope: Microscope, selection: Selection) -> list[Measurement]:
        return [] if done else [Measurement("it", "Something slow", "steps", 10, 1.0, steps)]

    def draw(scope: Microscope, selection: Selection) -> Drawn:
        return Drawn(words="measured" if done else "not yet")

    votes = replace(instrument.views["how-lens"], needs=needs, draw=draw)
    monkeypatch.setitem(instrument.views, "how-lens", votes)
    monkeypatch.setattr("viz.page.instrument.REFRESH", 0)
    monkeypatch.setattr("viz.measuring.BUDGET", 1000)
    return done


def test_a_measurement_runs_to_its_end_and_says_how_far_it_is(instrument: Instrument, slow: set[str]) -> None:
    visit = Session(first(instrument.scope, instrument.page))
    updates = run(instrument, visit)
    waits = [update["wait"]["text"] for update in updates if update.get("wait")]
    assert any(text.startswith("Something slow: 3 of 10 steps, about") for text in waits)
    assert slow
    assert updates[-1]["wait"] is None
    assert "redraw" in updates[-1]
    assert not instrument.to_run(visit)


def test_cancel_ends_it_between_two_steps_and_it_does_not_begin_again(instrument: Instrument, slow: set[str]) -> None:
    visit = Session(first(instrument.scope, instrument.page))

    def cancel(update: dict[str, Any]) -> None:
        if update.get("wait") and update["wait"]["done"] == 4:
            instrument.answer(visit, {"stop": True})

    run(instrument, visit, cancel)
    assert not slow
    assert visit.stopped == {"it": "Cancelled."}
    assert not instrument.to_run(visit)
    instrument.answer(visit, {"words": {"patch": "2,1"}})
    assert not instrument.to_run(visit)
    instrument.answer(visit, {"measure": "how-lens"})
    assert [m.key for m in instrument.to_run(visit)] == ["it"]


def test_it_is_given_up_when_another_lens_is_opened(instrument: Instrument, slow: set[str]) -> None:
    visit = Session(first(instrument.scope, instrument.page))

    def leave(update: dict[str, Any]) -> None:
        if update.get("wait") and update["wait"]["done"] == 4:
            instrument.answer(visit, {"words": {"lens": "model"}})

    run(instrument, visit, leave)
    assert not slow
    assert not visit.stopped


def test_a_measurement_that_fails_is_said_and_not_tried_for_ever(
    instrument: Instrument, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def steps() -> Iterator[int]:
        yield 1
        raise ValueError("the picture holds no numbers")

    def needs(scope: Microscope, selection: Selection) -> list[Measurement]:
        return [Measurement("it", "Something", "steps", 10, 0.1, steps)]

    votes = replace(instrument.views["how-lens"], needs=needs)
    monkeypatch.setitem(instrument.views, "how-lens", votes)
    visit = Session(first(instrument.scope, instrument.page))
    run(instrument, visit)
    assert visit.stopped == {"it": "the picture holds no numbers."}
    assert not instrument.to_run(visit)


def test_a_visitor_has_one_run_at_a_time(instrument: Instrument, slow: set[str]) -> None:
    """Else every click would begin a long measurement anew."""
    visit = Session(first(instrument.scope, instrument.page))

    async def both() -> tuple[int, int]:
        older = instrument.run(visit)
        await anext(older)
        newer = len([update async for update in instrument.run(visit)])
        return newer, len([update async for update in older])

    newer, older = asyncio.run(both())
    assert newer == 0
    assert older > 1
    assert slow
    assert not visit.measuring


def test_a_run_is_asked_for_whenever_something_is_wanted_and_none_is_under_way(
    instrument: Instrument, slow: set[str]
) -> None:
    visit = Session(first(instrument.scope, instrument.page))
    assert all(instrument.answer(visit, {"words": {"patch": f"{row},1"}})["status"]["running"] for row in range(3))
    visit.measuring = True
    assert not instrument.answer(visit, {"redraw": True})["status"]["running"]


def test_a_link_is_read_from_what_the_page_opens_on(instrument: Instrument) -> None:
    visit = Session(first(instrument.scope, instrument.page))
    instrument.answer(visit, {"words": {"depth": "1a"}})
    instrument.answer(visit, {"link": "?patch=2,1&__theme=dark"})
    assert visit.selection.patch == 5
    assert visit.selection.depth == first(instrument.scope, instrument.page).depth


def test_numbers_are_saved_with_what_they_are_of(instrument: Instrument) -> None:
    visit = Session(first(instrument.scope, instrument.page))
    instrument.answer(visit, {"words": {"depth": "2a"}})
    file = instrument.answer(visit, {"csv": "tokens-answers"})["status"]["file"]
    assert file["name"] == "airplane-3_2a_answers.csv"
    lines = file["text"].splitlines()
    assert "# picture: airplane-3" in lines
    assert "# depth: 2a" in lines
    assert lines[-1 - 8 * 2 * 10] == "row,column,class,logit"


def test_what_is_set_for_a_whole_lens_is_in_the_file_and_under_the_figure(instrument: Instrument) -> None:
    visit = Session(first(instrument.scope, instrument.page))
    words = {"lens": "attribution", "methods": "Gradient x input", "baseline": "black", "output": "probability"}
    updates = instrument.answer(visit, {"words": words})
    shown = [value["facts"] for value in updates.values() if isinstance(value, dict) and "facts" in value]
    assert any("black" in facts for facts in shown)
    while todo := instrument.to_run(visit):
        list(todo[0].steps())
    file = instrument.answer(visit, {"csv": "attribution-maps"})["status"]["file"]
    facts = [line for line in file["text"].splitlines() if line[0] == "#"]
    options = {option.name: option for option in instrument.settings["attribution-maps"]}
    for name in ("methods", "baseline", "output"):
        assert f"# {options[name].label}: {options[name].label_of(visit.selection)}" in facts
    assert any(fact.endswith(": Gradient x input") for fact in facts)


def test_a_view_alone_on_the_page_has_its_own_button(instrument: Instrument, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("viz.measuring.BUDGET", 0)
    monkeypatch.setattr("viz.page.instrument.INSTANT", 0)
    instrument.scope._results.clear()
    for link, offer in (("lens=model", "Measured together with: Pictures and answers."), ("only=model.map", "<button")):
        shown = instrument.answer(Session(instrument.first), {"link": f"?{link}"})
        assert shown["model-map"]["measure"].startswith(offer)
