"""The time from an action to the screen: the app as users start it, in Chromium."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Locator, Page

from bench.measure import Ratio, Timing, spread
from bench.server import served
from tools.chromium import chromium

SCRIPT = Path(__file__).with_name("browser.js").read_text(encoding="utf-8")
BYTES_BEFORE = 452e3
"""bytes sent for a click on a patch before views became values"""
LATENCY = 0.1
LINE = {"offline": False, "latency": 1000 * LATENCY, "downloadThroughput": 10e6 / 8, "uploadThroughput": 10e6 / 8}
"""a slow connection: 100 ms for each round trip, 10 Mbit/s"""


@dataclass
class Clicks:
    """Measurements of several clicks."""

    seconds: list[float] = field(default_factory=list)
    received: list[int] = field(default_factory=list)
    """bytes before compression"""
    views: set[str] = field(default_factory=set)
    """views that changed"""


def visiting(rounds: int = 15) -> Iterator[Ratio]:
    """The times until the screen shows the result of opening the page, selecting a sample, and selecting a patch.

    rounds: number of each, after an uncounted one
    """
    with served() as (url, _), chromium() as browser:
        first, *later = [_visit(browser, url) for _ in range(1 + rounds)]
        sample, patch = _clicks(browser, url, rounds)
        far_sample, far_patch = _clicks(browser, url, rounds, far=True)
    visits, samples, patches = map(Timing.of, (later, sample.seconds, patch.seconds))
    note = f"{visits.median:.2f} s; {spread([visits])}; {first:.2f} s for the first visitor of a server"
    yield Ratio("URL entered -> first figures on screen, against 2 s", visits.median / 2, 1, False, note)
    note = f"{patches.median:.3f} s, {len(patch.views)} views; {spread([patches])}"
    yield Ratio("click on a patch -> last view on screen, against 0.25 s", patches.median / 0.25, 1, False, note)
    note = f"{samples.median:.3f} s, {len(sample.views)} views; {spread([samples])}"
    yield Ratio("sample selected -> first lens on screen, against 0.3 s", samples.median / 0.3, 1, False, note)
    for name, far in (("click on a patch -> last view", far_patch), ("sample selected -> first lens", far_sample)):
        times, goal = Timing.of(far.seconds), 0.25 + LATENCY
        note = f"{times.median:.3f} s; {spread([times])}"
        yield Ratio(f"{name} on screen, slow connection, against {goal:g} s", times.median / goal, 1, False, note)
    most = max(patch.received)
    name = f"bytes sent for a click on a patch, against {BYTES_BEFORE / 1e3:g} kB"
    yield Ratio(name, most / BYTES_BEFORE, 0.5, False, f"{most / 1e3:.0f} kB, the maximum of {rounds} clicks")


def _visit(browser: Browser, url: str) -> float:
    """Seconds from the URL to the figures of the first lens, with an empty cache."""
    with _page(browser, url) as page:
        seconds: float = page.evaluate("bench.opened") / 1000
        page.wait_for_function("bench.settled()")
    return seconds


def _clicks(browser: Browser, url: str, rounds: int, far: bool = False) -> tuple[Clicks, Clicks]:
    """Clicks on samples in the first lens, and on patches in the lens Patch tokens. far: over a slow `LINE`"""
    with _page(browser, url) as page:
        page.evaluate("bench.opened")
        page.get_by_role("button", name="Choose a picture").click()
        buttons = page.locator("#specimen-samples [data-words]")
        sample = _each(page, [buttons.nth(1 + i % (buttons.count() - 1)) for i in range(1 + rounds)], far)
        page.get_by_role("tab", name="Patch tokens").click()
        page.wait_for_function("document.querySelector('#tokens-neighbours li') && bench.settled()", timeout=120_000)
        buttons = page.locator('#picker button[aria-pressed="false"]')
        patch = _each(page, [buttons.nth(7 * i % buttons.count()) for i in range(1 + rounds)], far)
    return sample, patch


def _each(page: Page, buttons: list[Locator], far: bool) -> Clicks:
    """Click the buttons one after the other, each after the previous result is on the screen."""
    clicks, received, inline = Clicks(), 0, set[str]()

    def ask(event: dict[str, Any]) -> None:
        if event["request"]["url"].startswith("data:"):  # part of another response
            inline.add(event["requestId"])

    def note(event: dict[str, Any]) -> None:
        nonlocal received
        received += event["dataLength"] if event["requestId"] not in inline else 0

    network = page.context.new_cdp_session(page)
    network.on("Network.requestWillBeSent", ask)
    network.on("Network.dataReceived", note)
    network.send("Network.enable")
    if far:
        network.send("Network.emulateNetworkConditions", LINE)
    for turn, button in enumerate(buttons):
        page.evaluate("bench.watch()")
        received = 0
        button.click()
        found = page.evaluate("bench.repainted()")
        if turn:  # the first does not count
            clicks.seconds.append(found["seconds"])
            clicks.received.append(received)
            clicks.views |= set(found["views"])
    network.detach()
    return clicks


@contextmanager
def _page(browser: Browser, url: str) -> Iterator[Page]:
    """The page for a new visitor, with a desktop window."""
    with browser.new_context(viewport={"width": 1400, "height": 900}) as context:
        page = context.new_page()
        page.add_init_script(SCRIPT)
        page.goto(url, wait_until="commit")
        yield page
