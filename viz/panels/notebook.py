"""The views without the page, in a notebook or any other program: docs/microscope.ipynb."""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from PIL import Image
from tqdm import tqdm

from viz.figures import Figure
from viz.microscope import Microscope
from viz.panels.lenses import Lenses
from viz.panels.view import Drawn, Lens, Numbers, View, full_name
from viz.selection import Page, Selection, change, first, show

WIDTH = 800
"""of a figure, in pixels"""


@dataclass(frozen=True, eq=False)
class Shown:
    """A view of a selection. As the last line of a notebook's cell, it shows itself."""

    view: View
    selection: Selection
    drawn: Drawn

    @property
    def figure(self) -> Figure | None:
        """plotly's; None where the view is a text or a table."""
        return self.drawn.figure

    @property
    def numbers(self) -> Numbers | None:
        """The values with their named axes: `numbers.values`, or a line for each by `numbers.rows()`."""
        return self.drawn.numbers

    def _repr_html_(self) -> str:
        figure = ""
        if self.figure is not None:
            shape, size = self.figure.layout.meta, {}
            if shape:  # as the page does, for the width of a notebook
                size = {"default_height": min(shape["ratio"] * WIDTH + shape["extra"], shape["most"])}
            figure = self.figure.to_html(full_html=False, include_plotlyjs="cdn", default_width=WIDTH, **size)
        return (
            f"<h4>{escape(self.view.title)}</h4><p>{escape(self.view.question)}</p><p>{self.drawn.words}</p>{figure}"
            f"{self.drawn.html}<p>How not to read it: {escape(self.view.caution)}</p>"
        )


def view(scope: Microscope, name: str, /, **words: Any) -> Shown:
    """What the page shows of a view, with all that it needs measured.

    name: as `views` lists them, such as "tokens.norms"
    words: what is chosen, as in a link: `sample=12, patch="3,1", depth="5a", class_="cat"`, and the view's options.
        `_` stands for `-`, and ends what Python keeps for itself. `picture` may also be an image of Pillow's or a file.
    Raises ValueError, in words, for what is not there.
    """
    lenses = Lenses(scope)
    known = {full_name(lens, view): view for lens, view in _all(lenses)}
    if name not in known:
        raise ValueError(f"there is no view {name!r}; there are {', '.join(known)}")
    selection = _select(scope, lenses.page, words)
    while waiting := known[name].needs(scope, selection):
        one = waiting[0]
        for _ in tqdm(one.steps(), one.label, leave=False, disable=one.seconds < 1):
            pass
    return Shown(known[name], selection, known[name].draw(scope, selection))


def views(scope: Microscope) -> dict[str, str]:
    """What there is to look at of a network: the names of the views, and their questions."""
    return {full_name(lens, view): view.question for lens, view in _all(Lenses(scope))}


def _all(shown: Lenses) -> Iterator[tuple[Lens, View]]:
    for lens in (shown.specimen, *shown.lenses):
        for view in lens.views:
            yield lens, view


def _select(scope: Microscope, page: Page, words: dict[str, Any]) -> Selection:
    selection, picture = first(scope, page), words.get("picture")
    if isinstance(picture, (Image.Image, Path)) or (isinstance(picture, str) and "." in picture):  # in no link's word
        selection = show(scope, selection, scope.picture_of(picture))
        words = {name: value for name, value in words.items() if name != "picture"}
    named = {name.strip("_").replace("_", "-"): str(value) for name, value in words.items()}
    selection, wrong = change(scope, page, selection, named)
    if wrong:
        raise ValueError(" ".join(wrong))
    return selection
