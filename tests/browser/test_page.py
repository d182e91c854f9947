"""The page in a real Chromium, as a visitor uses it."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from mixer.data import CLASSES
from viz.microscope import Microscope

OFFLINE = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    installed = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=installed, args=OFFLINE)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, url: str) -> Iterator[Page]:
    """A fresh visit, at desktop width; whatever goes wrong in the browser fails the test."""
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    page, errors = context.new_page(), []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(url)
    expect(page.locator("#overview-lens .js-plotly-plot")).to_be_visible(timeout=30_000)
    yield page
    context.close()
    assert not errors


def answer(page: Page) -> str:
    return page.locator("#answer h2, #answer .output-class").first.inner_text().strip()


def chosen_patch(page: Page) -> str:
    return page.locator('#picker button[aria-pressed="true"]').get_attribute("aria-label") or ""


def test_it_opens_on_a_classified_sample_with_the_first_lens_filled(page: Page, scope: Microscope) -> None:
    assert answer(page) == scope.classes[scope.sample_answers()[0]]
    expect(page.locator("#words")).to_contain_text("Test image 3, labelled airplane")
    expect(page.locator("#overview-votes .js-plotly-plot")).to_be_visible()
    expect(page.locator("#header")).to_contain_text(f"{scope.metrics['accuracy']:.2%}")


def test_choosing_a_sample_classifies_it(page: Page, scope: Microscope) -> None:
    page.locator("#samples button.thumbnail-item, #samples .thumbnail-item").nth(7).click()  # the second cat
    expect(page.locator("#words")).to_contain_text("labelled cat")
    assert answer(page) == scope.classes[scope.sample_answers()[61]]


def test_a_patch_is_chosen_by_mouse_by_keyboard_and_from_the_list(page: Page) -> None:
    page.locator('#picker button[data-patch="5"]').click()
    expect(page.locator('#picker button[data-patch="5"]')).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#patch input")).to_have_value("(1, 1)")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    expect(page.locator('#picker button[data-patch="8"]')).to_have_attribute("aria-pressed", "true")
    assert chosen_patch(page) == "patch (2, 0)"
    page.locator("#patch input").click()
    page.get_by_role("option", name="(7, 3)").click()
    expect(page.locator('#picker button[data-patch="31"]')).to_have_attribute("aria-pressed", "true")


def test_the_class_asked_about_can_be_changed(page: Page) -> None:
    page.locator("#target input").click()
    page.get_by_role("option", name="truck").click()
    expect(page.locator("#overview-votes .js-plotly-plot")).to_contain_text("logit for truck")
    expect(page.locator("#overview-lens .js-plotly-plot")).to_contain_text("truck")


def test_a_photo_is_classified_and_a_text_file_is_refused_in_words(page: Page, tmp_path: Path) -> None:
    Image.new("RGB", (640, 480), (20, 90, 200)).save(tmp_path / "photo.jpg")
    page.get_by_role("tab", name="Your picture").click()
    page.locator("#upload input[type=file]").set_input_files(tmp_path / "photo.jpg")
    expect(page.locator("#words")).to_contain_text("gives one of them to any picture", timeout=15_000)
    before = answer(page)
    (tmp_path / "text.jpg").write_text("I am no picture")
    page.get_by_role("button", name=re.compile("clear|remove", re.IGNORECASE)).first.click()
    page.locator("#upload input[type=file]").set_input_files(tmp_path / "text.jpg")
    expect(page.get_by_text("no picture that can be read")).to_be_visible(timeout=15_000)
    assert answer(page) == before


def test_the_numbers_of_a_figure_can_be_saved(page: Page) -> None:
    with page.expect_download() as download:
        page.locator(".view", has=page.locator("#overview-lens")).get_by_role("button", name="Numbers").click()
    lines = download.value.path().read_text().splitlines()
    assert lines[0] == '"series","x","y","value","label"'
    assert len(lines) == 1 + 25 * 10
    assert {line.split(",")[0].strip('"') for line in lines[1:]} == set(CLASSES)


def test_an_attribution_is_shown_with_its_sum_and_doubted(page: Page) -> None:
    page.get_by_role("tab", name="Attribution").click()
    expect(page.locator("#attribution-maps .js-plotly-plot")).to_be_visible(timeout=30_000)
    expect(page.locator("#attribution-table")).to_contain_text("Patch ablation")
    page.locator('#attribution-methods input[name="Saliency"]').check()
    expect(page.locator("#attribution-maps .js-plotly-plot")).to_contain_text("Saliency (unsigned)", timeout=30_000)
    page.locator('#picker button[data-patch="5"]').click()
    expect(page.locator("#attribution-table")).to_contain_text("patch (1, 1)", timeout=30_000)

    page.get_by_role("tab", name="Doubt").click()
    expect(page.locator("#doubt-deletion .js-plotly-plot")).to_be_visible(timeout=60_000)
    expect(page.locator("#doubt-wait")).to_contain_text("remembered", timeout=60_000)
    expect(page.locator("#doubt-verdict")).to_contain_text("not measured yet")
    page.locator("#doubt-start").click()
    expect(page.locator("#doubt-randomisation .js-plotly-plot")).to_be_visible(timeout=120_000)
    expect(page.locator("#doubt-verdict")).to_contain_text("of 5 rules")


def test_a_long_explanation_can_be_cancelled_and_is_given_up_for_another_picture(page: Page) -> None:
    page.get_by_role("tab", name="Attribution").click()
    expect(page.locator("#attribution-maps .js-plotly-plot")).to_be_visible(timeout=30_000)
    shapley = page.locator('#attribution-methods input[name="Shapley values"]')
    shapley.check()
    expect(page.locator("#attribution-wait progress")).to_be_visible()
    expect(page.locator("#attribution-wait")).to_contain_text("of 622 samples")
    page.locator("#samples .thumbnail-item").nth(7).click()
    expect(page.locator("#attribution-wait")).to_contain_text("of 669 samples", timeout=15_000)
    page.locator("#attribution-cancel").click()
    expect(page.locator("#attribution-wait")).to_contain_text("Cancelled")
    expect(page.locator("#attribution-cancel")).to_be_hidden()
    shapley.uncheck()
    expect(page.locator("#attribution-maps .js-plotly-plot")).to_contain_text("logit for cat", timeout=15_000)


def test_patch_tokens_and_token_mixing_open(page: Page) -> None:
    page.get_by_role("tab", name="Patch tokens").click()
    expect(page.locator("#tokens-lens .js-plotly-plot")).to_be_visible(timeout=30_000)
    expect(page.locator("#tokens-neighbours li")).to_have_count(12, timeout=60_000)
    page.get_by_role("tab", name="Token mixing").click()
    expect(page.locator("#mixing-units .js-plotly-plot")).to_be_visible(timeout=30_000)
    page.get_by_role("tab", name="Shuffle").click()
    expect(page.locator("#mixing-shuffle-words")).to_contain_text("which is rounding", timeout=30_000)


def test_the_model_lens_shows_the_figures_of_the_checkpoint(page: Page, scope: Microscope) -> None:
    page.get_by_role("tab", name="Model").click()
    expect(page.locator("#model-confusion .js-plotly-plot")).to_be_visible(timeout=15_000)
    expect(
        page.get_by_text(f"{scope.metrics['accuracy']:.2%} of {scope.metrics['images']:,} test images")
    ).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_it_without_scrolling_sideways(browser: Browser, url: str, scheme: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme=scheme)
    page = context.new_page()
    page.goto(url)
    expect(page.locator("#overview-lens .js-plotly-plot")).to_be_visible(timeout=30_000)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()
