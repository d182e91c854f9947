import json
import math
import sys
from pathlib import Path
from types import ModuleType

import pytest

from mixer.atomic_write import NotWritable
from viz import figures, learning_curves

LINES = [
    {"step": 3, "epoch": 1.0, "loss": 2.5, "rate": 1.0, "validation_accuracy": 0.25, "seconds": 1.0},
    {"step": 6, "epoch": 2.0, "loss": 1.5, "rate": 0.0, "validation_accuracy": 0.5, "seconds": 2.0},
]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "history.jsonl").write_text("".join(json.dumps(line) + "\n" for line in LINES), encoding="utf-8")
    return tmp_path


def test_both_curves_are_over_the_epochs_on_axes_of_their_own() -> None:
    figure = figures.learning_curves([1, 2], [2.5, 1.5], [0.25, 0.5])
    loss, accuracy = figure.data
    assert (list(loss.x), list(loss.y)) == ([1, 2], [2.5, 1.5])
    assert (list(accuracy.x), list(accuracy.y)) == ([1, 2], [0.25, 0.5])
    assert figure.layout.yaxis.title.text == "training loss"
    assert figure.layout.yaxis2.title.text == "validation accuracy"
    assert (loss.yaxis, accuracy.yaxis) == ("y", "y2")


def test_stages_follow_each_other() -> None:
    stages = [{"epochs": 2.5, "history": LINES}, {"epochs": 1.0, "history": LINES[:1]}]
    loss, accuracy, *begins = learning_curves.of_stages(stages).data
    assert (list(loss.x), list(loss.y)) == ([1, 2, 3.5], [2.5, 1.5, 2.5])
    assert list(accuracy.y) == [0.25, 0.5, 0.25]
    assert [set(line.x) for line in begins] == [{2.5}, {2.5}], "a line in both where the second stage begins"
    assert {int(stage) for line in begins for stage in line.customdata} == {2}
    loss, *_ = learning_curves.of_stages([{"epochs": 2.0}, {}, {"history": LINES}]).data
    assert list(loss.x) == [3, 4], "of earlier stages that hold nothing, nothing is shown"


def test_of_images_that_were_learned_from_no_accuracy_is_shown() -> None:
    everything = {"epochs": 2.0, "history": LINES, "recipe": {"all_images": True}}
    _, accuracy, *_ = learning_curves.of_stages([{"epochs": 2.0, "history": LINES}, everything]).data
    assert list(accuracy.y[:2]) == [0.25, 0.5]
    assert all(math.isnan(value) for value in accuracy.y[2:])


def test_a_run_becomes_a_page(run: Path) -> None:
    page = learning_curves.write(run).read_text(encoding="utf-8")
    assert learning_curves.write(run) == run / "curves.html"
    assert "[2.5,1.5]" in page
    assert "[0.25,0.5]" in page


def test_somebody_s_own_page_stays(run: Path) -> None:
    (run / "curves.html").write_text("mine", encoding="utf-8")
    with pytest.raises(NotWritable, match=r"curves\.html exists already"):
        learning_curves.write(run)
    assert (run / "curves.html").read_text(encoding="utf-8") == "mine"


def test_a_run_without_a_finished_epoch_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no finished epoch"):
        learning_curves.write(tmp_path)
    (tmp_path / "history.jsonl").touch()
    with pytest.raises(ValueError, match="has no finished epoch"):
        learning_curves.write(tmp_path)


def test_a_notebook_is_shown_them_in_one_place_and_nobody_else(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = []
    notebook = ModuleType("IPython.display")
    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", notebook)
    monkeypatch.setattr(notebook, "HTML", str, raising=False)
    monkeypatch.setattr(notebook, "display", lambda page, **how: shown.append((page, how)), raising=False)
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    learning_curves.show(run)
    assert not shown
    monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    learning_curves.show(run)
    learning_curves.show(run, again=True)
    assert "[2.5,1.5]" in shown[0][0]
    assert [how for _, how in shown] == [{"display_id": str(run), "update": u} for u in (False, True)]
