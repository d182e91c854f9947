"""What is pinned is shown beside what is looked at, and is in the link."""

import json
from dataclasses import replace
from urllib.parse import parse_qs, parse_qsl

import numpy as np
import pytest
import torch

from mixer.model import Mixer
from tests.conftest import small_config
from viz.lenses.all import Lenses
from viz.microscope import Microscope
from viz.page import pin
from viz.page.instrument import Instrument
from viz.page.pin import Pinned, link
from viz.page.session import Session
from viz.selection import change


@pytest.fixture(scope="module")
def other() -> Microscope:
    """Of other weights and another size."""
    torch.manual_seed(1)
    return Microscope(Mixer(replace(small_config(), num_blocks=small_config().num_blocks - 1)), {}, torch.device("cpu"))


@pytest.fixture
def pinned(instrument: Instrument) -> Session:
    visit = Session(instrument.first)
    instrument.answer(visit, {"words": {"lens": "tokens", "sample": "12", "patch": "2,1", "depth": "2a"}})
    instrument.answer(visit, {"words": {"pin": "here"}})
    return visit


def test_a_view_shows_both_and_says_in_what_they_differ(instrument: Instrument, pinned: Session) -> None:
    before = instrument.refresh(Session(pinned.selection))["tokens-similarity"]
    shown = instrument.answer(pinned, {"words": {"sample": "40"}})["tokens-similarity"]
    after = instrument.refresh(Session(pinned.selection))["tokens-similarity"]
    assert shown["pinned"]["figure"] == before["figure"]
    assert shown["figure"] == after["figure"] != before["figure"]
    names = [instrument.scope.samples.indices[i] for i in (12, 40)]
    assert f"-{names[0]}" in shown["pinned"]["which"]
    assert f"-{names[1]}" in shown["which"]
    assert "patch" not in shown["which"]  # it is the same


def test_what_shows_the_same_of_both_shows_it_once(instrument: Instrument, pinned: Session) -> None:
    shown = instrument.answer(pinned, {"words": {"depth": "1b"}})
    assert "tokens-norms" not in shown  # it was said when it was pinned, and nothing of it changed
    everything = instrument.refresh(fresh(pinned))
    assert (everything["tokens-similarity"]["pinned"], everything["tokens-similarity"]["which"]) == (None, pin.SAME)
    assert everything["tokens-votes"]["pinned"] is not None


def fresh(visit: Session) -> Session:
    """The same, with nothing on the page."""
    made = Session(visit.selection)
    made.pinned = visit.pinned
    return made


def test_without_a_pin_nothing_speaks_of_it(instrument: Instrument, pinned: Session) -> None:
    updates = instrument.answer(pinned, {"words": {"pin": ""}})
    assert pinned.pinned is None
    assert {updates[name]["which"] for name in updates if name.startswith("tokens-")} == {""}
    assert "pin=" not in link(instrument, pinned.pinned, pinned.selection)


def test_swap_changes_places_and_stays_in_the_lens(instrument: Instrument, pinned: Session) -> None:
    instrument.answer(pinned, {"words": {"sample": "40", "lens": "attribution"}})
    status = instrument.answer(pinned, {"words": {"pin": "swap"}})["status"]
    instrument.answer(pinned, {"link": status["follow"]})
    assert pinned.pinned is not None
    assert (pinned.selection.sample, pinned.pinned.selection.sample) == (12, 40)
    assert pinned.selection.lens == "attribution"


def test_a_link_brings_both_back(instrument: Instrument, pinned: Session) -> None:
    instrument.answer(pinned, {"words": {"edits": "mean:1,1;shuffle:3", "class": "dog"}})
    instrument.answer(pinned, {"words": {"pin": "here", "sample": "7", "depth": "1a"}})
    assert pinned.pinned is not None
    again = Session(instrument.first)
    instrument.answer(again, {"link": f"?{link(instrument, pinned.pinned, pinned.selection)}"})
    assert again.pinned is not None
    assert again.selection == pinned.selection
    assert again.pinned.selection == replace(pinned.pinned.selection, lens=instrument.first.lens)
    instrument.answer(again, {"link": "?sample=3"})
    assert again.pinned is None  # another link is another page


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sample=3000", "Sample is a whole number from 0 to 199"),
        ("sample=3&nothing=1", "There is no option called 'nothing'."),
        ("network=elsewhere&sample=3", "The pinned selection is not shown: elsewhere is not open here."),
        ("%00", "There is no option called"),
    ],
)
def test_what_a_pin_cannot_be_is_said_and_the_rest_is_used(instrument: Instrument, text: str, words: str) -> None:
    visit = Session(instrument.first)
    updates = instrument.answer(visit, {"words": {"patch": "2,1", "pin": text}})
    assert words in updates["status"]["message"]
    assert instrument.scope.grid.position(visit.selection.patch) == (2, 1)


def test_another_network_is_shown_beside_with_its_own_numbers(
    small: Microscope, other: Microscope, instrument: Instrument
) -> None:
    there = Lenses(other, "other")
    here = Instrument(small, name="here", beside={"other": there}.__getitem__)
    visit = Session(here.first)
    here.answer(visit, {"link": "?lens=model&pin=network%3Dother%26sample%3D5"})
    assert visit.pinned is not None
    assert visit.pinned.lenses is there
    shown = here.refresh(fresh(visit))["model-layers"]
    assert shown["pinned"]["html"] != shown["html"]
    assert parse_qs(parse_qs(link(here, visit.pinned, visit.selection))["pin"][0]) == {
        "network": ["other"],
        "sample": ["5"],
    }


def test_measurements_of_two_networks_are_two(small: Microscope, other: Microscope) -> None:
    here, there = Lenses(small, "here"), Lenses(other, "there")
    name = next(name for name, view in here.views.items() if view.missing(small, here.first))
    keys = {one.key for one in Pinned(there, there.first).needs(name, here)}
    assert keys
    assert keys.isdisjoint(one.key for one in Pinned(here, here.first).needs(name, here))


def test_every_view_of_every_lens_can_be_shown_beside(instrument: Instrument) -> None:
    words = {"sample": "12", "patch": "2,1", "depth": "2a", "class": "dog"}
    kept, _ = change(instrument.scope, instrument.page, instrument.first, words)
    for lens in instrument.lenses:
        visit = Session(replace(instrument.first, lens=lens.id))
        visit.pinned = Pinned(instrument, kept)
        shown = instrument.refresh(visit)
        for view in lens.views:
            value = shown[f"{lens.id.replace('.', '-')}-{view.id}"]
            same = view.sees(instrument.scope, kept) == view.sees(instrument.scope, visit.selection)
            assert (value["pinned"] is None) == same, view.title
            expected = ("" if view.always else pin.SAME) if same else "Now: picture: "
            assert value["which"].startswith(expected), view.title


def test_the_text_of_a_pin_can_be_read_back(instrument: Instrument) -> None:
    selection, _ = change(instrument.scope, instrument.page, instrument.first, dict(parse_qsl("sample=9&patch=1,0")))
    read, wrong = pin.parse(pin.to_text(Pinned(instrument, selection)), instrument)
    assert (read.selection, wrong) == (selection, [])


def test_the_difference_of_amounts_is_a_third_figure_and_a_column(instrument: Instrument, pinned: Session) -> None:
    shown = instrument.answer(pinned, {"words": {"depth": "1b"}})["tokens-votes"]
    apart, now, before = (
        json.loads(figure) for figure in (shown["difference"]["figure"], shown["figure"], shown["pinned"]["figure"])
    )
    maps = [next(trace for trace in figure["data"] if trace["type"] == "heatmap") for figure in (apart, now, before)]
    assert maps[0]["zmin"] == -maps[0]["zmax"]
    assert shown["note"] == ""
    file = instrument.answer(pinned, {"csv": "tokens-votes"})["status"]["file"]["text"]
    assert file.startswith("# Pinned: depth: 2a\n")
    rows = [line.split(",") for line in file.splitlines() if not line.startswith("#")]
    assert rows[0][:3] == ["row", "column", "selection"]
    for one, other, difference in zip(rows[1::3], rows[2::3], rows[3::3], strict=True):
        assert [row[2] for row in (one, other, difference)] == ["now", "pinned", "now minus pinned"]
        assert float(difference[3]) == pytest.approx(float(one[3]) - float(other[3]), abs=1e-4)
    program = shown["python"] + shown["beside"]
    assert program.count("view(scope") == 2
    assert "depth='2a'" in program.partition("# pinned")[2]


def test_where_two_things_are_no_amounts_in_the_same_places_it_says_so(instrument: Instrument, pinned: Session) -> None:
    words = {"depth": "1b", "lens": "mixing.units"}  # the units are in another order
    shown = instrument.answer(pinned, {"words": words})["mixing-units-units"]
    assert shown["difference"] is None
    assert shown["note"] == pin.APART
    file = instrument.answer(pinned, {"csv": "mixing-units-units"})["status"]["file"]["text"]
    assert file.count("# view: ") == 2


@pytest.mark.parametrize(
    ("name", "words", "note"),
    [
        ("tokens-pca", {"lens": "tokens", "sample": "9"}, pin.NOT_DRAWN),
        ("how-network", {"lens": "how", "sample": "9"}, pin.NOT_DRAWN),
        ("tokens-votes", {"lens": "tokens", "sample": "9"}, ""),
    ],
)
def test_the_reason_is_said_where_there_is_no_difference(
    instrument: Instrument, pinned: Session, name: str, words: dict[str, str], note: str
) -> None:
    assert instrument.answer(pinned, {"words": words, "again": True})[name]["note"] == note


def test_a_difference_of_two_quantities_names_both(instrument: Instrument, pinned: Session) -> None:
    shown = instrument.answer(pinned, {"words": {"depth": "1b", "lens": "tokens"}})["tokens-votes"]
    name = next(name for name in instrument.scope.classes if name != instrument.scope.classes[pinned.selection.target])
    assert shown["difference"]["words"].startswith("Different quantities: logit for ")
    same = {"words": {"depth": "2a", "class": name}}
    shown = instrument.answer(pinned, same)["tokens-votes"]
    file = instrument.answer(pinned, {"csv": "tokens-votes"})["status"]["file"]["text"]
    assert f"logit for {name} at 2a (now)" in shown["difference"]["words"]
    assert f"logit for {name} at 2a (now)" in file


def test_a_view_that_the_pinned_network_does_not_have_is_said(small: Microscope, other: Microscope) -> None:
    small.metrics = {"confusion": np.eye(10, dtype=int).tolist(), "accuracy": 0.5}
    here = Instrument(small, name="here", beside={"other": Lenses(other, "other")}.__getitem__)
    visit = Session(here.first)
    shown = here.answer(visit, {"link": "?lens=model&pin=network%3Dother"})
    assert shown["model-confusion"]["which"] == pin.ABSENT
    assert shown["model-layers"]["note"] == pin.NO_NUMBERS


def test_both_explain_the_same_class_when_asked_to(instrument: Instrument, pinned: Session) -> None:
    classes = instrument.scope.classes
    assert pinned.pinned is not None
    other = next(name for i, name in enumerate(classes) if i != pinned.pinned.selection.target)
    bar = instrument.answer(pinned, {"words": {"class": other}})["pin"]["html"]
    assert "Same class in both" in bar
    bar = instrument.answer(pinned, {"words": {"pin": "class"}})["pin"]["html"]
    assert "Same class in both" not in bar
    assert classes[pinned.pinned.selection.target] == other


def test_each_has_its_own_scale_when_asked_to(instrument: Instrument, pinned: Session) -> None:
    assert instrument.answer(pinned, {"words": {"depth": "1b"}})["tokens-votes"]["own"] is False
    assert instrument.answer(pinned, {"words": {"scale": "own"}})["tokens-votes"]["own"] is True
    assert "scale=own" in link(instrument, pinned.pinned, pinned.selection)


def test_what_is_swapped_keeps_an_empty_choice(instrument: Instrument) -> None:
    visit = Session(instrument.first)
    instrument.answer(visit, {"words": {"methods": "", "lens": "attribution"}})
    instrument.answer(visit, {"words": {"pin": "here"}})
    instrument.answer(visit, {"words": {"methods": "Saliency"}})
    follow = instrument.answer(visit, {"words": {"pin": "swap"}})["status"]["follow"]

    instrument.answer(visit, {"link": follow})
    assert dict(visit.selection.chosen)["methods"] == ""


def test_an_estimate_for_the_pinned_network_says_how_far_it_is(small: Microscope, other: Microscope) -> None:
    here, there = Lenses(small, "here"), Lenses(other, "there")
    (one,) = Pinned(there, there.first).needs("mixing-network-matrix", here)
    steps = one.steps()
    before = one.reached
    next(steps), next(steps)
    steps.close()
    assert one.reached > before == 0
