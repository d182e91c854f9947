"""Influence (this picture): which patch influences which through the token mixing of one block."""

from collections.abc import Sequence

import numpy as np

from viz.lenses.mixing import block
from viz.lenses.mixing.influence import GAIN, Influence, Matrix, Source, from_view, matrix_view, to_view
from viz.lenses.tokens import COMPARE, UNUSUAL
from viz.lenses.view import Drawn, Lens, View
from viz.measuring import Measurement
from viz.microscope import Microscope
from viz.mixing.influence import mean_token_jacobian, token_jacobian
from viz.selection import Selection

FORMULA = """
<math display="block"><mfrac><mn>1</mn><msqrt><mi>C</mi></msqrt></mfrac><msub><mrow><mo>‖</mo><mfrac>
<mrow><mo>∂</mo><msub><mi>u</mi><mi>i</mi></msub></mrow><mrow><mo>∂</mo><msub><mi>x</mi><mi>j</mi></msub></mrow>
</mfrac><mo>‖</mo></mrow><mi>F</mi></msub></math>
<p><i>x</i> are the tokens that enter the block; <i>u</i> are their updates by its token mixing. The LayerNorm before it
is included, the residual path is not. All <i>C</i> x <i>C</i> derivatives, from every channel of <i>j</i> to every
channel of <i>i</i>, are squared and added; <i>C</i> is the number of channels.</p>
<p>Example: every channel of patch <i>j</i> changes by a small random amount <i>e</i>. Then the update of patch <i>i</i>
changes by (entry x <i>e</i>) per channel (RMS).</p>
"""


def lens(scope: Microscope) -> Lens:
    source = Source(influence, lambda s: (s.picture, s.block), needs, (COMPARE,))
    matrix = matrix_view(
        source,
        "Token Jacobian of the block",
        "Which patch influences which? "
        "Each entry says how strongly a small change of one patch's token (across) changes the update of another "
        "(down) by token mixing. Much of it is the same for every picture: show the difference from the mean over the "
        "samples.",
    )
    formula = View(
        "formula",
        "Definition of the gain",
        "How is the gain defined? This is the entry from patch j to patch i.",
        "The gain is exact, not an estimate, but holds for this picture only: other pictures activate other units.",
        sees=lambda s: None,
        draw=lambda scope, selection: Drawn(html=FORMULA),
    )
    asks = f"Which patch influences which on this picture, in one block? {block.FOLLOWS}"
    rows = ((matrix, to_view(source)), (from_view(source), formula))
    return Lens("mixing.image", "Influence (this picture)", asks, rows)


def influence(scope: Microscope, selection: Selection) -> Influence | None:
    """In the selected block; None while what it is compared with is not known."""
    gain, words = _gain(scope, selection.picture, selection.block), block.in_words(scope, selection)
    if COMPARE.of(selection) != UNUSUAL:
        return Influence(gain, words=words)
    usual = scope.known(usual_of(scope, selection.block))
    if usual is None:
        return None
    label = f"{GAIN} minus its mean over the samples"
    return Influence(gain - usual, words=f"{words} {_alike_in_words(scope, gain, usual)}", label=label, signed=True)


def usual_of(scope: Microscope, number: int) -> Measurement[Matrix]:
    """Of a block, in the mean over the samples."""
    return scope.over_samples(
        ("usual influence in a block", number),
        "Mean over the samples",
        lambda: mean_token_jacobian(scope.model, scope.sample_inputs, number),
    )


def needs(scope: Microscope, selection: Selection) -> Sequence[Measurement]:
    return [usual_of(scope, selection.block)] if COMPARE.of(selection) == UNUSUAL else []


def _gain(scope: Microscope, picture: bytes, number: int) -> Matrix:
    return scope.remembered(
        ("influence in a block", picture, number),
        lambda: token_jacobian(scope.model, scope.input(picture), number),
    )


def _alike_in_words(scope: Microscope, gain: Matrix, usual: Matrix) -> str:
    """How much of this picture's matrix is that of every picture."""
    distance = np.linalg.norm(gain - usual) / (np.linalg.norm(gain) or 1)
    return (
        f"This is the difference from the mean over the {len(scope.samples)} samples. It has {distance:.0%} of the "
        "norm of this picture's matrix."
    )
