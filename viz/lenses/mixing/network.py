"""Influence (whole network): the token Jacobian from the stem to the last block, estimated on request."""

from collections.abc import Sequence

import numpy as np

from viz.lenses.mixing.influence import Influence, Source, map_view, matrix_view
from viz.lenses.view import Lens
from viz.measuring import Measurement
from viz.microscope import Microscope
from viz.mixing.influence import NetworkInfluence, network_influence
from viz.selection import Selection

PROBES = 16
SEED = 0


def lens(scope: Microscope) -> Lens:
    source = Source(influence, lambda s: s.picture, needs)
    matrix = matrix_view(
        source,
        "Token Jacobian of the network",
        "How strongly does a small change of one patch's stem token (across) change another's last token (down)?",
    )
    asks = f"Which patch influences which through all blocks? The gains are estimated with {PROBES} random probes."
    return Lens("mixing.network", "Influence (whole network)", asks, ((matrix, map_view(source)),))


def needs(scope: Microscope, selection: Selection) -> Sequence[Measurement]:
    return [probes_of(scope, selection.picture)]


def influence(scope: Microscope, selection: Selection) -> Influence | None:
    """The estimate; None before the second probe, as one probe has no standard error."""
    estimate = scope.known(probes_of(scope, selection.picture))
    if estimate is None or estimate.done == 1:
        return None
    relative = estimate.standard_error / estimate.influence.clip(1e-12)
    words = (
        f"Standard error after {estimate.done} of {estimate.total} probes: median {np.median(relative):.1%} of a gain, "
        f"at most {relative.max():.1%}. It does not include nonlinearity. Unchanged tokens would have a gain of 1 on "
        "the diagonal."
    )
    return Influence(estimate.influence, estimate.standard_error, words)


def probes_of(scope: Microscope, picture: bytes) -> Measurement[NetworkInfluence]:
    return scope.measurement(
        ("influence through the network", picture),
        "Influence through the network",
        "probes",
        PROBES,
        lambda: network_influence(scope.model, scope.input(picture), PROBES, SEED),
        # each probe needs a backward pass for each patch, at about the cost of one forward pass
        passes=PROBES * scope.grid.patches,
        on_request=True,
        first=2,
    )
