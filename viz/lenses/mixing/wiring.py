"""Weights only: the patches that the weights connect, for any picture."""

import numpy as np

from viz import figures
from viz.lenses.mixing import block
from viz.lenses.mixing.influence import Influence, Source, map_view, matrix_view
from viz.lenses.view import Drawn, Lens, Numbers, View
from viz.microscope import Microscope
from viz.mixing import weights
from viz.selection import Selection


def lens(scope: Microscope) -> Lens:
    source = Source(net_weights, lambda scope, s: s.block)
    matrix = matrix_view(
        source,
        "Linear mixing matrix W2 W1",
        "Which net weight connects one patch (across) to another (down), as if the GELU were the identity?",
        "Not shown: GELU, biases, LayerNorm and residual path; a large weight may be unused for a picture, and the "
        "diagonal may exceed the scale.",
    )
    values = View(
        "values",
        "Singular values of W2 W1",
        "How many spatial patterns can a block transmit, if each singular value is the gain of one?",
        "Limits: this is the matrix without the GELU; with GELU a block can distinguish more.",
        sees=lambda scope, s: s.block,
        draw=draw_values,
        pick=block.pick_block,
    )
    distance = View(
        "distance",
        "Weight against distance",
        "How local is each block, by the mean absolute entry of W2 W1 at each distance?",
        "Limits: a mean hides single large weights, and the largest distances come from few pairs, all at the edges.",
        sees=lambda scope, s: s.block,
        draw=draw_distance,
        pick=block.pick_block,
    )
    asks = f"Which patches do the weights connect, for every picture? {block.FOLLOWS}"
    return Lens(
        "mixing.wiring", "Weights only", asks, ((matrix, map_view(source)), (values, distance)), of_weights=True
    )


def net_weights(scope: Microscope, selection: Selection) -> Influence:
    """The linear mixing matrix W2 W1 of the selected block."""
    matrix = _summaries(scope)[selection.block].matrix
    return Influence(matrix, words=block.text(scope, selection), label="net weight", signed=True)


def draw_values(scope: Microscope, selection: Selection) -> Drawn:
    values, label = np.stack([summary.singular_values for summary in _summaries(scope)]), "singular value"
    number = np.arange(1, scope.grid.patches + 1)
    figure = figures.lines_of_blocks(number, values, selection.block, "number, largest first", label)
    return Drawn(figure, numbers=Numbers(label, {"block": _blocks(scope), "number": number.tolist()}, values))


def draw_distance(scope: Microscope, selection: Selection) -> Drawn:
    profiles = [weights.distance_profile(summary.matrix, scope.grid) for summary in _summaries(scope)]
    distance, means = profiles[0].distance, np.stack([profile.mean_weight for profile in profiles])
    across, label = "distance in pixels", "mean absolute weight"
    figure = figures.lines_of_blocks(distance, means, selection.block, across, label)
    return Drawn(figure, numbers=Numbers(label, {"block": _blocks(scope), across: distance.tolist()}, means))


def _blocks(scope: Microscope) -> range:
    return range(1, len(scope.model.blocks) + 1)


def _summaries(scope: Microscope) -> list[weights.LinearSummary]:
    """The summaries of all blocks."""
    model = scope.model
    return scope.cached("wiring", lambda: [weights.linear_summary(model, i) for i in range(len(model.blocks))])
