"""The page in a real Chromium, as a visitor uses it."""

import json
import re
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote

import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, Route, expect
from torch.utils.hooks import RemovableHandle

from tests.browser.conftest import OWN, PHONE, open_lens, press, settled
from viz import pace
from viz.microscope import Microscope


def answer(page: Page) -> str:
    return page.locator("#answer h2").inner_text().strip()


def figure(page: Page, view: str) -> Locator:
    """Brought into sight, as it is drawn only there."""
    page.locator(f"#{view}").scroll_into_view_if_needed()
    return page.locator(f"#{view} .js-plotly-plot")


def point_at(page: Page, view: str, x: float, y: float) -> tuple[float, float]:
    """Put the pointer on a place of a figure, in the coordinates of its axes; where that is on the page."""
    plot = figure(page, view)
    plot.scroll_into_view_if_needed()
    place = plot.evaluate(
        """(plot, [x, y]) => {
          const {xaxis, yaxis} = plot._fullLayout, box = plot.getBoundingClientRect();
          const at = (axis, value) => axis._offset + axis.d2p(value);
          return [box.left + at(xaxis, x), box.top + at(yaxis, y)];
        }""",
        [x, y],
    )
    page.mouse.move(*place)
    page.wait_for_timeout(80)
    return place


def click_cell(page: Page, view: str, x: float, y: float) -> None:
    page.mouse.click(*point_at(page, view, x, y))  # plotly clicks on what it hovers over


def test_the_patch_that_the_pointer_is_at_is_marked_in_the_picture(visit: Callable[..., Page]) -> None:
    page = visit("?lens=tokens&similar=pairs")
    settled(page)  # the list of nearest tokens, which grows, moves what is below it
    marked = page.locator("#picker .pointed")
    point_at(page, "tokens-votes", 30, 13)  # column 3, row 3 of patches of 8 x 4 pixels
    expect(marked).to_have_attribute("data-place", "(3, 3)")
    label = page.locator("#tokens-votes .hoverlayer text").first
    assert label.evaluate("text => getComputedStyle(text).fontFamily").split(",")[0] == OWN
    point_at(page, "tokens-similarity", 20, 6)
    expect(marked).to_have_attribute("data-place", "(1, 2)")
    page.mouse.move(5, 5)
    expect(marked).to_have_count(0)


def test_it_opens_on_a_classified_sample_with_the_first_lens_filled(page: Page, scope: Microscope) -> None:
    assert answer(page) == scope.classes[scope.answer(scope.sample_picture(0))]
    expect(page.locator("#words")).to_contain_text("Test image 3 of CIFAR-10, labelled airplane")
    expect(figure(page, "how-lens")).to_be_visible()
    expect(page.locator("#header")).to_contain_text(f"{scope.metrics['accuracy']:.2%}")
    assert page.evaluate("location.search") == ""


def test_choosing_a_sample_classifies_it(visit: Callable[..., Page], scope: Microscope) -> None:
    page = visit("?lens=tokens")
    page.get_by_role("button", name="Choose a picture").click()
    page.locator('#specimen-samples [data-words="sample=61"]').click()
    expect(page.locator("#words")).to_contain_text("labelled cat")
    assert answer(page) == scope.classes[scope.answer(scope.sample_picture(61))]
    expect(figure(page, "tokens-votes")).to_contain_text(f"logit for {answer(page)}")


def test_a_patch_is_chosen_by_mouse_by_keyboard_and_from_the_list(page: Page) -> None:
    chosen = page.locator('#picker button[aria-pressed="true"]')
    page.locator('#picker button[data-patch="5"]').click()
    expect(chosen).to_have_attribute("aria-label", "patch (1, 1)")
    expect(page.locator("#patch")).to_have_value("1,1")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    expect(chosen).to_have_attribute("data-patch", "8")
    assert page.evaluate("document.activeElement.dataset.patch") == "8"  # and goes on from there
    page.locator("#patch").focus()
    page.locator("#patch").select_option("7,3")
    expect(chosen).to_have_attribute("data-patch", "31")
    assert page.evaluate("document.activeElement.id") == "patch"


def test_a_class_is_asked_about_from_the_list_and_by_a_row_of_the_answer(visit: Callable[..., Page]) -> None:
    page = visit("?lens=tokens")
    page.locator("#target").select_option("truck")
    expect(figure(page, "tokens-votes")).to_contain_text("logit for truck")
    open_lens(page, "how")
    expect(figure(page, "how-lens")).to_contain_text("truck")
    open_lens(page, "tokens")
    second = page.locator("#answer .answers button").nth(1)
    name = second.locator("span").first.inner_text()
    second.click()
    expect(page.locator("#target")).to_have_value(name)
    expect(figure(page, "tokens-votes")).to_contain_text(f"logit for {name}")


def test_the_depth_is_chosen_by_its_name(page: Page) -> None:
    page.locator("#depth").focus()
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    expect(page.locator("#depth")).to_have_attribute("aria-valuetext", "10a")
    expect(page.locator("#answer output")).to_have_text("10a")
    page.wait_for_function("location.search === '?depth=10a'")


def test_a_link_brings_everything_back_after_a_reload_and_on_another_machine(
    visit: Callable[..., Page], scope: Microscope
) -> None:
    first = visit()
    first.locator('#picker button[data-patch="13"]').click()
    first.locator("#target").select_option("cat")
    first.get_by_role("tab", name="Token mixing").click()
    first.get_by_role("tab", name="One unit").click()
    number = first.locator("#mixing-unit-which input[type=number]")
    number.fill("11")
    number.press("Enter")
    expect(first.locator("#mixing-unit-which .words")).to_contain_text("Unit 11")
    link = "?class=cat&patch=3,1&unit=11&lens=mixing.unit"
    first.wait_for_function(f"location.search === {link!r}")
    first.reload()
    for page in (first, visit(link)):
        expect(page.locator("#mixing-unit-which .words")).to_contain_text("Unit 11", timeout=15_000)
        expect(page.locator("#patch")).to_have_value("3,1")
        expect(page.locator("#target")).to_have_value("cat")
        expect(page.get_by_role("tab", name="One unit")).to_have_attribute("aria-selected", "true")
        assert page.evaluate("location.search") == link


def test_wrong_values_of_a_link_are_said_and_the_rest_is_used(visit: Callable[..., Page]) -> None:
    page = visit("?sample=999&patch=2,3&depth=77b&weather=fine&__theme=light")
    said = page.locator("#status .said")
    expect(said).to_contain_text("Sample is a whole number from 0 to 199, not '999'.")
    expect(said).to_contain_text("Depth is one of stem, 1a, 1b to 12b, not '77b'.")
    expect(said).to_contain_text("no option called 'weather'")
    expect(page.locator("#patch")).to_have_value("2,3")
    assert page.evaluate("location.search") == "?__theme=light&patch=2,3"


def test_the_back_button_comes_back_to_the_same_view(page: Page) -> None:
    page.locator('#picker button[data-patch="13"]').click()
    page.wait_for_function("location.search === '?patch=3,1'")
    page.goto("about:blank")
    page.go_back()
    expect(page.locator("#patch")).to_have_value("3,1", timeout=15_000)


def test_the_link_can_be_copied(visit: Callable[..., Page]) -> None:
    page = visit("?patch=2,3")
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()").endswith("/?patch=2,3")


def test_a_view_is_copied_as_python(visit: Callable[..., Page], scope: Microscope) -> None:
    page = visit("?patch=2,3&lens=tokens")
    press(page.locator("#tokens-similarity"), "Copy as Python")
    expect(page.locator("#tokens-similarity").get_by_role("button", name="Copied")).to_be_visible()
    program = page.evaluate("navigator.clipboard.readText()")
    assert program.startswith(f"from viz import Microscope, view\n\nscope = Microscope.load({scope.source!r})\n")
    assert program.endswith("view(scope, 'tokens.similarity', patch='2,3')\n")


def test_another_network_is_chosen_and_the_link_goes_along(visit: Callable[..., Page], scope: Microscope) -> None:
    page = visit("?patch=2,3")
    choice = page.locator("#network select")
    expect(choice).to_have_value(scope.source)
    choice.select_option(label="seed-start: untrained")
    page.wait_for_function("location.search === '?network=seed-start&patch=2,3'")
    expect(page.locator("#patch")).to_have_value("2,3")
    expect(page.locator("#network small, #header small")).to_contain_text("6,782,858 parameters")
    choice.select_option(label="others ...")
    page.get_by_label("folder, file, or id on the Hub").fill("checkpoints/teacher")
    page.locator("#others").get_by_role("button", name="Open").click()
    expect(page.get_by_role("alert")).to_contain_text("does not describe a Mixer")
    expect(choice).to_have_value("seed-start")
    choice.select_option("seed")
    expect(page.locator("#network option:checked")).to_contain_text(f"{scope.metrics['accuracy']:.2%}")
    page.wait_for_function("location.search === '?network=seed&patch=2,3'")


def test_what_is_pinned_stays_beside_what_is_chosen_next_on_one_scale(visit: Callable[..., Page]) -> None:
    page = visit("?lens=tokens&depth=2a")
    page.get_by_role("button", name="Pin", exact=True).click()
    expect(page.locator("#pin")).to_contain_text("Pinned")
    page.locator("#answer input[type=range]").fill("22")
    view = page.locator("#tokens-votes")
    expect(view.locator(".pinned .which").first).to_contain_text("depth: 2a")
    view.scroll_into_view_if_needed()
    expect(view.locator(".pane:not(.pinned) .which")).to_contain_text("depth: 11b")
    expect(view).to_contain_text("Common scale")
    ends = view.evaluate(
        """box => [...box.querySelectorAll('.js-plotly-plot')].map(plot => {
          const {zmin, zmax} = plot._fullData.find(({type}) => type === 'heatmap'); return [zmin, zmax]; })"""
    )
    assert ends[0] == ends[1]
    expect(page.locator("#tokens-norms .pane")).to_have_count(1)  # it shows all depths
    page.wait_for_function("location.search.includes('pin=') && !/[?&]depth=/.test(location.search)")
    page.reload()
    expect(view.locator(".pinned .which").first).to_contain_text("depth: 2a", timeout=30_000)
    view.scroll_into_view_if_needed()
    expect(view.locator(".pinned .js-plotly-plot").first).to_be_visible()
    page.get_by_role("button", name="Unpin").click()
    expect(view.locator(".pane")).to_have_count(1)
    assert "pin" not in page.url


def test_a_click_is_one_request_and_its_answer_what_changed(visit: Callable[..., Page]) -> None:
    page, asked = visit("?lens=mixing.stem"), list[str]()  # where nothing is measured
    settled(page)
    page.on("request", lambda request: asked.append(request.url) if request.url.startswith("http") else None)
    page.locator('#picker button[data-patch="5"]').click()
    expect(page.locator("#patch")).to_have_value("1,1")
    assert [url.split("/gradio_api/")[1] for url in asked] == ["component_server/"]


def test_an_answer_that_was_lost_is_asked_for_again(visit: Callable[..., Page]) -> None:
    page = visit("?lens=model")
    settled(page)

    def lose(route: Route) -> None:
        route.fetch()  # the server has done it
        route.abort()

    page.route(re.compile("component_server"), lose, times=1)
    page.locator('#picker button[data-patch="5"]').click()
    expect(page.locator("#patch")).to_have_value("1,1", timeout=15_000)
    expect(page.locator("#status .said")).to_be_empty()


def test_a_visitor_whom_the_server_forgot_goes_on_from_the_link(visit: Callable[..., Page]) -> None:
    page = visit("?lens=tokens&depth=3a")
    settled(page)
    page.route(re.compile("component_server"), lambda route: route.continue_(post_data=foreign(route)), times=1)
    page.locator('#picker button[data-patch="5"]').click()
    page.wait_for_function("location.search.includes('patch=1,1')", timeout=15_000)
    assert "depth=3a" in page.url
    expect(page.locator("#patch")).to_have_value("1,1")


def foreign(route: Route) -> str:
    """The same request of somebody whom the server does not know."""
    body = route.request.post_data_json
    return json.dumps(body | {"data": body["data"] | {"visitor": "nobody"}})


def test_weights_are_compared_with_those_from_before_the_training(visit: Callable[..., Page]) -> None:
    page = visit("?lens=mixing.units&depth=2a&order=index")
    page.get_by_role("button", name="Compare with the untrained network").click()
    page.wait_for_function("location.search.includes('network=seed-start')")
    view = page.locator("#mixing-units-units")
    expect(view.locator(".pinned .which").first).to_contain_text("network: ", timeout=30_000)
    expect(view.locator(".js-plotly-plot")).to_have_count(2, timeout=30_000)
    expect(page.get_by_role("button", name="Compare with the untrained network")).to_be_hidden()


def test_two_networks_are_compared(visit: Callable[..., Page], scope: Microscope) -> None:
    page = visit("?lens=mixing.wiring&sample=3")
    page.get_by_role("button", name="Pin", exact=True).click()
    page.wait_for_function("location.search.includes('pin=')")
    page.locator("#network select").select_option(label="seed-start: untrained")
    page.wait_for_function("location.search.includes('network=seed-start')")
    expect(page.locator("#pin")).to_contain_text("thin", timeout=30_000)
    shown = page.locator(".lens.open .view.beside").first
    expect(shown.locator(".pinned .which").first).to_contain_text(f"{scope.metrics['accuracy']:.2%}")
    expect(shown.locator(".pane:not(.pinned) .which")).to_contain_text("untrained")
    expect(shown.locator(".js-plotly-plot")).to_have_count(3)  # and the difference
    swap = page.get_by_role("button", name="Swap")
    swap.press("Enter")
    expect(page.locator("#network select")).to_have_value(scope.source)
    expect(page.locator("#pin")).to_contain_text("seed-start")
    expect(swap).to_be_focused()
    expect(shown.locator(".pane:not(.pinned) .which")).to_contain_text(f"{scope.metrics['accuracy']:.2%}")


def test_a_cell_of_a_map_sets_the_patch(visit: Callable[..., Page]) -> None:
    """Of 8 x 4 patches of 4 x 8 pixels: row 6, column 1 is no patch where rows and columns are swapped."""
    page = visit("?lens=tokens")
    click_cell(page, "tokens-votes", 12, 26)
    expect(page.locator("#patch")).to_have_value("6,1")


def test_a_tile_sets_depth_and_patch_a_point_of_a_curve_depth_and_class(visit: Callable[..., Page]) -> None:
    page = visit("?lens=tokens")
    heat = figure(page, "tokens-norms").evaluate(
        "plot => { const {x, y} = plot._fullData[0]; return [[...x], [...y]]; }"
    )
    middle = [[(a + b) / 2 for a, b in pairwise(edges)] for edges in heat]
    # 4 columns and a gap, 3 rows of gap: the eighth tile of the first line is 4a; its row 6, column 1
    click_cell(page, "tokens-norms", middle[0][7 * 5 + 1], middle[1][3 + 6])
    expect(page.locator("#patch")).to_have_value("6,1")
    expect(page.locator("#answer output")).to_have_text("4a")
    open_lens(page, "how")
    line = figure(page, "how-lens")
    name = line.evaluate("plot => plot.data.find(line => line.showlegend).name")
    height = line.evaluate("(plot, name) => plot._fullData.find(line => line.name === name).y[20]", name)
    click_cell(page, "how-lens", 20, height)
    expect(page.locator("#answer output")).to_have_text("10b")
    expect(page.locator("#target")).to_have_value(name)


def test_a_neighbour_opens_its_picture_at_its_patch(visit: Callable[..., Page]) -> None:
    page = visit("?lens=tokens&depth=2b")
    settled(page)  # until then, nearer ones are found
    crop = page.locator("#tokens-neighbours [data-words]").first
    expect(crop).to_be_visible(timeout=60_000)
    words = dict(pair.split("=") for pair in (crop.get_attribute("data-words") or "").split("&"))
    crop.click()
    expect(page.locator("#patch")).to_have_value(words["patch"])
    page.wait_for_function(f"location.search.includes('sample={words['sample']}&')")


def test_a_cell_of_the_confusion_matrix_lists_those_samples(visit: Callable[..., Page], scope: Microscope) -> None:
    answers = [scope.answer(scope.sample_picture(i)) for i in range(len(scope.samples))]
    truth, taken = next((int(t), a) for t, a in zip(scope.samples.labels, answers, strict=True) if t != a)
    pair = f"{scope.classes[truth]}>{scope.classes[taken]}"
    page = visit("?lens=model")
    click_cell(page, "model-confusion", taken, truth)
    page.wait_for_function(f"location.search.includes({quote(pair)!r})")
    expect(page.locator("#specimen-samples")).to_be_visible()  # the drawer opens by itself
    expect(page.locator('#drawer [data-word="samples"]')).to_have_value(pair)
    sample = next(i for i, t in enumerate(scope.samples.labels) if t == truth and answers[i] == taken)
    listed = page.locator("#specimen-samples .html button")
    expect(listed.first).to_have_attribute("data-words", f"sample={sample}", timeout=30_000)


def test_scroll_and_unchanged_figures_stay_when_a_patch_is_clicked(visit: Callable[..., Page]) -> None:
    page = visit("?lens=tokens")
    norms = figure(page, "tokens-norms")
    norms.scroll_into_view_if_needed()
    norms.evaluate(
        "plot => { plot.dataset.mark = 'the same'; plot.on('plotly_afterplot', () => plot.dataset.mark = 'anew'); }"
    )
    before = page.evaluate("scrollY")
    page.locator('#picker button[data-patch="5"]').click()
    expect(page.locator("#tokens-similarity .js-plotly-plot")).to_contain_text("cosine with (1, 1)")
    assert norms.get_attribute("data-mark") == "the same"
    assert page.evaluate("scrollY") == before


def test_a_change_of_the_link_loads_nothing_and_keeps_references_within_the_page(visit: Callable[..., Page]) -> None:
    """Gradio's <base> made of every "#id" an address of its own: each click fetched the page, the skip link left it."""
    page = visit("?lens=tokens")
    expect(page.locator("#tokens-neighbours li")).to_have_count(10, timeout=60_000)
    documents = list[str]()
    page.on("request", lambda request: documents.append(request.url) if "/gradio_api/" not in request.url else None)
    page.locator('#picker button[data-patch="5"]').click()
    expect(page.locator("#patch")).to_have_value("1,1")
    expect(page).to_have_url(re.compile("patch=1"))
    expect(figure(page, "tokens-votes")).to_be_visible()
    clips = page.locator("#tokens-votes [clip-path]").evaluate_all(
        "all => all.map(one => one.getAttribute('clip-path'))"
    )
    assert clips
    assert all(clip.startswith("url(#") for clip in clips)
    page.evaluate("window.same = true")
    page.locator("a.skip").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("window.same")
    assert not [url for url in documents if not url.startswith("data:") and not url.endswith("favicon.ico")]


def test_the_specimen_stays_in_sight(visit: Callable[..., Page]) -> None:
    page = visit("?lens=tokens")
    page.locator("#tokens-votes").scroll_into_view_if_needed()
    for part in ("#picker", "#answer h2", "#target", "#depth"):
        expect(page.locator(part)).to_be_in_viewport()
    top = page.locator("#picker").bounding_box()
    bottom = page.locator("#depth").bounding_box()
    assert top
    assert bottom
    assert bottom["y"] + bottom["height"] - top["y"] <= 640


def test_the_lenses_are_within_twelve_tab_stops_and_arrows_go_between_them(visit: Callable[..., Page]) -> None:
    page = visit(load=True)  # so that Tab begins at the top
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.getAttribute('role')") == "tab":
            break
    assert page.evaluate("document.activeElement.getAttribute('role')") == "tab"
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Patch tokens")).to_have_attribute("aria-selected", "true")
    expect(figure(page, "tokens-similarity")).to_be_visible(timeout=15_000)
    page.keyboard.press("End")
    expect(page.get_by_role("tab", name="Learn")).to_be_focused()


def test_a_photo_is_framed_and_a_text_file_is_refused_in_words(page: Page, tmp_path: Path) -> None:
    photo = Image.new("RGB", (640, 320), (20, 90, 200))
    photo.paste((230, 40, 40), (320, 0, 640, 320))  # blue to the left, red to the right
    photo.save(tmp_path / "photo.jpg")
    page.get_by_role("button", name="Choose a picture").click()
    page.locator("#upload input[type=file]").set_input_files(tmp_path / "photo.jpg")
    expect(page.locator("#words")).to_contain_text("can only answer with one of", timeout=15_000)
    expect(page.locator("#words")).not_to_contain_text("confidence")
    expect(page.locator("#answer h2")).to_be_in_viewport()
    frame = page.locator("#photo .photo input")
    expect(frame).to_have_value("50")
    middle = page.evaluate("location.search")
    frame.scroll_into_view_if_needed()
    box = frame.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"], box["y"] + box["height"] / 2, steps=4)
    page.mouse.up()
    page.wait_for_function(f"location.search !== {middle!r}")
    expect(frame).to_have_value("100")
    page.keyboard.press("ArrowLeft")
    expect(frame).to_have_value("99")
    expect(frame).to_be_focused()
    page.locator('#photo [data-word="framing"]').select_option("whole")
    expect(page.locator("#photo")).to_contain_text("gets the whole picture")
    before = answer(page)
    (tmp_path / "text.jpg").write_text("I am no picture", encoding="utf-8")
    page.get_by_role("button", name=re.compile("clear|remove", re.IGNORECASE)).first.click()
    page.locator("#upload input[type=file]").set_input_files(tmp_path / "text.jpg")
    expect(page.get_by_text("cannot be read as a picture")).to_be_visible(timeout=15_000)
    assert answer(page) == before


def test_a_photo_is_in_the_copied_link_as_the_network_sees_it(
    visit: Callable[..., Page], tmp_path: Path, scope: Microscope
) -> None:
    Image.effect_noise((64, 64), 80).convert("RGB").save(tmp_path / "photo.png")
    page = visit()
    page.get_by_role("button", name="Choose a picture").click()
    page.locator("#upload input[type=file]").set_input_files(tmp_path / "photo.png")
    page.wait_for_function("location.search.startsWith('?picture=')")
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    other = visit("?" + page.evaluate("navigator.clipboard.readText()").partition("?")[2])
    expect(other.locator("#words")).to_contain_text("can only answer with one of", timeout=15_000)
    for share in (".answers", "h2"):
        assert other.locator(f"#answer {share}").inner_text() == page.locator(f"#answer {share}").inner_text()


def test_the_numbers_of_a_figure_can_be_saved(page: Page) -> None:
    with page.expect_download() as download:
        press(page.locator("#how-lens"), "CSV")
    assert download.value.suggested_filename == "airplane-3_11b_lens.csv"
    lines = download.value.path().read_text(encoding="utf-8").splitlines()
    assert "# picture: airplane-3" in lines
    assert lines[-251] == "depth,class,probability"
    assert lines[-250].startswith("stem,airplane,0.")


def test_a_figure_can_be_taken_into_a_paper(visit: Callable[..., Page], scope: Microscope) -> None:
    page = visit("?lens=tokens")
    width = page.locator("#tokens-votes [data-part=figure]").evaluate("plot => Math.max(480, plot.clientWidth)")
    with Image.open(taken(page, "tokens-votes", "PNG", "airplane-3_11b_votes.png")) as image:
        assert image.width == 3 * (width + 32)
        assert image.getpixel((0, 0))[:3] == (255, 255, 255)
    text = taken(page, "tokens-votes", "SVG", "airplane-3_11b_votes.svg").read_text(encoding="utf-8")
    assert f">{page.locator('#tokens-votes h3').inner_text()}</text>" in text
    lines = " ".join(re.findall(r">([^<]*)</text>", text))
    assert "picture: airplane-3" in lines
    assert scope.name in lines
    assert "font/woff2;base64" in text
    assert set(re.findall(r"""font-family[:=]["' ]*(?:&quot;)?([\w ]+)""", text)) == {OWN.strip('"')}


def test_what_is_pinned_is_in_the_file_beside_what_is_shown(visit: Callable[..., Page]) -> None:
    page = visit("?lens=tokens&depth=2a&pin=depth%3D9a")
    settled(page)
    view = page.locator("#tokens-votes")
    view.scroll_into_view_if_needed()
    expect(view.locator(".js-plotly-plot")).to_have_count(3)
    text = taken(page, "tokens-votes", "SVG", "airplane-3_2a_votes.svg").read_text(encoding="utf-8")
    assert text.count('class="heatmaplayer mlayer"') == 3
    for pane in view.locator(".pane .which").all():
        assert f">{pane.inner_text()}</text>" in text


def test_a_drawing_is_a_file_as_it_looks_in_light_and_a_text_is_none(visit: Callable[..., Page]) -> None:
    page = visit(color_scheme="dark")
    drawing = page.locator("#how-network .html")
    expect(drawing.locator("svg").first).to_be_visible()
    width, height = drawing.evaluate("one => [one.scrollWidth, one.scrollHeight]")
    with Image.open(taken(page, "how-network", "PNG", "airplane-3_11b_network.png")) as image:
        assert image.width == 3 * (width + 32)
        assert image.height > 3 * height
        colours = image.convert("RGB").getcolors(1 << 24)
    assert max(colours)[1] == (255, 255, 255)
    assert len(colours) > 100
    assert taken(page, "how-network", "SVG", "airplane-3_11b_network.svg").stat().st_size < 500_000
    expect(page.locator("body.dark")).to_have_count(1)
    every = ["Copy as Python", "Link to it", "Copy as iframe"]
    for view, buttons in (("how-lens", ["PNG", "SVG", "CSV", *every]), ("learn-glossary", every)):
        open_lens(page, view.split("-")[0])
        page.locator(f"#{view}").get_by_role("button", name="Save, copy, link").click()
        shown = page.locator(f"#{view} [popover] button").locator("visible=true")
        expect(shown).to_have_text(buttons)


def taken(page: Page, view: str, kind: str, name: str) -> Path:
    """The file of a view."""
    with page.expect_download() as download:
        press(page.locator(f"#{view}"), kind)
    assert download.value.suggested_filename == name
    return download.value.path()


def test_an_attribution_is_shown_with_its_sum_and_doubted(page: Page) -> None:
    page.get_by_role("tab", name="Attribution").click()
    table = page.locator("#attribution-sums")
    expect(table).to_contain_text("Patch ablation", timeout=30_000)
    page.locator("#attribution-asks summary").click()
    page.locator('#attribution-asks input[value="Saliency"]').check()
    expect(page.locator("#attribution-asks summary")).to_have_text(re.compile(r"Methods: \d of 11"))
    page.keyboard.press("Escape")
    expect(page.locator("#attribution-asks input").first).to_be_hidden()
    expect(figure(page, "attribution-maps")).to_contain_text("Saliency (unsigned)", timeout=30_000)
    page.locator('#picker button[data-patch="5"]').click()
    expect(table).to_contain_text("patch (1, 1)", timeout=30_000)

    page.get_by_role("tab", name="Reliability of maps").click()
    expect(page.locator('#doubt-asks input[value="Saliency"]')).to_be_checked()  # both lenses ask the same
    expect(figure(page, "doubt-deletion")).to_be_visible(timeout=90_000)
    expect(page.locator("#doubt-verdict")).to_contain_text("tests", timeout=90_000)
    expect(page.locator("#doubt-verdict")).not_to_contain_text("0 of 0")
    expect(page.locator("#status .wait")).to_be_hidden(timeout=90_000)


@pytest.fixture
def slow(scope: Microscope) -> Iterator[RemovableHandle]:
    """The network takes its time for a pass, as a larger one would, until this is removed."""
    last = scope.model.blocks[-1]
    hook = last.register_forward_pre_hook(lambda block, given: time.sleep(0.01 * len(given[0])))
    pace._SPEEDS.pop(scope.model, None)
    yield hook
    hook.remove()
    pace._SPEEDS.pop(scope.model, None)


def test_two_visitors_see_how_far_their_own_measurements_are_and_cancel_them_apart(
    visit: Callable[..., Page], slow: RemovableHandle
) -> None:
    methods = "methods=Shapley values"
    first, second = (visit(f"?sample={i}&lens=attribution&{methods}") for i in (11, 12))
    for page in (first, second):
        page.locator("#attribution-maps .measure").get_by_role("button", name="Measure").click()
        expect(page.locator("#status .wait")).to_contain_text("Shapley values", timeout=60_000)
    second.locator("#status [data-do=stop]").click()
    expect(second.locator("#attribution-maps .measure")).to_contain_text("Cancelled.", timeout=30_000)
    expect(second.locator("#status .wait")).to_be_hidden()
    expect(first.locator("#status .wait")).to_contain_text("Shapley values")
    slow.remove()
    expect(first.locator("#status .wait")).to_be_hidden(timeout=120_000)
    expect(first.locator("#attribution-sums")).to_contain_text("Shapley values")
    expect(first.locator("#attribution-maps .measure")).not_to_contain_text("Cancelled.")


@pytest.mark.usefixtures("slow")
def test_after_cancel_nothing_of_the_picture_before_is_left(visit: Callable[..., Page], scope: Microscope) -> None:
    answers = {i: scope.classes[scope.answer(scope.sample_picture(i))] for i in (*range(30, 40), 61)}
    first = next(i for i, answer in answers.items() if answer != answers[61])  # no other test measures these
    before, after = answers[first], answers[61]
    page = visit(f"?sample={first}&lens=attribution&methods=Gradient x input,Token Grad-CAM")
    expect(page.locator("#attribution-sums")).to_contain_text("Token Grad-CAM", timeout=30_000)
    page.locator("#attribution-asks summary").click()
    page.locator('#attribution-asks input[value="Shapley values"]').check()
    measure = page.locator("#attribution-maps .measure").get_by_role("button", name="Measure")
    measure.click()
    wait = page.locator("#status .wait")
    expect(wait).to_contain_text("Shapley values", timeout=30_000)
    expect(wait).to_contain_text("of 620 passes")
    page.get_by_role("button", name="Choose a picture").click()
    page.locator('#specimen-samples [data-words="sample=61"]').click()
    expect(page.locator("#words")).to_contain_text("labelled cat")
    settled(page)
    measure.click()
    expect(wait).to_contain_text("Shapley values", timeout=30_000)
    page.locator("#status [data-do=stop]").click()
    expect(wait).to_be_hidden()
    expect(page.locator("#attribution-maps .measure")).to_contain_text("Cancelled.")
    expect(figure(page, "attribution-maps")).to_contain_text(f"logit for {after}")
    expect(figure(page, "attribution-maps")).not_to_contain_text(before)
    page.locator('#picker button[data-patch="5"]').click()  # and does not begin again with the next click
    expect(page.locator("#patch")).to_have_value("1,1")
    expect(wait).to_be_hidden()


def test_a_tile_of_the_units_opens_that_unit(visit: Callable[..., Page]) -> None:
    page = visit("?lens=mixing.units&depth=3a")
    plot = figure(page, "mixing-units-units")
    x, y, unit = plot.evaluate(
        """plot => { const {x, y, customdata} = plot._fullData[0];
          const row = 12, column = 7;  // somewhere in a tile
          return [(x[column] + x[column + 1]) / 2, (y[row] + y[row + 1]) / 2, customdata[row][column][0]]; }"""
    )
    click_cell(page, "mixing-units-units", x, y)
    expect(page.locator("#mixing-unit-which .words")).to_contain_text(f"Unit {unit}", timeout=15_000)
    expect(page.get_by_role("tab", name="One unit")).to_have_attribute("aria-selected", "true")


def test_every_other_lens_opens(page: Page) -> None:
    for lens in ("mixing.stem", "mixing.wiring", "mixing.image", "mixing.shuffle", "whatif.ablation", "model", "learn"):
        open_lens(page, lens)
        for view in page.locator(".lens.open .view").all():
            view.evaluate("one => one.scrollIntoView()")
            shown = view.locator(".js-plotly-plot:visible, .html:not(:empty), .measure:not(:empty)")  # or it offers to
            expect(shown.first).to_be_visible(timeout=30_000)


def test_an_edited_picture_is_under_every_lens_and_in_the_link(visit: Callable[..., Page], scope: Microscope) -> None:
    page = visit("?sample=61&lens=whatif.edit")
    unedited = scope.classes[scope.answer(scope.sample_picture(61))]  # not the sample that the page opens on
    expect(page.locator("#answer h2")).to_have_text(unedited)
    before = page.locator("#answer .answers").inner_text()
    place = 36 + 12, 4 + 18  # row 4, column 1 of the second picture
    point_at(page, "whatif-edit-picture", *place)
    expect(page.locator("#picker .pointed")).to_have_attribute("data-place", "(4, 1)")
    click_cell(page, "whatif-edit-picture", *place)
    expect(page.locator("#whatif-edit-picture .words")).to_contain_text("(4, 1) mean colour")
    expect(page.locator("#words")).to_contain_text("1 edit of yours")
    page.locator('#whatif-edit-asks [data-word="tool"]').select_option("shuffle")
    page.locator('#whatif-edit-asks [data-word="area"]').select_option("all")
    page.wait_for_function("location.search.endsWith('tool=shuffle')")
    page.get_by_role("button", name="Apply to all patches").click()
    expect(page.locator("#words")).to_contain_text("2 edits")
    link = "?sample=61&edits=mean:4,1;shuffle:0&lens=whatif.edit&area=all&tool=shuffle"
    page.wait_for_function(f"location.search === {link!r}")
    expect(page.locator("#answer .answers")).not_to_have_text(before, use_inner_text=True)
    edited = page.locator("#answer .answers").inner_text()
    other = visit(link)
    expect(other.locator("#words")).to_contain_text("2 edits", timeout=15_000)
    expect(other.locator("#answer .answers")).to_have_text(edited, use_inner_text=True)
    page.get_by_role("button", name="Undo").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#words")).to_contain_text("1 edit of yours")
    expect(page.get_by_role("button", name="Undo")).to_be_focused()
    page.get_by_role("button", name="Redo").click()
    expect(page.locator("#words")).to_contain_text("2 edits")
    page.get_by_role("tab", name="How it works").click()
    expect(figure(page, "how-lens")).to_be_visible()
    page.get_by_role("button", name="Show the original").click()
    expect(page.locator("#words")).to_contain_text("Test image")
    expect(page.locator("#answer .answers")).to_have_text(before, use_inner_text=True)


def test_patching_is_measured_when_asked_and_a_click_on_it_chooses(visit: Callable[..., Page]) -> None:
    page = visit("?sample=61&lens=whatif.patching")
    expect(figure(page, "whatif-patching-updates")).to_be_visible(timeout=30_000)
    measure = page.locator("#whatif-patching-map .measure")
    expect(measure).to_contain_text("Patching every token: about")
    measure.get_by_role("button", name="Measure").click()
    expect(figure(page, "whatif-patching-map")).to_be_visible(timeout=60_000)
    expect(page.locator("#whatif-patching-map .words")).to_contain_text("transfers most")
    click_cell(page, "whatif-patching-map", 8 + 4, 12 + 5 * 4 + 2)  # the first map, under its name: row 5, column 1
    expect(page.locator("#patch")).to_have_value("5,1")
    expect(page.locator("#answer output")).to_have_text("stem")


def test_the_smallest_change_is_put_under_the_microscope(visit: Callable[..., Page], scope: Microscope) -> None:
    page = visit("?sample=61&lens=whatif.edit")
    before = scope.classes[scope.answer(scope.sample_picture(61))]  # not the sample that the page opens on
    expect(page.locator("#answer h2")).to_have_text(before)
    page.get_by_role("tab", name="Smallest change").click()
    view = page.locator("#whatif-smallest-search")
    expect(view.locator(".words")).to_contain_text("of 32", timeout=60_000)
    settled(page)
    if (
        measure := view.get_by_role("button", name="Measure")
    ).is_visible():  # it takes longer than what starts by itself
        measure.click()
    expect(view.locator(".words")).to_contain_text(re.compile("greedy search|smaller set"), timeout=60_000)
    view.get_by_role("button", name="Use this picture").click()
    expect(page.locator("#words")).to_contain_text("1 edit of yours")
    assert answer(page) != before


def test_a_phone_shows_it_without_scrolling_sideways(visit: Callable[..., Page]) -> None:
    page = visit("?lens=tokens", **PHONE)
    for tab in ("How it works", "Attribution", "What if", "Ablation", "Model", "Patch tokens"):
        page.get_by_role("tab", name=tab).click()
        drawn = page.locator(".lens.open :is(.stage, .js-plotly-plot)").first  # other figures wait until they are near
        expect(drawn).to_be_visible(timeout=30_000)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator("#tokens-norms").scroll_into_view_if_needed()
    for part in ("#picker", "#target", "#depth"):
        expect(page.locator(part)).to_be_in_viewport()


def test_a_finger_scrolls_past_a_figure(visit: Callable[..., Page]) -> None:
    page = visit("?lens=tokens", **PHONE)
    plot = figure(page, "tokens-similarity")
    expect(figure(page, "tokens-norms")).to_be_visible()  # the last of them
    settled(page)  # nothing moves any more
    plot.evaluate("plot => plot.scrollIntoView({block: 'center'})")
    box, before = plot.bounding_box(), page.evaluate("scrollY")
    assert box
    client = page.context.new_cdp_session(page)
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    assert plot.evaluate("(plot, [x, y]) => plot.contains(document.elementFromPoint(x, y))", [x, y])
    for move in range(11):  # Chromium's own scroll gesture moves nothing here, not even on text
        point = {"type": "touchMove" if move else "touchStart", "touchPoints": [{"x": x, "y": y - 30 * move}]}
        client.send("Input.dispatchTouchEvent", point)
        page.wait_for_timeout(20)
    client.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.wait_for_function(f"scrollY > {before + 200}")
    assert plot.evaluate("plot => plot.layout.xaxis.range ?? null") == plot.evaluate(
        "plot => plot._fullLayout.xaxis.range"
    )
