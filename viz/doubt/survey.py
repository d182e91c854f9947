"""Which methods can be believed in general? All of them over many images, as one table."""

import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mixer.evaluate import at_once
from mixer.model import Mixer
from viz.attribution.attribute import attribute
from viz.attribution.baselines import baseline
from viz.attribution.methods import METHODS, Settings
from viz.attribution.question import Question, answers_with, ends

SETTINGS = Settings(steps=20, samples=4)
"""less work than in the app, so that 200 images are a matter of minutes"""
STEPS = 8
"""in which the patches go and come: one patch at a time is four times the work, for areas that are nearly the same"""
BASELINE = "mean colour"
COLUMNS = ("method", "deletion", "insertion", "gap", "seconds")
CAUTION = (
    "Deletion: the area under the class's probability while patches go, the less the better. Insertion: while they "
    "come, the more the better. Gap: what the sum misses, as a share of what it should be, in the median. Means hide "
    "pictures where a good method fails: measure yours."
)


def method_table(
    model: Mixer,
    images: Float[Tensor, "images 3 height width"],
    follow: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> dict[str, Any]:
    """Mean areas, median gap and mean time of every method, and the areas of random orders, one for each image.

    images: normalised, on the model's device; each is explained for the class that the network answers, by its
        probability, against the mean colour of the training set. Block methods explain the middle block.
    follow: goes through the images, for a display of the progress
    """
    middle = Settings(SETTINGS.steps, SETTINGS.samples, block=len(model.blocks) // 2)
    with torch.no_grad():
        targets = torch.cat([model(batch) for batch in images.split(at_once(images.device))]).argmax(1).tolist()
    rows: dict[str, list[tuple[float, float, float, float]]] = {name: [] for name in METHODS}
    chance = []
    for i in follow(range(len(images))):
        against = baseline(BASELINE, images[i], model.config)
        question = Question(images[i], against, targets[i], "probability", images)
        whole = ends(model, question)
        chance.append(_areas(model, question, np.random.default_rng(i).random(model.config.grid.patches), whole))
        for name in METHODS:
            begin = time.perf_counter()
            found = attribute(model, question, name, middle)
            seconds = time.perf_counter() - begin
            gap = abs(found.gap / found.difference) if found.gap is not None and found.difference else np.nan
            rows[name].append((*_areas(model, question, found.values, whole), gap, seconds))
    means = {name: np.array(values) for name, values in rows.items()}
    methods = {
        name: {
            "deletion": float(values[:, 0].mean()),
            "insertion": float(values[:, 1].mean()),
            "gap": float(np.nanmedian(values[:, 2])) if METHODS[name].complete else None,
            "seconds": float(values[:, 3].mean()),
        }
        for name, values in means.items()
    }
    deletion, insertion = np.mean(chance, 0)
    methods["random order"] = {"deletion": float(deletion), "insertion": float(insertion), "gap": None, "seconds": 0.0}
    return {
        "methods": methods,
        "images": len(images),
        "steps": SETTINGS.steps,
        "samples": SETTINGS.samples,
        "block": middle.block + 1,
        "removals": STEPS,
        "baseline": BASELINE,
        "output": "probability",
    }


def _areas(
    model: Mixer, question: Question, values: Float[np.ndarray, "patches"], ends: tuple[float, float]
) -> tuple[float, float]:
    """Under the curves of deletion and insertion, as `faithfulness.area`, but in `STEPS` steps and one batch."""
    (empty, whole), patches = ends, len(values)
    rank = np.argsort(np.argsort(-values, kind="stable"))
    counts = np.unique(np.linspace(0, patches, STEPS + 1).round().astype(int))
    there = rank < counts[1:-1, None]
    found = answers_with(model, question, np.concatenate([~there, there]))
    deletion, insertion = (
        np.array([first, *between, last])
        for first, between, last in zip((whole, empty), np.split(found, 2), (empty, whole), strict=True)
    )
    widths = np.diff(counts) / patches
    return float((deletion[1:] + deletion[:-1]) / 2 @ widths), float((insertion[1:] + insertion[:-1]) / 2 @ widths)


def rows(table: dict[str, Any]) -> list[list[str]]:
    """What stands in the `COLUMNS`, the best at deletion first."""
    ordered = sorted(table["methods"].items(), key=lambda item: item[1]["deletion"])
    return [
        [
            name,
            f"{row['deletion']:.3f}",
            f"{row['insertion']:.3f}",
            "-" if row["gap"] is None else f"{row['gap']:.1%}",
            f"{row['seconds']:.2f}",
        ]
        for name, row in ordered
    ]


def in_words(table: dict[str, Any]) -> str:
    """How it was measured."""
    return (
        f"{table['images']} images, {table['output']}, against {table['baseline']}, {table['steps']} steps, "
        f"{table['samples']} copies or orders, block {table['block']}, patches removed in {table['removals']} steps."
    )
