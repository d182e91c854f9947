"""A real Chromium, and visitors who open the page of a thin network in it: where numbers do not matter, it is quick."""

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from playwright.sync_api import Browser, Error, Locator, Page, expect

from tests.served import served
from tests.thin import thin
from tools.chromium import chromium
from viz.microscope import Microscope

DESKTOP = {"viewport": {"width": 1400, "height": 900}, "permissions": ["clipboard-read", "clipboard-write"]}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
FAMILIES = """() => [...new Set([...document.querySelectorAll("body *")]
    .filter(one => !one.closest("script, style, noscript, code, math") &&
      [...one.childNodes].some(node => node.nodeType === Node.TEXT_NODE && node.data.trim()))
    .map(one => getComputedStyle(one).fontFamily.split(",")[0]))]"""
"""the fonts of all texts of a page, also of those that are not seen yet"""
OWN = '"IBM Plex Sans"'
STILL = r"""
const next = window.requestAnimationFrame;
const LOADING = /^\(\)=>\{\w+\(\w+,\(performance\.now\(\)-\w+\(\w+\)\)\/1e3\),\w+&&\w+\(\)\}$/;
window.requestAnimationFrame = draw => LOADING.test(draw) ? 0 : next(draw);
"""
"""Gradio's loading screen goes on asking for frames when it is gone (6.31): 12 % of a core for each open window"""


@pytest.fixture(scope="package")
def scope(tmp_path_factory: pytest.TempPathFactory) -> Microscope:
    return thin(tmp_path_factory.mktemp("thin") / "thin")


@pytest.fixture(scope="package")
def url(scope: Microscope) -> Iterator[str]:
    with served(scope) as url:
        yield url


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="package")
def windows(browser: Browser) -> dict[str, Page]:
    """One with a mouse, one to touch. Tests visit in them one after the other, as scripts stay in the cache."""
    return {}


@pytest.fixture
def visit(browser: Browser, windows: dict[str, Page], url: str) -> Iterator[Callable[..., Page]]:
    """Opens a link, or an address elsewhere, in a window with such settings, at desktop width without; the second time
    in a test as another visitor. What goes wrong in the browser fails the test."""
    contexts, errors, taken = [], list[str](), set[Page]()

    def note(error: Error) -> None:
        errors.append(str(error))

    def new(settings: dict[str, Any]) -> Page:
        page = browser.new_context(**DESKTOP | settings).new_page()
        page.add_init_script(STILL)
        return page

    def open_page(link: str = "", load: bool = False, **settings: Any) -> Page:
        size = settings.pop("viewport", DESKTOP["viewport"])
        looks = {name: settings.pop(name, "null") for name in ("color_scheme", "reduced_motion", "forced_colors")}
        name = repr(sorted(settings.items()))
        if name not in windows:
            windows[name] = new(settings)
        page = windows[name]
        if page in taken:
            page = new(settings)
            contexts.append(page.context)
        taken.add(page)
        page.set_viewport_size(size)
        page.emulate_media(**looks)
        page.on("pageerror", note)
        there, wanted = urlsplit(page.url), urlsplit(urljoin(url, link))
        if load or there[:3] != wanted[:3] or there.query == wanted.query:
            page.goto(wanted.geturl())
        else:
            follow(page, wanted.geturl())
        until(page, ".lens.open .view :is(.js-plotly-plot, .html:not(:empty))")  # it follows the answer to the link
        return page

    yield open_page
    for page in taken & {*windows.values()}:
        page.remove_listener("pageerror", note)
        page.unroute_all()
        page.evaluate("localStorage.clear(); sessionStorage.clear()")
    for context in contexts:
        context.close()
    assert not errors


def follow(page: Page, address: str) -> None:
    """As the browser's Back does it: the link is followed on the page that is there, which need not be loaded again."""
    with page.expect_response(re.compile("component_server")):
        page.evaluate(
            """address => {
                for (const one of document.querySelectorAll(":popover-open")) one.hidePopover();
                for (const one of document.querySelectorAll("dialog[open]")) one.close();
                document.querySelector(".view.lecture [data-do=large], #drawer .label-wrap.open")?.click();
                document.activeElement.blur();
                scrollTo(0, 0);
                history.replaceState(null, "", address);
                dispatchEvent(new PopStateEvent("popstate"));
            }""",
            address,
        )
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def open_lens(page: Page, lens: str) -> None:
    """By its tabs, where another one is open."""
    group = page.locator(f'#tabs [data-group="{lens.split(".")[0]}"]')
    if group.count():
        group.click()
    page.locator(f'#tabs [data-lens="{lens}"]').click()
    expect(page.locator(f"#lens-{lens.replace('.', '-')}.open")).to_be_visible()


def settled(page: Page) -> None:
    """All views of the open lens show what they are going to show."""
    until(page, """.lens.open:not(:has(.view:not([aria-busy="false"]))), #status .wait[hidden]""", 2)


def until(page: Page, selector: str, count: int = 1) -> None:
    """So many elements are there. Chromium finds them in microseconds; a locator reads all of the page at each look."""
    page.wait_for_function(
        "([selector, count]) => document.querySelectorAll(selector).length >= count",
        arg=[selector, count],
        timeout=60_000,
    )


def press(view: Locator, name: str) -> None:
    """A button of a view's menu."""
    view.get_by_role("button", name="Save, copy, link").click()
    view.get_by_role("button", name=name).click()


@pytest.fixture
def page(visit: Callable[..., Page]) -> Page:
    return visit()
