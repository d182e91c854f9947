"""Smallest change: how few patches change the answer, and how few keep it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from html import escape
from urllib.parse import urlencode

import numpy as np

from viz import figures
from viz.intervene import edits, search
from viz.intervene.edits import Edit
from viz.intervene.search import Found, Wanted
from viz.lenses.intervene.edit import FILLINGS
from viz.lenses.intervene.other import other_of, other_picture
from viz.lenses.view import Drawn, Lens, Numbers, View, pick_in_pictures, places
from viz.measuring import Measurement
from viz.microscope import Microscope
from viz.selection import Choice, Selection

FILL = Choice(
    "gone",
    "Fill removed patches with",
    tuple(FILLINGS.items()),
    "mean",
)


@dataclass(frozen=True)
class Search:
    """What is looked for: patches of one picture to put into another, until the answer is as wanted."""

    into: bytes
    put: bytes
    target: int
    kept: bool
    """whether the answer is to be the target, or any other class"""


@dataclass(frozen=True)
class Question:
    """What one of the views looks for, and what it makes of the picture."""

    search: Callable[[Microscope, Selection], Search]
    edit: Callable[[Microscope, Selection, tuple[int, ...]], Edit]
    """what makes it the selected picture"""
    nothing: str
    """in words: no patch at all is enough"""
    never: str
    """in words: no number of patches is"""


def lens(scope: Microscope) -> Lens:
    other = other_of(scope)
    remove = _view(
        "remove",
        "Minimal removal",
        "How few patches change the answer? The picture lacks the fewest patches whose removal changes its answer.",
        "Limits: a picture with holes is unlike training pictures, so the answer may change because of the holes. Try "
        "another filling.",
        FILL,
        Question(
            lambda scope, s: Search(s.picture, _filled(scope, s), scope.answer(s.picture), False),
            lambda scope, s, found: Edit(FILL.of(s), None, found),
            "",
            "No number of patches changes the answer: with all patches removed it is still the same.",
        ),
    )
    keep = _view(
        "keep",
        "Minimal sufficient set",
        "How few patches keep the answer? The picture has only the fewest patches that keep its answer.",
        "Limits: sufficient is not necessary, as other patches may be sufficient, too. Where very few are sufficient, "
        "the filling alone may nearly give this answer.",
        FILL,
        Question(
            lambda scope, s: Search(_filled(scope, s), s.picture, scope.answer(s.picture), True),
            lambda scope, s, found: Edit(FILL.of(s), None, _but(scope, found)),
            "No patch is needed: with all patches removed the answer is the same.",
            "",
        ),
    )
    paste = _view(
        "paste",
        "Minimal paste",
        "How few patches transfer the other answer? "
        "The picture has the fewest patches of the other picture, at the same positions, that give it the other's "
        "answer.",
        "Limits: pasted patches have edges that no photo has, and lack the context of their own picture.",
        other,
        Question(
            lambda scope, s: _toward(scope, s.picture, other_picture(scope, other, s)),
            lambda scope, s, found: Edit("paste", int(other.of(s)), found),
            "No patch is needed: both pictures have this answer.",
            "",
        ),
    )
    asks = "How few patches change the answer, and how few keep it?"
    return Lens("whatif.smallest", "Smallest change", asks, ((remove, keep, paste),), (FILL, other))


def _view(id: str, title: str, question: str, caution: str, option: Choice, asked: Question) -> View:
    """option: the one of the lens that it depends on"""
    return View(
        id,
        title,
        question,
        caution,
        sees=lambda s: (s.picture, s.edits, option.of(s)),
        draw=partial(draw, asked),
        pick=pick_in_pictures(1),
        needs=partial(searches, asked),
    )


def draw(asked: Question, scope: Microscope, selection: Selection) -> Drawn:
    looked = asked.search(scope, selection)
    greedy, *proof = map(scope.known, searches(asked, scope, selection))
    found = next(filter(None, proof), greedy)
    if found is None:
        return Drawn(words="Not searched yet.")
    if found.patches:
        edit = asked.edit(scope, selection, found.patches)
        picture, words = _with(scope, selection, edit), _in_words(scope, selection, found, edit)
    else:
        picture, words = (looked.put, asked.never) if found.patches is None else (looked.into, asked.nothing)
    name = f"predicted {scope.classes[scope.answer(picture)]}"
    figure = figures.pictures(scope.pixels(picture)[None], [name], (scope.grid.rows, scope.grid.cols))
    order = np.zeros(scope.grid.patches, int)
    for number, patch in enumerate(found.patches or (), 1):
        order[patch] = number
    numbers = Numbers("order in which it was found", places(scope), scope.grid.map(order))
    return Drawn(figure, words=words, numbers=numbers)


def searches(asked: Question, scope: Microscope, selection: Selection) -> Sequence[Measurement[Found]]:
    """A greedy search; then a proof, where it is affordable and needed. Each when it is asked for."""
    looked, patches = asked.search(scope, selection), scope.grid.patches

    def wanted() -> Wanted:
        return Wanted(scope.input(looked.into), scope.input(looked.put), looked.target, looked.kept)

    greedy = scope.measurement(
        ("greedy", looked),
        "Greedy search, at most",
        "passes",
        search.most_passes(patches),
        lambda: search.greedy(scope.model, wanted()),
        asked=True,
    )
    found = scope.known(greedy)
    if found is None or not 0 < (sets := search.smaller_sets(patches, found)) <= search.AFFORDABLE:
        return [greedy]
    proof = scope.measurement(
        ("proof", looked),
        "Proof: test of all smaller sets",
        "sets",
        sets,
        lambda: search.prove(scope.model, wanted(), found),
        asked=True,
    )
    return [greedy, proof]


def _in_words(scope: Microscope, selection: Selection, found: Found, edit: Edit) -> str:
    """HTML."""
    assert found.patches is not None
    named = ", ".join("({}, {})".format(*scope.grid.position(patch)) for patch in found.patches)
    count, sets = len(found.patches), search.smaller_sets(scope.grid.patches, found)
    if found.proven:
        proof = "No smaller set is sufficient: all were tested."
    elif sets > search.AFFORDABLE:
        proof = f"A greedy search found them. That fewer are too few is not proven: {sets:,} sets are too many to test."
    else:
        proof = "A greedy search found them. That fewer are too few is not tested yet."
    button = ""
    if edit.places and len(selection.edits) < edits.MOST:
        words = urlencode({"edits": edits.text((*selection.edits, edit), scope.grid)})
        button = f" <button type='button' data-words='{escape(words)}'>Use this picture</button>"
    return f"<b>{count} patch{'es' * (count > 1)}</b> of {scope.grid.patches}: {named}. {proof}{button}"


def _with(scope: Microscope, selection: Selection, edit: Edit) -> bytes:
    """The picture with one edit more. An edit of no patch changes nothing."""
    return scope.edited(selection.picture, [edit]) if edit.places else selection.picture


def _filled(scope: Microscope, selection: Selection) -> bytes:
    """The picture with all patches removed."""
    return scope.edited(selection.picture, [Edit(FILL.of(selection), None, tuple(range(scope.grid.patches)))])


def _but(scope: Microscope, patches: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(patch for patch in range(scope.grid.patches) if patch not in patches)


def _toward(scope: Microscope, picture: bytes, other: bytes) -> Search:
    return Search(picture, other, scope.answer(other), True)
