"""The learning curves of a training run, finished or not: as a page, or in the notebook of the run."""

import math
import sys
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from mixer import atomic_write
from mixer.run import history
from viz import figures


def write(run: Path) -> Path:
    """Write the curves into `curves.html` in the folder of the run, and return this path.

    Raises ValueError for a run without a finished epoch, NotWritable if another program wrote a file of this name.
    """
    page = run / "curves.html"
    atomic_write.write_signed(page, _draw(run).to_html())
    return page


def show(run: Path, again: bool = False) -> None:
    """Show the curves in the notebook that runs this by `%run main.py`; do nothing outside of a notebook.

    again: whether they replace the previous ones
    """
    if "ipykernel" not in sys.modules:
        return
    from IPython.display import HTML, display

    display(HTML(_draw(run).to_html(include_plotlyjs="cdn")), display_id=str(run), update=again)


def of_stages(stages: Sequence[dict[str, Any]]) -> figures.Figure:
    """The curves of a network that was trained in stages."""
    drawn = lines(stages)
    epochs, losses, accuracies = ([line[name] for line in drawn] for name in ("epoch", "loss", "validation_accuracy"))
    begins = list(accumulate(stage.get("epochs", 0.0) for stage in stages))[:-1]
    return figures.learning_curves(epochs, losses, accuracies, begins)


def lines(stages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The record of each epoch; the epochs of a stage continue those of the previous stage.

    A stage that learned from the validation images, too, cannot measure its accuracy on them: there it is NaN.
    """
    found, before = [], 0.0
    for stage in stages:
        nothing = {"validation_accuracy": math.nan} if stage.get("recipe", {}).get("all_images") else {}
        found += [{**line, "epoch": before + line["epoch"], **nothing} for line in stage.get("history", [])]
        before += stage.get("epochs", 0.0)  # a stage may end after its last line
    return found


def _draw(run: Path) -> figures.Figure:
    known = history(run)
    return of_stages([{"history": known, "epochs": known[-1]["epoch"]}])
