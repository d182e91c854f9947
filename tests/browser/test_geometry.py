"""Every lens can be read: by axe-core, in light and in dark; at four widths; in the files of its figures."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import open_lens, settled
from tests.browser.served import wide
from tests.browser.test_everybody import check, dye

GEOMETRY = Path(__file__).with_name("geometry.js").read_text("utf-8")
WIDTHS = {1920: 1080, 1024: 768, 390: 844, 1400: 900}
"""and heights: the last is what a lens is opened at"""
RULES = {"light": [], "dark": ["color-contrast"]}
"""of axe; none are all. In dark nothing but colours differs"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with wide(tmp_path_factory.mktemp("network")) as url:
        yield url


def test_axe_finds_nothing_no_text_is_cut_or_over_another_and_no_page_scrolls_sideways(
    visit: Callable[..., Page],
) -> None:
    """By all rules of axe in light; in dark by those of colours, as nothing else differs."""
    page = visit("?lens=tokens", reduced_motion="reduce")
    page.evaluate(f"window.geometry = {GEOMETRY}")
    what_is_wrong_is_found(page)
    found = list[str]()
    page.get_by_role("button", name="Choose a picture").click()
    page.locator("#specimen-samples .html button").first.wait_for()
    for width, height in WIDTHS.items():
        page.set_viewport_size({"width": width, "height": height})
        found += [f"drawer at {width}: {words}" for words in page.evaluate("geometry.unreadable()")]
    page.get_by_role("button", name="Choose a picture").click()
    lenses = page.eval_on_selector_all("#tabs [data-lens]", "all => all.map(tab => tab.dataset.lens)")
    assert {"learn", "mixing.network"} < set(lenses)
    scheme: Literal["light", "dark"] = "light"
    for lens in lenses:
        open_lens(page, lens)
        settled(page)
        check(page, ".lens.open", *RULES[scheme])
        scheme = "light" if scheme == "dark" else "dark"  # each change draws all figures, so the next lens begins in it
        dye(page, scheme)
        check(page, ".lens.open", *RULES[scheme])
        for width, height in WIDTHS.items():
            page.set_viewport_size({"width": width, "height": height})
            found += [f"{lens} at {width}: {words}" for words in page.evaluate("geometry.unreadable()")]
            if width == min(WIDTHS):
                found += [f"{lens}, file: {words}" for words in page.evaluate("geometry.unreadableFiles()")]
            if width == max(WIDTHS):
                found += [f"{lens}, lecture: {words}" for words in page.evaluate("geometry.inLecture()")]
            if width == 1400:
                found += [f"{lens}, layout: {words}" for words in page.evaluate("geometry.uneven()")]
    assert not found


def test_with_a_selection_pinned_no_text_is_cut_or_over_another(visit: Callable[..., Page]) -> None:
    page = visit("?lens=tokens&pin=depth%3D1b%26sample%3D1", reduced_motion="reduce")
    page.evaluate(f"window.geometry = {GEOMETRY}")
    found = list[str]()
    for lens in ("tokens", "attribution", "whatif.ablation"):  # figures of all kinds
        open_lens(page, lens)
        settled(page)
        for width in (min(WIDTHS), 1400):
            page.set_viewport_size({"width": width, "height": WIDTHS[width]})
            found += [f"{lens} at {width}: {words}" for words in page.evaluate("geometry.unreadable()")]
    assert page.locator(".pinned .figure:not([hidden])").count() > 10
    assert not found


def what_is_wrong_is_found(page: Page) -> None:
    assert not page.evaluate("geometry.unreadable()")
    page.evaluate(
        """() => {
          const [first, second] = document.querySelectorAll("#tokens-votes .figure text"), copy = first.cloneNode(true);
          const place = second.getAttribute("transform");
          first.after(copy);
          second.setAttribute("transform", "translate(9999, 0)");
          window.asItWas = () => { copy.remove(); second.setAttribute("transform", place ?? ""); };
        }"""
    )
    found = page.evaluate("geometry.unreadable()")
    assert [" is cut" in words for words in found] == [True, False]
    assert " is over " in found[1]
    page.evaluate("asItWas()")
