"""The report as a visitor gets it, opened on its own in a real Chromium; and a page of somebody's own photos."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import FAMILIES, OWN


@pytest.fixture
def saved(visit: Callable[..., Page], tmp_path: Path) -> Path:
    page = visit("?patch=2,3&depth=3b&lens=tokens")
    with page.expect_download(timeout=60_000) as download:
        page.get_by_role("button", name="Report").click()
        page.get_by_role("button", name="Of this picture").click()
    expect(page.get_by_role("button", name="Report")).to_have_text("Report")
    assert download.value.suggested_filename == "airplane-3_report.html"
    download.value.save_as(tmp_path / "report.html")
    return tmp_path / "report.html"


def test_a_report_stands_on_its_own_at_any_width(saved: Path, browser: Browser) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 900}, offline=True)
    page, errors = context.new_page(), list[str]()
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: errors.append(request.url) if request.url.startswith("http") else None)
    page.goto(saved.as_uri(), timeout=120_000)
    figures = page.locator(".view .figure")
    expect(page.locator("body")).to_have_attribute("data-drawn", "all", timeout=120_000)
    assert figures.count() > 10
    empty = "all => all.filter(each => !each.querySelector('.main-svg').childElementCount).length"
    assert figures.evaluate_all(empty) == 0
    assert page.evaluate(FAMILIES) == [OWN]
    loaded = "document.fonts.ready.then(fonts => [...fonts].filter(font => font.status === 'loaded').length)"
    assert page.evaluate(loaded) > 1, "the file brings its fonts, regular and bold"
    expect(page.get_by_role("cell", name="(2, 3)", exact=True)).to_be_visible()
    expect(page.get_by_role("cell", name="3b", exact=True)).to_be_visible()
    with page.expect_download() as numbers:
        page.get_by_role("link", name="All numbers (CSV)").first.click()
    assert numbers.value.path().read_text(encoding="utf-8").startswith("# view:")
    for width in (390, 1400):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert 3 < len(re.findall(rb"/Type\s*/Page\b", page.pdf(prefer_css_page_size=True))) <= 12
    context.close()
    assert not errors
