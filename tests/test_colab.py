"""The notebook, executed from top to bottom as it is, but for its parameters and the data."""

from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from mixer import checkpoint
from mixer.model import PRESETS, Mixer

ROOT = Path(__file__).parent.parent
TINY = "--blocks 1 --epochs 2 --warmup-epochs 0.5 --decay-epochs 1 --batch-size 20 --download"
PARAMETERS = """
from tests.small_cifar import accept
accept()
RUN = "{run}"
OPTIONS = "{options}"
"""


@pytest.fixture
def notebook() -> nbformat.NotebookNode:
    return nbformat.read(ROOT / "train_colab.ipynb", 4)


def test_it_trains_evaluates_saves_and_shows(
    notebook: nbformat.NotebookNode, cifar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CIFAR10_ROOT", str(cifar))
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    run = tmp_path / "a run"
    (place,) = (i for i, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", []))
    notebook.cells.insert(place + 1, nbformat.v4.new_code_cell(PARAMETERS.format(run=run, options=TINY)))
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(ROOT)}}).execute()

    outputs = {cell.source: cell.outputs for cell in notebook.cells if cell.cell_type == "code"}
    assert not [output for cell in outputs.values() for output in cell if output.output_type == "error"]
    said = {source: "".join(o.text for o in cell if o.output_type == "stream") for source, cell in outputs.items()}
    shown = {source: [o.data["text/html"] for o in cell if "data" in o] for source, cell in outputs.items()}
    train, plot, evaluate, app, push = (
        next(source for source in outputs if command in source)
        for command in ("main.py --run", "main.py plot", "main.py evaluate", "app.py", "main.py push")
    )
    model, metrics = checkpoint.load(run / "checkpoint", Mixer)
    assert model.config == replace(PRESETS["seed"], num_blocks=1)
    assert [line["epoch"] for line in metrics["stages"][0]["history"]] == [1, 2]
    assert f"CIFAR-10 test accuracy: {metrics['accuracy']:.2%} on 60 images" in said[train]
    assert f"CIFAR-10 test accuracy: {metrics['accuracy']:.2%} on 60 images" in said[evaluate]
    assert len(shown[train]) == 1, "the curves of the second epoch take the place of those of the first"
    assert shown[train][0].count('"training loss"') == 1
    assert shown[plot]
    assert (run / "curves.html").stat().st_size > 1_000_000, "a page of its own, with plotly in it"
    assert "<iframe" in shown[app][0]
    assert said[push] == "No token: not published.\n"


def test_it_is_kept_without_outputs_and_defines_nothing(notebook: nbformat.NotebookNode) -> None:
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code)
    assert not any(word in cell.source for cell in code for word in ("def ", "class ", "lambda", "for "))


def test_every_long_cell_says_what_it_costs(notebook: nbformat.NotebookNode) -> None:
    for above, cell in zip(notebook.cells, notebook.cells[1:], strict=False):
        if any(word in cell.source for word in ("pip install", "main.py --run", "main.py evaluate", "app.py", "push")):
            assert "T4" in above.source
            assert "CPU" in above.source
