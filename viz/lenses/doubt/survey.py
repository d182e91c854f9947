"""Benchmark of all methods over the samples."""

from html import escape
from shlex import quote

import numpy as np

from viz.doubt.survey import CAUTION, COLUMNS, description, rows
from viz.lenses.table import table
from viz.lenses.view import Drawn, Numbers, View
from viz.microscope import Microscope
from viz.selection import Selection

MISSING = "Not measured for this network. This command measures it: <code>{}</code>"


def draw(scope: Microscope, selection: Selection) -> Drawn:
    measured = scope.metrics.get("attributions")
    if not measured:
        return Drawn(words=MISSING.format(escape(_command(scope))))
    methods, columns = measured["methods"], COLUMNS[1:]
    values = np.array([[row[column] for column in columns] for row in methods.values()], float)  # None becomes NaN
    numbers = Numbers("value", {"method": list(methods), "of": columns}, values)
    return Drawn(html=table(COLUMNS, rows(measured)), words=escape(description(measured)), numbers=numbers)


def _command(scope: Microscope) -> str:
    """The command that runs the benchmark for this network."""
    pictures = quote(str(scope.folder)) if scope.folder else "FOLDER"
    samples = f"--samples {pictures}" if scope.folder or (scope.samples.classes and not scope.knows_samples) else ""
    return " ".join(
        filter(None, ["python main.py evaluate --attributions", samples, scope.source and quote(scope.source)])
    )


VIEW = View(
    "survey",
    "Benchmark of the methods",
    "Which method is best on average over the samples, at deletion (lower is better) and insertion (higher)?",
    CAUTION,
    lambda scope, s: None,
    draw,
)
