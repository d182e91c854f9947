"""The learning curves of a training run, finished or not: as a page, or in the notebook that the run is in."""

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
    """The file that the curves are written into, `curves.html` in the folder of the run.

    Raises ValueError for a run that has not finished an epoch, NotWritable where such a file is there that is not ours.
    """
    page = run / "curves.html"
    atomic_write.write_signed(page, _draw(run).to_html())
    return page


def show(run: Path, again: bool = False) -> None:
    """Show the curves in the notebook that this runs in, by `%run main.py`; outside of one, nothing happens.

    again: in the place of those that were shown before
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
    """What is known of each epoch, each stage from where the last one ended.

    What a stage has learned from the validation images, too, says nothing of them: there, the accuracy is not a number.
    """
    found, before = [], 0.0
    for stage in stages:
        nothing = {"validation_accuracy": math.nan} if stage.get("recipe", {}).get("all_images") else {}
        found += [{**line, "epoch": before + line["epoch"], **nothing} for line in stage.get("history", [])]
        before += stage.get("epochs", 0.0)  # it may go on after its last line
    return found


def _draw(run: Path) -> figures.Figure:
    known = history(run)
    return of_stages([{"history": known, "epochs": known[-1]["epoch"]}])
