"""A network that was trained on other images is shown with its own samples, whatever they are called."""

import re

import numpy as np
import pytest
import torch

from mixer.checkpoint import load_samples, save
from mixer.data import Samples
from mixer.model import MixerConfig
from tests.viz.explained import bent
from tests.viz.looking import measure
from viz.lenses.model import CONFUSION, _confused
from viz.lenses.view import Point
from viz.microscope import Microscope
from viz.page import specimen
from viz.page.instrument import Instrument
from viz.page.report import BROKEN
from viz.page.session import Session
from viz.selection import Selection, change, first

pytestmark = pytest.mark.usefixtures("few_draws")

NAMES = ("two", "wrong", "<i>&amp;", "a>b")
METRICS = {"accuracy": 0.5, "images": 4, "data": {"name": "mine"}, "confusion": np.eye(4, dtype=int).tolist()}


def network(classes: tuple[str, ...], labels: list[int], of: tuple[str, ...] | None = None) -> Microscope:
    """Of pictures of 12 x 20 pixels in 3 x 4 patches; its samples are noise, with these labels.

    of: the classes of the samples, where they are others
    """
    config = MixerConfig(
        image_size=(12, 20),
        patch_size=(4, 5),
        num_classes=len(classes),
        classes=classes,
        num_blocks=2,
        hidden_dim=10,
        tokens_mlp_dim=7,
        channels_mlp_dim=13,
    )
    images = torch.randint(256, (len(labels), 3, 12, 20), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    indices = 100 + torch.arange(len(labels))
    stated = {"classes": classes if of is None else of, "source": "mine", "held_out": of is None}
    own = Samples(images, torch.tensor(labels), indices, **stated)
    metrics = METRICS if len(classes) == 4 else {}
    return Microscope(bent(config), metrics, torch.device("cpu"), own_samples=own)


@pytest.fixture(scope="module")
def instrument() -> Instrument:
    made = Instrument(network(NAMES, [0, 0, 0, 1, 2, 2, 3, 3, 3]))
    return made


def shown(instrument: Instrument, kind: str) -> list[str]:
    (view,) = instrument.specimen.views
    selection, wrong = change(instrument.scope, instrument.page, instrument.first, {"samples": kind})
    assert not wrong
    measure(instrument.scope, view, selection)
    return re.findall(r"data-words='sample=(\d+)'", view.draw(instrument.scope, selection).html)


def test_samples_of_a_class_are_found_by_its_name_whatever_that_is(instrument: Instrument) -> None:
    assert shown(instrument, "all") == ["0", "3", "4", "6", "1", "5", "7", "2", "8"]  # first of each class, second, ...
    assert shown(instrument, "two") == ["0", "1", "2"]
    assert shown(instrument, "a>b") == ["6", "7", "8"]
    assert shown(instrument, "<i>&amp;") == ["4", "5"]
    answers = [instrument.scope.answer(instrument.scope.sample_picture(i)) for i in range(9)]
    wrong = [str(i) for i, answer in enumerate(answers) if answer != instrument.scope.truth_class(i)]
    assert sorted(shown(instrument, "wrong")) == wrong
    assert wrong


def test_they_are_called_what_they_are(instrument: Instrument) -> None:
    scope = instrument.scope
    assert scope.knows_samples
    assert scope.quality == "mine test accuracy: 50.00%"
    selection, _ = change(scope, instrument.page, instrument.first, {"sample": "4"})
    words = specimen.answer_texts(scope, selection)[0]
    assert words.startswith("Test image 104 of mine, labelled <b>&lt;i&gt;&amp;amp;</b>: the answer is ")


@pytest.mark.parametrize("of", [None, (), NAMES[1:3], ("x",)], ids=["all", "unlabelled", "some", "others"])
def test_every_view_is_drawn_with_them(of: tuple[str, ...] | None) -> None:
    instrument = Instrument(
        network(NAMES, [0, 0, 0, 0, 0, 0, 0, 0, 0] if of is not None else [0, 0, 0, 1, 2, 2, 3, 3, 3], of)
    )
    for lens in instrument.lenses:
        visit = Session(first(instrument.scope, instrument.page))
        instrument.answer(visit, {"words": {"lens": lens.id, "sample": "8"}})
        for view in lens.views:
            measure(instrument.scope, view, visit.selection, asked=True)
        visit.sent.clear()
        updates = instrument.answer(visit, {"redraw": True})
        values = [value for value in updates.values() if isinstance(value, dict) and "words" in value]
        assert len(values) >= len(lens.views)
        for value in values:
            assert BROKEN not in value["words"]
            assert "<i>&amp;" not in f"{value['words']}{value['html']}"


def test_pictures_of_a_folder_are_not_called_test_images() -> None:
    for of, words in (
        ((), "Picture 101 of mine. It has no label."),
        (("two",), "Picture 101 of mine, labelled <b>two</b>: the answer is "),
        (("x",), "Picture 101 of mine, labelled <b>x</b>. The network does not have this class"),
    ):
        made = Instrument(network(NAMES, [0] * 9, of))
        selection, _ = change(made.scope, made.page, made.first, {"sample": "1"})
        assert specimen.answer_texts(made.scope, selection)[0].startswith(words)


def test_a_picture_without_a_label_has_only_its_answer_under_it() -> None:
    made = Instrument(network(NAMES, [0] * 9, ()))
    view = made.views["model-pictures"]
    measure(made.scope, view, made.first)
    html = view.draw(made.scope, made.first).html
    assert re.findall(r"alt=''>(.*?)</button>", html)
    assert "picture" not in html
    assert "→" not in html


def test_of_many_classes_pairs_are_not_listed() -> None:
    names = tuple(f"thing {i}" for i in range(60))
    instrument = Instrument(network(names, [3, 5, 5]))
    (kinds,) = instrument.specimen.all_options
    assert [name for name, _ in kinds.choices] == ["all", "unsure", "wrong", *names]
    assert shown(instrument, "thing 5") == ["1", "2"]
    assert shown(instrument, "thing 7") == []


@pytest.mark.parametrize("classes", [4, 60])
def test_a_cell_of_the_confusion_matrix_is_that_of_its_names(classes: int) -> None:
    names = tuple(f"thing {i}" for i in range(classes))
    scope = network(names, [0, 1])
    counts = np.eye(classes, dtype=int)
    counts[-1, -2] = counts[-2, 1] = 7  # of many classes, the last ones are confused, and drawn
    scope.metrics["confusion"] = counts.tolist()
    drawn = CONFUSION.draw(scope, Selection(b"")).figure.data[0]
    for row, col in ((0, 0), (len(drawn.y) - 1, len(drawn.x) - 2), (1, 2)):
        picked = _confused(scope, Selection(b""), Point(0, "", (row, col)))
        label = drawn.y[row] if classes > 20 else f"{drawn.y[row]}>{drawn.x[col]}"
        assert picked == {"samples": label}


def test_the_tokens_of_one_sample_have_no_neighbours_and_those_of_two_have_few() -> None:
    for count, found in ((1, 0), (2, 10)):
        made = Instrument(network(NAMES, [0] * count))
        view = made.views["tokens-neighbours"]
        measure(made.scope, view, made.first)
        drawn = view.draw(made.scope, made.first)
        assert drawn.html.count("<li>") == found
        assert bool(drawn.words) == (not found)


def test_samples_are_read_while_a_photo_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    scope = network(NAMES, [0, 1])
    monkeypatch.setattr("viz.microscope.decode", None)
    assert scope.sample_picture(1) == scope.samples.images[1].permute(1, 2, 0).numpy().tobytes()


def test_a_checkpoint_is_opened_with_its_samples(tmp_path) -> None:
    made = network(NAMES, [0, 1, 2, 3])
    save(tmp_path / "net", made.model, {}, made.samples)
    found = Microscope.load(tmp_path / "net", torch.device("cpu"))
    assert found.samples.classes == NAMES
    assert torch.equal(found.samples.images, load_samples(tmp_path / "net").images)
    assert found.sample_picture(2) == made.samples.images[2].permute(1, 2, 0).numpy().tobytes()
