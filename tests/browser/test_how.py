"""How it works, in a real Chromium: drawing, detail, animation, tour, terms and lecture."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import open_lens
from tests.browser.test_page import click_cell, figure
from viz.lenses.how_it_works.tour import STOPS
from viz.microscope import Microscope

DETAIL = "#how-detail .html"


def part(words: str) -> str:
    return f'#how-network [data-words="{words}"]'


def test_a_part_of_the_drawing_sets_the_depth_and_opens_its_detail(page: Page) -> None:
    page.locator(part("depth=3a&part=depth")).click()
    expect(page.locator(DETAIL)).to_contain_text("3a: token mixing of block 3")
    expect(page.locator("#answer output")).to_have_text("3a")
    expect(page.locator("#how-detail h3")).to_be_in_viewport()
    chosen = page.locator('#how-network [aria-pressed="true"]')
    expect(chosen).to_have_attribute("data-words", "depth=3a&part=depth")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # the next part in the order of the network
    expect(page.locator(DETAIL)).to_contain_text("3b: channel mixing of block 3")
    assert page.evaluate("document.activeElement.dataset.words") == "depth=3b&part=depth"
    page.locator(part("depth=stem&part=beyond")).click()
    expect(page.locator(DETAIL)).to_contain_text("The picture is cut into 32 patches")


def test_the_detail_follows_patch_channel_and_unit_and_its_symbols_point(visit: Callable[..., Page]) -> None:
    page = visit("?depth=2a")
    expect(page.locator(DETAIL)).to_contain_text("2a: token mixing")
    for word, number in (("channel", "17"), ("unit", "11")):
        control = page.locator(f"{DETAIL} [data-word={word}]")
        control.fill(number)
        control.press("Enter")
        page.wait_for_function(f"location.search.includes('{word}={number}')")
    page.locator('#picker button[data-patch="5"]').click()
    expect(page.locator(DETAIL)).to_contain_text("update of patch (1, 1), channel 17")
    expect(page.locator(DETAIL)).to_contain_text("sum of unit 11")
    page.locator(f"{DETAIL} button[data-symbol=w1]").focus()
    expect(page.locator(f"{DETAIL} figure.marked")).to_contain_text("read weights W1 of unit 11")


def test_the_animation_goes_by_steps_and_by_itself_and_stops(page: Page) -> None:
    motion = page.locator("#how-motion .motion")
    motion.get_by_role("button", name="Step").click()
    expect(motion).to_have_attribute("data-step", "1")
    expect(motion).to_contain_text("A column leaves it")
    column = motion.locator(".col")
    expect(column).to_have_css("transform", re.compile(r"matrix\(1, 0, 0, 1, [1-9]"))
    motion.get_by_role("button", name="Start").click()
    expect(motion).to_have_attribute("data-step", "2")
    expect(motion).to_have_attribute("data-step", "3", timeout=5_000)
    page.locator('#picker button[data-patch="5"]').click()  # all else goes on meanwhile
    expect(page.locator("#patch")).to_have_value("1,1")
    motion.get_by_role("button", name="Step").click()
    motion.get_by_role("button", name="Start").click()
    stop = motion.get_by_role("button", name="Stop")
    stop.click()
    at = motion.get_attribute("data-step")
    page.wait_for_timeout(2600)
    assert motion.get_attribute("data-step") == at


def test_who_wants_no_motion_gets_steps_alone(visit: Callable[..., Page]) -> None:
    page = visit(reduced_motion="reduce")
    motion = page.locator("#how-motion .motion")
    expect(motion.get_by_role("button", name="Start")).to_be_hidden()
    motion.get_by_role("button", name="Step").click()
    expect(motion).to_contain_text("A column leaves it")
    expect(motion.locator(".col")).to_have_css("transition-duration", "0s")


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
    bar.get_by_role("button", name="Leave").click()
    expect(bar.get_by_role("link", name="Take the tour")).to_be_visible()
    bar.get_by_role("link", name="stop 4").click()
    expect(bar).to_contain_text(f"4 of {len(STOPS)}")


def test_a_stop_has_a_link(page: Page, visit: Callable[..., Page]) -> None:
    link = page.locator("#tour").get_by_role("link", name="stop 3").get_attribute("href")
    other = visit(link)
    expect(other.locator("#tour")).to_contain_text("3 of 8", timeout=15_000)
    expect(figure(other, "mixing-units-units")).to_be_visible(timeout=15_000)


def test_a_term_says_what_it_means_to_pointer_and_keyboard(page: Page, scope: Microscope) -> None:
    meaning = page.locator("#meaning")
    for lens in ("how", "tokens"):
        open_lens(page, lens)
        term = page.locator(f"#lens-{lens} dfn", has_text=re.compile("^channel|^token")).first
        term.hover()
        expect(meaning).to_be_visible()
        expect(meaning).to_contain_text(str(scope.model.config.hidden_dim))
        page.mouse.move(0, 0)
        expect(meaning).to_be_hidden()
        term.focus()
        expect(meaning).to_be_visible()
        page.keyboard.press("Escape")
        expect(meaning).to_be_hidden()


def test_in_a_lecture_one_view_fills_the_screen_and_arrows_go_on(page: Page, scope: Microscope) -> None:
    view = page.locator("#how-lens .view")
    size = "element => parseFloat(getComputedStyle(element).fontSize) * (element.currentCSSZoom ?? 1)"
    before = view.locator("h3").evaluate(size)
    view.get_by_role("button", name="Enlarge").click()
    box = view.bounding_box()
    assert box
    assert box["width"] >= 1390
    assert box["height"] >= 890
    assert view.locator("h3").evaluate(size) == pytest.approx(1.5 * before)
    page.keyboard.press("ArrowRight")
    votes = page.locator("#how-votes .view")
    expect(votes).to_have_class(re.compile("lecture"))
    expect(view).not_to_have_class(re.compile("lecture"))
    page.keyboard.press("Escape")
    expect(votes).not_to_have_class(re.compile("lecture"))
    expect(page.locator("#picker")).to_be_visible()


def test_in_a_lecture_arrows_follow_the_tour(page: Page) -> None:
    page.locator("#tour").get_by_role("link", name="stop 5").click()
    expect(page.locator("#tour")).to_contain_text("5 of 8")
    page.locator("#how-lens").get_by_role("button", name="Enlarge").click()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#how-votes .view")).to_have_class(re.compile("lecture"))
    expect(page.locator("#tour")).to_contain_text("6 of 8")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#mixing-shuffle-answers .view")).to_have_class(re.compile("lecture"), timeout=15_000)
    expect(page.locator("#tour")).to_be_in_viewport()


def test_a_figure_in_a_lecture_answers_clicks_where_they_are(page: Page) -> None:
    page.locator("#how-votes").get_by_role("button", name="Enlarge").click()
    page.wait_for_timeout(500)
    plot = figure(page, "how-votes")
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
    click_cell(page, "how-votes", 20, 2)
    expect(page.locator("#patch")).to_have_value("0,2")
