"""Texts can be read: on the page at four widths, and in the files of its figures."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import open_lens, settled
from tests.browser.served import wide
from tests.browser.test_everybody import LENSES

GEOMETRY = Path(__file__).with_name("geometry.js").read_text("utf-8")
WIDTHS = {1920: 1080, 1400: 900, 1024: 768, 390: 844}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with wide(tmp_path_factory.mktemp("network")) as url:
        yield url


def test_no_text_is_cut_or_over_another_nor_does_the_page_scroll_sideways(visit: Callable[..., Page]) -> None:
    page = visit("?lens=tokens", reduced_motion="reduce")
    page.evaluate(f"window.geometry = {GEOMETRY}")
    assert not page.evaluate("geometry.unreadable()")
    page.evaluate(
        """() => {
          const [first, second] = document.querySelectorAll("#tokens-votes .figure text");
          first.after(first.cloneNode(true));
          second.setAttribute("transform", "translate(9999, 0)");
        }"""
    )
    found = page.evaluate("geometry.unreadable()")
    assert [" is cut" in words for words in found] == [True, False]  # what is wrong is found
    assert " is over " in found[1]
    page.reload()
    page.evaluate(f"window.geometry = {GEOMETRY}")
    found = list[str]()
    for lens in LENSES:
        open_lens(page, lens)
        settled(page)
        for width, height in WIDTHS.items():
            page.set_viewport_size({"width": width, "height": height})
            found += [f"{lens} at {width}: {words}" for words in page.evaluate("geometry.unreadable()")]
        found += [f"{lens}, file: {words}" for words in page.evaluate("geometry.unreadableFiles()")]
        page.set_viewport_size({"width": 1400, "height": 900})
    assert not found
