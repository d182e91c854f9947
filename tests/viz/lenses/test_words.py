"""What the page says is so: in number, of what there was, and of what there is."""

import re
from typing import Any

import pytest
import torch

from mixer.record import device_name
from tests.viz.looking import measure, microscope, select, told, view_of
from viz.lenses import how_it_works, model
from viz.lenses.view import View, counted, prediction_text
from viz.page.instrument import Instrument
from viz.selection import Choice, change, first

pytestmark = pytest.mark.usefixtures("few_draws")


@pytest.mark.parametrize(("count", "words"), [(0, "0 stages"), (1, "1 stage"), (2, "2 stages"), (1200, "1,200 stages")])
def test_one_thing_is_not_said_to_be_several(count: int, words: str) -> None:
    assert counted(count, "stage") == words


ONE = {
    "image_size": (8, 8), "patch_size": (8, 8), "num_blocks": 1, "num_classes": 1, "classes": ("only",),
    "hidden_dim": 1, "tokens_mlp_dim": 1, "channels_mlp_dim": 1,
}  # fmt: skip


@pytest.mark.parametrize("several", [(), ("num_blocks", "hidden_dim")], ids=str)
def test_a_network_of_one_of_each_has_no_plurals_and_no_values_that_are_none(several: tuple[str, ...]) -> None:
    instrument = Instrument(microscope(**ONE | dict.fromkeys(several, 6)))
    scope, wrong = instrument.scope, list[str]()
    assert PLURAL.search("There are 1 blocks")
    assert PLURAL.search("By chance, nan is expected")
    for name, view in instrument.views.items():
        for option in (None, *view.options):
            for choice, _ in option.choices if isinstance(option, Choice) else [("", "")]:
                words = {option.name: choice} if option and choice else {}
                selection, _ = change(scope, instrument.page, first(scope, instrument.page), words)
                measure(scope, view, selection, asked=True)
                figure, html, words_over, _ = told(view.draw(scope, selection))
                said = re.sub(
                    r"<svg.*?</svg>", "", f"{view.title} {view.question} {html} {words_over}", flags=re.DOTALL
                )
                labels = re.sub(r'"(bdata|source)":"[^"]*"', "", figure or "")
                every = f"{said} {view.caution} {labels}"
                found = (every[max(0, one.start() - 40) : one.end() + 20] for one in PLURAL.finditer(every))
                wrong += [f"{name} {words}: {text}" for text in found]
    assert not wrong


PLURAL = re.compile(r"(?<!x )(?<!block )(?<!near )\b1 [a-z]+s\b|\b[Nn]a[Nn]\b")
"""one thing that is said to be several, beside sizes such as 1 x 1 pixels, and verbs: block 1 reads"""


@pytest.mark.parametrize(("threads", "words"), [(1, "CPU (1 thread)"), (2, "CPU (2 threads)")])
def test_a_device_has_one_thread_or_several(threads: int, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert device_name(torch.device("cpu")) == words


def test_who_answers_rightly_takes_nothing_for_something() -> None:
    assert prediction_text("airplane", "airplane") == "airplane, predicted correctly"
    assert prediction_text("airplane", "ship") == "airplane, predicted ship"


def training(*recipes: dict[str, Any]) -> View:
    scope = microscope()
    history = [{"epoch": 1.0, "loss": 1.0, "validation_accuracy": 0.5}]
    stages = [{"epochs": 1.0, "hours": 0.1, "recipe": recipe, "history": history} for recipe in recipes]
    scope.metrics = {"stages": stages, "epochs": 1.0 * len(stages), "hours": 0.1}
    return view_of(model.lens(scope), "training")


def test_a_teacher_is_named_where_there_was_one() -> None:
    for recipes in ([{}], [{"teacher": None}], [{}, {"teacher": None}]):
        assert "teacher" not in training(*recipes).caution
    for recipes in ([{"teacher": "checkpoints/teacher"}], [{}, {"teacher": ["a", "b"]}]):
        assert "against a teacher's answers" in training(*recipes).caution
    assert "of 1 stage and" in training({}).question
    assert "of 2 stages and" in training({}, {}).question


def test_an_untrained_network_has_no_largest_update() -> None:
    scope = microscope()
    lens = how_it_works.lens(scope)
    assert "The largest update is that of" in view_of(lens, "network").draw(scope, select(scope, lens)).words
    scope = microscope()
    scope.model.start_as_identity()
    words = view_of(how_it_works.lens(scope), "network").draw(scope, select(scope, lens)).words
    assert "Every sublayer has an update of zero." in words
    assert "largest update" not in words
