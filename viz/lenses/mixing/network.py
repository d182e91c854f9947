"""Influence (whole network): from the stem to the last block, estimated when the visitor asks for it."""

from collections.abc import Sequence

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
    source = Source(influence, lambda s: (s.picture, s.side), needs)
    matrix = matrix_view(
        source,
        "Token Jacobian of the network",
        "How strongly does a small change of one patch's stem token (across) change another's last token (down)?",
    )
    asks = f"Which patch influences which through all blocks? The gains are estimated with {PROBES} random probes."
    return Lens("mixing.network", "Influence (whole network)", asks, ((matrix, map_view(source)),))


def needs(scope: Microscope, selection: Selection) -> Sequence[Measurement]:
    return [probes_of(scope, selection)]


def influence(scope: Microscope, selection: Selection) -> Influence | None:
    """From the second probe on, which is the first to tell how sure it is. A pair of patches has the gain of their
    groups."""
    known, groups = scope.known(probes_of(scope, selection)), groups_of(scope, selection)
    if known is None or known.done == 1:
        return None
    relative = known.standard_error / known.influence.clip(1e-12)
    words = (
        f"After {known.done} of {known.total} probes, the standard error of an entry is {np.median(relative):.1%} of "
        f"it in the median, {relative.max():.1%} at most: sampling error only, not nonlinearity. Unchanged tokens "
        "would have a gain of 1 on the diagonal."
    )
    if selection.side > 1:
        words += f" The gains are between {parts_text(selection.side)}."
    gain, error = (groups.expand(groups.expand(each), 0) for each in (known.influence, known.standard_error))
    return Influence(gain, error, words)


def probes_of(scope: Microscope, selection: Selection) -> Measurement[NetworkInfluence]:
    picture, side = selection.picture, selection.side
    return scope.measurement(
        ("influence through the network", picture, side),
        "Influence through the network",
        "probes",
        PROBES,
        lambda: network_influence(scope.model, scope.input(picture), PROBES, SEED, side),
        # every probe goes back through the network once for each group, at about the cost of one pass
        passes=PROBES * len(groups_of(scope, selection)),
        on_request=True,
        first=2,
    )
