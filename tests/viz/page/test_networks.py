"""Further networks, over HTTP as a browser and other programs see them."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import torch
from gradio_client import Client, handle_file
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

import app
from mixer import checkpoint
from mixer.checkpoint import DEFAULT
from mixer.model import Mixer
from mixer.networks import NotOpened, quality_text
from tests import foreign
from viz.microscope import Microscope
from viz.page import networks
from viz.page.networks import CLOSED, MAX_OPEN, Networks, name_of, source_of

HERE = "http://127.0.0.1:7860"


@pytest.fixture
def others() -> Iterator[TestClient]:
    """The server's own part of the addresses, without the first page."""
    routes = Networks(str(DEFAULT), app.LAUNCH).routes
    with TestClient(Starlette(routes=routes), HERE) as client:
        yield client


@pytest.fixture
def public() -> Iterator[TestClient]:
    """Of a server that others can reach, and that may open one model of the Hub's."""
    routes = Networks(str(DEFAULT), app.LAUNCH, ("owner/net",)).routes
    with TestClient(Starlette(routes=routes), HERE) as client:
        yield client


def test_the_first_page_s_network_leads_the_list(url: str, scope: Microscope) -> None:
    listed = httpx.get(f"{url}networks/list.json").json()
    assert listed[0] == {"name": "seed", "address": "", "words": quality_text(scope.metrics)}
    assert {"name": "seed-start", "address": "networks/seed-start/", "words": "untrained"} in listed
    early = next(one for one in listed if one["name"] == "seed-epoch-1")
    assert early["words"] == "validation accuracy: 52.98% after 1 epoch"


def test_another_network_has_a_page_and_an_endpoint_of_its_own(url: str, tmp_path: Path) -> None:
    before = httpx.get(f"{url}networks/seed-start?sample=3")
    assert before.headers["location"] == "seed-start/?sample=3"
    page = httpx.get(f"{url}networks/seed-start/?sample=3", timeout=60)
    assert f'"root":"{url}networks/seed-start"' in page.text
    assert "untrained" in page.text
    Image.new("RGB", (32, 32), "green").save(tmp_path / "green.png")
    asked = {"picture": handle_file(tmp_path / "green.png"), "api_name": "/classify"}
    there = Client(f"{url}networks/seed-start/", verbose=False).predict(**asked)
    assert there["confidences"] != Client(url, verbose=False).predict(**asked)["confidences"]
    scope = Microscope.load("checkpoints/seed-start")
    picture = scope.picture_of(tmp_path / "green.png")
    assert there["confidences"][0]["confidence"] == pytest.approx(float(scope.probabilities(picture).max()), abs=1e-5)


def test_a_foreign_network_is_opened_by_its_folder_and_stays_listed(others: TestClient, tmp_path: Path) -> None:
    folder = str(foreign.write(tmp_path / "timm's ~ own", foreign.mixer(60)))
    page = others.post("/networks/", data={"source": folder})
    assert page.status_code == 200
    assert page.url.path == f"/networks/{name_of(folder)}/"
    assert "class 59" in page.text
    assert folder in [row["name"] for row in others.get("/networks/list.json").json()]
    assert others.get(f"/networks/{name_of(folder)}/config").json()["root"].endswith(name_of(folder))


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("checkpoints/teacher", "config.json does not describe a Mixer of this project"),
        (__file__, "is not an MLP-Mixer of the authors"),
    ],
)
def test_what_cannot_be_opened_is_said_and_not_listed(others: TestClient, source: str, words: str) -> None:
    page = others.post("/networks/", data={"source": source})
    assert page.status_code == 404
    assert words in page.text
    assert f'value="{source}"' in page.text
    assert source not in [row["name"] for row in others.get("/networks/list.json").json()]


def test_nothing_is_opened_by_an_address_or_by_the_page_of_another_server(others: TestClient, tmp_path: Path) -> None:
    folder = str(foreign.write(tmp_path / "net", foreign.mixer(2)))
    page = others.get(f"/networks/{name_of(folder)}/")
    assert (page.status_code, f"{folder} is not open here" in page.text) == (404, True)
    evil = {"origin": "http://evil.example:7860"}
    for headers in (evil, evil | {"host": "evil.example:7860"}, {"x-forwarded-for": "192.0.2.7"}):
        page = others.post("/networks/", data={"source": folder}, headers=headers)
        assert (page.status_code, CLOSED in page.text) == (404, True)
    assert others.post("/networks/", data={"source": folder}, headers={"origin": HERE}).is_success
    others.post("/networks/", data={"source": folder}, headers=evil)
    assert folder in [row["name"] for row in others.get("/networks/list.json").json()], "it stays open"


def test_a_public_server_opens_what_is_present_and_what_its_flag_allows(
    public: TestClient, tmp_path: Path, network: Mixer, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint.save(tmp_path / "net", network, {})
    for source in (str(tmp_path / "net"), "owner/other"):
        page = public.post("/networks/", data={"source": source})
        assert (page.status_code, CLOSED in page.text) == (404, True)
        assert public.get(f"/networks/{name_of(source)}/").status_code == 404
    asked = []

    def load(source: str) -> Microscope:
        asked.append(source)
        return Microscope(network, {}, torch.device("cpu"))

    monkeypatch.setattr(networks.Microscope, "load", load)
    assert public.get(f"/networks/{name_of('owner/net')}/").is_success
    assert asked == ["owner/net"]


def test_only_so_many_stay_in_memory(others: TestClient, network: Mixer, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def load(source: str) -> Microscope:
        asked.append(source)
        if source == "large":
            raise NotOpened("large needs about 9.0 GB of memory")
        return Microscope(network, {}, torch.device("cpu"))

    monkeypatch.setattr(networks.Microscope, "load", load)
    names = [f"net-{i}" for i in range(MAX_OPEN + 1)]
    for name in names:
        assert others.post("/networks/", data={"source": name}).is_success
    assert others.get(f"/networks/{names[1]}/").is_success
    assert asked == names, "it was still open"
    assert others.get(f"/networks/{names[0]}/").is_success
    assert asked == [*names, names[0]], "it was looked at longest ago"
    assert "9.0 GB" in others.post("/networks/", data={"source": "large"}).text


@pytest.mark.parametrize("source", ["owner/net", "/home/me/a ~ 100% b", "ä", "C:\\nets\\a", "~", "%7E"])
def test_a_source_is_one_part_of_an_address(source: str) -> None:
    name = name_of(source)
    assert source_of(name) == source
    assert not set("/%\\ ") & set(name)
