"""Which methods can be believed in general? All of them over many images, as one table."""

import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mixer.model import Mixer
from viz import faithfulness
from viz.attribution import METHODS, attribute
from viz.baselines import baseline
from viz.methods import Settings
from viz.question import Question

SETTINGS = Settings(steps=20, samples=8)
"""less work than in the app, so that 200 images are a matter of minutes"""
BASELINE = "mean colour"
COLUMNS = (
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
        targets = torch.cat([model(batch) for batch in images.split(50)]).argmax(1).tolist()
    rows: dict[str, list[tuple[float, float, float, float]]] = {name: [] for name in METHODS}
    chance = []
    for i in follow(range(len(images))):
        against = baseline(BASELINE, images[i], model.config)
        question = Question(images[i], against, targets[i], "probability", images)
        (random,) = faithfulness.random_orders(model, question, 1, seed=i)
        chance.append((faithfulness.area(random.deletion).mean(), faithfulness.area(random.insertion).mean()))
        for name in METHODS:
            begin = time.perf_counter()
            found = attribute(model, question, name, middle)
            seconds = time.perf_counter() - begin
            own = faithfulness.curves(model, question, found.values)
            gap = abs(found.gap / found.difference) if found.gap is not None and found.difference else np.nan
            areas = float(faithfulness.area(own.deletion)), float(faithfulness.area(own.insertion))
            rows[name].append((*areas, gap, seconds))
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
        "baseline": BASELINE,
        "output": "probability",
    }


def in_words(table: dict[str, Any] | None) -> str:
    """The table in Markdown, the best at deletion first; where there is none, how to make it."""
    if table is None:
        return "Not measured for this checkpoint: `python main.py evaluate --attributions` does that."
    lines = ["| method | deletion | insertion | gap | seconds |", "|---|---|---|---|---|"]
    for name, row in sorted(table["methods"].items(), key=lambda item: item[1]["deletion"]):
        gap = "-" if row["gap"] is None else f"{row['gap']:.1%}"
        lines.append(f"| {name} | {row['deletion']:.3f} | {row['insertion']:.3f} | {gap} | {row['seconds']:.2f} |")
    told = (
        f"{table['images']} images, {table['steps']} steps, {table['samples']} copies or orders, {table['baseline']}."
    )
    return "\n".join([*lines, "", told])
