"""The views without the page, in a notebook or any other program: docs/microscope.ipynb."""

import re
import sys
import tempfile
import webbrowser
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from viz.attribution.attribute import Attribution
from viz.attribution.query import explain_many
from viz.attribution.question import Output
from viz.figures import Figure
from viz.lenses.all import Lenses, now_at
from viz.lenses.attribution.options import BASELINE
from viz.lenses.view import Drawn, Lens, Numbers, View, full_name, picture_name
from viz.measuring import Measurement
from viz.microscope import Microscope, Picture, typed
from viz.pace import undisturbed
from viz.page.report import document, section, with_library
from viz.selection import WORDS, Choices, Option, Selection, change, first, show

FRAME = """<iframe srcdoc="{}" style="width: 100%; max-width: 800px; height: 640px; border: 0" onload="\
const {{body}} = this.contentDocument; \
new ResizeObserver(() => {{ this.style.height = `${{body.offsetHeight}}px`; }}).observe(body)"></iframe>"""
"""a file within a notebook, as high as its text: the style sheets of the two do not mix"""
LISTS = {"edits": ";", "undone": ";"}
"""separators of lists in a link, where they differ from a comma"""
LINK = re.compile(r"[^./\\]{32,}|[^.]{256,}|e[AFJN][\w-]{10,}=*", re.DOTALL)
"""the picture of a link: long and without the dots and slashes of a file's name; short only in the earlier format"""
PICTURES = ("picture", "sample")
"""options that select a picture"""


@dataclass(frozen=True, eq=False, repr=False)
class Shown:
    """A view of a selection. A notebook displays it as the last line of a cell."""

    scope: Microscope
    lens: Lens
    view: View
    selection: Selection
    drawn: Drawn

    @property
    def figure(self) -> Figure | None:
        """The figure of plotly; None if the view is a text or a table."""
        return self.drawn.figure

    @property
    def numbers(self) -> Numbers | None:
        """The values with their named axes: `numbers.values`, or one row for each by `numbers.rows()`."""
        return self.drawn.numbers

    def html(self) -> str:
        """The text of a self-contained HTML file, with its style sheet and the library of the figures."""
        parts = section(self.scope, self.lens, self.view, self.selection, self.drawn)
        text = document(self.view.title, parts)
        return with_library(text) if self.figure is not None else text

    def save(self, path: Path | str) -> None:
        """Write it as an HTML file. Raises ValueError for another file extension, OSError if it cannot be written."""
        path = Path(path)
        if path.suffix.lower() not in (".html", ".htm"):
            raise ValueError(f"a view is saved as HTML: {path.with_suffix('.html')}, not {path}")
        path.write_text(self.html(), encoding="utf-8")

    def show(self) -> None:
        """Show it in a notebook's cell or in the browser."""
        shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
        if hasattr(shell, "kernel"):
            sys.modules["IPython"].display.display(self)
            return
        with tempfile.NamedTemporaryFile(suffix=".html", delete=False) as file:
            path = Path(file.name)
        self.save(path)
        if not webbrowser.open(path.as_uri()):
            print(f"No browser opened: the view is in {path}")

    def __repr__(self) -> str:
        picture = picture_name(self.scope, self.selection)
        return f"<view {full_name(self.lens, self.view)} of {picture}: .show(), .save('view.html'), .figure, .numbers>"

    def _repr_html_(self) -> str:
        return FRAME.format(self.html().replace("&", "&amp;").replace('"', "&quot;"))


def view(scope: Microscope, name: str, /, **words: Any) -> Shown:
    """Compute a view as on the page, after all measurements that it needs.

    name: from `views`, such as "tokens.norms", or an earlier name (`viz.lenses.all.MOVED`)
    words: the selection, as in a link: `sample=12, patch=(3, 1), depth="5a", class_="cat"`, and the view's options,
        such as `methods=["Saliency"]`. Write `_` for `-`, and add `_` to reserved words of Python. `picture` may also
        be any argument of `Microscope.picture_of`: a file, an image of Pillow, an array.
    Returns a `Shown`: its `figure` (of plotly, or None), its `numbers` with named axes (or None), its `selection`;
        `.show()` displays it, `.save("view.html")` writes it.
    Raises ValueError, with the choices, for a name, option or value that does not exist, and for both `picture` and
        `sample`; FileNotFoundError for a missing file; `mixer.picture.Unreadable` (a ValueError) for a file that is not
        a picture.
    """
    return _view(Lenses(scope), name, words)


def _view(lenses: Lenses, name: str, words: dict[str, Any], *pictures: Picture) -> Shown:
    """pictures: none or one, if it is not in the words"""
    scope = lenses.scope
    name, options = now_at(scope, name)
    if name not in lenses.named:
        raise ValueError(f"there is no view {name!r}; there are {', '.join(lenses.named)}")
    lens, found = lenses.named[name]
    selection = _select(scope, lenses.page, (*lens.options, *found.options), options | words, *pictures)
    while waiting := found.missing(scope, selection):
        _measure(waiting[0])
    return Shown(scope, lens, found, selection, found.draw(scope, selection))


def views(scope: Microscope) -> dict[str, str]:
    """The views of a network: their names, which are arguments of `view`, and their questions."""
    return {name: view.question for name, (_, view) in Lenses(scope).named.items()}


def view_many(scope: Microscope, name: str, pictures: Iterable[Picture], /, **words: Any) -> list[Shown]:
    """Compute the same view of many pictures, as `view` does for each.

    name, words: as for `view`, but without `picture` and `sample`
    pictures: any iterable of arguments of `Microscope.picture_of`
    Returns a `Shown` for each picture, in their order.
    Raises the errors of `view`, and ValueError for a single picture instead of several.
    """
    lenses = Lenses(scope)
    with tqdm(_several(pictures), desc=name, unit=" pictures", leave=False, delay=1, dynamic_ncols=True) as bar:
        return [_view(lenses, name, words, picture) for picture in bar]


def attribute(
    scope: Microscope,
    pictures: Iterable[Picture],
    method: str = "Gradient x input",
    label: str | None = None,
    baseline: str = BASELINE.default,
    output: Output = "logit",
    block: int | None = None,
    groups: int | None = None,
) -> list[Attribution]:
    """Which patches support the class? For each picture one value of a method for each patch or group, row by row.

    Gradient methods compute many pictures together, the others one by one. `Attribution` documents the result,
    `viz.attribution.methods` the source of each method.

    pictures: any iterable of arguments of `Microscope.picture_of`: files, images of Pillow, arrays
    method: one of `viz.METHODS`
    label: the class to explain (default: each picture's answer)
    baseline: the picture for comparison: mean colour, black, blurred or own mean
    output: whether the values are in units of the logit or of the probability of the class
    block: for methods that explain tokens: the block before them, counted from 1 (default: the last)
    groups: patches along each side of a group: one of `scope.grid.sides` (default: single patches); `mixer.grid.Groups`
        lays out their values
    Returns an `Attribution` for each picture, in their order: `values` are float32, of the shape (patches,) or
        (groups,); `target` is the number of the class.
    Raises ValueError, with the choices, for an argument that does not exist, and for a single picture instead of
        several; FileNotFoundError for a missing file; `mixer.picture.Unreadable` (a ValueError) for a file that is not
        a picture.
    """
    for name, text in (("method", method), ("baseline", baseline), ("output", output)):
        if not isinstance(text, str):
            raise ValueError(f"{name} is a name, not {typed(text)}")
    given = [scope.picture_of(picture) for picture in _several(pictures)]
    target = None if label is None else scope.class_number(label)
    after, side, found = scope.block_number(block), scope.group_side(groups), list[Attribution]()
    with (
        undisturbed(),
        tqdm(total=len(given), desc=method, unit=" pictures", leave=False, delay=1, dynamic_ncols=True) as bar,
    ):
        for one in explain_many(scope, given, method, target, baseline, output, after, side):
            if isinstance(one, Attribution):
                found.append(one)
                bar.update()
    return found


def _several(pictures: Iterable[Picture]) -> list[Picture]:
    """The pictures. Raises ValueError for a single one, and for anything else that has no elements."""
    single = isinstance(pictures, (str, bytes, PathLike, Image.Image))
    single |= isinstance(pictures, (np.ndarray, Tensor)) and pictures.ndim in (2, 3)
    each = None
    with suppress(TypeError):  # of values that have no elements; an error of an iterator is its own
        each = None if single else iter(pictures)
    if each is None:
        raise ValueError(f"pictures are several, in a list, not {typed(pictures)}: for a single one, write [picture]")
    return [*each]


def _measure(one: Measurement) -> None:
    """Run a measurement, with a progress bar if it takes more than a second."""
    bar = tqdm(
        desc=one.label, total=one.total, unit=f" {one.unit}", leave=False, disable=one.seconds < 1, dynamic_ncols=True
    )
    with undisturbed(), bar:
        for done in one.steps():
            bar.update(done - bar.n)


def _select(
    scope: Microscope, page: Choices, options: Sequence[Option], words: dict[str, Any], *pictures: Picture
) -> Selection:
    """Apply `words` to the first selection.

    options: of the view, for the error message. pictures: none or one, if it is not in the words
    """
    selection = first(scope, page)
    names = {name: name.strip("_").replace("_", "-") for name in words}
    named = {page.renamed.get(names[name], names[name]): value for name, value in words.items()}
    valid = (*WORDS, *(option.name for option in page.options))
    if unknown := [name for name in named if name not in valid]:
        here = ", ".join((*WORDS, *(option.name for option in options)))
        raise ValueError(f"There is no option called {unknown[0]!r}: there are {here}.")
    given = [*("pictures" for _ in pictures), *(name for name in PICTURES if name in named)]
    if len(given) > 1:
        raise ValueError(f"There are two pictures, by {' and '.join(given)}: give only one.")
    for picture in pictures:
        named["picture"] = picture
    if "picture" in named and not _in_link(named["picture"]):
        selection = show(scope, selection, scope.picture_of(named.pop("picture")))
    selection, wrong = change(scope, page, selection, {name: _text(name, value) for name, value in named.items()})
    if wrong:
        raise ValueError(" ".join(wrong))
    return selection


def _in_link(picture: object) -> bool:
    """Whether it is a picture as in a link, not the name of a file, which may be missing."""
    return isinstance(picture, str) and LINK.fullmatch(picture) is not None and not Path(picture[:200]).is_file()


def _text(name: str, value: Any) -> str:
    """A value as in a link: lists become their joined parts."""
    parts = value.tolist() if isinstance(value, np.ndarray) else value
    return LISTS.get(name, ",").join(map(str, parts)) if isinstance(parts, (list, tuple)) else str(parts)
