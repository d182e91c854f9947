"""Influence of patches on patches as three views: the matrix, and the selected patch's row and column of it."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from viz import figures
from viz.lenses.view import Drawn, Numbers, View, nothing_needed, pick_patch, pick_row, places
from viz.measuring import Measurement
from viz.microscope import Microscope
from viz.selection import Option, Selection

Matrix = Float32[np.ndarray, "patches patches"]

TO, FROM = "Row of the Jacobian", "Column of the Jacobian"
GAIN = "gain"


@dataclass(frozen=True, eq=False)
class Influence:
    """[to, from]"""

    gain: Matrix
    error: Matrix | None = None
    """the standard error of each gain"""
    words: str = ""
    label: str = GAIN
    signed: bool = False
    """whether it is a difference, which has a sign"""

    @property
    def others(self) -> Matrix:
        """The size of the gains, but 0 for that of a patch on itself."""
        return np.where(np.eye(len(self.gain), dtype=bool), 0, np.abs(self.gain))


@dataclass(frozen=True)
class Source:
    """Where an influence comes from."""

    find: Callable[[Microscope, Selection], Influence | None]
    """None where it is not known yet"""
    sees: Callable[[Selection], Hashable]
    """all of the selection that it depends on, but the patch"""
    needs: Callable[[Microscope, Selection], Sequence[Measurement]] = nothing_needed
    options: tuple[Option, ...] = ()


UNKNOWN = Drawn(words="Not estimated for this picture yet.")


def matrix_view(source: Source, title: str, question: str) -> View:
    def draw(scope: Microscope, selection: Selection) -> Drawn:
        found = source.find(scope, selection)
        return UNKNOWN if found is None else _matrix(scope, selection, found)

    return View(
        "matrix",
        title,
        f"{question} The selected patch's row is framed.",
        "Limits: gains hold for small changes only. They show how strong an influence is, not its direction or its "
        "relevance for the answer. The colour scale ends at the largest gain between two different patches; the gain "
        "of a patch on itself may exceed it.",
        sees=lambda s: (source.sees(s), s.patch),
        draw=draw,
        pick=pick_row,
        needs=source.needs,
        options=source.options,
    )


def to_view(source: Source) -> View:
    return _map_view(
        "to",
        TO,
        "Which patches influence the selected one? The map shows the framed row of the matrix over the picture.",
        FROM,
        source,
    )


def from_view(source: Source) -> View:
    return _map_view(
        "from",
        FROM,
        "Which patches does the selected one influence? The map shows its column of the matrix over the picture.",
        TO,
        source,
    )


def _map_view(id: str, title: str, question: str, other: str, source: Source) -> View:
    def draw(scope: Microscope, selection: Selection) -> Drawn:
        found, patch = source.find(scope, selection), selection.patch
        if found is None:
            return UNKNOWN
        line = scope.grid.map(found.gain[patch] if id == "to" else found.gain[:, patch])
        span = float(max(found.others[patch].max(), found.others[:, patch].max()))
        pixels, place = scope.pixels(selection.picture), scope.grid.position(patch)
        figure = figures.over_picture(pixels, line, found.label, found.signed, place, span)
        return Drawn(figure, numbers=Numbers(found.label, places(scope), line))

    return View(
        id,
        title,
        question,
        f'This map has the same colour scale as "{other}", up to the largest gain between the selected patch and '
        "another. The gain of the patch on itself may exceed it.",
        sees=lambda s: (source.sees(s), s.patch),
        draw=draw,
        pick=pick_patch,
        needs=source.needs,
        options=source.options,
    )


def _matrix(scope: Microscope, selection: Selection, found: Influence) -> Drawn:
    figure = figures.patch_matrix(
        found.gain,
        scope.grid.positions,
        found.label,
        signed=found.signed,
        relation="from {other} to {one}",
        chosen=selection.patch,
        span=float(found.others.max()),
        error=found.error,
        axes=("from patch", "to patch"),
    )
    return Drawn(figure, words=found.words, numbers=between(scope, found.label, found.gain))


def between(scope: Microscope, name: str, values: Matrix) -> Numbers:
    """A value for each pair of patches [to, from], with its places."""
    rows, cols = range(scope.grid.rows), range(scope.grid.cols)
    axes = {"to row": rows, "to column": cols, "from row": rows, "from column": cols}
    return Numbers(name, axes, scope.grid.map(scope.grid.map(values), axis=0))
