"""Benchmark of all attribution methods over many images, as one table."""

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from mixer.model import Mixer
from viz.attribution.attribute import attribute
from viz.attribution.baselines import baseline
from viz.attribution.methods import METHODS, Settings
from viz.attribution.question import Question, complete
from viz.doubt.faithfulness import curves
from viz.pace import finish

SETTINGS = Settings(steps=20, draws=4)
"""less work than in the app, so that 200 images need only minutes"""
STEPS = 8
"""steps of removal and insertion: steps of one patch cost four times as much and give nearly the same areas"""
BASELINE = "mean colour"
COLUMNS = ("method", "deletion", "insertion", "gap", "seconds")
CAUTION = "Limits: means hide pictures where a good method fails, so test your own picture."


def survey(
    model: Mixer,
    images: Float[Tensor, "images 3 height width"],
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> dict[str, Any]:
    """Mean areas, median gap and mean time of every method, and the areas of random orders, one for each image.

    images: normalised, on the model's device. Each explanation is of the probability of the network's answer, with the
        mean colour of the training set as baseline. Block methods explain the middle block.
    progress: wraps the iteration over the images, to display the progress
    """
    middle = Settings(SETTINGS.steps, SETTINGS.draws, block=len(model.blocks) // 2)
    rows: dict[str, list[tuple[float, float, float, float]]] = {name: [] for name in METHODS}
    chance = []
    for i in progress(range(len(images))):
        against = baseline(BASELINE, images[i], model.config)
        question = Question(images[i], against, 0, "probability", images, model.config.grid.side)
        question = finish(complete(model, question))
        question = replace(question, target=question.answer)
        random = np.random.default_rng(i).random(len(question.groups(model)))
        chance.append(curves(model, question, random, STEPS).areas)
        for name in METHODS:
            begin = time.perf_counter()
            found = attribute(model, question, name, middle)
            seconds = time.perf_counter() - begin
            gap = np.nan if found.gap_share is None else found.gap_share
            rows[name].append((*curves(model, question, found.values, STEPS).areas, gap, seconds))
    means = {name: np.array(values) for name, values in rows.items()}
    methods = {
        name: {
            "deletion": float(values[:, 0].mean()),
            "insertion": float(values[:, 1].mean()),
            "gap": None if np.isnan(values[:, 2]).all() else float(np.nanmedian(values[:, 2])),
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
        "samples": SETTINGS.draws,  # the records of all checkpoints have this name
        "block": middle.block + 1,
        "removals": STEPS,
        "side": model.config.grid.side,
        "baseline": BASELINE,
        "output": "probability",
    }


def rows(table: dict[str, Any]) -> list[list[str]]:
    """The cells of the `COLUMNS`, the best method at deletion first."""
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


def description(table: dict[str, Any]) -> str:
    """The meaning of the columns, and the settings of the measurement."""
    side, source = table.get("side", 1), f" of {table['source']}" if "source" in table else ""
    return (
        "Deletion and insertion are mean areas under the curves, the gap is the median relative error of the sum. "
        f"Settings: {table['images']} images{source}, {table['output']}, baseline {table['baseline']}, "
        f"{table['steps']} steps, {table['samples']} copies or orders, block {table['block']}, "
        f"patches removed in {table['removals']} steps{f', in groups of {side} x {side}' if side > 1 else ''}."
    )
