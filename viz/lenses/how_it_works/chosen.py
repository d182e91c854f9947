"""The channel that is looked at: the chosen one, else one of this picture's, the same at every depth."""

from viz import forward_pass
from viz.microscope import Microscope
from viz.mixing import units
from viz.selection import Selection


def channel_of(scope: Microscope, selection: Selection) -> int:
    """Unless chosen, the one in which the strongest unit is most active where the answer appears."""
    if selection.channel is not None:
        return selection.channel
    trace, block = scope.look(selection.picture), max(0, scope.decided_at(selection.picture) - 1) // 2
    return forward_pass.strongest_channel(trace, block, int(units.strengths(scope.model, trace, block).argmax()))
