"""Plain arrays to plotly figures. Knows no network.

Maps over the picture are drawn on the picture's own grid; every figure reads on light and on dark ground.
"""

from pathlib import Path

import plotly
from plotly.graph_objects import Figure

from viz.figures.charts import (
    confusion,
    grouped_bars,
    learning_curves,
    lines_of_blocks,
    lines_over_depth,
    patch_matrix,
    ranked,
    reliability,
)
from viz.figures.explanations import (
    against_chance,
    agreement,
    overlay_patch,
    overlays,
    randomised,
    signed_span,
)
from viz.figures.maps import answers_over_picture, over_picture, painted, patch_pixels
from viz.figures.style import class_colour, place
from viz.figures.tiles import (
    colour_tile_at,
    colour_tiles,
    filter_tiles,
    picture_at,
    pictures,
    tile_at,
    tile_columns,
    tiles,
    unit_tile_at,
    unit_tiles,
)

PLOTLY_JS = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
"""what draws the figures in a browser; of the same version"""

__all__ = [
    "PLOTLY_JS",
    "Figure",
    "against_chance",
    "agreement",
    "answers_over_picture",
    "class_colour",
    "colour_tile_at",
    "colour_tiles",
    "confusion",
    "filter_tiles",
    "grouped_bars",
    "learning_curves",
    "lines_of_blocks",
    "lines_over_depth",
    "over_picture",
    "overlay_patch",
    "overlays",
    "painted",
    "patch_matrix",
    "patch_pixels",
    "picture_at",
    "pictures",
    "place",
    "randomised",
    "ranked",
    "reliability",
    "signed_span",
    "tile_at",
    "tile_columns",
    "tiles",
    "unit_tile_at",
    "unit_tiles",
]
