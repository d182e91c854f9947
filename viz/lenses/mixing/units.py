"""Units: the read and write weights of all hidden units of a block."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from viz import figures
from viz.figures import AGAINST, FOR, patch_label
from viz.lenses.mixing import block
from viz.lenses.view import Drawn, Lens, Numbers, Point, View, counted, places
from viz.microscope import Microscope
from viz.mixing import weights
from viz.selection import Choice, Params, Selection

MAPS = {"reads": weights.reads, "writes": weights.writes}
PAIRS = "pairs"
SIDE = Choice("side", "Weights", (("reads", "read (W1)"), ("writes", "write (W2)")), "reads")
REGIONS: dict[str, tuple[str, Callable[[int, int], tuple[slice, slice]]]] = {
    "patch": ("the selected patch", lambda row, col: (slice(row, row + 1), slice(col, col + 1))),
    "square": ("the 2 x 2 patches that begin there", lambda row, col: (slice(row, row + 2), slice(col, col + 2))),
    "row": ("its row", lambda row, col: (slice(row, row + 1), slice(None))),
    "column": ("its column", lambda row, col: (slice(None), slice(col, col + 1))),
}
ORDER = Choice(
    "order",
    "Order",
    (
        ("frequency", "lowest spatial frequency first"),
        ("energy", "strongest first"),
        *((name, f"by weight on {label}") for name, (label, _) in REGIONS.items()),
        ("index", "by number"),
        (PAIRS, "opposite pairs"),
    ),
    "frequency",
)
NAMED = 10
"""number of units listed below the figure"""


@dataclass(frozen=True, eq=False)
class Listed:
    """The units in the order in which they are shown."""

    maps: Float32[np.ndarray, "units rows cols"]
    units: Int64[np.ndarray, "units"]
    """their numbers"""
    group: int
    """number of consecutive units that form a group"""
    words: str


def lens(scope: Microscope) -> Lens:
    units = View(
        "units",
        "Token-mixing units",
        "Which patches does each hidden unit read (row of W1) or write to (column of W2)?",
        f"Limits: a map ({FOR}: positive, {AGAINST}: negative) shows where a unit reads normalised tokens, not which "
        "feature.",
        sees=lambda scope, s: (s.block, s.patch, SIDE.value(s), ORDER.value(s)),
        draw=draw,
        options=(SIDE, ORDER),
        pick=pick,
    )
    asks = f"What do the units of the token mixing do? {block.FOLLOWS}"
    return Lens("mixing.units", "Units", asks, ((units,),), of_weights=True)


def draw(scope: Microscope, selection: Selection) -> Drawn:
    listed = listing(scope, selection)
    shown = listed.maps[listed.units]
    figure = figures.unit_tiles(
        shown,
        listed.units,
        f"weight: {dict(SIDE.choices)[SIDE.value(selection)]}",
        _columns(scope, len(shown)),
        scope.grid.patch_size,
        scope.grid.position(selection.patch),
        listed.group,
    )
    numbers = Numbers("weight", {"unit": listed.units.tolist(), **places(scope)}, shown)
    return Drawn(figure, words=f"{block.text(scope, selection)} {listed.words}", numbers=numbers)


def pick(scope: Microscope, selection: Selection, point: Point) -> Params:
    """A click on a tile: its unit."""
    listed = listing(scope, selection)
    columns = _columns(scope, len(listed.units))
    tile, _, _ = figures.unit_tile_at(point.index, listed.maps.shape, columns, listed.group)
    return {"lens": "mixing.unit", "unit": str(listed.units[tile])}


def listing(scope: Microscope, selection: Selection) -> Listed:
    """The units in the selected order, cached; the cache key has the patch only for the order that depends on it."""
    side, order = SIDE.value(selection), ORDER.value(selection)
    maps = MAPS[side](scope.model, selection.block)
    if order in REGIONS:
        return _at_region(scope, maps, selection)
    make = _in_pairs if order == PAIRS else _ordered
    return scope.cached(("units", selection.block, side, order), lambda: make(scope, maps, order))


def _columns(scope: Microscope, count: int) -> int:
    return figures.tile_columns(count, *scope.grid.image_size)


Maps = Float32[np.ndarray, "units rows cols"]


def _ordered(scope: Microscope, maps: Maps, order: str) -> Listed:
    pitch = scope.grid.patch_size
    words = f"{counted(len(maps), 'unit')}, line by line."
    if order == "frequency":
        frequency = weights.spatial_frequency(maps, pitch)
        words += f" The spatial frequency rises from {frequency.min():.3f} to {frequency.max():.3f} cycles per pixel."
    return Listed(maps, weights.order(maps, order, pitch), 1, words)


def _at_region(scope: Microscope, maps: Maps, selection: Selection) -> Listed:
    label, cut = REGIONS[ORDER.value(selection)]
    row, col = scope.grid.position(selection.patch)
    strength = weights.strength_at(maps, *cut(row, col))
    ranked = np.argsort(-strength, kind="stable")
    best = ", ".join(
        f"<button type='button' data-words='lens=mixing.unit&unit={unit}'>unit {unit}</button> {strength[unit]:.3f}"
        for unit in ranked[:NAMED]
    )
    words = (
        f"{counted(len(maps), 'unit')}, line by line, by the mean absolute weight on {label} "
        f"({patch_label(row, col)}). Largest: {best}."
    )
    return Listed(maps, ranked, 1, words)


def _in_pairs(scope: Microscope, maps: Maps, order: str) -> Listed:
    """The units of each pair side by side, the most opposite pair first; units without a partner at the end."""
    pairs, correlation = weights.opposite_pairs(maps)
    single = np.setdiff1d(np.arange(len(maps)), pairs)
    if not len(pairs):
        return Listed(maps, single, 2, "No two units are opposite.")
    chance = weights.untrained_median(len(maps), scope.grid.patches)
    words = (
        f"{counted(len(pairs), 'pair')}, the most opposite first. Median correlation "
        f"<b>{np.median(correlation):.2f}</b>; in an untrained network of this shape <b>{chance:.2f}</b>, which is "
        f"expected by chance from best-of-many pairing. {counted(len(single), 'unit')} without a partner."
    )
    return Listed(maps, np.array([*pairs.ravel(), *single]), 2, words)
