"""Plain arrays to plotly figures. Knows no network.

Maps over the picture are drawn on the picture's own grid; every figure reads on light and on dark ground.
"""

import plotly.graph_objects as go

from viz.figures.charts import (
    bars,
    confusion,
    grouped_bars,
    learning_curves,
    lines_of_blocks,
    lines_over_depth,
    patch_matrix,
    ranked,
    reliability,
)
from viz.figures.explanations import against_chance, agreement, overlays, randomised
from viz.figures.maps import answers_over_picture, over_picture, patch_pixels
from viz.figures.style import class_colour, place
from viz.figures.tiles import colour_tiles, filter_tiles, pictures, tile_columns, tiles

__all__ = [
    "against_chance",
    "agreement",
    "answers_over_picture",
    "bars",
    "class_colour",
    "colour_tiles",
    "confusion",
    "filter_tiles",
    "go",
    "grouped_bars",
    "learning_curves",
    "lines_of_blocks",
    "lines_over_depth",
    "over_picture",
    "overlays",
    "patch_matrix",
    "patch_pixels",
    "pictures",
    "place",
    "randomised",
    "ranked",
    "reliability",
    "tile_columns",
    "tiles",
]
