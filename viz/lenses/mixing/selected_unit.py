"""The unit to show: the selected one, otherwise the one with the largest contribution for this picture."""

import numpy as np
from jaxtyping import Float32

from viz.microscope import Microscope
from viz.mixing import units
from viz.selection import Selection


def strengths(scope: Microscope, selection: Selection) -> Float32[np.ndarray, "units"]:
    """The norm of each unit's update of the tokens of this picture."""
    picture, block = selection.picture, selection.block
    return scope.cached(("strengths", picture, block), lambda: units.strengths(scope.model, scope.look(picture), block))


def unit_of(scope: Microscope, selection: Selection) -> int:
    return int(strengths(scope, selection).argmax()) if selection.unit is None else selection.unit
