"""Influence of patches on patches as two views: the matrix, and the row or column of the selected patch."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from viz import figures
from viz.lenses.view import Drawn, Numbers, View, nothing_needed, pick_patch, pick_row, places
from viz.measuring import Measurement
from viz.microscope import Microscope
from viz.selection import Choice, Selection

Matrix = Float32[np.ndarray, "patches patches"]

GAIN = "gain"
ROW = "row"
LINE = Choice("line", "Direction", ((ROW, "to the selected patch (row)"), ("column", "from it (column)")), ROW)


@dataclass(frozen=True, eq=False)
class Influence:
    """Gains between patches: matrices are indexed [to, from]; NaN in rows that are not estimated yet."""

    gain: Matrix
    error: Matrix | None = None
    """the standard error of each gain"""
    words: str = ""
    label: str = GAIN
    signed: bool = False
    """whether the values have a sign"""

    @property
    def others(self) -> Matrix:
        """The absolute gains, with 0 on the diagonal."""
        return np.where(np.eye(len(self.gain), dtype=bool), 0, np.abs(self.gain))


@dataclass(frozen=True)
class Source:
    """The source of an influence for the two views."""

    find: Callable[[Microscope, Selection], Influence | None]
    """(microscope, selection) -> the influence; None before it is measured"""
    sees: Callable[[Microscope, Selection], Hashable]
    """everything in the selection that it depends on, except the patch"""
    needs: Callable[[Microscope, Selection], Sequence[Measurement]] = nothing_needed


UNKNOWN = Drawn(words="Not estimated for this picture yet.")
GAINS = "Limits: gains hold for small changes, without sign or relevance; a patch's own gain may exceed the scale."


def matrix_view(source: Source, title: str, question: str, caution: str = GAINS) -> View:
    def draw(scope: Microscope, selection: Selection) -> Drawn:
        found = source.find(scope, selection)
        return UNKNOWN if found is None else _matrix(scope, selection, found)

    return View(
        "matrix",
        title,
        question,
        caution,
        sees=lambda scope, s: (source.sees(scope, s), s.patch),
        draw=draw,
        pick=pick_row,
        needs=source.needs,
    )


def map_view(source: Source) -> View:
    """The view of the row or column of the selected patch, as a map."""

    def draw(scope: Microscope, selection: Selection) -> Drawn:
        found, patch = source.find(scope, selection), selection.patch
        if found is None:
            return UNKNOWN
        line = scope.grid.map(found.gain[patch] if LINE.value(selection) == ROW else found.gain[:, patch])
        if np.isnan(line).all():
            return UNKNOWN
        span = float(np.nanmax([found.others[patch], found.others[:, patch]]))
        pixels, place = scope.pixels(selection.picture), scope.grid.position(patch)
        figure = figures.over_picture(pixels, line, found.label, found.signed, place, span)
        return Drawn(figure, numbers=Numbers(found.label, places(scope), line))

    return View(
        "map",
        "Row or column of the matrix",
        "Which patches act on the selected one, or which does it act on?",
        "Both directions share one colour scale; the patch's own value may exceed it.",
        sees=lambda scope, s: (source.sees(scope, s), s.picture, s.patch),
        draw=draw,
        pick=pick_patch,
        needs=source.needs,
        options=(LINE,),
    )


def _matrix(scope: Microscope, selection: Selection, found: Influence) -> Drawn:
    figure = figures.patch_matrix(
        found.gain,
        scope.grid.positions,
        found.label,
        signed=found.signed,
        relation="from {other} to {one}",
        chosen=selection.patch,
        span=float(np.nanmax(found.others)),
        error=found.error,
        axes=("from patch", "to patch"),
    )
    return Drawn(figure, words=found.words, numbers=between(scope, found.label, found.gain))


def between(scope: Microscope, name: str, values: Matrix) -> Numbers:
    """The numbers of a matrix [to, from] with rows and columns of both patches as axes."""
    rows, cols = range(scope.grid.rows), range(scope.grid.cols)
    axes = {"to row": rows, "to column": cols, "from row": rows, "from column": cols}
    return Numbers(name, axes, scope.grid.map(scope.grid.map(values), axis=0))
