"""The channel that is looked at: the chosen one, else the one in which the unit is most active on this picture."""

from viz import how
from viz.microscope import Microscope
from viz.panels.mixing.chosen import unit_of
from viz.selection import Selection


def channel_of(scope: Microscope, selection: Selection) -> int:
    if selection.channel is not None:
        return selection.channel
    return how.strongest_channel(scope.look(selection.picture), selection.block, unit_of(scope, selection))
