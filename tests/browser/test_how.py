"""How it works, in a real Chromium: the stage, the tour, terms and lecture."""

import json
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import open_lens
from tests.browser.test_page import click_cell, figure
from viz.lenses.glossary import TERMS
from viz.lenses.how_it_works.tour import STOPS
from viz.microscope import Microscope

STAGE = "#how-network .stage"
OPENED = f"{STAGE} .opened"


def test_a_part_opens_its_calculation_in_place_and_closes_it(page: Page) -> None:
    stage = page.locator(STAGE)
    for name, title in (("picture", "The picture"), ("stem", "The stem"), ("head", "Mean and head")):
        stage.locator(f".part.{name}").click()
        expect(page.locator(OPENED)).to_contain_text(title)
        expect(stage.locator(f".part.{name}")).to_be_focused()
        stage.locator(f".part.{name}").click()
        expect(page.locator(OPENED)).to_have_count(0)
    for sublayer, title in (("a", "Token mixing of block"), ("b", "Channel mixing of block")):
        stage.locator(f".sublayer.{sublayer} button").click()
        expect(page.locator(OPENED)).to_contain_text(title)
        page.wait_for_function(f"location.search.includes('part={sublayer}')")
        stage.get_by_role("button", name="Close").click()
        expect(page.locator(OPENED)).to_have_count(0)


def test_the_rail_is_the_control_of_the_depth(page: Page) -> None:
    rail = page.locator(f"{STAGE} .rail")
    rail.locator('[data-words="depth=3a"]').last.click()
    expect(page.locator("#answer output")).to_have_text("3a")
    expect(page.locator(f"{STAGE} .table b")).to_have_text("after 3a")
    expect(page.locator(f"{STAGE} .sublayer.here h4")).to_contain_text("3a: token mixing")
    here = rail.locator('[aria-current="true"]')
    here.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#answer output")).to_have_text("3b")
    expect(here).to_be_focused()
    rail.get_by_role("button", name="last depth").click()
    expect(page.locator("#answer output")).to_have_text("12b")
    expect(rail.get_by_role("button", name="next depth")).to_be_disabled()


def test_a_value_of_the_table_says_what_it_is_and_is_selected(page: Page, scope: Microscope) -> None:
    grid, said = page.locator(f"{STAGE} .grid"), page.locator(f"{STAGE} .table .value")
    expect(page.locator("#how-network .view")).to_have_attribute("aria-busy", "false", timeout=15_000)
    box = grid.bounding_box()
    assert box
    position = {"x": box["width"] * 3.5 / 24, "y": box["height"] * 6.5 / 32}
    grid.hover(position=position)
    trace = scope.look(scope.sample_picture(0))
    depth = scope.decided_at(scope.sample_picture(0))
    expect(said).to_have_text(f"patch (1, 2), channel 3: {float(f'{float(trace.depths[depth, 0, 6, 3]):.3g}'):g}")
    expect(page.locator('.picker [data-patch="6"]')).to_have_class(re.compile("pointed"))
    grid.click(position=position)
    expect(page.locator("#patch")).to_have_value("1,2")
    page.wait_for_function("location.search.includes('channel=3')")
    grid.focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#patch")).to_have_value("1,3")
    expect(grid).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(OPENED)).to_contain_text("patch (1, 3), channel 3")


def test_the_calculation_follows_patch_channel_and_unit_and_its_symbols_point(visit: Callable[..., Page]) -> None:
    page = visit("?depth=2a&part=a")
    expect(page.locator(OPENED)).to_contain_text("Token mixing of block 2")
    for word, number in (("channel", "17"), ("unit", "11")):
        control = page.locator(f"{OPENED} [data-word={word}]")
        control.fill(number)
        control.press("Enter")
        page.wait_for_function(f"location.search.includes('{word}={number}')")
    page.locator('#picker button[data-patch="5"]').click()
    expect(page.locator(OPENED)).to_contain_text("update of patch (1, 1), channel 17")
    expect(page.locator(OPENED)).to_contain_text("sum of unit 11")
    expect(page.locator("#how-network .view")).to_have_attribute("aria-busy", "false", timeout=15_000)
    page.locator(f"{OPENED} button[data-symbol=w1]").focus()
    expect(page.locator(f"{OPENED} figure.marked")).to_contain_text("read weights W1 of unit 11")


def test_play_moves_cells_and_ends_when_stopped_or_when_something_else_is_selected(page: Page) -> None:
    stage = page.locator(STAGE)
    stage.get_by_role("button", name="Play", exact=True).click()
    expect(stage).to_contain_text("Each patch of the picture is a row of the table")
    expect(stage.locator(".flying")).to_have_count(32)
    expect(stage).to_contain_text("takes one column", timeout=10_000)
    stage.get_by_role("button", name="Stop").click()
    expect(stage.locator(".flying")).to_have_count(0)
    stage.get_by_role("button", name="Play", exact=True).click()
    expect(stage.locator(".flying")).to_have_count(32)
    page.locator('#picker button[data-patch="5"]').click()
    expect(page.locator("#patch")).to_have_value("1,1")
    expect(stage.locator(".flying")).to_have_count(0)
    expect(stage.get_by_role("button", name="Play")).to_be_visible()


def test_who_wants_no_motion_goes_step_by_step(visit: Callable[..., Page]) -> None:
    page = visit(reduced_motion="reduce")
    stage = page.locator(STAGE)
    expect(page.locator("#how-network .view")).to_have_attribute("aria-busy", "false", timeout=15_000)
    says = json.loads(stage.get_attribute("data-stage") or "")["steps"]
    assert len(says) == 12
    step, title = stage.locator("[data-do=step]"), stage.locator(".table b")
    shown = title.inner_text()
    for number, said in enumerate(says):
        step.click()
        expect(stage.locator(".step")).to_have_text(said)
        expect(stage.locator(".flying")).to_have_count(0)
        if number == 0:
            expect(title).to_have_text("input: 10b")
    step.click()
    expect(stage.locator(".step")).to_be_empty()
    expect(stage.locator(".lines")).to_have_count(0)
    expect(title).to_have_text(shown)


def test_what_play_moves_is_not_there_while_a_calculation_is_open(page: Page) -> None:
    stage = page.locator(STAGE)
    stage.get_by_role("button", name="Play", exact=True).click()
    expect(stage.locator(".flying")).to_have_count(32)
    stage.locator(".sublayer.a button").click()
    expect(page.locator(OPENED)).to_be_visible()
    expect(stage.get_by_role("button", name="Play")).to_be_disabled()
    page.keyboard.press("Escape")
    expect(page.locator(OPENED)).to_have_count(0)
    expect(stage.get_by_role("button", name="Play")).to_be_enabled()
    expect(stage.locator(".sublayer.a button")).to_be_focused()


def test_the_tour_shows_each_view_can_be_left_and_resumed(page: Page) -> None:
    bar = page.locator("#tour")
    bar.get_by_role("link", name="Take the tour").click()
    for number, stop in enumerate(STOPS, 1):
        expect(bar).to_contain_text(f"{number} of {len(STOPS)}: {stop.title}")
        expect(page.locator(f"#{stop.view}")).to_be_in_viewport(timeout=15_000)
        page.wait_for_function(f"location.search.includes('tour={number}')")
        if number == 3:
            page.get_by_role("tab", name="Model").click()
            bar.get_by_role("link", name="Go back to this stop").click()
            expect(page.locator(f"#{stop.view}")).to_be_in_viewport(timeout=15_000)
        if number < len(STOPS):
            bar.get_by_role("link", name="Next").click()
    bar.get_by_role("link", name="stop 4").click()
    expect(bar).to_contain_text(f"4 of {len(STOPS)}")
    bar.get_by_role("button", name="Leave").click()
    expect(bar.get_by_role("link", name="Take the tour")).to_be_visible()


def test_a_stop_has_a_link(page: Page, visit: Callable[..., Page]) -> None:
    bar = page.locator("#tour")
    bar.get_by_role("link", name="Take the tour").click()
    link = bar.get_by_role("link", name="stop 3").get_attribute("href")
    other = visit(link)
    expect(other.locator("#tour")).to_contain_text("3 of 8", timeout=15_000)
    expect(figure(other, "mixing-units-units")).to_be_visible(timeout=15_000)


def test_a_term_says_what_it_means_to_pointer_and_keyboard(visit: Callable[..., Page], scope: Microscope) -> None:
    """In every lens, whether the glossary was opened or not."""
    page = visit("?lens=tokens")
    meaning = page.locator("#meaning")
    for lens in ("tokens", "how"):
        open_lens(page, lens)
        term = page.locator(f"#lens-{lens} dfn", has_text=re.compile("^channel|^token")).first
        term.hover()
        expect(meaning).to_be_visible()
        name = term.inner_text().lower()
        expect(meaning).to_have_text(TERMS[name if name in TERMS else name.rstrip("s")](scope))
        page.mouse.move(0, 0)
        expect(meaning).to_be_hidden()
        term.focus()
        expect(meaning).to_be_visible()
        page.keyboard.press("Escape")
        expect(meaning).to_be_hidden()


def test_in_a_lecture_one_view_fills_the_screen_and_arrows_go_on(visit: Callable[..., Page]) -> None:
    page = visit("?lens=tokens")
    view = page.locator("#tokens-answers .view")
    size = "element => parseFloat(getComputedStyle(element).fontSize) * (element.currentCSSZoom ?? 1)"
    before = view.locator("h3").evaluate(size)
    view.get_by_role("button", name="Enlarge").click()
    box = view.bounding_box()
    assert box
    assert box["width"] >= 1390
    assert box["height"] >= 890
    assert view.locator("h3").evaluate(size) == pytest.approx(1.5 * before)
    page.keyboard.press("ArrowRight")
    votes = page.locator("#tokens-votes .view")
    expect(votes).to_have_class(re.compile("lecture"))
    expect(view).not_to_have_class(re.compile("lecture"))
    page.keyboard.press("Escape")
    expect(votes).not_to_have_class(re.compile("lecture"))
    expect(page.locator("#picker")).to_be_visible()


def test_in_a_lecture_arrows_follow_the_tour(page: Page) -> None:
    page.locator("#tour").get_by_role("link", name="Take the tour").click()
    page.locator("#tour").get_by_role("link", name="stop 5").click()
    expect(page.locator("#tour")).to_contain_text("5 of 8")
    page.locator("#how-lens").get_by_role("button", name="Enlarge").click()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#tokens-votes .view")).to_have_class(re.compile("lecture"), timeout=15_000)
    expect(page.locator("#tour")).to_contain_text("6 of 8")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#mixing-shuffle-answers .view")).to_have_class(re.compile("lecture"), timeout=15_000)
    expect(page.locator("#tour")).to_be_in_viewport()


def test_a_figure_in_a_lecture_answers_clicks_where_they_are(visit: Callable[..., Page]) -> None:
    page = visit("?lens=tokens")
    page.locator("#tokens-votes").get_by_role("button", name="Enlarge").click()
    page.wait_for_timeout(500)
    plot = figure(page, "tokens-votes")
    x, y = plot.evaluate(
        """plot => {
          const {xaxis, yaxis} = plot._fullLayout, box = plot.getBoundingClientRect();
          const grown = box.width / plot.offsetWidth;
          const at = (axis, value) => grown * (axis._offset + axis.d2p(value));
          return [box.left + at(xaxis, 12), box.top + at(yaxis, 26)];
        }"""
    )
    page.mouse.move(x, y)
    page.wait_for_timeout(80)
    page.mouse.click(x, y)
    expect(page.locator("#patch")).to_have_value("6,1")
    page.keyboard.press("Escape")
    expect(page.locator(".lecturing")).to_have_count(0)
    page.wait_for_timeout(1000)  # the page and its figures are laid out anew
    click_cell(page, "tokens-votes", 20, 2)
    expect(page.locator("#patch")).to_have_value("0,2")


def test_a_playlist_fills_the_screen_with_one_view_after_the_other(visit: Callable[..., Page]) -> None:
    page = visit("?lens=tokens")
    page.get_by_role("button", name="Playlist").click()
    here = page.url.split("?")[0]
    links = [f"{here}?view=tokens.votes&depth=2a", f"{here}?sample=12&lens=attribution"]
    page.locator("#playlist textarea").fill("\n".join(links))
    page.get_by_role("button", name="Start").click()
    expect(page.locator("#tokens-votes .view")).to_have_class(re.compile("lecture"), timeout=15_000)
    expect(page.locator("#answer output")).to_have_text("2a")
    for part in ("#picker", "#answer h2"):
        expect(page.locator(part)).to_be_in_viewport()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#attribution-maps .view")).to_have_class(re.compile("lecture"), timeout=15_000)
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#tokens-votes .view")).to_have_class(re.compile("lecture"), timeout=15_000)
    page.keyboard.press("Escape")
    expect(page.locator(".lecture")).to_have_count(0)
    expect(page.locator("#target")).to_be_visible()
