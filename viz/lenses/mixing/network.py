"""Influence (whole network): the token Jacobian from the stem to the last block, estimated on request."""

import numpy as np

from viz.lenses.mixing.influence import Influence, Source, map_view, matrix_view
from viz.lenses.view import Lens, parts_text
from viz.measuring import Measurement
from viz.microscope import Microscope
from viz.mixing.influence import NetworkInfluence, network_influence
from viz.selection import Selection, groups_of

PROBES = 16
SEED = 0


def lens(scope: Microscope) -> Lens:
    source = Source(influence, lambda scope, s: (s.picture, s.side), lambda scope, s: [products_of(scope, s)])
    matrix = matrix_view(
        source,
        "Token Jacobian of the network",
        "How strongly does a small change of one patch's stem token (across) change another's last token (down)?",
    )
    asks = f"Which patch influences which through all blocks? The gains are estimated with {PROBES} random probes."
    return Lens("mixing.network", "Influence (whole network)", asks, ((matrix, map_view(source)),))


def influence(scope: Microscope, selection: Selection) -> Influence | None:
    """The estimate, with the gain of their groups for each pair of patches; NaN in rows without a standard error. None
    before the first row has one.
    """
    estimate, groups = scope.latest(products_of(scope, selection)), groups_of(scope, selection)
    if estimate is None:
        return None
    error = estimate.standard_error
    rows = estimate.probes > 1
    relative = error[rows] / estimate.influence[rows].clip(1e-12)
    words = (
        f"Standard error after {estimate.probes[rows].min()} of {PROBES} probes: median {np.median(relative):.1%} of a "
        f"gain, at most {relative.max():.1%}. It does not include nonlinearity. Unchanged tokens would have a gain of "
        "1 on the diagonal."
    )
    if selection.side > 1:
        words += f" The gains are between {parts_text(selection.side)}."
    gain = np.where(rows[:, None], estimate.influence, np.nan)
    gain, error = (groups.expand(groups.expand(each), 0) for each in (gain, error))
    return Influence(gain, error, words)


def products_of(scope: Microscope, selection: Selection) -> Measurement[NetworkInfluence]:
    picture, side, groups = selection.picture, selection.side, groups_of(scope, selection)
    return scope.measurement(
        ("influence through the network", picture, side),
        "Influence through the network",
        "backward passes",  # at about the cost of one forward pass
        PROBES * len(groups),
        lambda: network_influence(
            scope.model, scope.input(picture), PROBES, SEED, side, int(groups.of[selection.patch])
        ),
        first=2,
    )
