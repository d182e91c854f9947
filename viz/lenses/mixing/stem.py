"""Stem filters: the pixel pattern that each channel responds to."""

from viz import figures
from viz.lenses.view import Drawn, Lens, Numbers, View, counted
from viz.microscope import Microscope
from viz.mixing import weights
from viz.selection import Choice, Selection

ORDER = Choice(
    "filters",
    "Order",
    (("energy", "strongest first"), ("frequency", "lowest spatial frequency first"), ("index", "by number")),
    "energy",
)


def lens(scope: Microscope) -> Lens:
    height, width = scope.grid.patch_size
    filters = View(
        "filters",
        "Stem filters (patch embedding)",
        f"Which pattern of the {height} x {width} pixels of a patch does each channel respond to?",
        "The tiles are signed weights on normalised pixels, not colours; an inverted pattern gives a negative value.",
        sees=lambda scope, s: ORDER.value(s),
        draw=draw,
        options=(ORDER,),
    )
    return Lens(
        "mixing.stem",
        "Stem filters",
        "What do the tokens contain before patches exchange information?",
        ((filters,),),
        of_weights=True,
    )


def draw(scope: Microscope, selection: Selection) -> Drawn:
    filters = weights.stem_filters(scope.model)
    count, height, width, _ = filters.shape
    span = figures.span_of(filters)
    order = weights.order(filters, ORDER.value(selection), (1, 1))
    columns = figures.tile_columns(count, height + 1, width + 1)
    figure = figures.filter_tiles(filters[order], order, columns, span)
    words = (
        f"{counted(count, 'channel')}, line by line. Grey is 0, bright +{span:.3f} or more, dark {-span:.3f} or less; "
        "1 % of the weights are beyond these ends."
    )
    axes = {
        "channel": order.tolist(),
        "pixel row": range(height),
        "pixel column": range(width),
        "colour": ("red", "green", "blue"),
    }
    return Drawn(figure, words=words, numbers=Numbers("weight", axes, filters[order]))
