"""The channel that is looked at: the chosen one, else the one in which the unit is most active on this picture."""

from viz import forward_pass
from viz.lenses.mixing.chosen import unit_of
from viz.microscope import Microscope
from viz.selection import Selection


def channel_of(scope: Microscope, selection: Selection) -> int:
    if selection.channel is not None:
        return selection.channel
    return forward_pass.strongest_channel(scope.look(selection.picture), selection.block, unit_of(scope, selection))
