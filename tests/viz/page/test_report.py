"""A report holds what the page shows, for the same selection, and needs nothing else."""

import json
import re
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import pytest
from PIL import Image

import main
from mixer import checkpoint
from mixer.atomic_write import NotWritable
from mixer.model import Mixer
from mixer.picture import Unreadable
from tests.mixer.picture_files import photo
from tests.viz.looking import microscope
from viz import tokens
from viz.figures import PLOTLY_JS
from viz.lenses.view import Numbers, View, element_id, facts_of, picture_name
from viz.measuring import Measurement
from viz.page import report
from viz.page.instrument import Instrument
from viz.page.pin import Pinned
from viz.page.session import Session
from viz.selection import change, first

AT = "https://example.org/mixer/"
IN_PART = {"Mean maps", "Reliability tests", "Ablation of sublayers", "Ablation of hidden units"}
"""what is known of them without asking"""


class Elements(HTMLParser):
    """The tags of a page, with their attributes, and the text of each script."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def visit_of(instrument: Instrument, **words: str) -> Session:
    selection, wrong = change(instrument.scope, instrument.page, first(instrument.scope, instrument.page), words)
    assert not wrong
    return Session(selection)


def written(instrument: Instrument, visit: Session, address: str = AT) -> str:
    return report.report(instrument, visit, address)


def at_once(measurement: Measurement) -> Iterator[int]:
    assert not measurement.on_request
    return measurement.steps()


@pytest.fixture(scope="module")
def visit(instrument: Instrument) -> Session:
    """With all that is measured unasked."""
    made = visit_of(instrument, sample="47", patch="5,1", depth="2a", compare="unusual")
    report.measure(instrument.scope, views_of(instrument), made.selection, at_once)
    return made


def views_of(instrument: Instrument) -> list[View]:
    return [view for lens in instrument.lenses for view in lens.views]


@pytest.fixture(scope="module")
def text(instrument: Instrument, visit: Session) -> str:
    return written(instrument, visit)


def test_every_view_that_is_ready_is_in_it_as_on_the_page(instrument: Instrument, visit: Session, text: str) -> None:
    scope, selection = instrument.scope, visit.selection
    sections = dict(re.findall(r'<section class="view" id="(.*?)">(.*?)</section>', text, re.DOTALL))
    chosen = report.choose(instrument, selection)
    views = {view: lens for lens, view in (instrument.named[name] for name in reversed(chosen))}
    ready = {
        element_id(lens, view): view
        for view, lens in views.items()
        if not view.missing(scope, selection) or view.title in IN_PART
    }
    assert sections.keys() == ready.keys()
    assert len(ready) > 20
    for name, view in ready.items():
        section, drawn = sections[name], view.draw(scope, selection)
        for words in (view.title, view.question, view.caution):
            assert words in unescape(section), name
        assert drawn.words in section
        assert drawn.html in section
        figure = re.search(r'<script type="application/json">(.*?)</script>', section)
        assert (figure is None) == (drawn.figure is None)
        if figure:
            assert json.loads(figure[1]) == json.loads(drawn.figure.to_json())
        for option in view.options:
            assert f"{option.label}: {option.label_of(selection)}" in unescape(section)
        if drawn.numbers:
            assert drawn.numbers.extremes() in unescape(section)
            waiting = [one.label for one in view.missing(scope, selection)]
            assert ("Not measured: " + ", ".join(waiting) in unescape(section)) == bool(waiting)
            (data,) = re.findall(r"href='data:text/csv;base64,(.*?)'", section)
            facts = {"view": f"{view.title} {view.question}"}
            facts |= facts_of(scope, selection, (*views[view].options, *view.options))
            assert b64decode(data).decode() == drawn.numbers.csv(facts)


def test_the_contents_lead_to_every_lens(instrument: Instrument, text: str) -> None:
    tags = Elements(text).tags
    targets = [
        str(a["href"]) for tag, a in tags if tag == "a" and str(a.get("href")).startswith("#") and a["href"] != "#"
    ]
    named = [instrument.named[name] for name in report.choose(instrument, instrument.first)]
    lenses = list(dict.fromkeys(lens.id for lens, _ in named))
    assert [str(a["id"]) for tag, a in tags if tag == "h2" and a.get("id")] == lenses
    assert {target[1:] for target in targets} == {*lenses, *(element_id(lens, view) for lens, view in named)}
    there = [str(a["id"]) for _, a in tags if a.get("id")]
    assert {target[1:] for target in targets} <= set(there)
    assert len(there) == len(set(there))


def test_what_is_not_measured_is_said_and_not_drawn(instrument: Instrument, visit: Session, text: str) -> None:
    missing = re.findall(r"<p class='missing'><b id='.*?'>(.*?)</b>: not measured \((.*?)\)", text)
    chosen = report.choose(instrument, visit.selection)
    views = [instrument.named[name][1] for name in chosen]
    waiting = {view.title for view in views if view.missing(instrument.scope, visit.selection)}
    assert {unescape(title) for title, _ in missing} == waiting - IN_PART
    assert ("Activation patching by token", "Patching every token") in missing
    unmeasured = written(instrument, visit_of(instrument, sample="3"))
    assert unmeasured.count("<section") < text.count("<section")
    assert "Reliability tests</h3>" not in unmeasured


def test_the_link_opens_the_same_selection(instrument: Instrument, visit: Session, text: str) -> None:
    (link,) = (dict(a)["href"] for tag, a in Elements(text).tags if tag == "a" and str(a["href"]).startswith(AT))
    words = dict(parse_qsl(urlsplit(link).query))
    start = first(instrument.scope, instrument.page)
    assert change(instrument.scope, instrument.page, start, words) == (visit.selection, [])


@pytest.mark.parametrize("address", ["javascript:alert(1)//", 'https://x"><script>alert(1)</script>', ""])
def test_an_address_cannot_bring_anything_along(instrument: Instrument, visit: Session, address: str) -> None:
    tags = Elements(written(instrument, visit, address)).tags
    assert sum(tag == "script" and not a for tag, a in tags) == 1  # ours
    assert not any(str(a.get("href")).startswith("javascript") for _, a in tags)


def test_names_of_classes_are_text() -> None:
    evil = "</script><img src=x onerror=alert(1)>"
    shown = Instrument(microscope(num_classes=3, classes=(evil, "b", "<b>c</b>")))
    visit = Session(replace(shown.first, target=0))
    report.measure(shown.scope, [view for lens in shown.lenses[:2] for view in lens.views], visit.selection, at_once)
    text = written(shown, visit)
    assert not any("onerror" in a for _, a in Elements(text).tags)
    scripts = re.findall(r'<script type="application/json">(.*?)</script>', text, re.DOTALL)
    assert all(json.loads(script)["data"] for script in scripts)


def test_it_needs_nothing_else(text: str) -> None:
    whole = report.with_library(text)
    assert whole.count(PLOTLY_JS.read_text("utf-8")) == 1
    assert report.LIBRARY not in whole
    for tag, attributes in Elements(text).tags:
        assert tag not in ("link", "iframe")
        assert str(attributes.get("src", "data:")).startswith("data:")
    assert "@import" not in text
    assert "url(" not in text


def test_the_page_sends_it_for_what_is_selected(instrument: Instrument, visit: Session, text: str) -> None:
    updates = instrument.answer(visit, {"report": AT})
    file = updates["status"]["file"]
    assert file == {"name": f"{picture_name(instrument.scope, visit.selection)}_report.html", "text": text}


def test_what_is_pinned_is_over_what_is_shown_where_it_is_something_else(
    instrument: Instrument, visit: Session
) -> None:
    pinned = Session(visit.selection)
    pinned.pinned = Pinned(instrument, replace(visit.selection, depth=visit.selection.depth + 2))
    text = written(instrument, pinned)
    sections = dict(re.findall(r'<section class="view" id="(.*?)">(.*?)</section>', text, re.DOTALL))
    beside, alone = sections["tokens-votes"], sections["tokens-norms"]
    assert re.findall(r"<p class='which'>(.*?)</p>", beside) == [
        "Pinned: depth: 3a",
        "Now: depth: 2a",
        "Now minus pinned",
    ]
    figures = re.findall(r'<script type="application/json">(.*?)</script>', beside)
    drawn = [
        instrument.views["tokens-votes"].draw(instrument.scope, v) for v in (pinned.pinned.selection, visit.selection)
    ]
    assert [json.loads(one) for one in figures[:2]] == [json.loads(one.figure.to_json()) for one in drawn]
    assert len(figures) == 3
    assert "class='which'" not in alone
    assert "pin=" in text


def test_a_view_that_fails_is_said_and_the_others_are_there(
    instrument: Instrument, visit: Session, text: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(trace: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(tokens, "norms", broken)
    found = written(instrument, visit)
    assert report.BROKEN in found
    assert found.count("<section") == text.count("<section")
    assert "a fault of ours" in caplog.text


def test_the_command_writes_it_and_replaces_only_its_own(
    tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint.save(tmp_path / "net", Mixer(tiny), {})
    photo().save(tmp_path / "holiday.jpg")
    monkeypatch.chdir(tmp_path)
    main.write_report(Path("holiday.jpg"), "net")
    assert "holiday-report.html: " in capsys.readouterr().out
    whole = Path("holiday-report.html").read_text(encoding="utf-8")
    assert whole.count("<section") > 20
    assert "own picture (holiday.jpg)" in whole
    assert "The network gets the framed part." in whole

    Path("mine.html").write_text("mine", encoding="utf-8")
    monkeypatch.setattr("viz.page.report.measure", None)  # refused before any work
    with pytest.raises(NotWritable, match=r"mine\.html exists already, and another program wrote or changed it"):
        main.write_report(Path("holiday.jpg"), "net", Path("mine.html"))
    Path("holiday-report.html").write_text(whole.replace("own picture", "my cat"), encoding="utf-8")
    with pytest.raises(NotWritable, match="another program wrote or changed it"):
        main.write_report(Path("holiday.jpg"), "net")
    Path("notes.txt").write_text("no picture", encoding="utf-8")
    with pytest.raises(Unreadable, match="cannot be read as a picture"):
        main.write_report(Path("notes.txt"), "net")


def test_a_picture_that_no_link_holds_is_said() -> None:
    large = Instrument(microscope(image_size=(64, 128), patch_size=(8, 64)))
    text = written(large, Session(replace(large.first, sample=None)))
    assert "The picture is too large for a link" in text
    assert AT not in text


def test_what_is_too_large_is_left_out_and_said_the_largest_first(
    instrument: Instrument, visit: Session, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = len(report.with_library(report.LIBRARY).encode())
    for most in (len(text.encode()) - 1, 400_000, 250_000):
        monkeypatch.setattr(report, "MAX_BYTES", most + library)
        found = written(instrument, visit)
        assert len(report.with_library(found).encode()) <= most + library
        assert found.count("<section") == text.count("<section")
        left_out = re.findall(r"The (figure|table|file of its numbers) is left out, as it has [0-9.]+ MB", found)
        assert left_out
        assert 'class="figure"' in found
    parts = [report.Heavy("figure", letter * count) for letter, count in (("x", 5000), ("y", 10), ("z", 3000))]
    said = report.TOO_LARGE.format("figure", 5000 / 1e6)
    for more in (0, 1900):
        assert report._fitting(["head", *parts], 4 + len(said) + 3010 + more) == f"head{said}{'y' * 10}{'z' * 3000}"


def test_numbers_that_nobody_reads_are_no_file(instrument: Instrument, visit: Session) -> None:
    view = instrument.views["tokens-norms"]
    for count, value, is_file in (
        (report.MAX_LINES, 0, True),
        (report.MAX_LINES + 1, 0, False),
        (report.MAX_LINES, 1 / 3, False),  # 1 MB
    ):
        numbers = Numbers("value", {"place": range(count)}, np.full(count, value))
        _, last = report._numbers(instrument.scope, instrument.lenses[1], view, visit.selection, numbers)
        assert isinstance(last, report.Heavy) == is_file
        assert is_file or f"The file of its {count:,} numbers is left out" in str(last)


def test_a_report_chooses(instrument: Instrument, visit: Session) -> None:
    own, everything = report.choose(instrument, visit.selection), report.choose(instrument, visit.selection, (), True)
    assert {"how.network", "tokens.votes", "attribution.maps", "doubt.verdict"} <= set(own)
    assert not {"mixing.stem.filters", "model.layers", "learn.reading"} & set(own)
    assert len(everything) == len(instrument.named) - 1
    assert set(own) < set(everything)
    assert report.choose(instrument, visit.selection, ["tokens.votes"]) == ["tokens.votes"]
    several = report.choose(instrument, visit.selection, ["mixing", "model.layers"])
    assert {"mixing.unit.weights", "mixing.stem.filters", "model.layers"} < set(several)
    with pytest.raises(ValueError, match=r"there is no view or lens 'tokens\.vote': there are how\.network, "):
        report.choose(instrument, visit.selection, ["tokens.vote"])
    found = report.report(instrument, visit, AT, ["tokens.votes"])
    assert found.count("<section") == 1
    assert "Not in this report: " in found
    assert "Layer table" in found
    answer = instrument.answer(Session(visit.selection), {"report": AT, "of": "lens"})
    sections = re.findall(r'<section class="view" id="(.*?)"', answer["status"]["file"]["text"])
    assert all(name.startswith("how-") for name in sections)
    assert sections


def test_the_command_chooses(tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint.save(tmp_path / "net", Mixer(tiny), {})
    photo().save(tmp_path / "holiday.jpg")
    photo().transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "other.jpg")
    monkeypatch.chdir(tmp_path)
    main.write_report(
        Path("holiday.jpg"), "net", Path("a.html"), label="cat", patch="1,1", depth="2a",
        methods=("Saliency",), views=("tokens.votes", "attribution.maps"), pinned=Path("other.jpg"),
    )  # fmt: skip
    text = unescape(Path("a.html").read_text(encoding="utf-8"))
    assert re.findall(r'<section class="view" id="(.*?)"', text) == ["tokens-votes", "attribution-maps"]
    for words in ("<td>cat</td>", "<td>(1, 1)</td>", "<td>2a</td>", "Methods: Saliency", "pinned"):
        assert words in text, words
    assert "<td>own picture (other.jpg) · cat · patch (1, 1) · 2a</td>" in text
    which = re.findall("<p class='which'>(.*?)</p>", text)
    assert [words.split(" · ")[0] for words in which[:2]] == [
        "Pinned: picture: own picture (other.jpg)",
        "Now: picture: own picture (holiday.jpg)",
    ]
    with pytest.raises(ValueError, match="Depth is one of stem, 1a, 1b to 3b"):
        main.write_report(Path("holiday.jpg"), "net", Path("b.html"), depth="9z")


def test_the_code_is_named_where_it_is_known(
    instrument: Instrument, visit: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = {"date": "2026-11-28", "device": "CPU", "versions": {"torch": "2"}}
    for commit, end in ((None, "torch 2<"), ("abc", "torch 2, code abc<")):
        monkeypatch.setattr(report, "circumstances", lambda _, commit=commit: made | {"commit": commit})
        assert end in report._head(instrument, visit, AT)


def test_only_the_answer_is_bold() -> None:
    assert ".best li:first-child { font-weight: 700; }" in (report.HERE / "report.css").read_text("utf-8")


@pytest.mark.parametrize(("long", "everything", "products"), [(0, False, 16), (60, False, 16 * 16), (0, True, 16 * 16)])
def test_a_report_has_the_first_result_of_a_long_estimate_and_all_draws_of_a_short_one(
    long: float, everything: bool, products: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    instrument = Instrument(microscope())
    monkeypatch.setattr("viz.mixing.influence.OUTPUTS_AT_ONCE", 16)
    monkeypatch.setattr(report, "LONG", long)
    view = instrument.views["mixing-network-matrix"]
    for _ in range(2):  # results in memory are not measured again
        report.measure(instrument.scope, [view], instrument.first, at_once, everything)
        (one,) = view.needs(instrument.scope, instrument.first)
        assert one.reached == products
