"""Which method is best on average? All of them over the shipped samples."""

from html import escape
from shlex import quote

import numpy as np

from viz.doubt.survey import CAUTION, COLUMNS, in_words, rows
from viz.lenses.table import table
from viz.lenses.view import Drawn, Numbers, View
from viz.microscope import Microscope
from viz.selection import Selection

MISSING = "Not measured for this network. This command measures it: <code>{}</code>"


def view() -> View:
    return View(
        "survey",
        "Benchmark of the methods",
        "Which method is best on average over the samples, at deletion (lower is better) and insertion (higher)?",
        CAUTION,
        lambda selection: None,
        draw,
    )


def draw(scope: Microscope, selection: Selection) -> Drawn:
    measured = scope.metrics.get("attributions")
    if not measured:
        return Drawn(words=MISSING.format(escape(_command(scope))))
    methods, columns = measured["methods"], COLUMNS[1:]
    values = np.array([[row[column] for column in columns] for row in methods.values()], float)  # NaN for no gap
    numbers = Numbers("value", {"method": list(methods), "of": columns}, values)
    return Drawn(html=table(COLUMNS, rows(measured)), words=escape(in_words(measured)), numbers=numbers)


def _command(scope: Microscope) -> str:
    """What measures it, for this network: on pictures of its own, where the samples do not show its classes."""
    pictures = quote(str(scope.folder)) if scope.folder else "FOLDER"
    samples = f"--samples {pictures}" if scope.folder or (scope.samples.classes and not scope.knows_samples) else ""
    return " ".join(
        filter(None, ["python main.py evaluate --attributions", samples, scope.source and quote(scope.source)])
    )
