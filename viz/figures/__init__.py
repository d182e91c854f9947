"""Plain arrays to plotly figures. Knows no network.

Maps over the picture are drawn on the picture's own grid; every figure reads on light and on dark ground.
"""

from pathlib import Path

from plotly.graph_objects import Figure

from viz.figures.charts import (
    HALVES,
    before_after,
    confusion,
    grouped_bars,
    learning_curves,
    lines_of_blocks,
    lines_over_depth,
    patch_matrix,
    reliability,
    scatter,
    signed_bars,
    sorted_line,
)
from viz.figures.difference import difference
from viz.figures.explanations import (
    against_chance,
    agreement,
    overlay_patch,
    overlays,
    randomised,
)
from viz.figures.maps import answers_over_picture, over_picture, patch_pixels, to_rgb
from viz.figures.style import AGAINST, FOR, class_colour, patch_label, with_sign
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

PLOTLY_JS = Path(__file__).with_name("plotly-cartesian.min.js")
"""What draws the figures in a browser: plotly.js-cartesian-dist-min 4.1.1 from npm (MIT licence).

It knows all kinds of traces that are drawn here. What comes with Python's plotly is three times as large, and a page
opens half a second later."""

__all__ = [
    "AGAINST",
    "FOR",
    "HALVES",
    "PLOTLY_JS",
    "Figure",
    "against_chance",
    "agreement",
    "answers_over_picture",
    "before_after",
    "class_colour",
    "colour_tile_at",
    "colour_tiles",
    "confusion",
    "difference",
    "filter_tiles",
    "grouped_bars",
    "learning_curves",
    "lines_of_blocks",
    "lines_over_depth",
    "over_picture",
    "overlay_patch",
    "overlays",
    "patch_label",
    "patch_matrix",
    "patch_pixels",
    "picture_at",
    "pictures",
    "randomised",
    "reliability",
    "scatter",
    "signed_bars",
    "sorted_line",
    "tile_at",
    "tile_columns",
    "tiles",
    "to_rgb",
    "unit_tile_at",
    "unit_tiles",
    "with_sign",
]
