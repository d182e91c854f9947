"""Pin: a selection is kept, and every view shows it beside the present one, on one scale.

Two pictures, two classes, two depths, before and after an edit; two networks: `pin` in a link holds the words of the
selection that is kept, and which network's it is.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from html import escape
from urllib.parse import parse_qsl, urlencode

from viz import figures
from viz.lenses.all import SCALE, Lenses
from viz.lenses.view import Drawn, Numbers, facts_of
from viz.measuring import Measurement
from viz.page.markup import control
from viz.pictures import png_url
from viz.selection import Selection, change, from_query, option_text, to_query, to_words

HERE, SWAP, CLASS = "here", "swap", "class"
"""what `pin` says in place of a selection: keep the present one; look at the one that is kept, and keep this one;
explain the present class in the one that is kept, too"""
APART = "No difference is drawn, as these are not amounts in the same places."


@dataclass(frozen=True, eq=False)
class Pinned:
    """A selection of a network, this page's or another's."""

    lenses: Lenses
    selection: Selection

    def needs(self, name: str, here: Lenses) -> Sequence[Measurement]:
        """What is to be measured before a view can show it. here: the page's network"""
        needed = self.lenses.views[name].missing(self.lenses.scope, self.selection)
        if self.lenses is here:
            return needed
        return [replace(one, key=(self.lenses.name, one.key)) for one in needed]


def depends(lenses: Lenses, name: str, selection: Selection) -> Hashable:
    """All that the figure of a view depends on, but for what is measured by now."""
    view = lenses.views[name]
    return view.sees(selection), tuple(option_text(option, selection) for option in view.options)


def beside(pinned: Pinned | None, here: Lenses, name: str, selection: Selection) -> Pinned | None:
    """What is kept, where a view shows something else of it than of the present selection."""
    if pinned is None or here.lens_of[name] is None or name not in pinned.lenses.views:
        return None
    same = pinned.lenses is here and depends(here, name, pinned.selection) == depends(here, name, selection)
    return None if same else pinned


def to_text(pinned: Pinned) -> str:
    """As a link says it; the lens is always the one that is open."""
    lenses = pinned.lenses
    words = to_words(lenses.scope, lenses.page, replace(pinned.selection, lens=lenses.first.lens))
    return urlencode({"network": lenses.name} | words, safe=",:;@/")


def network_of(text: str, here: str) -> str:
    """The name of the network that a link's `pin` is of. here: where it does not say"""
    return from_query(text).get("network", here)


def link(here: Lenses, pinned: Pinned | None, selection: Selection) -> str:
    """All that a link can say."""
    where = {"network": here.name} if here.further else {}
    kept = {"pin": to_text(pinned)} if pinned else {}
    return to_query(where | to_words(here.scope, here.page, selection) | kept)


def swapped(here: Lenses, pinned: Pinned, selection: Selection) -> str:
    """The link that shows what is pinned, and pins the present selection."""
    kept = {"pin": to_text(Pinned(here, selection))}
    return to_query(dict(parse_qsl(to_text(pinned))) | {"lens": selection.lens} | kept)


def parse(text: str, lenses: Lenses) -> tuple[Pinned, list[str]]:
    """The inverse of `to_text`, and a sentence for each word that says nothing there. lenses: of its network"""
    words = {name: word for name, word in from_query(text).items() if name != "network"}
    selection, said = change(lenses.scope, lenses.page, lenses.first, words)
    return Pinned(lenses, selection), said


def which(pinned: Pinned, here: Lenses, name: str, selection: Selection) -> tuple[str, str]:
    """Of a view, in what the kept selection and the present one differ, in the words of each."""
    facts = [
        facts_of(lenses.scope, each, lenses.settings[name])
        for lenses, each in ((pinned.lenses, pinned.selection), (here, selection))
    ]
    apart = [fact for fact in facts[1] if facts[0].get(fact) != facts[1][fact]]
    kept, now = (" · ".join(f"{fact}: {told.get(fact, 'none')}" for fact in apart) for told in facts)
    return f"Pinned: {kept}", f"Now: {now}"


def describe(pinned: Pinned, here: Lenses) -> str:
    """What is kept, in short."""
    facts = facts_of(pinned.lenses.scope, pinned.selection, ())
    told = [facts["picture"], facts["selected class"], f"patch {facts['patch']}", facts["depth"]]
    if pinned.lenses is not here:
        told.append(pinned.lenses.name)
    return " · ".join(told)


def difference(before: Drawn, now: Drawn) -> Drawn | None:
    """What a view shows now, less what it shows of what is pinned; None where that is no amount."""
    both = now.numbers.beside(before.numbers) if now.numbers and before.numbers else None
    figure = figures.difference(now.figure, before.figure) if both and now.figure and before.figure else None
    if both is None or figure is None:
        return None
    numbers = Numbers(both.name, dict(list(both.axes.items())[:-1]), both.values[..., -1])
    return Drawn(figure, words=f"Difference: {escape(numbers.in_words())}.", numbers=numbers)


def of_class(pinned: Pinned, name: str) -> Pinned:
    """The same, with another class to explain. Raises ValueError where its network does not have this class."""
    return Pinned(pinned.lenses, replace(pinned.selection, target=pinned.lenses.scope.class_number(name)))


def bar(pinned: Pinned | None, here: Lenses, target: str) -> str:
    """HTML: what is kept, and what to do with it. target: the selected class"""
    if pinned is None:
        title = "Keep this selection beside the next one, in every view"
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
