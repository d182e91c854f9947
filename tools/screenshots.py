"""Take the pictures of the page that the README shows: `python -m tools.screenshots`."""

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
"""tried in turn where a picture is not small enough as it is"""
PATIENCE = 300
"""seconds that a page may take to measure all that it shows"""
QUIET = 1.0
"""seconds without anything that is drawn or measured, after which it is finished"""
BUSY = """() => document.querySelector("#status .wait:not([hidden])")
    || [...document.querySelectorAll(".view[aria-busy=true]")].some(view => view.checkVisibility())
    || !document.querySelector(".lens.open .js-plotly-plot .plot-container, .lens.open .html:not(:empty)")"""


@dataclass(frozen=True)
class Shot:
    """A picture of the page."""

    link: str
    """as on the page: which lens is open, and what is looked at"""
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
    """A picture could not be taken; the message says why."""


def take(browser: Browser, url: str, shot: Shot) -> bytes:
    """The picture as PNG, once all that the page shows is drawn. Raises NoPicture where that takes too long."""
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
    """Until the page has been quiet for a while: between two measurements it is, for a moment."""
    until, quiet_since = time.monotonic() + PATIENCE, time.monotonic()
    while time.monotonic() - quiet_since < QUIET:
        if time.monotonic() > until:
            raise NoPicture(f"{page.url} is not finished after {PATIENCE} s: try again on a quiet machine")
        page.wait_for_timeout(100)
        if page.evaluate(BUSY):
            quiet_since = time.monotonic()


def small(png: bytes) -> bytes:
    """The same picture, where it is large in as few colours as it takes. Raises NoPicture if none are few enough."""
    image = Image.open(BytesIO(png)).convert("RGB")
    for fewer in (image, *(image.quantize(colours) for colours in COLOURS)):
        file = BytesIO()
        fewer.save(file, "PNG", optimize=True)
        if file.tell() <= MAX_BYTES:
            return file.getvalue()
    raise NoPicture(f"a picture has {file.tell():,} bytes in {COLOURS[-1]} colours; {MAX_BYTES:,} are allowed")


def main(names: tyro.conf.Positional[tuple[str, ...]] = ()) -> None:
    """Serve the shipped network, and take pictures of its page in Chromium (some minutes on two cores).

    Args:
        names: which pictures; without any, all. Each takes the place of docs/NAME.png
    """
    wrong = [name for name in names if name not in SHOTS]
    if wrong:
        raise NoPicture(f"there is no picture {wrong[0]}: there are {', '.join(SHOTS)}")
    with served() as (browser, url):
        for name in names or SHOTS:
            picture = take(browser, url, SHOTS[name])
            (FOLDER / f"{name}.png").write_bytes(picture)
            print(f"{FOLDER / name}.png: {len(picture):,} bytes", flush=True)


@contextmanager
def served() -> Iterator[tuple[Browser, str]]:
    """A browser, and the address of the shipped network's page."""
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
