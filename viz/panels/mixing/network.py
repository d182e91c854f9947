"""Through all blocks: who acts on whom from the stem to the last block, estimated when the visitor asks for it."""

from collections.abc import Hashable, Iterator, Sequence

import numpy as np

from viz.microscope import Microscope
from viz.mixing.influence import NetworkInfluence, network_influence
from viz.panels.mixing.influence import (
    GAIN,
    UNKNOWN,
    Influence,
    Source,
    between,
    from_view,
    matrix_figure,
    matrix_view,
    to_view,
)
from viz.panels.view import Drawn, Lens, View, pick_row
from viz.running import Measurement
from viz.selection import Selection

PROBES = 16
SEED = 0


def lens(scope: Microscope) -> Lens:
    source = Source(influence, lambda s: s.picture, needs)
    matrix = matrix_view(
        source,
        "Who acts on whom through the network?",
        "How strongly a small change of one patch's stem token (across) changes another's token after the last block "
        "(down), for this picture. The identity would be a gain of 1 on the diagonal.",
    )
    error = View(
        "error",
        "How sure is each entry?",
        "The standard error of each entry of the matrix, from the scatter of the probes.",
        "It covers only the chance in the probes. How far a change may grow before its gain no longer holds, no "
        "standard error says.",
        sees=lambda s: (s.picture, s.patch),
        draw=draw_error,
        pick=pick_row,
        needs=needs,
    )
    asks = (
        "Who talks to whom from the first block to the last, over all paths? There are too many derivatives to take "
        f"them all, so {PROBES} random probes estimate how strong they are."
    )
    rows = ((matrix, to_view(source)), (from_view(source), error))
    return Lens("mixing.network", "Through all blocks", asks, rows)


def needs(scope: Microscope, selection: Selection) -> Sequence[Measurement]:
    known = _known(scope, selection.picture)
    return [] if known is not None and known.done == PROBES else [_measurement(scope, selection.picture)]


def influence(scope: Microscope, selection: Selection) -> Influence | None:
    """From the second probe on, which is the first to tell how sure it is."""
    known = _known(scope, selection.picture)
    if known is None or known.done == 1:
        return None
    relative = known.standard_error / known.influence.clip(1e-12)
    words = (
        f"After {known.done} of {known.total} probes: the standard error of an entry is {np.median(relative):.1%} of "
        f"it in the median, {relative.max():.1%} at most. Point at an entry to see its own."
    )
    return Influence(known.influence, known.standard_error, words)


def draw_error(scope: Microscope, selection: Selection) -> Drawn:
    found = influence(scope, selection)
    if found is None or found.error is None:
        return UNKNOWN
    label = f"standard error of the {GAIN}"
    figure = matrix_figure(scope, selection, found.error, label)
    return Drawn(figure, numbers=between(scope, label, found.error))


def _key(picture: bytes) -> Hashable:
    return "influence through the network", picture


def _known(scope: Microscope, picture: bytes) -> NetworkInfluence | None:
    return scope.recall(_key(picture))


def _measurement(scope: Microscope, picture: bytes) -> Measurement:
    def steps() -> Iterator[int]:
        done = 0
        for result in network_influence(scope.model, scope.input(picture), PROBES, SEED):
            if isinstance(result, NetworkInfluence):
                known, done = _known(scope, picture), result.done
                if known is None or known.done < done:  # after a cancelled run, more is known than its first probe
                    scope.remember(_key(picture), result)
            yield done

    # every probe goes back through the network once for each patch, at about the cost of one pass
    seconds = PROBES * scope.grid.patches * scope.explanations.seconds_per_pass
    return Measurement(_key(picture), "Influence through the network", "probes", PROBES, seconds, steps, asked=True)
