"""Pin: every view shows a pinned selection beside the current one, with a common scale.

It compares two pictures, classes, depths or networks, or before and after an edit. `pin` in a link has the parameters
of the pinned selection, and its network.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from urllib.parse import urlencode

from viz import figures
from viz.lenses.all import SCALE, Lenses
from viz.lenses.view import Drawn, Numbers, facts_of
from viz.measuring import Measurement
from viz.page.markup import control
from viz.pictures import png_url
from viz.selection import Option, Selection, change, from_query, to_query, to_words

HERE, SWAP, CLASS = "here", "swap", "class"
"""special values of `pin`: pin the current selection; swap the current and the pinned one; select the current class in
the pinned one, too"""
SAME = "Identical for the pinned selection."
ABSENT = "The pinned network does not have this view."
APART = "No difference is shown: the numbers have different axes."
NOT_DRAWN = "The difference is only in the CSV file."
NO_NUMBERS = "No difference is shown: this view has no numbers."


@dataclass(frozen=True, eq=False)
class Pinned:
    """A selection of a network: that of the page or another one."""

    lenses: Lenses
    selection: Selection
    file: str = ""
    """the name of the file of an own picture, if it is known"""

    def needs(self, name: str, here: Lenses) -> Sequence[Measurement]:
        """The missing measurements of a view for it. here: the network of the page"""
        needed = self.lenses.views[name].missing(self.lenses.scope, self.selection)
        if self.lenses is here:
            return needed
        return [replace(one, key=(self.lenses.name, one.key)) for one in needed]


def beside(pinned: Pinned | None, here: Lenses, name: str, selection: Selection) -> Pinned | None:
    """The pinned selection; None if a view is the same for it and the current selection."""
    if pinned is None or here.lens_of[name] is None or name not in pinned.lenses.views:
        return None
    view, scope = here.views[name], here.scope
    same = pinned.lenses is here and view.depends(scope, pinned.selection) == view.depends(scope, selection)
    return None if same else pinned


def to_text(pinned: Pinned) -> str:
    """The value of `pin` in a link, without a lens."""
    return urlencode(_words(pinned), safe=",:;@/")


def _words(pinned: Pinned) -> dict[str, str]:
    """The parameters of the pinned selection, without a lens."""
    lenses = pinned.lenses
    words = to_words(lenses.scope, lenses.page, replace(pinned.selection, lens=lenses.first.lens))
    return {"network": lenses.name} | words


def network_of(text: str, here: str) -> str:
    """The name of the network in a value of `pin`. here: the default"""
    return from_query(text).get("network", here)


def link(here: Lenses, pinned: Pinned | None, selection: Selection) -> str:
    """A link with all parameters: network, selection and pin."""
    where = {"network": here.name} if here.further else {}
    pin = {"pin": to_text(pinned)} if pinned else {}
    return to_query(where | to_words(here.scope, here.page, selection) | pin)


def swapped(here: Lenses, pinned: Pinned, selection: Selection) -> str:
    """The link that swaps the pinned and the current selection."""
    pin = {"pin": to_text(Pinned(here, selection))}
    return to_query(_words(pinned) | {"lens": selection.lens} | pin)


def parse(text: str, lenses: Lenses) -> tuple[Pinned, list[str]]:
    """The inverse of `to_text`, with messages about wrong parameters. lenses: those of its network"""
    words = {name: word for name, word in from_query(text).items() if name != "network"}
    selection, messages = change(lenses.scope, lenses.page, lenses.first, words)
    return Pinned(lenses, selection), messages


def captions(pinned: Pinned, here: Lenses, name: str, selection: Selection, file: str = "") -> tuple[str, str]:
    """Captions of the pinned and the current figure of a view: the facts that differ.

    file: the name of the file of the current picture, if it is known
    """
    facts = [
        _facts(lenses, each, lenses.settings[name], of)
        for lenses, each, of in ((pinned.lenses, pinned.selection, pinned.file), (here, selection, file))
    ]
    apart = [fact for fact in facts[1] if facts[0].get(fact) != facts[1][fact]]
    before, now = (" · ".join(f"{fact}: {each.get(fact, 'none')}" for fact in apart) for each in facts)
    return f"Pinned: {before}", f"Now: {now}"


def _facts(lenses: Lenses, selection: Selection, options: Sequence[Option], file: str) -> dict[str, str]:
    facts = facts_of(lenses.scope, selection, options)
    return facts | {"picture": with_file(facts["picture"], file)}


def with_file(picture: str, file: str) -> str:
    """The name of a picture, with that of its file, if it is known."""
    return f"{picture} ({file})" if file else picture


def describe(pinned: Pinned, here: Lenses) -> str:
    """A short description of the pinned selection."""
    facts = _facts(pinned.lenses, pinned.selection, (), pinned.file)
    parts = [facts["picture"], facts["selected class"], f"patch {facts['patch']}", facts["depth"]]
    if pinned.lenses is not here:
        parts.append(pinned.lenses.name)
    return " · ".join(parts)


def difference(before: Drawn, now: Drawn) -> tuple[Drawn | None, str]:
    """The current minus the pinned view, or None and the reason; without a reason before both are measured."""
    if not all(each.figure or each.html for each in (before, now)):
        return None, ""
    if now.numbers is None or before.numbers is None or not now.numbers.amounts:
        return None, NO_NUMBERS
    if (both := now.numbers.beside(before.numbers)) is None:
        return None, APART
    figure = figures.difference(now.figure, before.figure) if now.figure and before.figure else None
    if figure is None:
        return None, NOT_DRAWN
    numbers = Numbers(both.name, dict(list(both.axes.items())[:-1]), both.values[..., -1])
    words = f"Difference: {escape(numbers.extremes())}."
    if now.numbers.name != before.numbers.name:
        words = f"Different quantities: {escape(both.name)}. {words}"
    return Drawn(figure, words=words, numbers=numbers), ""


def of_class(pinned: Pinned, name: str) -> Pinned:
    """The pinned selection with another class to explain. Raises ValueError if its network does not have this class."""
    return replace(pinned, selection=replace(pinned.selection, target=pinned.lenses.scope.class_number(name)))


def bar(pinned: Pinned | None, here: Lenses, target: str) -> str:
    """HTML: the pinned selection and its buttons. target: the selected class"""
    if pinned is None:
        title = "Show this selection beside the next one in every view"
        return f"<button type='button' data-words='pin={HERE}' title='{title}'>Pin</button>"
    scope, selection = pinned.lenses.scope, pinned.selection
    same = f"<button type='button' data-words='pin={CLASS}'>Same class in both</button>"
    return (
        f"<div class='kept'><img src='{png_url(scope.pixels(selection.picture))}' alt=''>"
        f"<span><b>Pinned</b> {escape(describe(pinned, here))}</span>"
        f"{same * (scope.classes[selection.target] != target)}"
        f"<span class='options'>{control(SCALE)}</span><button type='button' data-words='pin={SWAP}'>Swap</button>"
        "<button type='button' data-words='pin='>Unpin</button></div>"
    )
