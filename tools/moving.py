"""Record the animation at the top of the README, a visitor of the page: `python -m tools.moving`."""

import time
from collections.abc import Callable, Iterator
from io import BytesIO

from PIL import Image
from playwright.sync_api import Locator, Page

from mixer.errors import readable_errors
from tools.screenshots import FOLDER, SAMPLE, NoPicture, served, wait

SIZE = {"width": 1200, "height": 780}
MAX_BYTES = 5_000_000
LOOK, READ, AIM = 1500, 2800, 700
"""milliseconds to see a change, to read a new text, and to see the pointer"""
POINTER = """([x, y]) => {
  const pointer = document.getElementById("pointer") ?? document.body.appendChild(Object.assign(
    document.createElement("div"), {id: "pointer", innerHTML:
    '<svg width=28 height=36><path d="M2 2v26l7-6 5 12 5-2-5-12h9z" stroke="white" stroke-width=2 /></svg>'}));
  pointer.style.cssText = `position: fixed; z-index: 99; pointer-events: none; left: ${x}px; top: ${y}px`;
}"""

Frame = tuple[Image.Image, int]
"""a screenshot, and its duration in milliseconds"""


def work(page: Page) -> Iterator[Frame]:
    """The frames of the visitor's actions."""
    yield frame(page, READ)
    stage = page.locator(".stage")
    play = stage.locator("[data-do=play]")
    play.click()
    yield from film(page, lambda: play.inner_text() != "Play")
    yield from press(page, stage.get_by_role("button", name="Show the sum of 4a"), hold=READ)
    yield from press(page, stage.get_by_role("button", name="Close"))
    yield from press(page, page.get_by_role("tab", name="Patch tokens"))
    yield from press(page, page.get_by_role("tab", name="Attribution"), hold=READ + LOOK)


def film(page: Page, going: Callable[[], bool]) -> Iterator[Frame]:
    """Frames at the fastest rate of screenshots, while the animation runs."""
    while going():
        began = time.monotonic()
        picture, _ = frame(page, 0)
        yield picture, round(1000 * (time.monotonic() - began))


def press(page: Page, control: Locator, hold: int = LOOK) -> Iterator[Frame]:
    """Frames of a click on a control, in its middle."""
    control.scroll_into_view_if_needed()
    box = control.bounding_box()
    if box is None:
        raise NoPicture(f"{control} is not on the page")
    yield from click(page, box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, hold)


def click(page: Page, x: float, y: float, hold: int = LOOK) -> Iterator[Frame]:
    page.mouse.move(x, y)
    page.evaluate(POINTER, [x, y])
    page.wait_for_timeout(100)  # plotly needs a hover before a click
    yield frame(page, AIM)
    page.mouse.click(x, y)
    wait(page)
    yield frame(page, hold)


def frame(page: Page, hold: int) -> Frame:
    return Image.open(BytesIO(page.screenshot())).convert("RGB"), hold


def main() -> None:
    with served() as (browser, url):
        page = browser.new_page(viewport=SIZE)  # type: ignore[arg-type]
        page.goto(f"{url}{SAMPLE}&depth=4a")
        wait(page)
        pictures, holds = zip(*work(page), strict=True)
    file = BytesIO()
    first, *others = pictures
    first.save(file, "WEBP", save_all=True, append_images=others, duration=holds, loop=0, quality=70, method=6)
    if file.tell() > MAX_BYTES:
        raise NoPicture(f"the animation has {file.tell():,} bytes; the limit is {MAX_BYTES:,}")
    (FOLDER / "moving.webp").write_bytes(file.getvalue())
    print(f"{FOLDER / 'moving.webp'}: {len(pictures)} frames, {file.tell():,} bytes")


if __name__ == "__main__":
    with readable_errors():
        main()
