"""Take the screenshots of the README: `python -m tools.screenshots`."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import torch
import tyro
from PIL import Image
from playwright.sync_api import Browser, Page

import app
from mixer.errors import readable_errors, without_proxies
from tools.chromium import chromium
from viz.microscope import Microscope

FOLDER = Path(__file__).parent.parent / "docs"
MAX_BYTES = 200_000
COLOURS = (256, 128, 64, 32)
"""numbers of colours for a large screenshot, tried in this order"""
TIMEOUT = 300
"""seconds for all measurements of a page"""
QUIET = 1.0
"""seconds without drawing or measuring after which a page is finished"""
BUSY = """() => document.querySelector("#status .wait:not([hidden])")
    || [...document.querySelectorAll(".view[aria-busy=true]")].some(view => view.checkVisibility())
    || !document.querySelector(
        ".lens.open :is(.js-plotly-plot .plot-container, .html:not(:empty), .measure:not(:empty))")"""


@dataclass(frozen=True)
class Shot:
    """A screenshot of the page."""

    link: str
    """link with the selection and the open lens"""
    width: int = 1400
    height: int = 1100
    scheme: str = "light"


SAMPLE = "?sample=43"
SHOTS = {
    "overview": Shot(f"{SAMPLE}&depth=4a", height=1500),
    "tokens": Shot(f"{SAMPLE}&depth=4b&lens=tokens"),
    "mixing": Shot(f"{SAMPLE}&depth=4a&lens=mixing.units"),
    "attribution": Shot(f"{SAMPLE}&lens=attribution"),
    "doubt": Shot(f"{SAMPLE}&lens=doubt"),
    "whatif": Shot(f"{SAMPLE}&lens=whatif.edit&edits=mean:3,1-3,2;swap:0,1-6,2"),
    "pin": Shot(f"{SAMPLE}&depth=6b&lens=tokens&pin=sample%3D43%26depth%3D1b", height=1400),
    "model": Shot(f"{SAMPLE}&lens=model"),
    "dark": Shot(f"{SAMPLE}&lens=attribution", scheme="dark"),
    "phone": Shot(SAMPLE, width=390, height=844),
}


class NoPicture(ValueError):
    """A screenshot failed. The message has the reason."""


def take(browser: Browser, url: str, shot: Shot) -> bytes:
    """A screenshot as PNG after the page is drawn. Raises NoPicture if that takes too long."""
    size: dict[str, int] = {"width": shot.width, "height": shot.height}
    context = browser.new_context(viewport=size, color_scheme=shot.scheme)  # type: ignore[arg-type]
    try:
        page = context.new_page()
        page.goto(f"{url}{shot.link}")
        wait(page)
        return small(page.screenshot())
    finally:
        context.close()


def wait(page: Page) -> None:
    """Wait until the page has been quiet for `QUIET` seconds: it is also quiet for a moment between measurements."""
    until, quiet_since = time.monotonic() + TIMEOUT, time.monotonic()
    while time.monotonic() - quiet_since < QUIET:
        if time.monotonic() > until:
            raise NoPicture(f"{page.url} is not finished after {TIMEOUT} s: try again on a quiet machine")
        page.wait_for_timeout(100)
        if page.evaluate(BUSY):
            quiet_since = time.monotonic()


def small(png: bytes) -> bytes:
    """The picture in at most `MAX_BYTES`, with fewer colours if necessary. Raises NoPicture if that is not enough."""
    image = Image.open(BytesIO(png)).convert("RGB")
    for fewer in (image, *(image.quantize(colours) for colours in COLOURS)):
        file = BytesIO()
        fewer.save(file, "PNG", optimize=True)
        if file.tell() <= MAX_BYTES:
            return file.getvalue()
    raise NoPicture(f"a screenshot has {file.tell():,} bytes in {COLOURS[-1]} colours; the limit is {MAX_BYTES:,}")


def main(names: tyro.conf.Positional[tuple[str, ...]] = ()) -> None:
    """Serve the shipped network and take screenshots of its page in Chromium (some minutes on two cores).

    Args:
        names: which screenshots; default: all. Each replaces docs/NAME.png
    """
    wrong = [name for name in names if name not in SHOTS]
    if wrong:
        raise NoPicture(f"the name must be one of {', '.join(SHOTS)}, not {wrong[0]}")
    with served() as (browser, url):
        for name in names or SHOTS:
            picture = take(browser, url, SHOTS[name])
            (FOLDER / f"{name}.png").write_bytes(picture)
            print(f"{FOLDER / name}.png: {len(picture):,} bytes", flush=True)


@contextmanager
def served() -> Iterator[tuple[Browser, str]]:
    """A browser, and the URL of the page with the shipped network."""
    scope = Microscope.load(device=torch.device("cpu"))
    page = app.build(app.Networks(scope.source, scope))
    with without_proxies():
        _, url, _ = page.launch(prevent_thread_lock=True, quiet=True, **app.LAUNCH)
    with chromium() as browser:
        yield browser, url
    page.close()


if __name__ == "__main__":
    with readable_errors():
        tyro.cli(main)
