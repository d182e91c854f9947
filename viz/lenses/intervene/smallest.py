"""Smallest change: how few patches change the answer, and how few keep it."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import urlencode

import numpy as np

from mixer.grid import Groups
from viz import figures
from viz.intervene import edits, search
from viz.intervene.edits import Edit
from viz.intervene.search import Found, Goal
from viz.lenses.intervene.edit import FILLINGS
from viz.lenses.intervene.other import other_of, other_picture, other_sample
from viz.lenses.view import (
    Drawn,
    Lens,
    Numbers,
    View,
    group_place,
    part_text,
    parts_text,
    pick_in_pictures,
    places,
    side_text,
)
from viz.measuring import Measurement
from viz.microscope import Microscope
from viz.selection import Choice, Selection

REMOVE, KEEP, PASTE = "remove", "keep", "paste"
GOAL = Choice(
    "goal",
    "Find the fewest patches",
    (
        (REMOVE, "whose removal changes the answer"),
        (KEEP, "that keep the answer alone"),
        (PASTE, "of the other picture that give its answer"),
    ),
    REMOVE,
)
FILL = Choice("fill", "Fill removed patches with", tuple(FILLINGS.items()), "mean")


@dataclass(frozen=True)
class Search:
    """Patches of `donor` are pasted into `base` until the answer reaches the goal."""

    base: bytes
    donor: bytes
    target: int
    keep: bool
    """the goal: True for the target as the answer, False for any other class"""


@dataclass(frozen=True)
class SearchSpec:
    """A kind of search, and the edit made of its result."""

    search: Callable[[Microscope, Selection], Search]
    edit: Callable[[Microscope, Selection, tuple[int, ...]], Edit]
    """(..., patches found) -> the edit with which *Use this picture* changes the selected picture"""
    nothing: str = ""
    """message if the goal is reached without any patch"""
    never: str = ""
    """message if no number of patches reaches the goal"""


def draw(scope: Microscope, selection: Selection) -> Drawn:
    goal = GOAL.value(selection)
    spec = SPECS[goal]
    task = spec.search(scope, selection)
    greedy, *proof = map(scope.latest, searches(scope, selection))
    found = next(filter(None, proof), greedy)
    if found is None:
        return Drawn(words="Not searched yet.")
    groups = Groups(scope.grid, found.side)
    if found.groups:
        edit = spec.edit(scope, selection, groups.patches(*found.groups))
        picture, words = _with(scope, selection, edit), _result_text(scope, selection, found, edit)
    else:
        picture, words = (task.donor, spec.never) if found.groups is None else (task.base, spec.nothing)
    if goal != PASTE:  # the background of the patches
        alone = scope.probabilities(_filled(scope, selection))
        words += f" The filling alone: {escape(scope.classes[alone.argmax()])} ({alone.max():.0%})."
    name = f"predicted {scope.classes[scope.answer(picture)]}"
    figure = figures.pictures(scope.pixels(picture)[None], [name], (scope.grid.rows, scope.grid.cols))
    order = np.zeros(len(groups), int)
    for number, group in enumerate(found.groups or (), 1):
        order[group] = number
    numbers = Numbers("order in which it was found", places(scope, found.side), groups.map(order))
    return Drawn(figure, words=words, numbers=numbers)


def searches(scope: Microscope, selection: Selection) -> Sequence[Measurement[Found]]:
    """A greedy search, then, on request, a proof if it is needed and affordable."""
    task = SPECS[GOAL.value(selection)].search(scope, selection)
    sides = [side for side in reversed(scope.grid.sides) if side >= selection.side]
    groups = [Groups(scope.grid, side) for side in sides]

    def goal() -> Goal:
        return Goal(scope.input(task.base), scope.input(task.donor), task.target, task.keep)

    greedy = scope.measurement(
        ("greedy", task, selection.side),
        "Greedy search, at most",
        "passes",
        search.most_passes(*map(len, groups)),
        lambda: search.greedy(scope.model, goal(), sides),
        first=1 + len(groups[0]),
    )
    found = scope.finished(greedy)
    if found is None:
        return [greedy]
    if not 0 < (sets := search.smaller_sets(len(groups[-1]), found)) <= search.AFFORDABLE:
        return [greedy]
    proof = scope.measurement(
        ("proof", task, selection.side),
        "Proof: test of all smaller sets",
        "sets",
        sets,
        lambda: search.prove(scope.model, goal(), found),
        on_request=True,
    )
    return [greedy, proof]


def _result_text(scope: Microscope, selection: Selection, found: Found, edit: Edit) -> str:
    """HTML."""
    assert found.groups is not None
    groups = Groups(scope.grid, found.side)
    named = ", ".join("({}, {})".format(*group_place(groups, groups.patches(group)[0])) for group in found.groups)
    count, sets = len(found.groups), search.smaller_sets(len(groups), found)
    if not found.enough:
        proof = "So far they do not reach the goal."
    elif found.side > selection.side:
        proof = f"Next, the {side_text(selection.side)} in them are searched."
    elif found.proven:
        proof = "No smaller set is sufficient: all were tested."
    elif sets > search.AFFORDABLE:
        proof = (
            f"A greedy search found them. It is not proven that fewer are too few: {sets:,} sets are too many to test."
        )
    else:
        proof = "A greedy search found them. It is not tested yet whether fewer are enough."
    button = ""
    if edit.places and len(selection.edits) < edits.MAX_EDITS:
        words = urlencode({"edits": edits.text((*selection.edits, edit), scope.grid)})
        button = f" <button type='button' data-words='{escape(words)}'>Use this picture</button>"
    what = part_text(found.side) if count == 1 else parts_text(found.side)
    return f"<b>{count} {what}</b> of {len(groups)}: {named}. {proof}{button}"


def _with(scope: Microscope, selection: Selection, edit: Edit) -> bytes:
    """The picture with one more edit. An edit of no patch changes nothing."""
    return scope.edited(selection.picture, [edit]) if edit.places else selection.picture


def _filled(scope: Microscope, selection: Selection) -> bytes:
    """The picture with all patches removed."""
    return scope.edited(selection.picture, [Edit(FILL.value(selection), None, tuple(range(scope.grid.patches)))])


def _all_except(scope: Microscope, patches: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(patch for patch in range(scope.grid.patches) if patch not in patches)


SPECS = {
    REMOVE: SearchSpec(
        lambda scope, s: Search(s.picture, _filled(scope, s), scope.answer(s.picture), False),
        lambda scope, s, found: Edit(FILL.value(s), None, found),
        never="No number of patches changes the answer: with all patches removed it is still the same.",
    ),
    KEEP: SearchSpec(
        lambda scope, s: Search(_filled(scope, s), s.picture, scope.answer(s.picture), True),
        lambda scope, s, found: Edit(FILL.value(s), None, _all_except(scope, found)),
        nothing="No patch is needed: with all patches removed the answer is the same.",
    ),
    PASTE: SearchSpec(
        lambda scope, s: Search(s.picture, other_picture(scope, s), scope.answer(other_picture(scope, s)), True),
        lambda scope, s, found: Edit("paste", other_sample(scope, s), found),
        nothing="No patch is needed: both pictures have this answer.",
    ),
}


def _sees(scope: Microscope, s: Selection) -> Hashable:
    goal = GOAL.value(s)
    return s.picture, s.edits, s.side, goal, other_sample(scope, s) if goal == PASTE else FILL.value(s)


SEARCH = View(
    "search",
    "Minimal set of patches",
    "How few patches change the answer, keep it, or transfer that of the other picture?",
    "Limits: pictures with holes or pasted patches are unlike training pictures, and other sets may do the same.",
    sees=_sees,
    draw=draw,
    pick=pick_in_pictures(1),
    needs=searches,
)


def lens(scope: Microscope) -> Lens:
    asks = "How few patches change the answer, and how few keep it?"
    return Lens("whatif.smallest", "Smallest change", asks, ((SEARCH,),), (GOAL, FILL, other_of(scope)))
