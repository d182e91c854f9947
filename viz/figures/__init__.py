"""Plain arrays to plotly figures, which are readable on light and dark backgrounds. No figure depends on a network.

Maps over a picture are drawn on its grid of patches.
"""

# ruff: noqa: F401 - what is imported here is the interface of this folder

from pathlib import Path

from plotly.graph_objects import Figure

from viz.figures.charts import (
    SUBLAYERS,
    before_after,
    confusion,
    grouped_bars,
    learning_curves,
    lines_of_blocks,
    lines_over_depth,
    most_confused,
    patch_matrix,
    reliability,
    scatter,
    signed_bars,
    sorted_line,
)
from viz.figures.difference import difference
from viz.figures.explanations import against_chance, agreement, overlay_patch, overlays, randomised
from viz.figures.maps import answers_over_picture, over_picture, to_rgb
from viz.figures.style import AGAINST, FOR, OVER, class_colour, pale, patch_label, span_of, with_sign
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
"""The plotting library of the browser: plotly.js-cartesian-dist-min 4.1.1 from npm (MIT licence).

It has all types of traces used here. The version in Python's plotly is three times as large, and the page would open
half a second later."""
