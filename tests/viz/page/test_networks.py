"""The networks of a server: which may be opened, by whom, and what a browser and other programs see of them."""

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from gradio_client import Client, handle_file
from PIL import Image
from starlette.requests import Request
from torch.nn.modules.module import register_module_forward_hook

from bench.crowd import _memory
from mixer.checkpoint import DEFAULT
from mixer.model import Mixer
from mixer.networks import NotOpened, quality_text
from tests import foreign
from viz.microscope import Microscope
from viz.page import networks
from viz.page.networks import CLOSED, MAX_OPEN, Networks

HERE = "127.0.0.1:7860"


def request(host: str = HERE, **headers: str) -> Request:
    given = {"host": host} | {name.replace("_", "-"): text for name, text in headers.items()}
    named = [(name.encode(), text.encode()) for name, text in given.items()]
    scope = {"type": "http", "scheme": "http", "path": "/", "query_string": b"", "headers": named}
    return Request(scope | {"server": ("127.0.0.1", 7860)})


@pytest.fixture
def private(small: Microscope) -> Networks:
    return Networks(str(DEFAULT), small)


@pytest.fixture
def public(small: Microscope) -> Networks:
    """Of a server that others can reach, and that may open one model of the Hub's."""
    return Networks(str(DEFAULT), small, ("owner/net",))


@pytest.fixture
def loaded(network: Mixer, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The sources of the networks that were loaded; any is there, but for `large`."""
    asked: list[str] = []

    def load(source: str) -> Microscope:
        asked.append(source)
        if source == "large":
            raise NotOpened("large needs about 9.0 GB of memory")
        return Microscope(network, {}, torch.device("cpu"))

    monkeypatch.setattr(networks.Microscope, "load", load)
    return asked


def names(of: Networks) -> list[str]:
    return [one["name"] for one in of.entries()]


def test_the_first_network_leads_the_list(private: Networks, scope: Microscope) -> None:
    listed = private.entries()
    assert listed[0] == {"name": "seed", "words": quality_text(scope.metrics)}
    assert {"name": "seed-start", "words": "untrained"} in listed
    assert {"name": "seed-epoch-1", "words": "validation accuracy: 52.98% after 1 epoch"} in listed


def test_a_program_names_the_network_that_it_asks(url: str, tmp_path: Path) -> None:
    Image.new("RGB", (32, 32), "green").save(tmp_path / "green.png")
    client, picture = Client(url, verbose=False), handle_file(tmp_path / "green.png")
    first, there = (
        client.predict(picture=picture, api_name="/classify", **which) for which in ({}, {"network": "seed-start"})
    )
    assert first == client.predict(picture=picture, network="seed", api_name="/classify") != there
    scope = Microscope.load("checkpoints/seed-start")
    probabilities = scope.probabilities(scope.picture_of(tmp_path / "green.png"))
    assert there["confidences"][0]["confidence"] == pytest.approx(float(probabilities.max()), abs=1e-5)
    with pytest.raises(Exception, match="There is no network nowhere here"):
        client.predict(picture=picture, network="nowhere", api_name="/classify")


def test_a_foreign_network_is_opened_by_its_folder_and_stays_listed(private: Networks, tmp_path: Path) -> None:
    folder = str(foreign.write(tmp_path / "timm's ~ own", foreign.mixer(60)))
    event = {"link": "?patch=1,1", "open": f" {folder} "}
    found, refused = asyncio.run(private.for_link(event, may_open=True))
    assert (found.name, refused, found.scope.classes[59]) == (folder, "", "class 59")
    assert folder in names(private)
    again, _ = asyncio.run(private.for_link({"link": f"?network={folder}"}, may_open=False))
    assert again is found


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("checkpoints/teacher", "config.json does not describe a Mixer of this project"),
        (__file__, "is not an MLP-Mixer of the authors"),
    ],
)
def test_what_cannot_be_opened_is_said_and_not_listed(private: Networks, source: str, words: str) -> None:
    before = private.first
    found, refused = asyncio.run(private.for_link({"link": "", "open": source}, may_open=True))
    assert found is before
    assert words in refused
    assert source not in names(private)


def test_a_link_opens_nothing_that_was_not_opened_before(private: Networks, tmp_path: Path) -> None:
    folder = str(foreign.write(tmp_path / "net", foreign.mixer(2)))
    for event, words in (
        ({"link": f"?network={folder}"}, f"there is no network {folder} here; the networks are "),
        ({"link": "", "open": folder}, f"{CLOSED}."),
    ):
        found, said = asyncio.run(private.for_link(event, may_open=False))
        assert (found, said.startswith(words)) == (private.first, True)


@pytest.mark.parametrize(
    ("asked", "may"),
    [
        (request(), True),
        (request(origin=f"http://{HERE}"), True),
        (request("localhost:7860"), True),
        (request(origin="http://evil.example:7860"), False),
        (request("evil.example:7860", origin="http://evil.example:7860"), False),
        (request(x_forwarded_for="192.0.2.7"), False),
    ],
)
def test_who_names_a_network_is_on_this_machine_and_on_our_page(
    private: Networks, public: Networks, asked: Request, may: bool
) -> None:
    assert private.may_open(asked) is may
    assert not public.may_open(asked)


def test_a_public_server_opens_what_is_present_and_what_its_flag_allows(public: Networks, loaded: list[str]) -> None:
    for source in ("owner/other", "checkpoints/seed-start"):
        with pytest.raises(ValueError, match="there is no network"):
            asyncio.run(public.load(source))
    assert asyncio.run(public.load("owner/net")).name == "owner/net"
    assert asyncio.run(public.load("seed-epoch-1.")).name == "seed-epoch-1", "with what a text put behind the link"
    assert loaded == ["owner/net", str(DEFAULT.parent / "seed-epoch-1")]


def test_only_so_many_stay_in_memory(private: Networks, loaded: list[str]) -> None:
    sources = [f"net-{i}" for i in range(MAX_OPEN + 1)]
    for source in sources:
        asyncio.run(private.add(source))
    asyncio.run(private.load(sources[1]))
    assert loaded == sources, "it was still open"
    asyncio.run(private.load(sources[0]))
    assert loaded == [*sources, sources[0]], "it was used longest ago"
    with pytest.raises(NotOpened, match=r"9\.0 GB"):
        asyncio.run(private.add("large"))
    assert "large" not in names(private)


def test_a_network_that_two_ask_for_at_once_is_loaded_once(private: Networks, loaded: list[str]) -> None:
    async def both() -> list[object]:
        return [*await asyncio.gather(private.load("seed-start"), private.load("seed-start"))]

    one, other = asyncio.run(both())
    assert one is other
    assert len(loaded) == 1


@pytest.mark.parametrize(
    ("address", "link"),
    [
        ("networks/seed-start/?patch=1,1", "?network=seed-start&patch=1,1"),
        ("networks/seed-start", "?network=seed-start"),
        ("networks/owner~2Fnet/?sample=3&utm_source=x", "?network=owner%2Fnet&sample=3"),
    ],
)
def test_old_addresses_lead_to_the_link(url: str, address: str, link: str) -> None:
    answer = httpx.get(url + address)
    assert httpx.URL(url + address).join(answer.headers["location"]) == httpx.URL(url + link)


@pytest.fixture
def act(url: str) -> Callable[..., dict[str, Any]]:
    """What a browser is answered."""
    config = httpx.get(f"{url}config").json()
    (wire,) = (one["id"] for one in config["components"] if one["props"].get("elem_id") == "wire")

    def ask(**event: Any) -> dict[str, Any]:
        body = {"data": {"visitor": "1"} | event, "component_id": wire, "fn_name": "act", "session_hash": "1"}
        return httpx.post(f"{url}gradio_api/component_server", json=body, timeout=60).raise_for_status().json()

    return ask


def test_another_network_brings_its_markup_and_all_its_values(act: Callable[..., dict[str, Any]]) -> None:
    first = act(link="?patch=1,1")
    assert (first["status"]["network"], first["status"]["markup"]) == ("seed", False)
    there = act(link="?patch=1,1&network=seed-start", network="seed")
    status = there["status"]
    assert (status["network"], status["link"]) == ("seed-start", "network=seed-start&patch=1,1")
    assert status["markup"].keys() == {"host-samples", "host-answer", "host-lenses"}
    assert {"answer", "picker", "tabs", "how-network"} <= there.keys()
    assert act(words={"patch": "2,1"}, network="seed-start")["status"]["link"] == "network=seed-start&patch=2,1"
    assert act(words={"patch": "2,1"}, network="net-of-yesterday") == {"lost": True}
    assert act(words={"patch": "2,1"}, network="seed")["status"]["link"] == "patch=2,1", "each has its own session"


def test_the_clients_of_the_benchmark_are_answered_as_a_browser_is(url: str) -> None:
    memory = asyncio.run(_memory(url.rstrip("/"), os.getpid(), (2, 6)))
    assert [gigabytes > 0 for gigabytes in memory] == [True, True]


def test_networks_pass_pictures_on_the_thread_of_the_model_alone(url: str, tmp_path: Path) -> None:
    """On another one, such as that of the server, a slow network would stop all visitors."""
    threads = set[str]()
    with register_module_forward_hook(lambda *_: threads.add(threading.current_thread().name)):
        client = Client(url, verbose=False)
        Image.new("RGB", (40, 40), "red").save(tmp_path / "red.png")
        for name, given in (("classify", {}), ("attribute", {"method": "Saliency"}), ("mixing", {"block": 1})):
            client.predict(handle_file(tmp_path / "red.png"), api_name=f"/{name}", **given)
        client.predict(name="tokens.votes", words="sample=3", network="seed-start", api_name="/view")
        client.predict(network="seed-epoch-1", api_name="/describe")
    assert threads == {"model_0"}


@pytest.mark.parametrize("query", ["page=2", "lens=model&page=9&sample=3", "page=", "page=a%20b&page=2", "mypage=2"])
def test_a_link_with_a_page_of_a_list_opens_the_page(url: str, query: str) -> None:
    assert httpx.get(f"{url}?{query}").status_code == 200
