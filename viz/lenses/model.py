"""Model: test accuracy, calibration, learning curves, samples, and layers."""

from html import escape

import numpy as np

from mixer.evaluate import headline
from mixer.summary import summary
from viz import figures, learning_curves
from viz.lenses.over_pictures import mean, plane
from viz.lenses.samples import pictures
from viz.lenses.view import MAX_PAIRED, Drawn, Lens, Numbers, Point, View, counted
from viz.microscope import Microscope
from viz.selection import Params, Selection


def lens(scope: Microscope) -> Lens:
    metrics = scope.metrics
    rows: list[tuple[View, ...]] = [(pictures(scope),), (plane(scope), mean(scope))]
    measured = tuple(view for view in (CONFUSION, RELIABILITY) if scope.evaluated and view.id in metrics)
    if measured:
        rows.insert(0, measured)
    if {"stages", "epochs", "hours"} <= metrics.keys():
        rows.append((_training(scope),))
    rows.append((LAYERS,))
    unknown = "This network has not been evaluated on images of its classes."
    if scope.knows_samples:
        unknown = "This checkpoint has not been evaluated. This command evaluates it: python main.py evaluate"
    asks = headline(metrics) if scope.evaluated else unknown
    shows = "how often it is correct, and with which confidence", "anything about pictures of another kind"
    return Lens("model", "Model", asks, tuple(rows), shows=shows)


def _nothing(scope: Microscope, selection: Selection) -> None:
    """The `sees` of a view that depends on the network only."""


def _confusion(scope: Microscope, selection: Selection) -> Drawn:
    counts = np.asarray(scope.metrics["confusion"])
    return Drawn(
        figures.confusion(counts.tolist(), scope.classes),
        numbers=Numbers("test images", {"true class": scope.classes, "answer": scope.classes}, counts),
    )


def _confused(scope: Microscope, selection: Selection, point: Point) -> Params:
    """A click on a cell of the confusion matrix: the samples with this label and answer."""
    drawn = figures.most_confused(np.asarray(scope.metrics["confusion"]))
    truth, answer = (scope.classes[drawn[i]] for i in point.index)
    return {"samples": truth if len(scope.classes) > MAX_PAIRED else f"{truth}>{answer}"}


def _reliability(scope: Microscope, selection: Selection) -> Drawn:
    bins, names = scope.metrics["reliability"], ("confidence", "accuracy", "images")
    columns = [[b[name] for b in bins] for name in names]
    values = np.array(columns, float).T
    return Drawn(
        figures.reliability(*columns), numbers=Numbers("value", {"bin": range(1, len(bins) + 1), "of": names}, values)
    )


def _curves(scope: Microscope, selection: Selection) -> Drawn:
    lines = learning_curves.lines(scope.metrics["stages"])
    names = ("epoch", "loss", "validation_accuracy")
    values = np.array([[line[name] for name in names] for line in lines])
    return Drawn(
        learning_curves.of_stages(scope.metrics["stages"]),
        numbers=Numbers("value", {"line": range(1, len(lines) + 1), "of": names}, values),
    )


def _layers(scope: Microscope, selection: Selection) -> Drawn:
    table = summary(scope.model)
    return Drawn(html=f"<details><summary>All layers</summary><pre id='layers'>{escape(table)}</pre></details>")


CONFUSION = View(
    "confusion",
    "Confusion matrix",
    "How many test images of each class (rows) are predicted as which class (columns)?",
    "Limits: a column can be full because the class is easy, or because the network predicts it too often.",
    _nothing,
    _confusion,
    pick=_confused,
)
RELIABILITY = View(
    "reliability",
    "Reliability diagram (calibration)",
    "Of the test images with the same confidence, how many are classified correctly?",
    "Limits: for pictures unlike the test images, the probability may be meaningless.",
    _nothing,
    _reliability,
)
LAYERS = View(
    "layers",
    "Layer table",
    "Which layers does it have, with which output shapes and parameters?",
    "Limits: many parameters do not mean much influence.",
    _nothing,
    _layers,
)


def _training(scope: Microscope) -> View:
    metrics = scope.metrics
    teachers = any(stage.get("recipe", {}).get("teacher") for stage in metrics["stages"])
    taught = ", and against a teacher's answers" if teachers else ""
    return View(
        "training",
        "Learning curves",
        f"How did it learn, in {metrics['epochs']:.1f} epochs of {counted(len(metrics['stages']), 'stage')} and "
        f"{metrics['hours']:.1f} hours?",
        f"Limits: the loss is measured on mixed and augmented images{taught}, so losses of stages and networks are not "
        "comparable.",
        _nothing,
        _curves,
    )
