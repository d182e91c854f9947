"""Which method can be believed in general? All of them over the shipped samples."""

from html import escape

import numpy as np

from viz.doubt.survey import CAUTION, COLUMNS, in_words, rows
from viz.microscope import Microscope
from viz.panels.table import table
from viz.panels.view import Drawn, Numbers, View
from viz.selection import Selection

MISSING = "Not measured for this checkpoint: <code>python main.py evaluate --attributions</code> does that."


def view() -> View:
    return View(
        "survey",
        "Which method can be believed in general?",
        "All methods over the shipped samples, each for the class that the network answers; the best at deletion "
        "first.",
        CAUTION,
        lambda selection: None,
        draw,
    )


def draw(scope: Microscope, selection: Selection) -> Drawn:
    measured = scope.metrics.get("attributions")
    if not measured:
        return Drawn(words=MISSING)
    methods, columns = measured["methods"], COLUMNS[1:]
    values = np.array([[row[column] for column in columns] for row in methods.values()], float)  # NaN for no gap
    numbers = Numbers("value", {"method": list(methods), "of": columns}, values)
    return Drawn(html=table(COLUMNS, rows(measured)), words=escape(in_words(measured)), numbers=numbers)
