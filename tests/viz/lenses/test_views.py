"""What holds for every view: it says what it is, has its numbers, and depends on what it says it sees, and no more."""

import json
import re
import zlib
from base64 import urlsafe_b64encode
from collections.abc import Collection, Hashable

import numpy as np
import pytest

from mixer.checkpoint import DEFAULT
from tests.viz.looking import measure, microscope, told
from viz.lenses.all import MOVED, now_at
from viz.lenses.view import Drawn, View
from viz.microscope import Microscope
from viz.page.instrument import Instrument
from viz.selection import Choice, Option, Params, Selection, Several, change, first, option_text

pytestmark = pytest.mark.usefixtures("few_draws")

SIZES = {"image_size": (16, 32), "patch_size": (4, 16), "num_blocks": 2}
"""4 x 2 patches, 5 depths: quick"""
READ = {"learn-reading", "learn-paper", "learn-glossary"}
"""texts"""
BEGINNINGS: tuple[Params, ...] = (
    {"depth": "2b", "removed": "4"},
    # a unit that is chosen hides the strongest, and an option that is set what its default shows
    {
        "depth": "1a", "unit": "6", "order": "patch", "shuffle": "1", "compare": "unusual", "resolution": "pixels",
        "methods": "Patch ablation,Saliency,Token Grad-CAM", "rather-than": "horse", "samples": "cat",
    },
)  # fmt: skip


def opened() -> Instrument:
    """Of a small network, with the record of the one that ships, so that there is something to show of it."""
    scope = microscope(**SIZES)
    scope.metrics = json.loads((DEFAULT / "metrics.json").read_text(encoding="utf-8"))
    return Instrument(scope)


@pytest.fixture(scope="module")
def instrument() -> Instrument:
    return opened()


@pytest.fixture(scope="module")
def views(instrument: Instrument) -> dict[str, View]:
    """Each once, also where it stands in two lenses."""
    names = {view: name for name, view in instrument.views.items()}
    return {name: view for view, name in names.items()}


def choose(instrument: Instrument, selection: Selection, words: Params) -> Selection:
    changed, said = change(instrument.scope, instrument.page, selection, words)
    assert not said
    return changed


def begin(instrument: Instrument, words: Params) -> Selection:
    """A sample whose label is neither the answer nor asked about, so that it shows where it is named."""
    scope, start = instrument.scope, first(instrument.scope, instrument.page)
    for sample in range(len(scope.samples)):
        selection = choose(instrument, start, {"sample": str(sample), **words})
        if scope.truth_class(sample) != selection.target:
            return selection
    raise AssertionError("it is right about every sample")


def others(scope: Microscope, options: Collection[Option], selection: Selection) -> dict[str, list[Params]]:
    """For each thing that can be chosen, something else than what is chosen."""
    slope = np.arange(len(selection.picture), dtype=np.uint8).tobytes()
    unit = "5" if selection.unit != 5 else "3"
    fields = {
        "picture": [{"sample": "13"}, {"picture": in_link(slope)}],
        "whether it is a sample": [{"picture": in_link(selection.picture)}],
        "edits": [{"edits": "black:1,1"}, {"edits": "swap:0,0-2,1;shuffle:3"}],
        "edits taken back": [{"undone": "black:1,1"}],
        "class": [{"class": "deer"}],
        "patch": [{"patch": "3,1"}, {"patch": "1,0"}],
        "unit": [{"unit": unit}],
        "channel": [{"channel": "5"}, {"channel": "8"}],
        "depth": [{"depth": "1b"}, {"depth": "2a"}],
        "lens": [{"lens": "mixing.stem"}],
    }
    texts = {option.name: other_texts(option, option_text(option, selection)) for option in options}
    return fields | {name: [{name: text} for text in several] for name, several in texts.items()}


def in_link(picture: bytes) -> str:
    return urlsafe_b64encode(zlib.compress(picture)).decode()


def other_texts(option: Option, chosen: str) -> list[str]:
    if isinstance(option, Choice):
        return [name for name, _ in option.choices if name != chosen][:3]
    if isinstance(option, Several):
        names = chosen.split(",")
        added = next(name for name, _ in option.choices if name not in names)
        return [",".join(names[1:]), option.parse(",".join([*names, added]))]
    return [str(option.high - 1), str(option.low + 3)]


def shown(scope: Microscope, view: View, selection: Selection) -> tuple[str | None, ...]:
    measure(scope, view, selection, asked=True)
    return told(view.draw(scope, selection))


@pytest.mark.parametrize("words", BEGINNINGS, ids=["defaults", "options"])
def test_a_view_changes_with_what_it_sees_and_with_nothing_else(
    instrument: Instrument, views: dict[str, View], words: Params
) -> None:
    scope, page = instrument.scope, instrument.page
    start = begin(instrument, words)
    for name, view in views.items():
        before, seen, elsewhere = shown(scope, view, start), view.depends(scope, start), start
        for what, several in others(scope, page.options, start).items():
            changed = [choose(instrument, start, words) for words in several]
            sees = [selection for selection in changed if view.depends(scope, selection) != seen]
            # else it would be sent again for nothing
            assert not sees or any(shown(scope, view, selection) != before for selection in sees), (name, what)
            if not sees:
                elsewhere = choose(instrument, elsewhere, several[0])
        # with all that it does not see changed at once; else it would stand there untrue
        assert view.depends(scope, elsewhere) == seen, name
        assert shown(scope, view, elsewhere) == before, name


def test_what_is_measured_for_one_view_changes_no_other_that_did_not_wait_for_it() -> None:
    """A view is drawn again when what it says it depends on changes, just before too where it waits, and at the end."""
    instrument = opened()
    scope, start, views = instrument.scope, begin(instrument, {}), instrument.views

    def says(view: View) -> tuple[Hashable, frozenset[Hashable]]:
        return view.sees(scope, start), frozenset(one.key for one in view.missing(scope, start))

    drawn = {name: told(view.draw(scope, start)) for name, view in views.items()}
    said = {name: says(view) for name, view in views.items()}
    count = 0
    while waiting := [one for view in views.values() for one in view.missing(scope, start)]:
        for name, view in views.items():
            if waiting[0].key in said[name][1]:
                assert told(view.draw(scope, start)) == drawn[name], f"{name} does not say what it waits for"
        list(waiting[0].steps())
        for name, view in views.items():
            before, said[name] = said[name], says(view)
            if before != said[name]:
                drawn[name] = told(view.draw(scope, start))
        count += 1
    for name, view in views.items():
        assert told(view.draw(scope, start)) == drawn[name], f"{name} does not say what it waits for"
    assert count > 10


def test_every_view_says_its_question_and_how_not_to_read_it(instrument: Instrument) -> None:
    for lens in instrument.lenses:
        assert lens.question
        assert len({view.id for view in lens.views}) == len(lens.views)
        for view in lens.views:
            assert view.title[0].isupper(), view.title
            if view.id == "network":
                continue  # what the first lens says of itself is another matter
            for text, end in ((view.question, "?"), (view.caution, ".")):
                assert text.endswith(end), text
                assert not re.search(r"[.?!] [A-Z]", text), f"more than one sentence: {text}"
                assert len(text.split()) <= 25, text


def test_what_a_view_was_called_before_leads_to_one_that_is_there(instrument: Instrument) -> None:
    names = set(instrument.full_names.values())
    for before in MOVED:
        name, words = now_at(instrument.scope, before)
        assert before not in names
        assert name in names, before
        choose(instrument, instrument.first, words)
    assert now_at(instrument.scope, "tokens.norms") == ("tokens.norms", {})


def test_earlier_names_of_options_and_lenses_still_select(instrument: Instrument) -> None:
    earlier = {"lens": "whatif.knockout", "knocked": "mean", "gone": "black"}
    now = {"lens": "whatif.ablation", "ablation": "mean", "fill": "black"}
    assert choose(instrument, instrument.first, earlier) == choose(instrument, instrument.first, now)


def test_every_figure_and_table_has_its_numbers(instrument: Instrument, views: dict[str, View]) -> None:
    scope, start = instrument.scope, begin(instrument, {"depth": "2b"})
    without = set()
    for name, view in views.items():
        measure(scope, view, start, asked=True)
        drawn: Drawn = view.draw(scope, start)
        if drawn.numbers is None:
            without.add(name)
            continue
        assert tuple(map(len, drawn.numbers.axes.values())) == drawn.numbers.values.shape, name
        assert "nan" not in drawn.numbers.extremes(), name
    # pictures to choose from, a text that is a table of its own, and a survey that was not made
    unmeasured = set() if "attributions" in scope.metrics else {"doubt-survey"}
    assert without == {"specimen-samples", "model-layers", *READ} | unmeasured


def test_no_two_options_of_the_page_have_one_name(instrument: Instrument) -> None:
    names = [option.name for option in instrument.page.options]
    assert len(set(names)) == len(names)
