"""Contrastive attribution: the difference of two attributions."""

from html import escape

from viz import figures
from viz.attribution.methods import METHODS
from viz.attribution.query import explanation
from viz.figures import AGAINST, FOR
from viz.lenses.attribution.options import OUTPUT, best_for_two, cache_keys, question_of, ranked, selected
from viz.lenses.view import Drawn, Numbers, View, pick_patch, places
from viz.measuring import Measurement
from viz.microscope import Microscope
from viz.selection import Choice, Params, Selection, groups_of

NEXT = "next"
MANY = 60
"""with more classes, the other one is selected by its rank: a list of a thousand is too long"""
RANKS = 10


def view(scope: Microscope) -> View:
    return View(
        "difference",
        "Contrastive attribution",
        f"Which patches support the selected class ({FOR}), and which support another one ({AGAINST})?",
        "Not shown: evidence for both classes, which cancels.",
        lambda scope, s: (cache_keys(s, signed(scope, s)), s.patch),
        draw,
        options=(rather_than(scope),),
        pick=pick_patch,
        needs=needs,
    )


def rather_than(scope: Microscope) -> Choice:
    """The option: which other class."""
    if len(scope.classes) > MANY:
        others = [(f"top-{rank}", f"number {rank} by probability") for rank in range(1, RANKS + 1)]
    else:
        others = [(name, name) for name in scope.classes]
    return Choice("rather-than", "Instead of", ((NEXT, "the next most probable class"), *others), NEXT)


def class_of(scope: Microscope, selection: Selection) -> int:
    """The number of the other class."""
    chosen = rather_than(scope).value(selection)
    ranked = scope.leading(selection.picture, len(scope.classes))
    if chosen == NEXT:
        return next((i for i in ranked if i != selection.target), selection.target)
    return ranked[int(chosen.removeprefix("top-")) - 1] if len(scope.classes) > MANY else scope.class_number(chosen)


def why_not(scope: Microscope, picture: bytes, other: int) -> Params | None:
    """The parameters of a link to the comparison of the answer with another class; None if its rank is not offered."""
    answer, rank = scope.answer(picture), scope.leading(picture, len(scope.classes)).index(other) + 1
    if len(scope.classes) > MANY and rank > RANKS:
        return None
    name = f"top-{rank}" if len(scope.classes) > MANY else scope.classes[other]
    params = {"lens": "attribution", "class": scope.classes[answer], "rather-than": name}
    return params | {"methods": best_for_two(scope)}


def signed(scope: Microscope, selection: Selection) -> tuple[str, ...]:
    """The selected signed method with the best rank in the network's benchmark; empty if none is signed."""
    best = {name: rank for rank, name in enumerate(ranked(scope))}
    found = (name for name in selected(scope, selection) if METHODS[name].signed)
    return tuple(sorted(found, key=lambda name: best.get(name, len(best))))[:1]


def needs(scope: Microscope, selection: Selection) -> list[Measurement]:
    both, methods = (selection.target, class_of(scope, selection)), signed(scope, selection)
    return [explanation(scope, question_of(selection, target), method) for method in methods for target in both]


def draw(scope: Microscope, selection: Selection) -> Drawn:
    methods, other = signed(scope, selection), class_of(scope, selection)
    if not methods:
        return Drawn(words="No signed method is selected.")
    if other == selection.target:
        return Drawn(words="This is the selected class: select another one.")
    mine, theirs = (
        scope.latest(explanation(scope, question_of(selection, target), methods[0]))
        for target in (selection.target, other)
    )
    names = f"{scope.classes[selection.target]} - {scope.classes[other]}"
    words = f"<b>{escape(names)}</b>, by {escape(methods[0])}."
    if mine is None or theirs is None:
        return Drawn(words=f"{words} Not measured yet.")
    values, groups = mine.values - theirs.values, groups_of(scope, selection)
    label = f"{OUTPUT.value(selection)}: {names}"
    shown, chosen = scope.grid.map(groups.expand(values)), groups.box(selection.patch)
    figure = figures.over_picture(scope.pixels(selection.picture), shown, label, signed=True, chosen=chosen)
    return Drawn(figure, words=words, numbers=Numbers(label, places(scope, selection.side), groups.map(values)))
