"""docs/microscope.ipynb, executed from top to bottom as it is."""

from copy import deepcopy
from html import unescape
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

DOCS = Path(__file__).parent.parent / "docs"


@pytest.fixture(scope="module")
def notebook() -> nbformat.NotebookNode:
    return nbformat.read(DOCS / "microscope.ipynb", 4)


def test_it_is_kept_without_outputs(notebook: nbformat.NotebookNode) -> None:
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells)


def test_every_cell_shows_what_it_says(notebook: nbformat.NotebookNode) -> None:
    notebook = deepcopy(notebook)  # as it is executed in place
    NotebookClient(notebook, timeout=180, resources={"metadata": {"path": str(DOCS)}}).execute()
    outputs = {cell.source: cell.outputs for cell in notebook.cells if cell.cell_type == "code"}
    assert not [output for cell in outputs.values() for output in cell if output.output_type == "error"]
    shown = {
        source: "".join(o.data.get("text/html", "") for o in cell if "data" in o) for source, cell in outputs.items()
    }
    views = [source for source in outputs if "view(" in source]
    assert len(views) == 4
    for source in views:
        assert "plotly" in shown[source], source
        assert '<p class="caution">' in unescape(shown[source]), source
    before, after = (shown[source] for source in views if "mixing.wiring.matrix" in source)
    assert before != after, "another network"
