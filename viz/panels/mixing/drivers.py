"""Which of the shipped samples drive a unit most, measured when the visitor asks for it."""

from collections.abc import Iterator, Sequence
from html import escape

import numpy as np

from viz.microscope import Microscope
from viz.mixing import units
from viz.pace import batches
from viz.panels.mixing import block, chosen
from viz.panels.pictures import png_url
from viz.panels.view import Drawn, Numbers, View, taken_for
from viz.running import Measurement
from viz.selection import Selection

LISTED = 10
KEY = "how much each unit adds to the samples"


def view(scope: Microscope) -> View:
    return View(
        "drivers",
        "Which samples drive it most?",
        f"Of the {len(scope.samples)} shipped samples those to whose tokens the unit adds most: the number is the "
        "length of what it adds. Choose one to look at it.",
        "What these have in common is a guess at what the unit is for, made from few pictures: mind the numbers.",
        sees=chosen.seen,
        draw=draw,
        needs=needs,
    )


def needs(scope: Microscope, selection: Selection) -> Sequence[Measurement]:
    """The strengths once for all units and blocks; then, for the words under the pictures, the network's answers."""
    return [_measurement(scope)] if scope.recall(KEY) is None else scope.bank_needed(len(scope.depth_names) - 1)


def draw(scope: Microscope, selection: Selection) -> Drawn:
    known = scope.recall(KEY)
    if known is None:
        return Drawn(words="The samples have not been measured yet.")
    unit = chosen.unit_of(scope, selection)
    strengths = known[:, selection.block, unit]
    best = np.argsort(-strengths, kind="stable")[:LISTED].tolist()
    answers = scope.sample_answers()
    items = "".join(
        f"<li>{_button(scope, sample)}{_told(scope, sample, answers)}<br>{strengths[sample]:.3g}</li>"
        for sample in best
    )
    words = f"{block.in_words(scope, selection)} Unit <b>{unit}</b>, the strongest first."
    numbers = Numbers("length of what the unit adds", {"sample": range(len(strengths))}, strengths)
    return Drawn(html=f"<ol class='crops'>{items}</ol>", words=words, numbers=numbers)


def _measurement(scope: Microscope) -> Measurement:
    def steps() -> Iterator[int]:
        parts, done = [], 0
        for images in batches(scope.model, scope.sample_inputs, gradients=True):
            parts.append(units.strengths_everywhere(scope.model, images))
            done += len(images)
            yield done
        scope.remember(KEY, np.concatenate(parts))

    return scope.over_samples(KEY, "What drives the units", steps, asked=True)


def _button(scope: Microscope, sample: int) -> str:
    url = png_url(scope.pixels(scope.sample_picture(sample)))
    return (
        f"<button type='button' data-words='sample={sample}' aria-label='sample {sample}, "
        f"{escape(scope.truth(sample), True)}'><img src='{url}' alt=''></button>"
    )


def _told(scope: Microscope, sample: int, answers: list[int] | None) -> str:
    truth = scope.truth(sample)
    return escape(truth if answers is None else taken_for(truth, scope.classes[answers[sample]]))
