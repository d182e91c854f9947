"""The selected block, which follows the depth."""

from viz.lenses.view import Point
from viz.microscope import Microscope
from viz.selection import Params, Selection

FOLLOWS = "The depth selects the block."


def text(scope: Microscope, selection: Selection) -> str:
    return f"Block <b>{selection.block + 1}</b> of {len(scope.model.blocks)}."


def pick_block(scope: Microscope, selection: Selection, point: Point) -> Params:
    """A click on a figure with a line for each block."""
    return {"depth": f"{point.curve + 1}a"}
