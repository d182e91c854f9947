"""Influence (this picture): the token Jacobian of the token mixing of one block."""

from collections.abc import Sequence

import numpy as np

from viz.lenses.mixing import block
from viz.lenses.mixing.influence import GAIN, Influence, Matrix, Source, map_view, matrix_view
from viz.lenses.tokens import COMPARE, UNUSUAL
from viz.lenses.view import Lens
from viz.measuring import Measurement
from viz.microscope import Microscope
from viz.mixing.influence import mean_token_jacobian, token_jacobian
from viz.pace import FIRST
from viz.selection import Selection

GAIN_IS = (
    "Gain: ‖∂u<sub>i</sub> / ∂x<sub>j</sub>‖<sub>F</sub> / √C. x<sub>j</sub> is a token that enters the block, "
    "u<sub>i</sub> the update by its token mixing (LayerNorm included, residual path not), C the number of channels. "
    "If every channel of x<sub>j</sub> changes by a random e, u<sub>i</sub> changes by gain x e per channel (RMS)."
)


def lens(scope: Microscope) -> Lens:
    source = Source(influence, lambda scope, s: (s.picture, s.block, COMPARE.value(s)), needs)
    matrix = matrix_view(
        source,
        "Token Jacobian of the block",
        "How strongly does a small change of one patch's token (across) change the update of another (down)?",
    )
    asks = f"Which patch influences which on this picture, in one block? {block.FOLLOWS}"
    return Lens("mixing.image", "Influence (this picture)", asks, ((matrix, map_view(source)),), (COMPARE,))


def influence(scope: Microscope, selection: Selection) -> Influence | None:
    """Gains of the selected block, or their difference from the mean; None before the mean is measured."""
    picture, number = selection.picture, selection.block
    gain = scope.cached(
        ("influence in a block", picture, number),
        lambda: token_jacobian(scope.model, scope.input(picture), number),
    )
    words = f"{block.text(scope, selection)} {GAIN_IS}"
    if COMPARE.value(selection) != UNUSUAL:
        return Influence(gain, words=words)
    mean = scope.latest(mean_of(scope, number))
    if mean is None:
        return None
    label = f"{GAIN} minus its mean over the samples"
    return Influence(gain - mean, words=f"{words} {_similarity_text(scope, gain, mean)}", label=label, signed=True)


def mean_of(scope: Microscope, number: int) -> Measurement[Matrix]:
    """The gains of a block, mean over the samples."""
    return scope.over_samples(
        ("mean influence in a block", number),
        "Mean over the samples",
        lambda: mean_token_jacobian(scope.model, scope.sample_inputs, number),
        first=FIRST,
    )


def needs(scope: Microscope, selection: Selection) -> Sequence[Measurement]:
    return [mean_of(scope, selection.block)] if COMPARE.value(selection) == UNUSUAL else []


def _similarity_text(scope: Microscope, gain: Matrix, mean: Matrix) -> str:
    """A sentence: how similar this picture's matrix is to the mean matrix."""
    distance = np.linalg.norm(gain - mean) / (np.linalg.norm(gain) or 1)
    return (
        f"This is the difference from the mean over the {len(scope.samples)} samples. It has {distance:.0%} of the "
        "norm of this picture's matrix."
    )
