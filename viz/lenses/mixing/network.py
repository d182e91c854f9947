"""Influence (whole network): from the stem to the last block, estimated when the visitor asks for it."""

from collections.abc import Sequence

import numpy as np

from viz.lenses.mixing.influence import Influence, Source, from_view, matrix_view, to_view
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
        "Which patch influences which, through all blocks? "
        "Each entry says how strongly a small change of one patch's stem token (across) changes another's token after "
        "the last block (down), for this picture. Unchanged tokens would give 1 on the diagonal.",
    )
    asks = (
        "Which patch influences which from the first block to the last, over all paths? "
        f"The gains are estimated with {PROBES} random probes."
    )
    rows = ((matrix,), (to_view(source), from_view(source)))
    return Lens("mixing.network", "Influence (whole network)", asks, rows)


def needs(scope: Microscope, selection: Selection) -> Sequence[Measurement]:
    return [probes_of(scope, selection.picture)]


def influence(scope: Microscope, selection: Selection) -> Influence | None:
    """From the second probe on, which is the first to tell how sure it is."""
    known = scope.known(probes_of(scope, selection.picture))
    if known is None or known.done == 1:
        return None
    relative = known.standard_error / known.influence.clip(1e-12)
    words = (
        f"After {known.done} of {known.total} probes, the standard error of an entry is {np.median(relative):.1%} of "
        f"it in the median, {relative.max():.1%} at most. Point at an entry to see its own. It covers sampling error "
        "only, not nonlinearity."
    )
    return Influence(known.influence, known.standard_error, words)


def probes_of(scope: Microscope, picture: bytes) -> Measurement[NetworkInfluence]:
    return scope.measurement(
        ("influence through the network", picture),
        "Influence through the network",
        "probes",
        PROBES,
        lambda: network_influence(scope.model, scope.input(picture), PROBES, SEED),
        # every probe goes back through the network once for each patch, at about the cost of one pass
        passes=PROBES * scope.grid.patches,
        asked=True,
    )
