"""What is in an address, and what a link loses or gains on its way."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from mixer import checkpoint
from mixer.model import Mixer
from tests.conftest import small_config
from viz.microscope import Microscope

CLIPBOARD = ["clipboard-read", "clipboard-write"]


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where an app is served whose network takes 96 x 64 pixels."""
    import app

    folder = tmp_path_factory.mktemp("network") / "wide"
    torch.manual_seed(0)
    checkpoint.save(folder, Mixer(replace(small_config(), image_size=(64, 96), patch_size=(16, 24))), {})
    networks = app.Networks(str(folder), app.LAUNCH)
    page = networks.build(Microscope.load(folder, torch.device("cpu")))
    _, url, _ = page.launch(
        prevent_thread_lock=True, quiet=True, app_kwargs={"routes": networks.routes}, **app.LAUNCH
    )
    yield url
    page.close()


def noise(folder: Path, *, sigma: float = 60) -> Path:
    pixels = np.random.default_rng(0).normal(128, sigma, (64, 96, 3)).clip(0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(folder / "own.png")
    return folder / "own.png"


def upload(page: Page, file: Path) -> None:
    page.get_by_role("button", name="Choose a picture").click()
    page.locator("#upload input[type=file]").set_input_files(file)
    page.wait_for_function("location.search.includes('picture=')", timeout=30_000)


def answers(page: Page) -> str:
    expect(page.locator("#words")).to_contain_text("any picture", timeout=30_000)
    return page.locator("#answer .answers").inner_text()


def copied(page: Page, button: str = "Copy link") -> str:
    page.get_by_role("button", name=button).first.click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    return page.evaluate("navigator.clipboard.readText()")


def test_an_own_picture_of_any_size_stays_on_reload_pinned_in_python_and_in_another_network(
    browser: Browser, wide: str, tmp_path: Path
) -> None:
    context = browser.new_context(permissions=CLIPBOARD)
    page = context.new_page()
    asked = list[str]()
    page.on("request", lambda request: asked.append(request.url) if request.url.startswith(wide) else None)
    page.goto(f"{wide}?lens=tokens")
    upload(page, noise(tmp_path))
    own = answers(page)
    page.get_by_role("button", name="Pin", exact=True).click()
    page.wait_for_function("location.search.includes('pin=')")
    page.locator("#option-position").fill("3")
    page.locator("#patch").select_option("1,1")
    page.wait_for_function("location.search.includes('patch=')")
    page.reload()
    assert answers(page) == own
    expect(page.locator("#pin")).to_contain_text("own picture")
    program = copied(page, "Copy as Python")
    shown: dict = {}
    exec(program.replace("view(scope", "shown = view(scope"), shown)
    assert shown["shown"].selection.picture == np.asarray(Image.open(tmp_path / "own.png")).tobytes()
    assert max(map(len, asked)) < 400
    link = copied(page)
    assert "#" not in link, "20 kB are too much for a chat"
    expect(page.locator("#status .said")).to_contain_text("too large for a link")
    page.locator("#network select").select_option("networks/seed/")
    page.wait_for_url("**/networks/seed/**", timeout=60_000)
    assert answers(page)
    assert page.locator("#status .said").inner_text() == ""
    elsewhere = browser.new_context().new_page()
    elsewhere.goto(link)
    expect(elsewhere.locator("#status .said")).to_have_text(
        "The picture of this link is not in it: choose it here again.", timeout=30_000
    )
    expect(elsewhere.locator("#patch")).to_have_value("1,1")
    context.close()
    elsewhere.context.close()
