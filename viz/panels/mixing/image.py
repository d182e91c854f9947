"""For this image: who acts on whom through the token mixing of one block."""

from viz.microscope import Microscope
from viz.mixing.influence import token_jacobian
from viz.panels.mixing import block
from viz.panels.mixing.influence import Influence, Source, from_view, matrix_view, to_view
from viz.panels.view import Drawn, Lens, View
from viz.selection import Selection

FORMULA = """
<math display="block"><mfrac><mn>1</mn><msqrt><mi>C</mi></msqrt></mfrac><msub><mrow><mo>‖</mo><mfrac>
<mrow><mo>∂</mo><msub><mi>u</mi><mi>i</mi></msub></mrow><mrow><mo>∂</mo><msub><mi>x</mi><mi>j</mi></msub></mrow>
</mfrac><mo>‖</mo></mrow><mi>F</mi></msub></math>
<p><i>x</i> are the tokens that enter the block; <i>u</i> is what its token mixing adds to them. The LayerNorm before it
is included, the residual path is not. All <i>C</i> x <i>C</i> derivatives, from every channel of <i>j</i> to every
channel of <i>i</i>, are squared and added; <i>C</i> is the number of channels.</p>
<p>In words: change patch <i>j</i> a little, at random, by <i>e</i> in every channel. Then what patch <i>i</i> gets
changes by entry times <i>e</i> in every channel, in the root mean square.</p>
"""


def lens(scope: Microscope) -> Lens:
    source = Source(influence, lambda s: (s.picture, s.block))
    matrix = matrix_view(
        source,
        "Who acts on whom in this block?",
        "How strongly a small change of one patch's token (across) changes what the block's token mixing adds to "
        "another (down), for this picture.",
    )
    formula = View(
        "formula",
        "How is it computed?",
        "The entry from patch j to patch i.",
        "It is exact, not an estimate, but it holds at this picture: another one opens other units.",
        sees=lambda s: None,
        draw=lambda scope, selection: Drawn(html=FORMULA),
    )
    asks = f"Who talks to whom on this picture, in one block? {block.FOLLOWS}"
    rows = ((matrix, to_view(source)), (from_view(source), formula))
    return Lens("mixing.image", "For this image", asks, rows)


def influence(scope: Microscope, selection: Selection) -> Influence:
    picture, number = selection.picture, selection.block
    gain = scope.remembered(
        ("influence in a block", picture, number),
        lambda: token_jacobian(scope.model, scope.input(picture), number),
    )
    return Influence(gain, words=block.in_words(scope, selection))
