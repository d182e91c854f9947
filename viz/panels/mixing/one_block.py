"""For this image: who acts on whom through the token mixing of one block."""

from functools import lru_cache
from typing import Any

import gradio as gr
import numpy as np
from jaxtyping import Float32

from viz.influence import token_jacobian
from viz.microscope import Microscope, Selection
from viz.panels.lens import Lens
from viz.panels.mixing.influence import from_view, influence_figures, matrix_view, to_view

NAME = "For this image"
FORMULA = r"""
### How is it computed?
The entry from patch $j$ to patch $i$ is

$$\frac{1}{\sqrt{C}} \left\lVert \frac{\partial u_i}{\partial x_j} \right\rVert_F$$

$x$ are the tokens that enter the block; $u$ is what its token mixing adds to them. The LayerNorm before it is
included, the residual path is not. All $C \times C$ derivatives, from every channel of $j$ to every channel of $i$, are
squared and added; $C$ is the number of channels.

In words: change patch $j$ a little, at random, by $e$ in every channel. Then what patch $i$ gets changes by entry times
$e$ in every channel, in the root mean square. This is exact, not an estimate.
"""


def build(scope: Microscope, state: gr.State) -> Lens:
    with gr.Row(equal_height=True):
        matrix = matrix_view(
            "mixing-image",
            "Who acts on whom in this block?",
            "How strongly a small change of one patch's token (across) changes what the block's token mixing adds to "
            "another (down), for this picture.",
        )
        to = to_view("mixing-image")
    with gr.Row(equal_height=True):
        source = from_view("mixing-image")
        with gr.Column(elem_classes="view"):
            delimiters = [{"left": d, "right": d, "display": len(d) > 1} for d in ("$$", "$")]
            gr.Markdown(FORMULA, latex_delimiters=delimiters)

    @lru_cache(len(scope.model.blocks))
    def influence(picture: bytes, block: int) -> Float32[np.ndarray, "patches patches"]:
        return token_jacobian(scope.model, scope.input(picture), block)

    def draw(selection: Selection) -> list[Any]:
        return influence_figures(scope, selection, influence(selection.picture, selection.block))

    return Lens([matrix, to, source], draw)
