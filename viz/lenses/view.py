"""Views and lenses as values: a view has a question, a figure, a caution and numbers."""

import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from unicodedata import normalize

import numpy as np
from jaxtyping import Shaped

from mixer.grid import Groups
from viz.figures import Figure, picture_at
from viz.intervene import edits
from viz.measuring import Measurement
from viz.microscope import Microscope
from viz.selection import Choices, Option, Params, Selection, option_text, patch_text, to_words

MAX_PAIRED = 20
"""with more classes, samples cannot be selected by (label, answer): the list would have thousands of rows"""


SEPARATORS = re.compile(r"([,;\t\r\n])")
"""separators of cells in spreadsheets of different countries"""


def _plain(text: str) -> str:
    """A text with an apostrophe before each part that a spreadsheet could read as a formula."""
    return "".join(f"'{part}" if _formula(part) else part for part in SEPARATORS.split(text))


def _formula(part: str) -> bool:
    """Whether a spreadsheet reads a text as a formula, also after invisible characters and with full-width signs."""
    return normalize("NFKC", "".join(filter(str.isprintable, part))).startswith(("=", "+", "-", "@"))


def _cell(value: object) -> str:
    """A cell of CSV: text is never a formula, a comment or two cells."""
    text = _plain(value) if isinstance(value, str) else str(value)
    return '"' + text.replace('"', '""') + '"' if set(text) & set(',;"#\n\r\t') else text


def csv_text(facts: Mapping[str, str], columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """CSV with named columns, after the facts as lines that begin with `#`."""
    notes = (f"# {name}: {_plain(' '.join(fact.split()))}" for name, fact in facts.items())
    lines = (",".join(map(_cell, line)) for line in (columns, *rows))
    return "".join(f"{line}\n" for line in (*notes, *lines))


@dataclass(frozen=True, eq=False)
class Numbers:
    """The values of a figure on named axes: `Numbers("logit", {"row": ..., "column": ...}, z)`."""

    name: str
    """the meaning of the values"""
    axes: Mapping[str, Sequence[Any]]
    """for each dimension of the values its name, and the names or numbers along it"""
    values: Shaped[np.ndarray, "..."]

    def rows(self) -> Iterator[list[Any]]:
        """For each value its position on each axis, and the value."""
        places = [list(axis) for axis in self.axes.values()]
        for index in np.ndindex(self.values.shape):
            yield [*(axis[i] for axis, i in zip(places, index, strict=True)), self.values[index]]

    def csv(self, facts: Mapping[str, str]) -> str:
        """Tidy CSV: a line for each value, after the facts as lines that begin with `#`."""
        return csv_text(facts, [*self.axes, self.name], self.rows())

    def beside(self, other: "Numbers") -> "Numbers | None":
        """With the numbers of another selection and the difference; None if they are texts or have other axes."""
        places = [{name: list(axis) for name, axis in each.axes.items()} for each in (self, other)]
        amounts = self.amounts and other.amounts
        if not amounts or places[0] != places[1] or self.values.shape != other.values.shape:
            return None
        name = self.name if self.name == other.name else f"{self.name} (now), {other.name} (pinned)"
        all_of_them = np.stack([self.values, other.values, self.values - other.values], -1)
        return Numbers(name, {**self.axes, "selection": BESIDE}, all_of_them)

    @property
    def amounts(self) -> bool:
        """Whether the values are numbers, not texts."""
        return self.values.dtype.kind in "fiu"

    def extremes(self) -> str:
        """The extremes and their positions, for screen readers."""
        if not self.amounts or not np.isfinite(self.values).any():
            return counted(self.values.size, "value")
        return ", ".join(
            f"{word} {self._extreme(int(find(self.values)))}"
            for word, find in (("largest", np.nanargmax), ("smallest", np.nanargmin))
        )

    def _extreme(self, place: int) -> str:
        index = np.unravel_index(place, self.values.shape)
        where = " ".join(f"{name} {list(axis)[i]}" for (name, axis), i in zip(self.axes.items(), index, strict=True))
        return f"{self.values[index]:.3g} at {where}"


BESIDE = ("now", "pinned", "now minus pinned")


@dataclass(frozen=True, eq=False)
class Drawn:
    """A drawn view: a figure or HTML, with a sentence and numbers."""

    figure: Figure | None = None
    html: str = ""
    words: str = ""
    """HTML: sentences about the numbers"""
    numbers: Numbers | None = None


@dataclass(frozen=True)
class Point:
    """A point of a figure that a visitor clicked. It comes from a browser, so its numbers are untrusted."""

    curve: int
    """the number of the trace"""
    name: str
    """the name of the trace"""
    index: tuple[int, ...]
    """the index of the point: (number,), or (row, column) in a map"""


Draw = Callable[[Microscope, Selection], Drawn]
Pick = Callable[[Microscope, Selection, Point], Params]


def nothing_needed(scope: Microscope, selection: Selection) -> Sequence[Measurement]:
    return ()


@dataclass(frozen=True)
class View:
    """One question about the selection."""

    id: str
    """unique within its lens"""
    title: str
    question: str
    """the question that the figure answers, one sentence"""
    caution: str
    """limits of the figure, one sentence"""
    sees: Callable[[Microscope, Selection], Hashable]
    """everything in the selection that the figure depends on, except its own options"""
    draw: Draw
    """draws from the results in the memory, complete or not"""
    options: tuple[Option, ...] = ()
    """options above the figure"""
    pick: Pick | None = None
    """the parameters that a click on the figure selects; IndexError or ValueError for a point without a meaning"""
    needs: Callable[[Microscope, Selection], Sequence[Measurement]] = nothing_needed
    """the measurements that the complete figure requires; those that depend on a result follow after it"""
    always: bool = False
    """whether it is drawn for every open lens, as other views refer to it"""

    def depends(self, scope: Microscope, selection: Selection) -> Hashable:
        """Everything that the figure depends on, except results of measurements."""
        return self.sees(scope, selection), tuple(option_text(option, selection) for option in self.options)

    def missing(self, scope: Microscope, selection: Selection) -> list[Measurement]:
        """The measurements without a result."""
        return scope.missing(self.needs(scope, selection))

    def so_far(self, scope: Microscope, selection: Selection) -> str:
        """A sentence for each unfinished estimate in the figure."""
        begun = (one for one in self.missing(scope, selection) if one.reached)
        return " ".join(f"{one.label}: so far {one.reached:,} of {one.total:,} {one.unit}." for one in begun)


@dataclass(frozen=True)
class Lens:
    """A tab: some views side by side, row by row."""

    id: str
    """the id in a link; `mixing.unit` is in the group `mixing`"""
    name: str
    """the text of its tab"""
    question: str
    """the question of all views together"""
    rows: tuple[tuple[View, ...], ...]
    options: tuple[Option, ...] = ()
    """options for all views"""
    group: str = ""
    """the name of its group of tabs, if any"""
    of_weights: bool = False
    """whether it shows only weights: then the page offers a comparison with the untrained network"""
    shows: tuple[str, str] | None = None
    """what it, or its group, can show and what it cannot, for the introduction"""

    @property
    def element(self) -> str:
        """Its id on the page."""
        return self.id.replace(".", "-")

    @property
    def views(self) -> tuple[View, ...]:
        return tuple(view for row in self.rows for view in row)

    @property
    def all_options(self) -> tuple[Option, ...]:
        return (*self.options, *(option for view in self.views for option in view.options))


def places(scope: Microscope, side: int = 1) -> dict[str, Sequence[Any]]:
    """The axes of `Groups.map`: the first row and column of each group of patches."""
    return {"row": range(0, scope.grid.rows, side), "column": range(0, scope.grid.cols, side)}


def side_text(side: int) -> str:
    """Text for groups with `side` patches along each side."""
    return "single patches" if side == 1 else f"{side} x {side} patches"


def part_text(side: int) -> str:
    """Text for one group."""
    return "patch" if side == 1 else f"group of {side} x {side} patches"


def parts_text(side: int) -> str:
    """Text for several groups."""
    return "patches" if side == 1 else f"groups of {side} x {side} patches"


def group_place(groups: Groups, patch: int) -> tuple[str, str]:
    """The rows and columns of the group of a patch, such as 2-3 and 0-1; of a single patch, 3 and 1."""
    row, col, height, width = groups.box(patch)
    return _span(row, height), _span(col, width)


def _span(first: int, count: int) -> str:
    return str(first) if count == 1 else f"{first}-{first + count - 1}"


def pick_patch(scope: Microscope, selection: Selection, point: Point) -> Params:
    """A click on a map with a cell for each patch."""
    row, col = point.index
    return {"patch": f"{row},{col}"}


def patch_under(scope: Microscope, point: Point, pictures: int) -> tuple[int, int]:
    """(picture, patch) of a click on several pictures side by side. Raises ValueError for a gap between them."""
    row, col = point.index
    picture, y, x = picture_at((row, col), (pictures, *scope.grid.image_size))
    return picture, scope.grid.patch_at(y, x)


def pick_in_pictures(pictures: int) -> Pick:
    """A click on one of several pictures side by side: the patch."""
    return lambda scope, selection, point: {"patch": patch_text(scope, patch_under(scope, point, pictures)[1])}


def number_field(word: str, label: str, value: int, count: int) -> str:
    """HTML: an input field for a number below `count`."""
    return (
        f"<label>{label} <input type='number' data-word='{word}' min='0' max='{count - 1}' step='1' value='{value}'>"
        "</label>"
    )


def pick_row(scope: Microscope, selection: Selection, point: Point) -> Params:
    """A click on a matrix of patches by patches: the patch of the row."""
    return {"patch": patch_text(scope, point.index[0])}


def pick_sublayer(scope: Microscope, selection: Selection, point: Point) -> Params:
    """A click on a value for each sublayer: the depth after it."""
    (sublayer,) = point.index
    return {"depth": scope.depth_names[1:][sublayer]}


def facts_of(scope: Microscope, selection: Selection, options: Sequence[Option]) -> dict[str, str]:
    """The selection and settings of a figure, for files outside the page."""
    changed = {"edits": edits.text(selection.edits, scope.grid)} if selection.edits else {}
    return {
        "picture": picture_name(scope, selection),
        **changed,
        "answer": scope.classes[scope.answer(selection.picture)],
        "selected class": scope.classes[selection.target],
        "patch": str(scope.grid.position(selection.patch)),
        **({"patches treated as one": side_text(selection.side)} if len(scope.grid.sides) > 1 else {}),
        "depth": scope.depth_names[selection.depth],
        **{option.label: option.label_of(selection) for option in options if option.label},
        "network": scope.name,
    }


def picture_name(scope: Microscope, selection: Selection) -> str:
    name = "own picture" if selection.sample is None else sample_name(scope, selection.sample)
    return f"{name} edited" if selection.edits else name


def sample_name(scope: Microscope, sample: int) -> str:
    """The label of a sample, and its number among the test images."""
    return f"{scope.truth(sample)}-{scope.sample_place(sample)}"


def prediction_text(truth: str, answer: str) -> str:
    """The label and the prediction of a sample."""
    return f"{truth}, predicted correctly" if truth == answer else f"{truth}, predicted {answer}"


def counted(count: int, thing: str) -> str:
    """A number with its noun, such as 1 stage, 2 stages, 3 patches."""
    ending = "" if count == 1 else "es" if thing.endswith(("s", "ch")) else "s"
    return f"{count:,} {thing}{ending}"


def file_name(scope: Microscope, selection: Selection, view: View) -> str:
    """A name for a file without its extension, such as airplane-3_12b_votes."""
    return safe_name(f"{picture_name(scope, selection)}_{scope.depth_names[selection.depth]}_{view.id}")


def safe_name(name: str) -> str:
    """A name that is valid on all file systems."""
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in name)


def csv_of(scope: Microscope, selection: Selection, view: View, options: Sequence[Option], numbers: Numbers) -> str:
    """The numbers of a view as CSV, with the facts."""
    estimates = {"estimates": so_far} if (so_far := view.so_far(scope, selection)) else {}
    return numbers.csv({"view": f"{view.title} {view.question}", **facts_of(scope, selection, options), **estimates})


def in_place(view: View, drawn: Drawn) -> str:
    """A text for screen readers that replaces a figure."""
    return f"{view.title} {drawn.numbers.extremes() if drawn.numbers else ''}"


def element_id(lens: Lens, view: View) -> str:
    """The id of a view on the page."""
    return f"{lens.element}-{view.id}"


def full_name(lens: Lens, view: View) -> str:
    """The name of a view with its lens, such as mixing.unit.weights."""
    return f"{lens.id}.{view.id}"


def as_python(scope: Microscope, page: Choices, name: str, view: View, selection: Selection) -> str:
    """A Python program that shows the same view of the same selection (`viz.notebook`)."""
    chosen, depends = selection.chosen, view.depends(scope, selection)
    without = {one[0]: replace(selection, chosen=tuple(each for each in chosen if each != one)) for one in chosen}
    unseen = {"lens", *(option for option, other in without.items() if view.depends(scope, other) == depends)}
    words = {name: text for name, text in to_words(scope, page, selection).items() if name not in unseen}
    named = {"class_" if name == "class" else name.replace("-", "_"): text for name, text in words.items()}
    samples = f", samples={str(scope.folder)!r}" if scope.folder else ""
    return (
        "from viz import Microscope, view\n\n"
        f"scope = Microscope.load({scope.source!r}{samples})\n"
        f"view(scope, {name!r}{''.join(f', {name}={_literal(name, text)}' for name, text in named.items())})\n"
    )


def _literal(name: str, text: str) -> str:
    """A Python literal: a number for digits, except for the name of a class."""
    return text if name != "class_" and text.isdecimal() and str(int(text)) == text else repr(text)
