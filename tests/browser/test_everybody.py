"""Without a mouse, without seeing it, enlarged, on a phone: WCAG 2.2 AA by axe-core, and what axe cannot see."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import axe_playwright_python
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import FAMILIES, OWN, PHONE, open_lens, settled
from tests.browser.served import wide
from viz.lenses.how_it_works.tour import STOPS

AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js")
LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
# axe reads all of the document, hidden or not: lenses outside of the part leave it meanwhile
RUN = """async ([part, asked]) => {
  const checked = document.querySelector(part);
  const apart = lens => !lens.contains(checked) && !checked.contains(lens);
  const hidden = [...document.querySelectorAll(".lens")].filter(apart);
  const places = hidden.map(lens => { const place = new Comment(); lens.replaceWith(place); return place; });
  try { return await axe.run(part, asked); }
  finally { places.forEach((place, i) => place.replaceWith(hidden[i])); }
}"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with wide(tmp_path_factory.mktemp("network")) as url:
        yield url


def check(page: Page, part: str, *rules: str) -> None:
    """No violation of WCAG 2.2 AA that axe can find in a part of the page; or only of some of its rules."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text("utf-8"))
    only = {"type": "rule", "values": rules} if rules else {"type": "tag", "values": LEVELS}
    asked = {"runOnly": only, "resultTypes": ["violations"], "preload": False}
    found = page.evaluate(RUN, [part, asked])["violations"]
    told = [(rule["id"], node["html"][:200], node["failureSummary"]) for rule in found for node in rule["nodes"]]
    assert not told, page.url


def dye(page: Page, scheme: Literal["light", "dark"]) -> None:
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    expect(page.locator("body.dark")).to_have_count(int(scheme == "dark"))
    page.evaluate("Promise.allSettled(document.getAnimations().map(one => one.finished))")  # colours go over slowly


def test_on_a_phone_all_can_be_tapped_and_scrolled(visit: Callable[..., Page]) -> None:
    page = visit(**PHONE)
    for lens in ("how", "attribution", "whatif.edit"):
        open_lens(page, lens)
        settled(page)
        check(page, ".lens.open", "target-size", "scrollable-region-focusable")


@pytest.mark.parametrize("settings", [{}, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing_around_the_lenses_nor_in_what_opens_over_them(
    visit: Callable[..., Page], settings: dict[str, Any]
) -> None:
    page = visit("?sample=999&lens=mixing.stem", **settings)  # a short one: lenses are checked above
    expect(page.locator("#status .said")).not_to_be_empty(timeout=60_000)
    check(page, "body")
    page.get_by_role("button", name="Choose a picture").click()
    page.locator("#specimen-samples .html button").first.wait_for()
    check(page, "#specimen")
    page.get_by_role("button", name="Choose a picture").click()
    page.get_by_role("button", name="Pin", exact=True).click()
    page.get_by_role("button", name="Unpin").wait_for()
    open_lens(page, "how")
    page.get_by_role("link", name="Take the tour").click()
    page.get_by_role("link", name="Next").wait_for()
    check(page, ".bars")
    open_lens(page, "mixing.stem")
    page.locator("#mixing-stem-filters").get_by_role("button", name="Enlarge").click()
    check(page, "body")
    page.keyboard.press("Escape")
    page.locator("#network select").select_option("")
    check(page, "#others")


def test_a_slider_has_its_name_alone_and_says_its_value_as_the_page_does(page: Page) -> None:
    for slider in page.locator("input[type=range]:visible").all():
        name = slider.evaluate("one => [...one.labels].map(label => label.querySelector('span').textContent).join()")
        expect(slider).to_have_accessible_name(name)
        assert name
    expect(page.locator("#depth")).to_have_accessible_name("Depth")
    expect(page.locator("#depth")).to_have_attribute("aria-valuetext", "3b")
    for output in page.locator("output").all():
        expect(output).to_have_attribute("aria-hidden", "true")  # a live region otherwise


def test_the_answer_is_told_after_each_choice_in_the_one_polite_region(page: Page) -> None:
    told = page.locator("#status [role=status]")
    for choose, said in (
        (lambda: page.locator("#target").select_option("cat"), "Selected class: cat. Patch (2, 2), depth 3b."),
        (lambda: page.locator("#patch").select_option("3,1"), "Selected class: cat. Patch (3, 1), depth 3b."),
        (lambda: page.locator("#depth").fill("0"), "Selected class: cat. Patch (3, 1), depth stem."),
    ):
        choose()
        expect(told).to_contain_text(said, timeout=60_000)
        expect(told).to_contain_text(f"{page.locator('#answer h2').inner_text()}, ")
    page.get_by_role("button", name="Play", exact=True).click()
    expect(told).to_have_text("Each patch of the picture is a row of the table: 11 numbers.")
    live = ":is([role=status], [aria-live=polite], output:not([aria-hidden])):not(#drawer *)"  # that is Gradio's own
    found = page.locator(f":is(#header, #status, #instrument) {live}")
    assert found.evaluate_all("all => all.map(one => one.dataset.part ?? one.outerHTML)") == ["announcement"]


def test_tabs_control_panels(page: Page) -> None:
    for tab in page.get_by_role("tab", include_hidden=True).all():
        for name in (tab.get_attribute("aria-controls") or "nothing").split():
            expect(page.locator(f"#{name}")).to_have_attribute("role", "tabpanel")
    page.get_by_role("tab", name="Patch tokens").click()
    expect(page.get_by_role("tabpanel", name="Patch tokens")).to_be_visible()
    expect(page.get_by_role("tabpanel")).to_have_count(1)


def test_what_has_the_focus_is_never_under_what_sticks(visit: Callable[..., Page]) -> None:
    page = visit("?lens=attribution&tour=8", viewport={"width": 640, "height": 450})
    settled(page)
    for width, height in ((640, 450), (390, 844), (320, 225)):
        page.set_viewport_size({"width": width, "height": height})
        nothing_is_focused_under_what_sticks(page)


def nothing_is_focused_under_what_sticks(page: Page) -> None:
    page.evaluate("document.activeElement.blur(); scrollTo(0, document.body.scrollHeight)")
    for _ in range(45):
        page.keyboard.press("Shift+Tab")
        hidden = page.evaluate(
            """() => {
              const one = document.activeElement, {left, top, width, height} = one.getBoundingClientRect();
              const points = [[.5, .5], [.1, .1], [.9, .1], [.1, .9], [.9, .9]];
              const seen = ([x, y]) => document.elementFromPoint(left + x * width, top + y * height);
              const own = found => found && (one.contains(found) || found.contains(one));
              return one === document.body || points.map(seen).some(own) ? null : one.outerHTML.slice(0, 200);
            }"""
        )
        assert hidden is None


def test_enlarge_is_a_dialog_that_keeps_the_focus_and_gives_it_back(visit: Callable[..., Page]) -> None:
    page = visit("?lens=attribution")
    settled(page)
    view = page.locator("#attribution-maps")
    view.get_by_role("button", name="Enlarge").click()
    dialog = page.get_by_role("dialog", name=view.locator("h3").inner_text())
    expect(dialog).to_have_attribute("aria-modal", "true")
    for _ in range(20):
        page.keyboard.press("Tab")
        # the body: what comes next is the browser's own
        assert page.evaluate(
            "document.activeElement === document.body || Boolean(document.activeElement.closest('.lecture'))"
        )
    dialog.get_by_role("button", name="Close (Esc)").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(view.get_by_role("button", name="Enlarge")).to_be_focused()
    expect(page.locator("[inert]")).to_have_count(0)


def test_the_menu_of_a_view_closes_by_escape_alone_and_gives_the_focus_back(visit: Callable[..., Page]) -> None:
    page = visit("?lens=attribution")
    settled(page)
    view = page.locator("#attribution-maps")
    opens, png = (view.get_by_role("button", name=name) for name in ("Save, copy, link", "PNG"))
    for enlarged in (False, True):
        if enlarged:
            view.get_by_role("button", name="Enlarge").click()
            page.wait_for_function("document.fullscreenElement")  # on the way there, a browser closes what is open
        opens.focus()
        page.keyboard.press("Enter")
        expect(png).to_be_focused()
        check(page, "#attribution-maps")
        menu, button = view.locator("[popover]").bounding_box(), opens.bounding_box()
        assert menu
        assert button
        assert 0 <= menu["y"] - button["y"] - button["height"] < 16
        assert menu["x"] + menu["width"] == pytest.approx(button["x"] + button["width"], abs=2)
        page.keyboard.press("Tab")
        expect(view.get_by_role("button", name="SVG")).to_be_focused()
        page.keyboard.press("Escape")
        expect(png).to_be_hidden()
        expect(opens).to_be_focused()
        expect(page.locator(".lecture")).to_have_count(int(enlarged))
    page.keyboard.press("Escape")


def test_a_meaning_stays_while_the_pointer_is_on_it(visit: Callable[..., Page]) -> None:
    page = visit("?lens=tokens")
    page.locator("#lens-tokens dfn").first.hover()
    meaning = page.locator("#meaning")
    expect(meaning).to_be_visible()
    assert page.evaluate(FAMILIES) == [OWN]
    meaning.hover()
    page.wait_for_timeout(500)  # longer than it waits for the pointer
    expect(meaning).to_be_visible()
    page.mouse.move(0, 0)
    expect(meaning).to_be_hidden()


def test_a_key_in_the_list_of_networks_opens_none_before_it_is_asked_to(page: Page) -> None:
    choice, before = page.locator("#network select"), page.url
    expect(choice).to_be_visible(timeout=60_000)
    shown = choice.input_value()
    choice.focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("End")
    opens = page.locator("#header").get_by_role("button", name="Open")
    expect(opens).to_be_visible()
    assert page.url == before
    opens.click()
    expect(page.get_by_role("dialog", name="Open another network")).to_be_visible()
    page.keyboard.press("Escape")
    expect(choice).to_have_value(shown)


def seen(element: Locator) -> str:
    return element.evaluate(
        """one => { const {outlineStyle, outlineColor, borderColor} = getComputedStyle(one);
                    return outlineStyle === 'none' ? borderColor : outlineColor; }"""
    )


def test_forced_colours_keep_what_is_chosen(visit: Callable[..., Page]) -> None:
    page = visit(forced_colors="active")
    for chosen, other in (
        ('#picker [aria-pressed="true"]', '#picker [aria-pressed="false"]'),
        ('#how-network [aria-current="true"]', '#how-network [aria-current="false"]'),
        ('#tabs [aria-selected="true"]', '#tabs [aria-selected="false"]'),
        ('.answers [aria-pressed="true"]', '.answers [aria-pressed="false"]'),
    ):
        expect(page.locator(chosen).first).to_be_attached(timeout=60_000)
        assert seen(page.locator(chosen).first) != seen(page.locator(other).first), chosen


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_controls_the_focus_and_what_is_chosen_have_three_to_one(page: Page, scheme: Literal["light", "dark"]) -> None:
    dye(page, scheme)
    contrast = """(one, property) => {
      const ground = () => { for (let over = one; over; over = over.parentElement) {
        const colour = getComputedStyle(over).backgroundColor; if (!/, 0\\)$/.test(colour)) return colour; } };
      const light = colour => { const parts = colour.match(/[\\d.]+/g).slice(0, 3).map(part => part / 255)
        .map(part => part <= .04045 ? part / 12.92 : ((part + .055) / 1.055) ** 2.4);
        return .2126 * parts[0] + .7152 * parts[1] + .0722 * parts[2] + .05; };
      const pair = [getComputedStyle(one)[property], ground()].map(light).sort((a, b) => a - b);
      return pair[1] / pair[0];
    }"""
    controls = "#header button, #network select, #answer select, #tour a, #pin button, .lens.open .take button"
    for control in page.locator(controls).locator("visible=true").all():
        assert control.evaluate(contrast, "borderTopColor") >= 3, control
    for chosen in ("#tabs [aria-selected=true]", ".answers [aria-pressed=true]"):
        assert page.locator(chosen).first.evaluate(contrast, "borderBottomColor") >= 3, chosen
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.locator(":focus").evaluate(contrast, "outlineColor") >= 3


def test_the_figure_of_every_stop_of_the_tour_is_seen_under_its_bar(visit: Callable[..., Page]) -> None:
    """At the widths at which it is hardest: others have more room."""
    for settings in ({"viewport": {"width": 1024, "height": 768}}, PHONE):
        page = visit("?tour=1", **settings)
        bar = page.locator("#tour")
        for number, stop in enumerate(STOPS, 1):
            expect(bar).to_contain_text(f"{number} of {len(STOPS)}", timeout=60_000)
            if number > 1:
                page.wait_for_function(
                    """view => {
                      const element = document.getElementById(view);
                      const shown = element?.querySelector('.opened') ?? element;
                      const bar = document.getElementById('tour').getBoundingClientRect();
                      if (!shown || bar.top < 0 || bar.bottom > innerHeight / 2) return false;
                      const figure = (shown.querySelector('.figure:not([hidden])') ?? shown).getBoundingClientRect();
                      const {top} = shown.getBoundingClientRect();
                      const seen = Math.min(figure.bottom, innerHeight) - Math.max(figure.top, bar.bottom);
                      return bar.bottom <= top + 1 && seen > Math.min(figure.height, innerHeight - bar.bottom) / 2;
                    }""",
                    arg=stop.view,
                    timeout=60_000,
                )
            if number < len(STOPS):
                bar.get_by_role("link", name="Next").click()


def test_on_a_phone_all_tabs_and_networks_are_seen_and_a_patch_is_large_enough_for_a_finger(
    visit: Callable[..., Page],
) -> None:
    page = visit(**PHONE)
    expect(page.locator("#network select")).to_be_visible(timeout=60_000)
    for part in (page.locator("#network select"), page.get_by_role("tab").first):
        box = part.bounding_box()
        assert box
        assert 0 <= box["x"] < box["x"] + box["width"] <= 390
        assert box["y"] + box["height"] < 400
    assert "gradient" in page.locator(".tabs").first.evaluate("one => getComputedStyle(one).maskImage"), (
        "more are there"
    )
    page.get_by_role("tab").first.focus()
    for tab in page.locator(".tabs").first.get_by_role("tab").all():
        expect(tab).to_be_focused()
        page.wait_for_function(  # before the edge fades
            "tab => { const {left, right} = tab.getBoundingClientRect(); return left >= 0 && right <= 390 - 32; }",
            arg=tab.element_handle(),
        )
        page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="How it works")).to_be_focused()
    expect(page.locator("#lens-how.open")).to_be_visible()
    drawn = page.locator(".lens.open .view .html img, .lens.open .view .html svg, .lens.open .js-plotly-plot")
    settled(page)
    assert drawn.evaluate_all("all => Math.min(...all.map(one => one.getBoundingClientRect().top))") < 680
    page.get_by_role("button", name="Select a patch").click()
    patch = page.get_by_role("button", name="patch (1, 3)")
    box = patch.bounding_box()
    assert box
    assert min(box["width"], box["height"]) >= 24
    patch.click()
    expect(page.locator("#patch")).to_have_value("1,3")
    expect(page.locator("#picker")).not_to_have_class("large")


def test_of_196_patches_each_is_24_pixels_on_a_phone_and_in_a_list_everywhere(
    visit: Callable[..., Page], tmp_path: Path
) -> None:
    with wide(tmp_path, image_size=(56, 56), patch_size=(4, 4)) as url:
        for settings in ({}, PHONE):
            page = visit(url, **settings)
            asked = page.locator("#patch")
            expect(asked.locator("option")).to_have_count(196)
            box = asked.bounding_box()
            assert box
            assert min(box["width"], box["height"]) >= 24
            if settings:
                page.get_by_role("button", name="Select a patch").click()
                box = page.get_by_role("button", name="patch (13, 13)").bounding_box()
                assert box
                assert min(box["width"], box["height"]) >= 24


def test_captions_of_thumbnails_stay_under_their_pictures(visit: Callable[..., Page]) -> None:
    for settings in ({}, PHONE):
        page = visit(**settings)
        page.get_by_role("button", name="Choose a picture").click()
        captions = page.locator("#specimen .thumbnails button")
        expect(captions.first).to_be_visible(timeout=60_000)
        assert captions.filter(has_text="automobile").count() == 2
        assert not captions.evaluate_all(
            "all => all.filter(one => one.scrollWidth > one.clientWidth).map(one => one.textContent)"
        )
