"""Top-activating samples of a unit, measured on request."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from viz.dataset import Answers
from viz.lenses.mixing import block, selected_unit
from viz.lenses.samples import answers_to, picture_button, thumbnails
from viz.lenses.view import Drawn, Numbers, View, prediction_text
from viz.measuring import Measurement
from viz.microscope import Microscope
from viz.mixing import units
from viz.pace import FIRST
from viz.selection import Selection

LISTED = 10


def view(scope: Microscope) -> View:
    return View(
        "samples",
        "Top-activating samples",
        f"For which of the {len(scope.samples)} samples does the unit have the largest updates (norm)?",
        "Limits: what so few pictures have in common is only a guess at the unit's role.",
        sees=lambda scope, s: (s.block, selected_unit.unit_of(scope, s)),
        draw=draw,
        needs=needs,
    )


def needs(scope: Microscope, selection: Selection) -> Sequence[Measurement]:
    """The strengths for all units and blocks; then the answers, which are shown under the pictures."""
    everywhere = strengths_of(scope)
    return [everywhere] if scope.missing([everywhere]) else [everywhere, answers_to(scope)]


def draw(scope: Microscope, selection: Selection) -> Drawn:
    found = scope.latest(strengths_of(scope))
    if found is None:
        return Drawn(words="The samples have not been measured yet.")
    unit = selected_unit.unit_of(scope, selection)
    strengths = found[:, selection.block, unit]
    best = np.argsort(-strengths, kind="stable")[:LISTED].tolist()
    answers = scope.finished(answers_to(scope))
    pictures = [picture_button(scope, i, f"{_description(scope, i, answers)} · {strengths[i]:.3g}") for i in best]
    words = f"{block.text(scope, selection)} Unit <b>{unit}</b>, the strongest first."
    numbers = Numbers("norm of the unit's update", {"sample": range(len(strengths))}, strengths)
    return Drawn(html=thumbnails(pictures), words=words, numbers=numbers)


def strengths_of(scope: Microscope) -> Measurement[Float32[np.ndarray, "samples blocks units"]]:
    return scope.over_samples(
        "how much each unit adds to the samples",
        "Run of all samples",
        lambda: units.strengths_everywhere(scope.model, scope.sample_inputs),
        on_request=True,
        first=FIRST,
    )


def _description(scope: Microscope, sample: int, answers: Answers | None) -> str:
    truth = scope.truth(sample)
    return truth if answers is None else prediction_text(truth, scope.classes[answers.answer[sample]])
