"""The channel to show: the selected one, otherwise one that is active for this picture, at every depth the same."""

from viz import forward_pass
from viz.microscope import Microscope
from viz.mixing import units
from viz.selection import Selection


def channel_of(scope: Microscope, selection: Selection) -> int:
    """The selected channel, otherwise that with the largest activation of the strongest unit at the decided depth."""
    if selection.channel is not None:
        return selection.channel
    return scope.cached(("active channel", selection.picture), lambda: _active(scope, selection.picture))


def _active(scope: Microscope, picture: bytes) -> int:
    trace, block = scope.look(picture), max(0, scope.decided_at(picture) - 1) // 2
    return forward_pass.strongest_channel(trace, block, int(units.strengths(scope.model, trace, block).argmax()))
