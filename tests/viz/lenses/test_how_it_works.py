"""What the lens How it works says and draws is what the network computes; a reader can answer from its texts."""

import json
import re
from dataclasses import replace
from html import unescape
from urllib.parse import parse_qsl

import numpy as np
import pytest

from tests.viz.looking import cells, measure, microscope, page_of, select, tell, view_of
from viz import forward_pass as question
from viz.intervene.ablation import ablate
from viz.lenses import glossary, how_it_works, learn
from viz.lenses.how_it_works import detail, part, stage, tour
from viz.lenses.how_it_works.cells import over_grid, window
from viz.lenses.how_it_works.selected_channel import channel_of
from viz.lenses.tokens import head_text, lens_needed
from viz.lenses.view import Lens
from viz.microscope import Microscope
from viz.mixing.shuffle import permutation_experiment
from viz.page.instrument import Instrument
from viz.page.session import Session
from viz.selection import Selection, change, first
from viz.tokens import SampleStats


@pytest.fixture(scope="module")
def lab() -> Microscope:
    return microscope()


@pytest.fixture(scope="module")
def lens(lab: Microscope) -> Lens:
    return how_it_works.lens(lab)


def text(html: str) -> str:
    """What is read of HTML."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def accounts(html: str) -> list[list[list[str]]]:
    """The rows of each table of a sum."""
    tables = re.findall(r"<table class='account'>.*?</table>", html)
    return [
        [[text(cell) for cell in re.findall(r"<td>(.*?)</td>", row)] for row in re.findall(r"<tr>.*?</tr>", table)[1:]]
        for table in tables
    ]


# the stage


def buttons(html: str) -> list[tuple[dict[str, str], str]]:
    """What each button chooses, and all that it says of itself."""
    found = re.findall(r"<button([^>]*data-words='([^']+)'[^>]*)>", html)
    return [(dict(parse_qsl(unescape(words))), unescape(marks)) for marks, words in found]


def test_every_part_opens_its_calculation_and_closes_it_again(lab: Microscope, lens: Lens) -> None:
    closed = stage.draw(lab, select(lab, lens, depth="2b")).html
    assert "class='opened'" not in closed
    assert [words["part"] for words, _ in buttons(closed) if "part" in words] == ["picture", "stem", "head", "a", "b"]
    for name, title in (
        ("picture", "The picture"),
        ("stem", "The stem"),
        ("a", "Token mixing of block 2"),
        ("b", "Channel mixing of block 2"),
        ("head", "Mean and head"),
    ):
        selection = select(lab, lens, depth="2b", part=name)
        assert selection.depth == 4
        html = stage.draw(lab, selection).html
        assert f"<h4>{title}</h4>" in html
        assert ({"part": "depth"}, True) in [(words, "Close" in marks) for words, marks in buttons(html)]
        assert html.count("aria-expanded='true'") == (name not in "ab")


def test_the_rail_leads_to_every_depth_and_says_what_is_there(lab: Microscope, lens: Lens) -> None:
    selection = select(lab, lens, depth="2a")
    html = stage.draw(lab, selection).html
    stops = [(words["depth"], marks) for words, marks in buttons(html) if "aria-current" in marks]
    assert [depth for depth, _ in stops] == list(lab.depth_names)
    assert [depth for depth, marks in stops if "aria-current='true'" in marks] == ["2a"]
    tables = lab.look(selection.picture).depths[:, 0].double()
    answer = lab.answer(selection.picture)
    for depth, (name, marks) in enumerate(stops):
        probability = float(lab.model.head(tables[depth].float().mean(0)).detach().softmax(0)[answer])
        assert f"{name}: {lab.classes[answer]} {probability:.1%}" in marks
        if depth:
            share = float((tables[depth] - tables[depth - 1]).norm() / tables[depth - 1].norm())
            assert f"update {share:.0%} of its input" in marks


def test_the_numbers_of_the_stage_are_those_of_the_trace(lab: Microscope, lens: Lens) -> None:
    selection = select(lab, lens, depth="2a")
    numbers, trace = stage.draw(lab, selection).numbers, lab.look(selection.picture)
    assert numbers is not None
    for depth in range(7):
        logits = lab.model.head(trace.depths[depth, 0].mean(0)).detach()
        assert numbers.values[depth, 0] == pytest.approx(float(logits.softmax(0)[logits_of(lab, selection)]), rel=1e-4)
    tables = trace.depths[:, 0].double()
    shares = (tables[1:] - tables[:-1]).norm(dim=(1, 2)) / tables[:-1].norm(dim=(1, 2))
    assert numbers.values[1:, 1] == pytest.approx(shares.numpy(), rel=1e-5)


def logits_of(lab: Microscope, selection: Selection) -> int:
    return int(lab.look(selection.picture).logits[0].argmax())


@pytest.mark.parametrize(("depth", "sublayer"), [("stem", "a"), ("2a", "a"), ("2b", "b"), ("3b", "b")])
def test_what_is_played_is_what_the_block_computes(lab: Microscope, lens: Lens, depth: str, sublayer: str) -> None:
    selection = select(lab, lens, depth=depth, patch="5,1", channel="4", unit="8")
    at, block = selection.depth, selection.block
    (text_,) = re.findall(r"data-stage='([^']+)'", stage.draw(lab, selection).html)
    played, trace = json.loads(unescape(text_)), lab.look(selection.picture)
    assert played["sublayer"] == sublayer
    assert played["selected"] == [11, 4]
    assert np.array(played["values"]) == pytest.approx(trace.depths[at, 0].numpy(), rel=5e-3)
    before, mixed, after = trace.depths[2 * block : 2 * block + 3, 0]
    layer = lab.model.block_at(block)
    for name, line, update in (
        ("a", layer.norm1(before)[:, 4].detach(), mixed[:, 4] - before[:, 4]),
        ("b", layer.norm2(mixed)[11].detach(), after[11] - mixed[11]),
    ):
        assert [red(colour) for colour in played[name]["line"]] == (line >= 0).tolist()
        assert [red(colour) for colour in played[name]["update"]] == (update >= 0).tolist()
    weights = layer.token_mixing
    read, write = weights.fc1.weight[8].detach(), weights.fc2.weight[:, 8].detach()
    assert np.array(played["a"]["read"]) == pytest.approx((read / read.abs().max()).numpy(), abs=0.006)
    assert np.array(played["a"]["write"]) == pytest.approx((write / write.abs().max()).numpy(), abs=0.006)


def red(colour: str) -> bool:
    return int(colour[1:3], 16) >= int(colour[5:7], 16)


def test_of_many_rows_and_columns_a_few_are_shown_and_stay_when_another_of_them_is_selected() -> None:
    assert window(5, 12, 24) == range(12)
    assert window(0, 196, 32) == window(31, 196, 32) == range(32)
    assert window(100, 196, 32) == range(96, 128)
    assert window(195, 196, 32) == window(192, 196, 32) == range(164, 196)


def test_votes_lose_what_all_pictures_share_as_soon_as_that_is_known(lens: Lens) -> None:
    scope = microscope()
    selection = select(scope, lens)
    before = stage.draw(scope, selection).html
    assert "minus the sample mean" not in before
    measure(scope, view_of(lens, "network"), selection)
    assert "minus the sample mean" in stage.draw(scope, selection).html


def test_it_says_from_where_on_the_head_can_read_the_answer(lab: Microscope, lens: Lens) -> None:
    """The last depth at which the network would answer otherwise comes just before."""
    for sample in range(12):
        selection = select(lab, lens, sample=str(sample))
        trace = lab.look(selection.picture)
        answers = [int(lab.model.head(tokens.mean(0)).argmax()) for tokens in trace.depths[:, 0]]
        other = [depth for depth, answer in enumerate(answers) if answer != answers[-1]]
        decided = max(other, default=-1) + 1
        drawn = stage.draw(lab, selection)
        assert f"From <b>{lab.depth_names[decided]}</b> on, the head would already give the answer, " in drawn.words
        assert drawn.html.count("<em>readable ↓</em>") == 1
        assert re.findall(r"decided' [^>]*><button type='button' data-words='depth=(\w+)'", drawn.html) == [
            lab.depth_names[decided]
        ]


def test_the_page_opens_where_the_answer_appears(lab: Microscope, instrument: Instrument) -> None:
    start = first(instrument.scope, instrument.page)
    assert start.depth == instrument.scope.decided_at(start.picture)


def test_a_link_from_before_opens_the_picture_or_the_head(lab: Microscope, lens: Lens) -> None:
    found = {depth: part.open_part(lab, select(lab, lens, depth=depth, part="beyond")) for depth in lab.depth_names}
    assert found == dict.fromkeys(lab.depth_names) | {"stem": "picture", "3b": "head"}


# the detail


def check_sums(rows: list[list[str]]) -> float:
    """Each product is one, and they add up, as far as rounded numbers can; the total."""
    total = 0.0
    for _, value, weight, product in rows[:-1]:
        if value:
            assert float(value) * float(weight) == pytest.approx(float(product), abs=2e-3)
        total += float(product)
    assert total == pytest.approx(float(rows[-1][3]), abs=1e-3)
    return float(rows[-1][3])


@pytest.mark.parametrize("depth", ["1a", "2b", "3a", "3b"])
def test_the_numbers_on_the_page_add_up_to_those_of_the_trace(lab: Microscope, lens: Lens, depth: str) -> None:
    selection = select(lab, lens, depth=depth, patch="5,1", channel="4", unit="8")
    drawn = detail.draw(lab, selection)
    trace, at = lab.look(selection.picture), lab.depth_names.index(depth)
    before, after = (float(trace.depths[i, 0, 11, 4]) for i in (at - 1, at))
    read, written = accounts(drawn.html)
    unit = detail.mixing(lab, selection, detail.sublayer_of(lab, selection)).unit
    assert depth[1] == "b" or unit == 8
    hidden = trace.token_hidden if depth[1] == "a" else trace.channel_hidden
    active = float(hidden[(at - 1) // 2][0, 4 if depth[1] == "a" else 11, unit])
    assert f"sum {check_sums(read):.4f}, after the GELU {active:.4f}" in drawn.html
    assert written[0][:2] == [f"unit {unit}", f"{active:.4f}"]
    assert check_sums(written) == pytest.approx(after - before, abs=2e-4)
    assert f"input {before:.4f} + update {check_sums(written):.4f} = output {after:.4f}" in text(drawn.html)


def test_the_numbers_of_a_patch_are_its_normalised_pixels(lab: Microscope, lens: Lens) -> None:
    selection = select(lab, lens, part="picture", patch="5,1")
    drawn, pixels = detail.draw(lab, selection), lab.pixels(selection.picture)[lab.grid.pixels(11)]
    mean, std = (np.array(each) for each in (lab.model.config.mean, lab.model.config.std))
    np.testing.assert_allclose(drawn.numbers.values, ((pixels / 255 - mean) / std).transpose(2, 0, 1), atol=1e-5)
    assert drawn.numbers.axes["colour"] == ("red", "green", "blue")


def test_the_stem_and_the_head_add_up_to_those_of_the_trace(lab: Microscope, lens: Lens) -> None:
    selection = select(lab, lens, depth="stem", channel="9", patch="2,0")
    trace = lab.look(selection.picture)
    (rows,) = accounts(detail.draw(lab, selection).html)
    assert check_sums(rows) == pytest.approx(float(trace.stem[0, 4, 9]), abs=1e-4)
    selection = select(lab, lens, part="head", class_="frog")
    (rows,) = accounts(detail.draw(lab, selection).html)
    assert check_sums(rows) == pytest.approx(float(trace.logits[0, lab.classes.index("frog")]), abs=1e-4)


def test_a_term_chooses_its_patch_channel_or_unit(lab: Microscope, lens: Lens) -> None:
    html = detail.draw(lab, select(lab, lens, depth="2a", patch="5,1")).html
    words = re.findall(r"data-words='([^']+)'>(\w+ [^<]+)</button>", html)
    assert ("patch=5,1", "patch (5, 1)") in words
    for chosen, _ in words:
        select(lab, lens, **dict(parse_qsl(chosen)))


def test_the_formula_has_the_shapes_of_the_weights_and_each_symbol_its_picture(lab: Microscope, lens: Lens) -> None:
    for depth, mlp in (
        ("2a", lab.model.block_at(1).token_mixing),
        ("2b", lab.model.block_at(1).channel_mixing),
    ):
        html = detail.draw(lab, select(lab, lens, depth=depth)).html
        for layer in (mlp.fc1, mlp.fc2):
            assert "{} x {}".format(*layer.weight.shape) in html
        symbols = set(re.findall(r"<button[^>]*data-symbol='(\w+)'", html))
        assert symbols == set(re.findall(r"<figure data-symbol='(\w+)'", html)) == {"x", "n", "w1", "s", "w2", "u"}


def test_without_a_choice_the_channel_is_the_same_at_every_depth(lab: Microscope) -> None:
    selection = first(lab, Instrument(lab).page)
    depths = range(len(lab.depth_names))
    assert len({channel_of(lab, replace(selection, depth=depth)) for depth in depths}) == 1
    assert channel_of(lab, replace(selection, channel=3)) == 3


# the tour


def test_every_stop_leads_to_a_view_that_is_there(instrument: Instrument) -> None:
    scope, selection = instrument.scope, first(instrument.scope, instrument.page)
    for number, stop in enumerate(tour.STOPS, 1):
        words = dict(parse_qsl(f"tour={number}&{stop.link(scope, selection)}"))
        changed, said = change(scope, instrument.page, selection, words)
        assert not said
        assert stop.view in instrument.views
        assert instrument.lens_of[stop.view] == changed.lens
        assert tour.shows(scope, changed, stop)
        bar = tour.bar(scope, changed)
        assert f"{number} of 8: {stop.title}" in text(bar)
        for link in re.findall(r"href='\?([^']+)'", bar):
            assert not change(scope, instrument.page, selection, dict(parse_qsl(link)))[1]


def test_a_tour_can_be_left_for_another_view_and_resumed(instrument: Instrument) -> None:
    visit = Session(first(instrument.scope, instrument.page))
    instrument.answer(visit, {"words": {"tour": "3", "lens": "mixing.units", "depth": "1a", "order": "pairs"}})
    away = instrument.answer(visit, {"words": {"lens": "model"}})["tour"]["html"]
    assert "Go back to this stop" in away
    (link,) = re.findall(r"data-words='([^']+)'[^>]*>Go back", away)
    back = instrument.answer(visit, {"words": dict(parse_qsl(link))})["tour"]["html"]
    assert "Go back" not in back
    assert visit.selection.lens == "mixing.units"
    left = instrument.answer(visit, {"words": {"tour": "0"}})["tour"]["html"]
    assert not left  # it begins in the first lens
    assert "Take the tour" in instrument.answer(visit, {"words": {"lens": "how"}})["tour"]["html"]


def test_the_tour_counts_where_the_samples_are_decided() -> None:
    scope = microscope(num_blocks=2)
    lens = how_it_works.lens(scope)
    selection = select(scope, lens, tour="5")
    assert "is measured under the figure" in tour.bar(scope, selection)
    measure(scope, view_of(lens, "lens"), selection)
    decided = [0] * 5
    for sample in range(len(scope.samples)):
        tables = scope.look(scope.sample_picture(sample)).depths[:, 0]
        answers = scope.model.head(tables.mean(1)).argmax(1).tolist()
        depth = 4
        while depth and answers[depth - 1] == answers[-1]:
            depth -= 1
        decided[depth] += 1
    usual = scope.measured(scope.sample_stats())
    assert usual.decided.tolist() == decided
    most = int(np.argmax(decided))
    bar, name = tour.bar(scope, selection), scope.depth_names[most]
    assert f"For {decided[most]} of 20 samples, the answer leads to the end from {name} on." in bar
    assert "blocks at first" not in bar


def read_at(scope: Microscope, depth: int) -> SampleStats:
    """What is usual where the answers of seven of nine samples can be read from a depth on."""
    depths = len(scope.depth_names)
    lengths, votes = np.zeros((depths, 16), np.float32), np.zeros((depths, 16, 10), np.float32)
    decided = np.eye(depths, dtype=int)[depth] * 7
    decided[-1] = 2
    return SampleStats(9, lengths, lengths, votes, np.zeros((depths, 10), int), lengths[:, :2].T, decided)


def test_beside_what_can_be_read_of_the_samples_stands_what_skipping_does_to_them() -> None:
    scope = microscope(num_blocks=2)
    selection, usual = select(scope, how_it_works.lens(scope)), scope.sample_stats()
    tell(scope, usual, read_at(scope, 2))
    (skipping,) = scope.missing(lens_needed(scope, selection))
    list(skipping.steps())
    changed = ablate(scope.model, scope.sample_inputs, [1], {}).argmax(1)
    before = ablate(scope.model, scope.sample_inputs, [], {}).argmax(1)
    told = head_text(scope, scope.measured(usual))
    assert "For 7 of 9 samples, the answer leads to the end from 1b on. Without 1b, the answers " in told
    assert f"{(changed != before).sum()} of 20 change." in told
    assert not scope.missing(lens_needed(scope, selection))
    tell(scope, usual, read_at(scope, 0))  # the stem: there is nothing to skip
    assert not scope.missing(lens_needed(scope, selection))
    assert "Without" not in head_text(scope, scope.measured(usual))


def test_what_can_be_read_somewhere_is_not_said_to_be_made_there() -> None:
    """Beside each reading stands what skipping that part does to the picture."""
    scope = microscope(num_blocks=2)
    lens, seen = how_it_works.lens(scope), set[str]()
    for sample in range(0, 20, 5):
        selection = select(scope, lens, tour="5", sample=str(sample))
        depth = scope.decided_at(selection.picture)
        bar, words = tour.bar(scope, selection), view_of(lens, "lens").draw(scope, selection).words
        assert "by one part" not in bar
        if depth:
            after = int(ablate(scope.model, scope.input(selection.picture)[None], [depth - 1], {}).argmax())
            same = after == scope.answer(selection.picture)
            told = "stays the same" if same else f"becomes <b>{scope.classes[after]}</b>"
            assert f"Without {scope.depth_names[depth]}, the answer {told}." in bar
            assert f"Without {scope.depth_names[depth]}, the answer {told}." in words
            seen.add(told.split()[0])
    assert seen


@pytest.mark.parametrize(
    ("blocks", "grown"),
    [([4, None], (4,)), ([2, 4, 6, None], (2, 4)), ([None], ()), ([6], ()), ([6, 6], ()), ([2, 2, None], (2,))],
)
def test_of_a_grown_network_it_is_said_that_it_was_grown(blocks: list[int | None], grown: tuple[int, ...]) -> None:
    """Its head learned to read where the network ended then; the record of its stages knows it."""
    scope = microscope(num_blocks=6)
    scope.metrics = {"stages": [{"recipe": {"blocks": count}} for count in blocks]}
    assert scope.grown_from == grown
    usual = read_at(scope, 8)
    told = head_text(scope, usual)
    assert ("blocks at first" in told) == bool(grown)
    assert all(f"{count}b" in told for count in grown)


@pytest.mark.parametrize("metrics", [{}, {"stages": []}, {"stages": [{}]}, {"stages": [{"recipe": {}}]}])
def test_a_network_without_such_a_record_is_not_said_to_be_grown(metrics: dict) -> None:
    scope = microscope()
    scope.metrics = metrics
    assert scope.grown_from == ()


# the texts: a person who knows matrices answers from the page alone


@pytest.fixture(scope="module")
def pages(scope: Microscope) -> dict[str, str]:
    """What is read on the page of the network that ships, at some depths."""
    lens, found = how_it_works.lens(scope), {}
    for depth in ("stem", "1a", "1b"):
        selection = select(scope, lens, depth=depth)
        found[depth] = text(detail.draw(scope, selection).html)
    found["drawing"] = text(f"{stage.draw(scope, selection).html} {stage.draw(scope, selection).words}")
    found["reading"] = text(view_of(learn.lens([]), "reading").draw(scope, selection).html)
    found["glossary"] = text(glossary.term_list(scope))
    return found


def test_what_a_token_is_here(pages: dict[str, str]) -> None:
    assert "32 patches of 4 x 8 pixels" in pages["drawing"]
    assert "stem → 96 numbers to 512" in pages["drawing"]
    assert "The 96 numbers of a patch are mapped to its token of 512 numbers" in pages["stem"]
    assert "token The vector that the network holds for one patch: 512 numbers, a row of the table" in pages["glossary"]


def test_what_token_mixing_carries(pages: dict[str, str]) -> None:
    assert "Every column of the table, one channel of all patches" in pages["1a"]
    assert "Only token mixing moves information between patches" in pages["1a"]
    assert "Patches do not interact" in pages["1b"]


def test_why_weights_shared_over_channels_matter(pages: dict[str, str]) -> None:
    assert "33,312 parameters, which all channels share" in pages["reading"]
    assert "would take 17,055,744 in every block" in pages["reading"]
    assert "a unit has one weight for each patch" in pages["reading"]


def test_where_the_answer_is_decided_for_this_picture(scope: Microscope, pages: dict[str, str]) -> None:
    found = scope.decided_at(scope.sample_picture(0))
    answer = scope.classes[scope.answer(scope.sample_picture(0))]
    assert f"From {scope.depth_names[found]} on, the head would already give the answer, {answer}" in pages["drawing"]


# what else there is to read


def test_a_term_is_underlined_once_and_its_meaning_is_in_the_list(lab: Microscope) -> None:
    question, caution = glossary.underlined("Tokens of a patch, by token mixing.", "A <patch> is no token.")
    assert re.findall(r"<dfn[^>]*>(.*?)</dfn>", question) == ["Tokens", "patch", "token mixing"]
    assert caution == "A &lt;patch&gt; is no token."
    for name in re.findall(r"aria-describedby=\"([^\"]+)\"", question):
        assert f"<dd id='{name}'>" in glossary.term_list(lab)


def test_the_text_has_pictures_of_this_network_at_its_paragraphs(lab: Microscope) -> None:
    lens = learn.lens([])
    html = view_of(lens, "reading").draw(lab, select(lab, lens, patch="5,1", depth="2a", unit="8")).html
    said = [text(words) for words in re.findall(r"<figcaption>(.*?)</figcaption>", html)]
    assert said == [
        "this picture, patch (5, 1)",
        "its tokens after the stem, 11 channels",
        "what unit 8 of block 2 reads (own scale)",
        "what unit 8 of block 2 writes (own scale)",
    ]
    for weights in (
        lab.model.block_at(1).token_mixing.fc1.weight[8],
        lab.model.block_at(1).token_mixing.fc2.weight[:, 8],
    ):
        assert over_grid(lab, weights.detach().numpy(), lab.grid.index(5, 1)) in html


def test_the_text_says_of_every_lens_what_it_can_show(instrument: Instrument) -> None:
    *others, _ = instrument.lenses
    html = instrument.views["learn-reading"].draw(instrument.scope, instrument.first).html
    shown = [(name, can, cannot) for name, can, cannot in cells(html[html.index("What each lens can show") :])]
    assert shown == [*dict.fromkeys((lens.group or lens.name, *lens.shows) for lens in others)]


def test_the_paper_is_held_against_what_is_measured(lab: Microscope) -> None:
    lens = learn.lens([])
    view, selection = view_of(lens, "paper"), select(lab, lens)
    assert view.draw(lab, selection).words == "Measuring ..."
    measure(lab, view, selection)
    html = view.draw(lab, selection).html
    shuffled = permutation_experiment(lab.model, lab.input(selection.picture), 0)
    assert f"more than {shuffled.largest_logit_difference:.0e}" in html
    assert "{:,} parameters instead of {:,}".format(*question.shared_weights(lab.model)) in html
    assert html.count("Section") == 4


def test_a_channel_is_in_the_link(instrument: Instrument) -> None:
    visit = Session(first(instrument.scope, instrument.page))
    instrument.answer(visit, {"words": {"channel": "10"}})
    assert visit.selection.channel == 10
    status = instrument.answer(visit, {"words": {"channel": "11"}})["status"]
    assert status["message"] == "Channel is a whole number from 0 to 10, not '11'."
    assert status["link"] == "channel=10"


def test_one_lens_opens_on_it(instrument: Instrument) -> None:
    start: Selection = first(instrument.scope, instrument.page)
    assert start.lens == "how"
    assert page_of(how_it_works.lens(instrument.scope)).lenses == ["how"]
