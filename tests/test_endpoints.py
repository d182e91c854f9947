"""The endpoints as other programs use them: gradio_client, plain HTTP as by curl, and an MCP client."""

import asyncio
import json
import math
import re
import socket
import subprocess
import threading
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image
from plotly.colors import diverging, sample_colorscale, sequential, unlabel_rgb

from mixer.checkpoint import save
from mixer.data import CLASSES
from mixer.grid import Groups
from tests.mixer.picture_files import photo
from tests.served import served
from tests.thin import thin
from tests.viz.looking import microscope
from viz import tokens as token_questions
from viz.attribution.attribute import attribute
from viz.attribution.baselines import BASELINES, baseline
from viz.attribution.methods import METHODS
from viz.attribution.query import AttributionQuery, explanation
from viz.attribution.question import Question
from viz.intervene.edits import Edit
from viz.lenses.all import Lenses
from viz.microscope import Microscope
from viz.mixing.influence import token_jacobian
from viz.page import drawing, sent
from viz.page.endpoint import TWO
from viz.page.safe_blocks import BROKEN
from viz.page.upload import NOT_FETCHED, Refused
from viz.selection import change, from_query, show

INTERVENE = ["picture", "edits", "ablate_sublayers", "ablate_units", "label", "network", "skip", "silence"]
NAMES = {
    "/classify": (["picture", "network"], "answer"),
    "/attribute": (["picture", "label", "method", "baseline", "output", "block", "network", "groups"], "attribution"),
    "/attribute_many": (
        ["pictures", "label", "method", "baseline", "output", "block", "network", "groups"],
        "attributions",
    ),
    "/tokens": (["picture", "depth", "patch", "vectors", "network"], "tokens"),
    "/mixing": (["picture", "block", "network"], "mixing"),
    "/intervene": (INTERVENE, "intervention"),
    "/describe": (["network"], "description"),
    "/views": (["network"], "list"),
    "/view": (["picture", "name", "words", "network"], "seen"),
    "/draw": (["picture", "name", "words", "network"], "picture"),
}


@pytest.fixture(scope="module")
def scope(tmp_path_factory: pytest.TempPathFactory) -> Microscope:
    return thin(tmp_path_factory.mktemp("thin") / "thin")


@pytest.fixture(scope="module")
def url(scope: Microscope) -> Iterator[str]:
    with served(scope) as url:
        yield url


@pytest.fixture(scope="module")
def client(url: str) -> Client:
    return Client(url, verbose=False)


@pytest.fixture(scope="module")
def picture() -> str:
    """A sample in base64."""
    return b64encode(png()).decode()


def png() -> bytes:
    file = BytesIO()
    photo().resize((32, 32)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def pixels(scope: Microscope) -> bytes:
    return scope.picture_of(photo().resize((32, 32)))


def over_http(url: str, name: str, /, **arguments: Any) -> Any:
    """What plain HTTP gets: the answer, or the words of the error."""
    call = f"{url}gradio_api/call"
    event = httpx.post(f"{call}/v2/{name}", json=arguments).json()["event_id"]
    first, data = httpx.get(f"{call}/{name}/{event}", timeout=60).text.splitlines()[:2]
    found = json.loads(data.removeprefix("data: "))
    return found[0] if first == "event: complete" else found["error"]


def test_these_are_all_endpoints_and_named(client: Client) -> None:
    endpoints = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert list(endpoints) == list(NAMES)
    for name, (given, returned) in NAMES.items():
        parameters = endpoints[name]["parameters"]
        assert [each["parameter_name"] for each in parameters] == given
        assert [each["label"] for each in parameters] == given
        assert [each["label"] for each in endpoints[name]["returns"]] == [returned]
        assert endpoints[name]["description"]
        assert all(each["python_type"]["description"] for each in parameters)
        assert not any(each["python_type"]["type"].startswith("None") for each in parameters)
    confidences = "confidences: list[dict(label: str, confidence: float)]"
    (answer,) = endpoints["/classify"]["returns"]
    assert answer["python_type"]["type"] == f"dict(label: str, {confidences}, notes: list[str])"


def test_every_other_event_is_private(client: Client) -> None:
    public = [one["api_name"] for one in client.config["dependencies"] if one["api_visibility"] != "private"]
    assert [f"/{name}" for name in public] == list(NAMES)


def test_attributions_are_those_of_the_page(client: Client, scope: Microscope, picture: str, pixels: bytes) -> None:
    for method in ("Gradient x input", "Patch ablation", "Layer Integrated Gradients"):
        found = client.predict(picture, "cat", method, "black", "probability", 3, api_name="/attribute")
        want = scope.measured(
            explanation(scope, AttributionQuery(pixels, CLASSES.index("cat"), "black", "probability", 2), method)
        )
        np.testing.assert_allclose(found["values"], scope.grid.map(want.values), atol=1e-6)
        assert (found["label"], found["method"], found["output"]) == ("cat", method, "probability")
        assert found["total"] == pytest.approx(want.total, abs=1e-5)
        assert found["difference"] == pytest.approx(want.difference, abs=1e-5)
        assert found["passes"] == want.passes


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("tokens.norms", "norms=updates"),
        ("tokens.votes", "depth=5a&class=cat"),
        ("attribution.sums", "methods=Saliency&baseline=black"),
        ("mixing.units.units", "depth=3a&order=row&patch=2,1"),
        ("learn.glossary", ""),
    ],
)
def test_a_view_is_the_one_of_the_page(
    client: Client, scope: Microscope, picture: str, pixels: bytes, name: str, words: str
) -> None:
    found = client.predict(picture, name, words, api_name="/view")
    own = Lenses(scope)
    view = own.views[next(element for element, full in own.full_names.items() if full == name)]
    selection, wrong = change(scope, own.page, show(scope, own.first, pixels), from_query(words))
    assert not wrong
    assert not view.missing(scope, selection)  # what it needs was measured, by the same memory
    drawn = view.draw(scope, selection)
    assert (found["title"], found["question"], found["caution"]) == (view.title, view.question, view.caution)
    assert "<" not in found["words"]
    if drawn.numbers is None:
        assert (found["axes"], found["values"]) == ({}, None)
        return
    assert found["quantity"] == drawn.numbers.name
    assert list(found["axes"]) == list(drawn.numbers.axes)
    assert [len(places) for places in found["axes"].values()] == list(drawn.numbers.values.shape)
    np.testing.assert_allclose(np.array(found["values"], float), drawn.numbers.values, rtol=1e-6)


def opened(path: str) -> np.ndarray:
    """The pixels of a PNG file."""
    return np.asarray(Image.open(BytesIO(Path(path).read_bytes()), formats=["PNG"]))


def test_maps_are_drawn_in_the_colours_of_the_page(
    client: Client, scope: Microscope, picture: str, pixels: bytes
) -> None:
    grey = (
        np.frombuffer(pixels, np.uint8).reshape(32, 32, 3) @ np.array([0.299, 0.587, 0.114]) * (255 - 150) / 255 + 150
    )

    def check(drawn: np.ndarray, values: np.ndarray, colours: list[str], low: float, high: float) -> None:
        """Two patches by hand: 65 % of the colour of the value, 35 % of the grey of the picture."""
        for row, col in ((0, 1), (7, 2)):
            share = float(np.clip((values[row, col] - low) / (high - low), 0, 1))
            (colour,) = sample_colorscale(colours, [share])
            want = 0.65 * np.array(unlabel_rgb(colour)) + 0.35 * grey[row * 4 + 1, col * 8 + 5]
            np.testing.assert_allclose(drawn[(row * 4 + 1) * 8 + 3, (col * 8 + 5) * 8 + 3], want, atol=4)

    seen = {
        name: client.predict(picture, name, "depth=5a", api_name="/view") for name in ("tokens.votes", "tokens.norms")
    }
    files = {name: opened(client.predict(picture, name, "depth=5a", api_name="/draw")) for name in seen}
    votes = np.array(seen["tokens.votes"]["values"])
    span = np.percentile(np.abs(votes), 99)
    assert files["tokens.votes"].shape == (drawing.LINE + 256, 256, 3)
    check(files["tokens.votes"][drawing.LINE :], votes, diverging.RdBu_r, -span, span)
    norms, across, down = np.array(seen["tokens.norms"]["values"]), 256 + drawing.GAP, 256 + drawing.LINE
    assert files["tokens.norms"].shape == (5 * down, 5 * across - drawing.GAP, 3)
    for depth in (0, 8, 24):  # all on one scale
        y, x = depth // 5 * down + drawing.LINE, depth % 5 * across
        check(
            files["tokens.norms"][y : y + 256, x : x + 256], norms[depth], sequential.Viridis, norms.min(), norms.max()
        )


@pytest.mark.parametrize("name", drawing.WITH_MAPS)
def test_the_views_that_a_refusal_names_can_be_drawn(client: Client, picture: str, name: str) -> None:
    words = "methods=Saliency,Gradient x input"
    axes = client.predict(picture, name, words, api_name="/view")["axes"]
    count = math.prod(len(places) for axis, places in axes.items() if axis not in drawing.PLACES)
    height, width, _ = opened(client.predict(picture, name, words, api_name="/draw")).shape
    assert (width + drawing.GAP) // (256 + drawing.GAP) * (height // (256 + drawing.LINE)) >= count


def test_views_are_listed_and_older_names_lead_to_them(client: Client, scope: Microscope, picture: str) -> None:
    listed = client.predict(api_name="/views")["views"]
    assert set(listed) == set(Lenses(scope).full_names.values())
    assert all(listed.values())
    found = client.predict(picture, "how.glossary", api_name="/view")
    assert found["view"] == "learn.glossary"
    for name, words, told in (
        ("tokens.nothing", None, "There is no view 'tokens.nothing' here. There are: "),
        (None, "depth=99a", "99a"),
        (None, "nothing=1", "There is no option called 'nothing'."),
    ):
        with pytest.raises(AppError, match=re.escape(told)):
            client.predict(picture, name, words, api_name="/view")


def test_what_is_not_said_is_the_answer_and_the_page_s_first_choice(url: str, scope: Microscope, picture: str) -> None:
    found = over_http(url, "attribute", picture=picture)
    assert found["label"] == over_http(url, "classify", picture=picture)["label"]
    assert (found["method"], found["baseline"], found["output"]) == ("Gradient x input", "mean colour", "logit")
    assert np.shape(found["values"]) == (8, 4)


@pytest.mark.parametrize("method", ["Gradient x input", "Patch ablation"])
def test_many_pictures_are_explained_in_one_request(url: str, client: Client, tmp_path: Path, method: str) -> None:
    pictures = [photo(32 + 8 * number, 32) for number in range(3)]
    for number, each in enumerate(pictures):
        each.save(tmp_path / f"{number}.png")
    sent_ = [b64encode((tmp_path / f"{number}.png").read_bytes()).decode() for number in range(3)]
    files = [handle_file(tmp_path / f"{number}.png") for number in range(3)]
    want = [over_http(url, "attribute", picture=each, method=method) for each in sent_]
    for given in (sent_, files, json.dumps(sent_)):
        found = client.predict(pictures=given, method=method, api_name="/attribute_many")["attributions"]
        for one, alone in zip(found, want, strict=True):
            np.testing.assert_allclose(one.pop("values"), alone["values"], rtol=1e-3, atol=1e-5)
            for name in ("total", "difference"):
                assert one.pop(name) == pytest.approx(alone[name], abs=1e-4)
            assert one == {name: alone[name] for name in one}
    assert len(over_http(url, "attribute_many", pictures=sent_[0], method=method)["attributions"]) == 1
    for wrong, words in (
        ([], sent.NOTHING),
        (None, sent.NOTHING),
        (["x"] * 65, sent.TOO_MANY.format(64, 65)),
        ([*sent_, "I am text"], f"Of the pictures, number 4: {sent.NO_BASE64}"),
    ):
        assert over_http(url, "attribute_many", pictures=wrong, method=method) == words


def test_groups_of_patches_have_a_value_each(picture: str, tmp_path: Path) -> None:
    """9 x 10 patches, so that the groups at the lower edge are smaller."""
    model = microscope(image_size=(18, 20), patch_size=(2, 2), num_blocks=1).model
    save(tmp_path / "net", model, {})
    scope = Microscope.load(tmp_path / "net", torch.device("cpu"))
    with served(scope) as url:
        for method in ("Gradient x input", "Patch ablation"):
            given = {"method": method, "label": "cat", "groups": 2}
            found = over_http(url, "attribute", picture=picture, **given)
            image = scope.input(scope.picture_of(Image.open(BytesIO(png()))))
            against = baseline(found["baseline"], image, scope.model.config)
            want = attribute(scope.model, Question(image, against, CLASSES.index("cat"), side=2), method)
            np.testing.assert_allclose(found["values"], Groups(scope.grid, 2).map(want.values), atol=1e-5)
            assert np.shape(found["values"]) == (5, 5)
            (one,) = over_http(url, "attribute_many", pictures=[picture], **given)["attributions"]
            np.testing.assert_allclose(one["values"], found["values"], rtol=1e-3, atol=1e-5)
        assert np.shape(over_http(url, "attribute", picture=picture)["values"]) == (9, 10)
        wrong = over_http(url, "attribute_many", pictures=[picture], groups=3)
        assert wrong == "Groups of patches are 1 or 2 or 4 along each side here, not 3."


def test_a_program_is_told_what_there_is(client: Client, scope: Microscope) -> None:
    found = client.predict(api_name="/describe")
    assert (found["classes"], found["depths"]) == (list(CLASSES), list(scope.depth_names))
    assert (found["grid"], found["image_size"], found["channels"]) == ([8, 4], [32, 32], 24)
    assert list(found["methods"]) == list(METHODS)
    facts = {"signed": False, "complete": False, "baseline": False, "block": False, "passes": 2}
    assert found["methods"]["Saliency"] == facts
    assert (found["baselines"], found["outputs"]) == (list(BASELINES), ["logit", "probability"])
    assert len(found["samples"]) == len(scope.samples)
    assert {"seed", "seed-start"} <= found["networks"].keys()
    other = client.predict("seed-start", api_name="/describe")
    assert (other["network"], found["network"]) == ("seed-start", scope.source)
    with pytest.raises(AppError, match="There is no network nothing here"):
        client.predict("nothing", api_name="/describe")


def test_tokens_are_those_of_the_network(client: Client, scope: Microscope, picture: str, pixels: bytes) -> None:
    seen, depth = scope.look(pixels), scope.depth_names.index("2a")
    found = client.predict(picture, "2a", [3, 1], True, api_name="/tokens")
    held = seen.depths[depth, 0].reshape(8, 4, 24)
    np.testing.assert_allclose(found["vectors"], held, atol=1e-5)
    np.testing.assert_allclose(found["lengths"], held.norm(dim=2), rtol=1e-4)
    directions = held / held.norm(dim=2, keepdim=True)
    np.testing.assert_allclose(found["similarity"], directions @ directions[3, 1], atol=1e-5)
    votes = token_questions.votes(seen, scope.model, depth).argmax(1).reshape(8, 4)
    assert found["answers"] == [[CLASSES[number] for number in row] for row in votes]
    assert (found["depth"], found["channels"]) == ("2a", 24)
    short = client.predict(picture, api_name="/tokens")
    assert (short["depth"], short["similarity"], short["vectors"]) == ("12b", None, None)


def test_mixing_is_the_jacobian_of_the_block(client: Client, scope: Microscope, picture: str, pixels: bytes) -> None:
    found = client.predict(picture, 2, api_name="/mixing")
    np.testing.assert_allclose(found["influence"], token_jacobian(scope.model, scope.input(pixels), 1), rtol=1e-4)
    assert found["block"] == 2
    assert found["patches"][13] == [3, 1]
    assert client.predict(picture, api_name="/mixing")["block"] == 12


@torch.no_grad()
def test_an_intervention_changes_the_picture_and_the_network_at_once(
    client: Client, scope: Microscope, picture: str, pixels: bytes
) -> None:
    found = client.predict(picture, "mean:3,1;shuffle:7", ["2a", "5b"], [[4, 17], [4, 3]], "dog", api_name="/intervene")
    changes = (Edit("mean", None, (13,)), Edit("shuffle", 7, tuple(range(32))))
    tokens = scope.model.stem(scope.model.patches(scope.input(scope.edited(pixels, changes))[None]))
    for number, block in enumerate(scope.model.blocks, 1):  # by hand: x + f(x), without what is knocked out
        if number != 2:
            hidden = block.token_mixing.gelu(block.token_mixing.fc1(block.norm1(tokens).mT))
            if number == 4:
                hidden[..., [17, 3]] = 0
            tokens = tokens + block.token_mixing.fc2(hidden).mT
        if number != 5:
            tokens = tokens + block.channel_mixing(block.norm2(tokens))
    want = scope.model.classify(tokens)[0]
    assert found["after"]["logit"] == pytest.approx(float(want[5]), abs=1e-4)
    assert found["after"]["answer"] == CLASSES[int(want.argmax())]
    assert found["before"]["logit"] == pytest.approx(float(scope.look(pixels).logits[0, 5]), abs=1e-4)
    assert found["change"] == pytest.approx(found["after"]["logit"] - found["before"]["logit"])
    assert found["label"] == "dog"


def test_an_intervention_of_nothing_changes_nothing(client: Client, picture: str) -> None:
    found = client.predict(picture, api_name="/intervene")
    assert found["change"] == pytest.approx(0, abs=1e-5)
    assert found["before"]["answer"] == found["after"]["answer"] == found["label"]


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("intervene", {"edits": "tear:0,0"}, "An edit is one of mean, black"),
        ("intervene", {"edits": "mean:8,0"}, "The edit 'mean:8,0' needs a whole number from 0 to 7"),
        ("intervene", {"edits": 3}, "Edits are a text such as mean:0,1;shuffle:7, not '3'."),
        ("intervene", {"ablate_sublayers": ["stem"]}, "There is no sublayer 'stem' here. There are: 1a, 1b"),
        ("intervene", {"ablate_sublayers": 5}, "Ablate_sublayers is a list, not '5'."),
        ("intervene", {"ablate_sublayers": "[6a, x y]"}, "There is no sublayer 'x' here."),
        ("view", {"name": ["x"]}, "There is no view \"['x']\" here. There are: "),
        ("view", {"name": 5}, "There is no view '5' here."),
        ("view", {"name": {"a": 1}}, "There is no view"),
        ("view", {"name": 0}, "There is no view '0' here."),
        ("view", {"words": "sample=3"}, TWO),
        ("draw", {"words": "sample=3"}, TWO),
        (
            "draw",
            {"name": "tokens.answers"},
            "The view tokens.answers has no map over the patches. Views with maps are, for",
        ),
        ("draw", {"name": "tokens.pca"}, "The view tokens.pca has no map over the patches."),
        ("draw", {"name": "mixing.shuffle.pictures"}, "The view mixing.shuffle.pictures has no map over the patches."),
        ("draw", {"name": "nothing"}, "There is no view 'nothing' here."),
        ("view", {"words": ["depth=5a"]}, "Words are a text"),
        ("classify", {"network": "elsewhere"}, "There is no network elsewhere here; the networks are "),
        ("intervene", {"ablate_sublayers": "13a"}, "There is no sublayer '13a' here."),
        ("intervene", {"ablate_units": [[1, 20]]}, "Unit is a whole number from 0 to 19, not '20'."),
        ("intervene", {"ablate_units": [[0, 5]]}, "Block is a whole number from 1 to 12, not '0'."),
        ("intervene", {"ablate_units": [5]}, "A unit is [block, unit], not '5'."),
        ("intervene", {"ablate_units": {"block": 1}}, "Ablate_units is a list, not"),
        ("attribute", {"label": "tiger"}, "There is no label 'tiger' here. There are: airplane, automobile"),
        ("attribute", {"label": 3}, "There is no label '3' here."),
        ("attribute", {"method": "DeepLift"}, "There is no method 'DeepLift' here. There are: Gradient x input"),
        ("attribute", {"baseline": "grey"}, "There is no baseline 'grey' here. There are: "),
        ("attribute", {"output": "loss"}, "There is no output 'loss' here. There are: logit, probability."),
        ("attribute", {"block": 0}, "Block is a whole number from 1 to 12, not '0'."),
        ("attribute", {"groups": 2}, "Groups of patches are 1 along each side here, not 2."),
        ("attribute", {"groups": "two"}, "Groups of patches are 1 along each side here, not 'two'."),
        ("attribute", {"groups": True}, "Groups of patches are 1 along each side here, not True."),
        ("attribute", {"groups": [1, 1]}, "Groups of patches are 1 along each side here, not [1, 1]."),
        ("mixing", {"block": 13}, "Block is a whole number from 1 to 12, not '13'."),
        ("mixing", {"block": True}, "Block is a whole number from 1 to 12, not 'True'."),
        ("mixing", {"block": "two"}, "Block is a whole number from 1 to 12, not 'two'."),
        ("mixing", {"block": "true"}, "Block is a whole number from 1 to 12, not 'true'."),
        ("mixing", {"block": 2.5}, "Block is a whole number from 1 to 12, not '2.5'."),
        ("tokens", {"vectors": "perhaps"}, "Vectors is true or false, not 'perhaps'."),
        ("tokens", {"depth": "13a"}, "There is no depth '13a' here. There are: stem, 1a, 1b"),
        ("tokens", {"depth": ["stem"]}, "There is no depth"),
        ("tokens", {"patch": [8, 0]}, "The row of the patch is a whole number from 0 to 7, not '8'."),
        ("tokens", {"patch": [0, -1]}, "The column of the patch is a whole number from 0 to 3, not '-1'."),
        ("tokens", {"patch": "3"}, "A patch is [row, column], not '3'."),
        ("tokens", {"patch": {"row": 3}}, "A patch is [row, column], not \"{'row': 3}\"."),
        ("tokens", {"patch": [1]}, "A patch is [row, column], not '[1]'."),
        ("tokens", {"picture": None}, sent.NOTHING),
        ("tokens", {"picture": []}, sent.NOTHING),
        ("tokens", {"picture": ["AAAA", "AAAA"]}, sent.SEVERAL.format(2)),
        ("classify", {"picture": '["AAAA", "AAAA", "AAAA"]'}, sent.SEVERAL.format(3)),
        ("mixing", {"picture": "I am text"}, sent.NO_BASE64),
        ("attribute", {"picture": "http://127.0.0.1:9/cat.png"}, NOT_FETCHED),
    ],
)
def test_what_cannot_be_is_said_in_words(
    url: str, picture: str, name: str, arguments: dict[str, Any], words: str
) -> None:
    said = over_http(url, name, **{"picture": picture, **arguments})
    assert said.startswith(words)
    (parameter,) = arguments
    assert (parameter if name not in ("view", "draw") else "view" if "name" in arguments else "words") in said.lower()


@pytest.mark.parametrize(
    ("name", "as_text", "meant"),
    [
        ("mixing", {"block": "5"}, {"block": 5}),
        ("mixing", {"block": 5.0}, {"block": 5}),
        ("attribute", {"block": " 3 ", "method": "Token Grad-CAM"}, {"block": 3, "method": "Token Grad-CAM"}),
        ("tokens", {"patch": "[3, 1]"}, {"patch": [3, 1]}),
        ("tokens", {"patch": "3,1", "depth": "2a"}, {"patch": [3, 1], "depth": "2a"}),
        ("tokens", {"patch": ["3", "1"]}, {"patch": [3, 1]}),
        *(("tokens", {"patch": text}, {"patch": [3, 1]}) for text in ("(3, 1)", "3 1", "['3', '1',]")),
        ("tokens", {"patch": "null", "depth": "null", "vectors": "null", "network": "null"}, {}),
        ("attribute", dict.fromkeys(("label", "method", "baseline", "output", "block", "groups"), "null"), {}),
        ("attribute", {"groups": "1"}, {"groups": 1}),
        ("intervene", dict.fromkeys(("skip", "silence", "edits", "label"), "null"), {}),
        ("view", dict.fromkeys(("name", "words"), "null"), {}),
        ("tokens", {"vectors": "false"}, {"vectors": False}),
        ("tokens", {"vectors": "True"}, {"vectors": True}),
        ("intervene", {"skip": '["6a"]'}, {"ablate_sublayers": ["6a"]}),
        ("intervene", {"ablate_sublayers": "6a, 2b"}, {"ablate_sublayers": ["6a", "2b"]}),
        ("intervene", {"ablate_sublayers": "['6a', '2b']"}, {"ablate_sublayers": ["6a", "2b"]}),
        ("intervene", {"ablate_sublayers": "[6a; 2b]"}, {"ablate_sublayers": ["6a", "2b"]}),
        ("intervene", {"silence": "(4, 17), (5, 2)"}, {"ablate_units": [[4, 17], [5, 2]]}),
        ("intervene", {"ablate_units": "[4,17],[5,2]"}, {"ablate_units": [[4, 17], [5, 2]]}),
        ("intervene", {"ablate_units": "[[4, 17]]"}, {"ablate_units": [[4, 17]]}),
        ("intervene", {"ablate_units": [["4", "17"]]}, {"ablate_units": [[4, 17]]}),
    ],
)
def test_numbers_lists_and_truth_values_may_be_text(
    url: str, picture: str, name: str, as_text: dict[str, Any], meant: dict[str, Any]
) -> None:
    assert over_http(url, name, picture=picture, **as_text) == over_http(url, name, picture=picture, **meant)


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        (
            "tokens",
            {"depht": 3},
            "There is no parameter 'depht' here. There are: picture, depth, patch, vectors, ",
        ),
        ("classify", {"image": "x"}, "There is no parameter 'image' here. There are: picture, network."),
        ("attribute", {"depth": "5a", "label": "cat"}, "There is no parameter 'depth' here."),
        (
            "clasify",
            {},
            "There is no endpoint 'clasify' here. There are: classify, attribute, attribute_many, tokens, mixing, "
            "intervene, describe, views, view, draw.",
        ),
    ],
)
def test_a_wrong_name_is_a_sentence_and_no_fault_of_the_server(
    url: str, picture: str, name: str, arguments: dict[str, Any], words: str
) -> None:
    answer = httpx.post(f"{url}gradio_api/call/v2/{name}", json={"picture": picture} | arguments)
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith(words)


@pytest.mark.parametrize("route", ["call", "call/v2", "run", "api", "queue"])
def test_no_route_to_an_endpoint_that_is_not_there_is_a_fault_of_the_server(url: str, route: str) -> None:
    for name, body in (
        ("nothing", {"data": []}),
        ("clasify/", {"data": [1]}),
        ("v2", {"data": []}),
        ("nothing", {"data": [], "fn_index": 99_999}),
        ("nothing", {"data": [], "fn_index": ["x"]}),
        ("nothing", {}),
        ("join", {"data": [], "fn_index": 99_999, "session_hash": "x"}),
    ):
        answer = httpx.post(f"{url}gradio_api/{route}/{name}", json=body)
        assert answer.status_code == 400
        assert "There is no endpoint" in answer.json()["detail"]


def test_a_sample_of_the_words_takes_the_place_of_a_picture(url: str) -> None:
    found = over_http(url, "view", name="tokens.norms", words="sample=3&depth=5a")
    assert found["view"] == "tokens.norms"
    assert over_http(url, "view", name="tokens.norms", words="depth=5a") == sent.NOTHING


def test_a_list_of_one_picture_is_that_picture(url: str, picture: str) -> None:
    assert over_http(url, "classify", picture=[picture]) == over_http(url, "classify", picture=picture)


def test_a_route_that_fails_says_so(
    url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("a fault of ours")

    with monkeypatch.context() as patched:
        patched.setattr("gradio.route_utils.get_fn", broken)
        answer = httpx.post(f"{url}gradio_api/call/classify", json={"data": []})
    assert (answer.status_code, answer.json()) == (500, {"detail": BROKEN})
    assert "a fault of ours" in caplog.text


def test_answers_are_compressed_on_the_wire(url: str, picture: str) -> None:
    """The streams of events, too, which most answers are; and each event at once."""
    call = f"{url}gradio_api/call"
    event = httpx.post(f"{call}/v2/tokens", json={"picture": picture, "vectors": True}).json()["event_id"]
    with httpx.stream("GET", f"{call}/tokens/{event}", timeout=60) as answer:
        assert answer.headers["content-encoding"] == "gzip"
        text = "".join(answer.iter_text())
        assert text.startswith("event: complete")
        assert answer.num_bytes_downloaded < len(text) / 2
    page = httpx.get(url)
    assert page.headers["content-encoding"] == "gzip"
    plain = httpx.get(url, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers


def test_the_client_gets_the_words_too(client: Client, picture: str) -> None:
    with pytest.raises(AppError, match="There is no label 'tiger' here"):
        client.predict(picture, "tiger", api_name="/attribute")


def content(answer: Any) -> Any:
    """What an answer has; of a file, its bytes."""
    return Path(answer).read_bytes() if isinstance(answer, str) else answer


def test_a_file_is_taken_by_every_endpoint(client: Client, tmp_path: Path, picture: str) -> None:
    (tmp_path / "file.png").write_bytes(png())
    for name in (name for name, (given, _) in NAMES.items() if "picture" in given):
        given = handle_file(tmp_path / "file.png")
        found, want = (client.predict(one, api_name=name) for one in (given, picture))
        assert content(found) == content(want)


# pictures by address


@contextmanager
def server(status: int, content: bytes) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Location", "http://127.0.0.1:9/secret")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as made:
        threading.Thread(target=made.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{made.server_port}/cat.png"
        finally:
            made.shutdown()


def take(address: str) -> tuple[bytes, list[str]]:
    return asyncio.run(sent.read_picture(address, (32, 32), True))


def words_for(address: str) -> str:
    with pytest.raises(Refused) as refused:
        take(address)
    return str(refused.value.message)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "10.1.2.3", "192.168.0.1", "169.254.169.254", "[::1]", "0.0.0.0"]
)
def test_nothing_is_fetched_from_within(host: str) -> None:
    with server(200, png()) as address:
        port = address.split(":")[2]
        assert words_for(f"http://{host}:{port}") == sent.NOT_PUBLIC


def test_a_public_address_is_fetched_where_that_is_allowed(monkeypatch: pytest.MonkeyPatch, pixels: bytes) -> None:
    with monkeypatch.context() as public:
        public.setattr(sent, "ip_address", lambda number: type("Public", (), {"is_global": True}))
        with server(200, png()) as address:
            assert take(address) == (pixels, [])
            with public.context() as short:
                short.setattr(sent, "MAX_MEGABYTES", 0)
                assert words_for(address) == sent.TOO_LONG.format(0)
        with server(302, b"") as address:
            assert words_for(address) == sent.NOT_GIVEN.format(302)
        with server(200, b"I am text") as address:
            assert "cannot be read as a picture" in words_for(address)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            assert words_for(f"http://127.0.0.1:{free.getsockname()[1]}/") == sent.NOT_THERE
    assert words_for("http://nobody.invalid/cat.png") == sent.NOT_THERE
    assert words_for("http:///cat.png") == sent.NOT_THERE
    assert words_for("ftp://example.org/cat.png") == NOT_FETCHED


# MCP


def test_the_endpoints_are_tools_of_an_mcp_server(url: str, scope: Microscope, picture: str) -> None:
    mcp = pytest.importorskip("mcp", reason="gradio[mcp] is not installed")
    from mcp.client.streamable_http import streamable_http_client

    calls: list[tuple[str, dict[str, Any]]] = [
        ("classify", {}),
        ("attribute", {"label": "cat"}),
        ("mixing", {"block": 99}),
        ("tokens", {"depht": "1a"}),
        ("sum", {}),
        ("draw", {"words": "depth=5a"}),
        ("draw", {"name": "learn.glossary"}),
    ]
    cases = json.loads((Path(__file__).parent / "data" / "cases" / "mcp_calls.json").read_text("utf-8"))
    calls += [(case["tool"], case["arguments"]) for case in cases]

    async def visit() -> tuple[list[Any], list[Any]]:
        async with (
            streamable_http_client(f"{url}gradio_api/mcp/") as (reading, writing, _),
            mcp.ClientSession(reading, writing) as session,
        ):
            await session.initialize()
            tools = (await session.list_tools()).tools
            answers = [await session.call_tool(name, {"picture": picture} | more) for name, more in calls]
            return tools, answers

    tools, (classified, attributed, refused, unknown, no_tool, drawn, not_drawn, *others) = asyncio.run(visit())
    assert [f"/{tool.name}" for tool in tools] == list(NAMES)
    for tool in tools:
        described = tool.inputSchema["properties"]
        assert list(described) == NAMES[f"/{tool.name}"][0]
        assert all(each["description"] for each in described.values())
        promised = json.dumps([tool.description, tool.inputSchema])
        assert not re.search("handle_file|upload|url to a file|https?:", promised)
        needed = [name for name in described if name.startswith("picture") and tool.name not in ("view", "draw")]
        assert tool.inputSchema["required"] == needed
        assert (tool.outputSchema is None) if tool.name == "draw" else (tool.outputSchema["type"] == "object")
    asked = {tool.name: tool.inputSchema["properties"] for tool in tools}
    assert asked["attribute"]["method"]["enum"] == list(METHODS)
    assert asked["attribute"]["baseline"]["enum"] == list(BASELINES)
    assert asked["attribute"]["output"]["enum"] == ["logit", "probability"]
    for depth in (asked["tokens"]["depth"], asked["intervene"]["ablate_sublayers"]["items"]):
        assert all(re.search(depth["pattern"], name) for name in scope.depth_names)
        assert not re.search(depth["pattern"], "12c")
    assert json.loads(classified.content[0].text) == over_http(url, "classify", picture=picture)
    assert classified.structuredContent == json.loads(classified.content[0].text)
    assert json.loads(attributed.content[0].text)["label"] == "cat"
    assert refused.isError
    assert refused.content[0].text == "Block is a whole number from 1 to 12, not '99'."
    assert unknown.content[0].text.startswith("There is no parameter 'depht' here.")
    assert no_tool.content[0].text.startswith("There is no tool 'sum' here.")
    (image,) = drawn.content
    assert (image.type, image.mimeType, drawn.structuredContent) == ("image", "image/png", None)
    file = BytesIO(b64decode(image.data))
    assert Image.open(file).size == (256, 256 + drawing.LINE)
    served_ = over_http(url, "draw", picture=picture, words="depth=5a")["url"]
    assert httpx.get(served_).content == file.getvalue()
    assert not_drawn.isError
    assert not_drawn.content[0].text == drawing.NO_MAP.format("learn.glossary", ", ".join(drawing.WITH_MAPS))
    *as_text, address = others
    assert not any(answer.isError for answer in as_text)
    assert (address.isError, address.content[0].text) == (True, NOT_FETCHED)


def test_the_documentation_names_everything_and_its_examples_work(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (Path(__file__).parent.parent / "docs" / "endpoints.md").read_text(encoding="utf-8")
    for name, (given, _) in NAMES.items():
        assert f"## {name.removeprefix('/')}\n" in text
        assert all(f"`{parameter}`" in text for parameter in given)
    assert all(name in text for name in (*METHODS, *BASELINES))
    (tmp_path / "photo.jpg").write_bytes(png())
    monkeypatch.chdir(tmp_path)
    code = [line[4:] for line in text.splitlines() if re.match(r"    (from|microscope|picture)\b", line)]
    *setup, describe, classify, attribute, many, tokens, mixing, intervene, views, view, draw = code
    names: dict[str, Any] = {}
    exec("\n".join(setup).replace("http://127.0.0.1:7860", url), names)
    assert eval(describe, names)["classes"] == list(CLASSES)
    assert len(eval(classify, names)["confidences"]) == 10
    assert len(eval(many, names)["attributions"]) == 2
    assert np.shape(eval(attribute, names)["values"]) == (8, 4)
    assert np.shape(eval(tokens, names)["vectors"]) == (8, 4, 24)
    assert np.shape(eval(mixing, names)["influence"]) == (32, 32)
    assert eval(intervene, names)["change"] != 0
    assert "how.network" in eval(views, names)["views"]
    assert np.shape(eval(view, names)["values"]) == (25, 8, 4)
    assert opened(eval(draw, names)).shape == (drawing.LINE + 256, 256, 3)


def test_the_example_of_the_readme_works(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    code = [line[4:] for line in text.splitlines() if re.match(r"    (from gradio_client|microscope)\b", line)]
    (tmp_path / "photo.jpg").write_bytes(png())
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec("\n".join(code[:-1]).replace("http://127.0.0.1:7860", url), names)
    assert eval(code[-1], names)["label"] == "cat"


def test_the_documentation_s_commands_work_as_they_stand(url: str, tmp_path: Path) -> None:
    text = (Path(__file__).parent.parent / "docs" / "endpoints.md").read_text(encoding="utf-8")
    (tmp_path / "photo.jpg").write_bytes(png())
    lines = re.search(r"    (\(printf.*?)\n    (curl .*?)\n", text, re.DOTALL)
    assert lines is not None
    first, second = (line.replace("http://127.0.0.1:7860/", url) for line in lines.groups())
    command = {"shell": True, "cwd": tmp_path, "text": True, "timeout": 60}
    event = json.loads(subprocess.check_output(first.replace("curl", "curl -s"), **command))["event_id"]
    said = subprocess.check_output(second.replace("curl", "curl -s").replace("EVENT_ID", event), **command)
    assert said.startswith("event: complete")
    assert '"confidences"' in said
