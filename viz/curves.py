"""The learning curves of a training run, finished or not: as a page, or in the notebook that the run is in."""

import sys
from pathlib import Path

import plotly.graph_objects as go

from mixer.train import history
from viz import figures


def write(run: Path) -> Path:
    """The file that the curves are written into. Raises ValueError for a run that has not finished an epoch."""
    _draw(run).write_html(run / "curves.html")
    return run / "curves.html"


def show(run: Path, again: bool = False) -> None:
    """Show the curves in the notebook that this runs in, by `%run main.py`; outside of one, nothing happens.

    again: in the place of those that were shown before
    """
    if "ipykernel" not in sys.modules:
        return
    from IPython.display import HTML, display

    display(HTML(_draw(run).to_html(include_plotlyjs="cdn")), display_id=str(run), update=again)


def _draw(run: Path) -> go.Figure:
    lines = history(run)
    return figures.learning_curves(*([line[k] for line in lines] for k in ("epoch", "loss", "validation_accuracy")))
