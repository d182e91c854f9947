"""A view is a value: a question, the figure that answers it, how not to read it, and its numbers."""

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
from viz.selection import Choices, Option, Params, Selection, patch_text, to_words

MAX_PAIRED = 20
"""classes up to which the samples of each pair of truth and answer can be chosen: more would be a list of thousands"""


SEPARATORS = re.compile(r"([,;\t\r\n])")
"""what stands between the cells of a spreadsheet, in one country or another"""


def _plain(text: str) -> str:
    """Without formulas: an apostrophe is before each, wherever a spreadsheet would begin a cell."""
    return "".join(f"'{part}" if _formula(part) else part for part in SEPARATORS.split(text))


def _formula(part: str) -> bool:
    """Whether a spreadsheet takes it for one, which leaves out what cannot be seen, and reads wide signs as narrow."""
    return normalize("NFKC", "".join(filter(str.isprintable, part))).startswith(("=", "+", "-", "@"))


def _cell(value: object) -> str:
    """As a program and a spreadsheet read it: no name is a formula, a comment or two cells."""
    text = _plain(value) if isinstance(value, str) else str(value)
    return '"' + text.replace('"', '""') + '"' if set(text) & set(',;"#\n\r\t') else text


def csv_text(facts: Mapping[str, str], columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table of named columns, under the facts in lines that begin with `#`."""
    notes = (f"# {name}: {_plain(' '.join(fact.split()))}" for name, fact in facts.items())
    lines = (",".join(map(_cell, line)) for line in (columns, *rows))
    return "".join(f"{line}\n" for line in (*notes, *lines))


@dataclass(frozen=True, eq=False)
class Numbers:
    """The values of a figure, each with its place on named axes: `Numbers("logit", {"row": ..., "column": ...}, z)`."""

    name: str
    """what the values are"""
    axes: Mapping[str, Sequence[Any]]
    """for each dimension of the values its name, and what stands at its places"""
    values: Shaped[np.ndarray, "..."]

    def rows(self) -> Iterator[list[Any]]:
        """One for each value: its places, and it."""
        places = [list(axis) for axis in self.axes.values()]
        for index in np.ndindex(self.values.shape):
            yield [*(axis[i] for axis, i in zip(places, index, strict=True)), self.values[index]]

    def csv(self, facts: Mapping[str, str]) -> str:
        """Tidy: a line for each value, with named columns, under the facts in lines that begin with `#`."""
        return csv_text(facts, [*self.axes, self.name], self.rows())

    def beside(self, other: "Numbers") -> "Numbers | None":
        """With those of another selection and the difference; None where they are not amounts in the same places."""
        places = [{name: list(axis) for name, axis in each.axes.items()} for each in (self, other)]
        amounts = all(each.values.dtype.kind in "fiu" for each in (self, other))
        if not amounts or places[0] != places[1] or self.values.shape != other.values.shape:
            return None
        all_of_them = np.stack([self.values, other.values, self.values - other.values], -1)
        return Numbers(self.name, {**self.axes, "selection": BESIDE}, all_of_them)

    def in_words(self) -> str:
        """The extremes and where they are, for those who cannot see the figure."""
        if self.values.dtype.kind not in "fiu" or not np.isfinite(self.values).any():
            return counted(self.values.size, "value")
        return ", ".join(
            f"{word} {self._describe(int(find(self.values)))}"
            for word, find in (("largest", np.nanargmax), ("smallest", np.nanargmin))
        )

    def _describe(self, place: int) -> str:
        index = np.unravel_index(place, self.values.shape)
        where = " ".join(f"{name} {list(axis)[i]}" for (name, axis), i in zip(self.axes.items(), index, strict=True))
        return f"{self.values[index]:.3g} at {where}"


BESIDE = ("now", "pinned", "now minus pinned")


@dataclass(frozen=True, eq=False)
class Drawn:
    """What a view shows: a figure, or HTML in place of one."""

    figure: Figure | None = None
    html: str = ""
    words: str = ""
    """a sentence of HTML over the figure, with what this selection's numbers say"""
    numbers: Numbers | None = None


@dataclass(frozen=True)
class Point:
    """Where a visitor clicked in a figure. From a browser: any number may be wrong."""

    curve: int
    """the number of the trace"""
    name: str
    """the name of the trace"""
    index: tuple[int, ...]
    """which of its points: (number,), or (row, column) in a map"""


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
    """what it answers, in a sentence or two"""
    caution: str
    """how not to read it"""
    sees: Callable[[Selection], Hashable]
    """all of the selection that the figure depends on"""
    draw: Draw
    """from what is known; where something `needs` to be measured, from what of it is known by now"""
    options: tuple[Option, ...] = ()
    """what the visitor sets over the figure"""
    pick: Pick | None = None
    """what a click on the figure chooses, in the words of a link; IndexError or ValueError: nothing is there"""
    needs: Callable[[Microscope, Selection], Sequence[Measurement]] = nothing_needed
    """what has to be known before all of it can be drawn. What depends on a result follows when that is known"""
    always: bool = False
    """whether it is drawn whatever lens is open, as others refer to it"""

    def missing(self, scope: Microscope, selection: Selection) -> list[Measurement]:
        """What of it is not known yet."""
        return scope.missing(self.needs(scope, selection))

    def so_far(self, scope: Microscope, selection: Selection) -> str:
        """Of estimates that are drawn before they are finished, a sentence for each."""
        begun = (one for one in self.missing(scope, selection) if one.reached)
        return " ".join(f"{one.label}: so far {one.reached:,} of {one.total:,} {one.unit}." for one in begun)


@dataclass(frozen=True)
class Lens:
    """A tab: some views side by side, row by row."""

    id: str
    """in a link; `mixing.unit` is a part of the lens `mixing`"""
    name: str
    """on its tab"""
    asks: str
    """the question that its views answer together"""
    rows: tuple[tuple[View, ...], ...]
    options: tuple[Option, ...] = ()
    """what the visitor sets for all of its views"""
    group: str = ""
    """the name of the lens that it is a part of"""
    of_weights: bool = False
    """whether weights alone are shown: then the untrained network is offered beside them"""

    @property
    def element(self) -> str:
        """Its id as ids of elements may be."""
        return self.id.replace(".", "-")

    @property
    def views(self) -> tuple[View, ...]:
        return tuple(view for row in self.rows for view in row)

    @property
    def all_options(self) -> tuple[Option, ...]:
        return (*self.options, *(option for view in self.views for option in view.options))


def places(scope: Microscope, side: int = 1) -> dict[str, Sequence[Any]]:
    """The axes of a value for each group of patches, as `Groups.map` lays them out: the first row or column of each."""
    return {"row": range(0, scope.grid.rows, side), "column": range(0, scope.grid.cols, side)}


def side_text(side: int) -> str:
    """Groups of so many patches along each side, in words."""
    return "single patches" if side == 1 else f"{side} x {side} patches"


def part_text(side: int) -> str:
    """One of them, in words."""
    return "patch" if side == 1 else f"group of {side} x {side} patches"


def parts_text(side: int) -> str:
    """Several of them, in words."""
    return "patches" if side == 1 else f"groups of {side} x {side} patches"


def group_place(groups: Groups, patch: int) -> tuple[str, str]:
    """The rows and the columns of the group that a patch is in, such as 2-3 and 0-1; of a single patch, 3 and 1."""
    row, col, height, width = groups.box(patch)
    return _span(row, height), _span(col, width)


def _span(first: int, count: int) -> str:
    return str(first) if count == 1 else f"{first}-{first + count - 1}"


def pick_patch(scope: Microscope, selection: Selection, point: Point) -> Params:
    """A click on a map with a cell for each patch."""
    row, col = point.index
    return {"patch": f"{row},{col}"}


def patch_under(scope: Microscope, point: Point, pictures: int) -> tuple[int, int]:
    """Of a click on one of several pictures side by side: which picture, and the patch that lies there.

    Raises ValueError where there is no picture.
    """
    row, col = point.index
    picture, y, x = picture_at((row, col), (pictures, *scope.grid.image_size))
    return picture, scope.grid.patch_at(y, x)


def pick_in_pictures(pictures: int) -> Pick:
    """A click on one of several pictures side by side: the patch that lies there."""
    return lambda scope, selection, point: {"patch": patch_text(scope, patch_under(scope, point, pictures)[1])}


def number_field(word: str, label: str, value: int, count: int) -> str:
    """HTML: where a visitor gives one of so many numbers."""
    return (
        f"<label>{label} <input type='number' data-word='{word}' min='0' max='{count - 1}' step='1' value='{value}'>"
        "</label>"
    )


def pick_row(scope: Microscope, selection: Selection, point: Point) -> Params:
    """A click on a matrix of patches by patches: the row's patch."""
    return {"patch": patch_text(scope, point.index[0])}


def pick_sublayer(scope: Microscope, selection: Selection, point: Point) -> Params:
    """A click on a value for each sublayer: the depth that it leads to."""
    (sublayer,) = point.index
    return {"depth": scope.depth_names[1:][sublayer]}


def facts_of(scope: Microscope, selection: Selection, options: Sequence[Option]) -> dict[str, str]:
    """What a figure is of, for those who see it without the page."""
    row, col = scope.grid.position(selection.patch)
    changed = {"edits": edits.text(selection.edits, scope.grid)} if selection.edits else {}
    return {
        "picture": picture_name(scope, selection),
        **changed,
        "answer": scope.classes[scope.answer(selection.picture)],
        "selected class": scope.classes[selection.target],
        "patch": f"({row}, {col})",
        **({"patches treated as one": side_text(selection.side)} if len(scope.grid.sides) > 1 else {}),
        "depth": scope.depth_names[selection.depth],
        **{option.label: option.label_of(selection) for option in options if option.label},
        "network": scope.name,
    }


def picture_name(scope: Microscope, selection: Selection) -> str:
    name = "own picture" if selection.sample is None else sample_name(scope, selection.sample)
    return f"{name} edited" if selection.edits else name


def sample_name(scope: Microscope, sample: int) -> str:
    """Its label, and its number among the test images."""
    return f"{scope.truth(sample)}-{scope.sample_place(sample)}"


def taken_for(truth: str, answer: str) -> str:
    """What a sample is, and what the network predicts."""
    return f"{truth}, predicted correctly" if truth == answer else f"{truth}, predicted {answer}"


def counted(count: int, thing: str) -> str:
    """Such as 1 stage, 2 stages, 3 patches."""
    ending = "" if count == 1 else "es" if thing.endswith(("s", "ch")) else "s"
    return f"{count:,} {thing}{ending}"


def file_name(scope: Microscope, selection: Selection, view: View) -> str:
    """Such as airplane-3_12b_votes."""
    return safe_name(f"{picture_name(scope, selection)}_{scope.depth_names[selection.depth]}_{view.id}")


def safe_name(name: str) -> str:
    """As files may be called everywhere."""
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in name)


def csv_of(scope: Microscope, selection: Selection, view: View, options: Sequence[Option], numbers: Numbers) -> str:
    """The numbers of a view as a file, with what they are of."""
    estimates = {"estimates": so_far} if (so_far := view.so_far(scope, selection)) else {}
    return numbers.csv({"view": f"{view.title} {view.question}", **facts_of(scope, selection, options), **estimates})


def in_place(view: View, drawn: Drawn) -> str:
    """What a figure shows, for those who cannot see it."""
    return f"{view.title} {drawn.numbers.in_words() if drawn.numbers else ''}"


def element_id(lens: Lens, view: View) -> str:
    """The id of a view's element on the page."""
    return f"{lens.element}-{view.id}"


def full_name(lens: Lens, view: View) -> str:
    """Such as mixing.unit.reads."""
    return f"{lens.id}.{view.id}"


def as_python(scope: Microscope, page: Choices, name: str, view: View, selection: Selection) -> str:
    """A program that shows the same view of the same selection (`viz.notebook`)."""
    unseen = {"lens", *(name for name in selection.options if not _sees_option(view, selection, name))}
    words = {name: text for name, text in to_words(scope, page, selection).items() if name not in unseen}
    named = {"class_" if name == "class" else name.replace("-", "_"): text for name, text in words.items()}
    samples = f", samples={str(scope.folder)!r}" if scope.folder else ""
    return (
        "from viz import Microscope, view\n\n"
        f"scope = Microscope.load({scope.source!r}{samples})\n"
        f"view(scope, {name!r}{''.join(f', {name}={_literal(name, text)}' for name, text in named.items())})\n"
    )


def _literal(name: str, text: str) -> str:
    """Numbers as numbers; a class may be called as one."""
    return text if name != "class_" and text.isdecimal() and str(int(text)) == text else repr(text)


def _sees_option(view: View, selection: Selection, name: str) -> bool:
    """Whether the figure depends on an option, be it its own or one of another view's."""
    without = replace(selection, chosen=tuple(pair for pair in selection.chosen if pair[0] != name))
    return name in {option.name for option in view.options} or view.sees(without) != view.sees(selection)
