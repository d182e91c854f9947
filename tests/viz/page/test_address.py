"""The address is short, whatever is chosen, and makes the same selection again."""

from urllib.parse import parse_qs, parse_qsl

import numpy as np
import pytest

from viz.page.address import LONGEST, Address
from viz.page.instrument import Instrument
from viz.page.pin import link
from viz.page.session import Session
from viz.selection import show, to_query, to_words


@pytest.fixture
def visit(instrument: Instrument) -> Session:
    """At a visitor's own picture, of which nothing can be left out."""
    height, width = instrument.scope.grid.image_size
    picture = np.random.default_rng(0).integers(0, 256, 3 * height * width, np.uint8).tobytes()
    visit = Session(show(instrument.scope, instrument.first, picture))
    instrument.answer(visit, {"words": {"pin": "here", "patch": "2,1"}})
    return visit


def test_an_own_picture_and_its_pin_are_not_in_the_query_and_come_back(instrument: Instrument, visit: Session) -> None:
    fresh = Session(instrument.first)
    updates = instrument.answer(visit, {"redraw": True, "again": True})
    query, kept = updates["status"]["link"], updates["stored"]
    assert len(query) < 200
    assert not any(text in query for text in kept.values())
    whole = "&".join(f"{name}={text}" for name, text in parse_qsl(query))
    for digest in kept:
        assert digest in whole
    instrument.answer(fresh, {"words": {name: kept.get(text, text) for name, text in parse_qsl(query)}})
    assert fresh.selection == visit.selection
    assert fresh.pinned is not None
    assert visit.pinned is not None
    assert fresh.pinned.selection == visit.pinned.selection


def test_what_stands_for_a_digest_is_sent_once(instrument: Instrument, visit: Session) -> None:
    assert "stored" not in instrument.answer(visit, {"words": {"patch": "0,0"}})
    assert "stored" in instrument.answer(visit, {"words": {"edits": "mean:1,1", "pin": "here"}})


def test_a_digest_alone_is_said_and_the_rest_is_used(instrument: Instrument, visit: Session) -> None:
    fresh = Session(instrument.first)
    query = instrument.answer(visit, {"redraw": True, "again": True})["status"]["link"]
    assert set(parse_qs(query)) == {"picture", "patch", "pin"}
    updates = instrument.answer(fresh, {"link": f"?{query}"})
    assert updates["status"]["message"] == "This link does not contain its picture: choose it again."
    assert updates["status"]["link"] == "patch=2,1"
    assert fresh.selection.patch == visit.selection.patch


def test_many_edits_are_not_in_the_query_either(instrument: Instrument) -> None:
    rows, cols = instrument.scope.grid.rows, instrument.scope.grid.cols
    places = [f"mean:{row},{col}-0,0" for row in range(1, rows) for col in range(cols)] * 4
    visit = Session(instrument.first)
    updates = instrument.answer(visit, {"words": {"edits": ";".join(places[:60]), "undone": "noise"}})
    assert len(visit.selection.edits) > 30
    assert len(updates["status"]["link"]) < 200
    assert list(updates["stored"].values()) == [
        dict(parse_qsl(link(instrument, visit.pinned, visit.selection)))["edits"]
    ]


@pytest.mark.parametrize(("length", "fits"), [(100, True), (LONGEST - 100, True), (LONGEST, False)])
def test_a_picture_is_copied_along_while_a_chat_takes_the_link(length: int, fits: bool) -> None:
    address = Address.of(f"picture={'A' * length}&patch=1,1")
    assert bool(address.fragment) == fits
    assert address.query.startswith("picture=")
    assert "A" * 100 not in address.query


def test_the_sentence_on_a_link_stays_when_the_page_draws_by_itself(instrument: Instrument) -> None:
    visit = Session(instrument.first)
    assert "999" in instrument.answer(visit, {"link": "?sample=999"})["status"]["message"]
    for again in (False, True):
        assert "message" not in instrument.answer(visit, {"redraw": True, "again": again})["status"]
    assert instrument.answer(visit, {"words": {"patch": "1,1"}})["status"]["message"] == ""


def test_the_link_of_a_page_without_a_picture_is_as_people_read_it(instrument: Instrument) -> None:
    visit = Session(instrument.first)
    status = instrument.answer(visit, {"words": {"patch": "2,1", "edits": "mean:1,1"}})["status"]
    assert (
        status["link"]
        == to_query(to_words(instrument.scope, instrument.page, visit.selection))
        == "edits=mean:1,1&patch=2,1"
    )
