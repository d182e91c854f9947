"""What an address holds, what a link loses or gains on its way, and what becomes of both when the server goes."""

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.browser.served import wide
from tests.served import free_port

NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/errors;
events {{}}
http {{
  access_log {folder}/log; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/a; uwsgi_temp_path {folder}/b; scgi_temp_path {folder}/c;
  client_header_buffer_size 1k; large_client_header_buffers 4 8k; proxy_buffer_size 8k; proxy_buffers 8 8k;
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass {url}; proxy_http_version 1.1; proxy_buffering off; proxy_set_header Host $http_host;
    }}
  }}
}}
"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with wide(tmp_path_factory.mktemp("network")) as url:
        yield url


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture of which no link can hold all, as 64 x 96 pixels."""
    pixels = np.random.default_rng(0).normal(128, 60, (64, 96, 3)).clip(0, 255).astype(np.uint8)
    file = tmp_path_factory.mktemp("picture") / "own.png"
    Image.fromarray(pixels).save(file)
    return file


def upload(page: Page, file: Path) -> str:
    """Put it under the microscope; what is answered."""
    page.get_by_role("button", name="Choose a picture").click()
    page.locator("#upload input[type=file]").set_input_files(file)
    page.wait_for_function("location.search.includes('picture=')", timeout=60_000)
    return answers(page)


def answers(page: Page) -> str:
    expect(page.locator("#words")).to_contain_text("can only answer with one of", timeout=60_000)
    return page.locator("#answer .answers").inner_text()


def copied(page: Page, button: str) -> str:
    pressed = page.get_by_role("button", name=button).first.element_handle()
    pressed.click()
    page.wait_for_function("button => button.textContent === 'Copied'", arg=pressed)
    return page.evaluate("navigator.clipboard.readText()")


def said(page: Page) -> Any:
    return page.locator("#status .said")


def test_an_own_picture_of_any_size_stays_on_reload_pinned_in_python_and_for_another_network(
    visit: Callable[..., Page], url: str, noise: Path
) -> None:
    page, asked = visit("?lens=tokens"), list[str]()
    page.on("request", lambda request: asked.append(request.url) if request.url.startswith("http") else None)
    own = upload(page, noise)
    page.get_by_role("button", name="Pin", exact=True).click()
    page.wait_for_function("location.search.includes('pin=')")
    page.locator("#patch").select_option("1,1")
    page.wait_for_function("location.search.includes('patch=1,1')")
    page.reload()
    assert answers(page) == own
    expect(page.locator("#pin")).to_contain_text("own picture")
    shown: dict[str, Any] = {}
    page.get_by_role("button", name="Save, copy, link").first.click()
    exec(copied(page, "Copy as Python").replace("view(scope", "shown = view(scope"), shown)
    assert shown["shown"].selection.picture == np.asarray(Image.open(noise)).tobytes()
    link = copied(page, "Copy link")
    assert "#" not in link
    expect(said(page)).to_contain_text("too large for a link")
    page.locator("#network select").select_option(label="seed-start: untrained")
    page.wait_for_function("location.search.includes('network=seed-start')")
    assert answers(page)
    expect(said(page)).to_be_empty()
    assert max(map(len, asked)) < 500, "it goes along with every request"
    elsewhere = visit(link)
    expect(said(elsewhere)).to_have_text("This link does not contain its picture: choose it again.", timeout=60_000)
    expect(elsewhere.locator("#patch")).to_have_value("1,1")


def test_a_link_that_is_copied_brings_a_small_picture_along(
    visit: Callable[..., Page], url: str, tmp_path: Path
) -> None:
    Image.linear_gradient("L").resize((96, 64)).save(tmp_path / "plain.png")
    page = visit(url)
    own = upload(page, tmp_path / "plain.png")
    link = copied(page, "Copy link")
    assert len(link) < 8_000
    elsewhere = visit(f"{link}).")  # as it may stand in a text
    assert answers(elsewhere) == own
    expect(said(elsewhere)).to_be_empty()
    elsewhere.wait_for_function("!location.href.includes('#')")
    elsewhere.reload()
    assert answers(elsewhere) == own


def test_the_sentence_on_a_wrong_link_stays_until_something_is_chosen(visit: Callable[..., Page], url: str) -> None:
    page = visit("?sample=999&lens=nowhere&fbclid=IwAR0&__theme=light")
    expect(said(page)).to_contain_text("Sample is a whole number", timeout=60_000)
    page.wait_for_function("location.search === '?__theme=light'")  # what says nothing is in no link again
    expect(page.locator("#status .wait")).to_be_hidden(timeout=60_000)
    expect(said(page)).to_contain_text("Sample is a whole number")
    expect(said(page)).not_to_contain_text("fbclid")
    page.locator('#picker button[data-patch="5"]').click()
    expect(said(page)).to_be_empty(timeout=60_000)


def test_a_link_to_a_view_opens_its_tab_and_has_it_in_sight(visit: Callable[..., Page], url: str) -> None:
    page = visit(f"{url}?patch=1,1&view=mixing.unit.writes).")
    writes = page.locator("#mixing-unit-weights")  # where it is now
    expect(writes.locator("h3")).to_be_in_viewport(timeout=60_000)
    expect(page.get_by_role("tab", name="One unit")).to_have_attribute("aria-selected", "true")
    page.wait_for_function("location.search === '?patch=1,1&lens=mixing.unit'")
    writes.get_by_role("button", name="Save, copy, link").click()
    assert copied(page, "Link to it").endswith("?patch=1,1&lens=mixing.unit&view=mixing.unit.weights")
    page.goto(f"{url}?view=nowhere")
    expect(said(page)).to_have_text("There is no view 'nowhere' here.", timeout=60_000)


def test_back_comes_back_to_the_tab_and_the_picture_before(visit: Callable[..., Page], url: str) -> None:
    page = visit(f"{url}?lens=attribution")
    page.get_by_role("tab", name="Patch tokens").click()
    page.wait_for_function("location.search === '?lens=tokens'")
    page.locator("#patch").select_option("1,1")
    page.wait_for_function("location.search === '?patch=1,1&lens=tokens'")
    page.get_by_role("button", name="Choose a picture").click()
    other = page.locator("#specimen-samples [data-words]").nth(1)
    word = other.get_attribute("data-words")
    other.click()
    page.wait_for_function(f"location.search === '?{word}&patch=1,1&lens=tokens'")
    page.go_back()
    page.wait_for_function("location.search === '?patch=1,1&lens=tokens'")
    expect(page.locator("#patch")).to_have_value("1,1")
    page.go_back()
    expect(page.get_by_role("tab", name="Attribution")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#attribution-maps .js-plotly-plot")).to_be_visible(timeout=60_000)
    page.go_forward()
    page.go_forward()
    page.wait_for_function(f"location.search === '?{word}&patch=1,1&lens=tokens'")
    expect(page.get_by_role("tab", name="Patch tokens")).to_have_attribute("aria-selected", "true")


def test_back_goes_back_to_the_network_from_before(visit: Callable[..., Page]) -> None:
    page = visit("?patch=1,1")
    first = page.locator("#network select").input_value()
    page.locator("#network select").select_option("seed-start")
    page.wait_for_function("location.search === '?network=seed-start&patch=1,1'")
    page.go_back()
    page.wait_for_function("location.search === '?patch=1,1'")
    expect(page.locator("#network select")).to_have_value(first)


def test_a_browser_without_a_store_opens_another_network_too(browser: Browser, url: str) -> None:
    page = browser.new_page()
    page.add_init_script("Object.defineProperty(window, 'localStorage', {get() { throw new Error('blocked'); }})")
    page.goto(url)
    page.locator("#network select").select_option("seed-start")
    page.wait_for_function("location.search.includes('network=seed-start')")
    page.close()


def listening(port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def line(port: int) -> Iterator[int]:
    """A port that leads to this one, 1,400 bytes at a time, as a real line does."""

    def carry(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):  # who has hung up
            while data := source.recv(1400):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def answer() -> None:
        with suppress(OSError):  # it is closed
            while True:
                caller, _ = entrance.accept()
                server = socket.create_connection(("127.0.0.1", port))
                for end in (caller, server):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for ends in ((caller, server), (server, caller)):
                    threading.Thread(target=carry, args=ends, daemon=True).start()

    with socket.create_server(("127.0.0.1", 0), backlog=64) as entrance:
        threading.Thread(target=answer, daemon=True).start()
        yield entrance.getsockname()[1]
        entrance.shutdown(socket.SHUT_RDWR)


@pytest.mark.skipif(not shutil.which("nginx", path="/usr/sbin:/usr/bin"), reason="there is no nginx here")
def test_an_own_picture_goes_over_a_real_line_and_a_proxy_that_takes_8_kb_of_headers_and_is_not_in_its_log(
    visit: Callable[..., Page], url: str, noise: Path, tmp_path: Path
) -> None:
    port = free_port()
    (tmp_path / "nginx.conf").write_text(
        NGINX.format(folder=tmp_path, port=port, url=url.rstrip("/")), encoding="utf-8"
    )
    command = [shutil.which("nginx", path="/usr/sbin:/usr/bin"), "-p", tmp_path, "-c", tmp_path / "nginx.conf"]
    with subprocess.Popen(command) as nginx:
        try:
            while not listening(port):
                assert nginx.poll() is None
                time.sleep(0.05)
            with line(port) as far:
                page = visit(f"http://127.0.0.1:{far}/?lens=tokens")
                own = upload(page, noise)
                page.locator("#patch").select_option("1,1")
                page.wait_for_function("location.search.includes('patch=1,1')")
                page.reload()
                assert answers(page) == own
                expect(page.locator("#patch")).to_have_value("1,1")
        finally:
            nginx.terminate()
    lines = (tmp_path / "log").read_text(encoding="utf-8").splitlines()
    assert not [line for line in lines if '" 4' in line or '" 5' in line]
    assert max(map(len, lines)) < 600


def test_what_is_chosen_while_the_server_is_away_is_done_when_it_is_back(
    visit: Callable[..., Page], tmp_path: Path, noise: Path
) -> None:
    with wide(tmp_path) as url:
        page = visit(url)
        own = upload(page, noise)
    page.locator("#patch").select_option("1,1")
    expect(said(page)).to_contain_text("The server does not answer", timeout=60_000)
    page.get_by_role("tab", name="Patch tokens").click()
    expect(page.locator("body.away")).to_be_visible()
    with wide(tmp_path, int(url.rstrip("/").rpartition(":")[2])):
        page.wait_for_function("location.search.includes('patch=1,1&lens=tokens')", timeout=60_000)
        assert answers(page) == own
        expect(page.locator("#patch")).to_have_value("1,1")
        expect(page.locator("#tokens-votes .js-plotly-plot")).to_be_visible(timeout=60_000)
        assert page.evaluate("JSON.parse(sessionStorage['mixer unanswered'])") == []


def test_one_view_stands_alone_in_a_page_of_somebody_else(visit: Callable[..., Page], tmp_path: Path) -> None:
    page = visit("?patch=2,3&lens=tokens")
    view = page.locator("#tokens-votes")
    view.get_by_role("button", name="Save, copy, link").click()
    view.get_by_role("button", name="Copy as iframe").click()
    expect(view.get_by_role("button", name="Copied")).to_be_visible()
    html = page.evaluate("navigator.clipboard.readText()")
    (tmp_path / "index.html").write_text(f"<h1>My page</h1>{html}", encoding="utf-8")
    files = partial(SimpleHTTPRequestHandler, directory=tmp_path)
    with ThreadingHTTPServer(("127.0.0.1", 0), files) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            shown_alone(page.context.new_page(), f"http://127.0.0.1:{server.server_port}/")
        finally:
            server.shutdown()
    # a name that is none shows the page, and says so
    page = visit("?only=tokens.nothing")
    expect(page.get_by_text("There is no view 'tokens.nothing' here.")).to_be_visible()
    expect(page.locator("#header")).to_be_visible()


def shown_alone(page: Page, address: str) -> None:
    """In a frame of a page: the view without the rest, which answers clicks."""
    page.goto(address)
    frame = page.frame_locator("iframe")
    shown = frame.locator(".view:visible")
    expect(frame.locator("#tokens-votes .js-plotly-plot .main-svg").first).to_be_visible(timeout=60_000)
    assert shown.count() == 1
    for hidden in ("#header", "#specimen", "#tabs", "#lens-tokens .asks"):
        expect(frame.locator(hidden)).to_be_hidden()
    (inside,) = page.frames[1:]
    frame.locator("#tokens-votes .figure .draglayer .drag").first.click(position={"x": 20, "y": 20})
    inside.wait_for_function("location.search.includes('patch=0,0')")
    assert "only=tokens.votes" in inside.url
    # nothing but that view is measured and sent
    assert frame.locator("#tokens-similarity .figure:not([hidden]), #tokens-neighbours .crops").count() == 0
    page.close()
