"""Edit: change the picture, patch by patch; every lens then shows the edited picture."""

from collections.abc import Sequence
from html import escape
from urllib.parse import urlencode

import numpy as np

from mixer.grid import Groups
from viz import figures
from viz.figures import with_sign
from viz.intervene import edits
from viz.intervene.edits import KINDS, Edit
from viz.lenses.intervene.other import other_of, other_picture, other_sample
from viz.lenses.view import Drawn, Lens, Numbers, Point, View, group_place, patch_under, places, sample_name
from viz.microscope import Microscope
from viz.selection import Choice, Params, Selection, groups_of

SWAP, SHUFFLE, PASTE = "swap", "shuffle", "paste"
FILLINGS = {name: kind.tool for name, kind in KINDS.items() if kind.fills}
"""what can replace a removed patch"""
TOOLS = {name: kind.tool for name, kind in KINDS.items() if kind.tool}
TOOL = Choice("tool", "Replace with", tuple(TOOLS.items()), "mean")
AREAS = {
    "patch": "one patch",
    "around": "a patch and its neighbours",
    "row": "its whole row",
    "column": "its whole column",
    "all": "all patches",
}
AREA = Choice("area", "Brush", tuple(AREAS.items()), "patch")
SHOWN = 5
"""classes whose probabilities are shown, of each picture"""
BEFORE, EDITED, OTHER = range(3)
"""the pictures of the figure"""


def draw_picture(scope: Microscope, selection: Selection) -> Drawn:
    pixels = [scope.pixels(each) for each in _pictures(scope, selection)]
    names = ["before", "edited", sample_name(scope, other_sample(scope, selection))]
    figure = figures.pictures(np.stack(pixels), names, (scope.grid.rows, scope.grid.cols))
    changed = scope.grid.map(_changed(scope, pixels[BEFORE], pixels[EDITED]))
    numbers = Numbers("mean change of the pixel values", places(scope), changed)
    return Drawn(figure, words=_controls(scope, selection), numbers=numbers)


def pick_picture(scope: Microscope, selection: Selection, point: Point) -> Params:
    """A click on a patch: its effect depends on the picture (before, edited, other)."""
    picture, place = patch_under(scope, point, 3)
    kind = {BEFORE: "original", EDITED: TOOL.value(selection), OTHER: PASTE}[picture]
    made = _edit(scope, selection, kind, place)
    return _params(scope, (*selection.edits, made)) if made else {}


def draw_answer(scope: Microscope, selection: Selection) -> Drawn:
    values = np.stack([scope.probabilities(selection.original), scope.probabilities(selection.picture)])
    listed, names = _listed(scope, selection), ("before", "after")
    figure = figures.before_after(values[:, listed], [scope.classes[i] for i in listed], names, "probability")
    before, after = (scope.answer(each) for each in (selection.original, selection.picture))
    target = selection.target
    change = 100 * float(values[1, target] - values[0, target])
    words = (
        f"Before: <b>{escape(scope.classes[before])}</b> ({values[0, before]:.1%}). After: "
        f"<b>{escape(scope.classes[after])}</b> ({values[1, after]:.1%}). Selected class, "
        f"{escape(scope.classes[target])}: <b>{with_sign(change, '.1f')}</b> points."
    )
    return Drawn(figure, words=words, numbers=Numbers("probability", {"seen": names, "class": scope.classes}, values))


def pick_answer(scope: Microscope, selection: Selection, point: Point) -> Params:
    (place,) = point.index
    return {"class": scope.classes[_listed(scope, selection)[place]]}


def describe(scope: Microscope, edit: Edit) -> str:
    """A short description of an edit."""
    count = len(edit.places)
    where = (
        "all patches"
        if count == scope.grid.patches
        else ", ".join(str(scope.grid.position(place)) for place in edit.places)
        if count <= 3
        else f"{count} patches"
    )
    origin = f" from {sample_name(scope, edit.number)}" if edit.kind == "paste" and edit.number is not None else ""
    return f"{where} {KINDS[edit.kind].done}{origin}"


def _pictures(scope: Microscope, selection: Selection) -> tuple[bytes, bytes, bytes]:
    return selection.original, selection.picture, other_picture(scope, selection)


def _changed(scope: Microscope, before: edits.Pixels, after: edits.Pixels) -> np.ndarray:
    """For each patch the mean absolute change of its pixel values, of 255."""
    change = np.abs(after.astype(np.float32) - before).mean(2)
    return np.array([change[scope.grid.pixels(patch)].mean() for patch in range(scope.grid.patches)], np.float32)


def _edit(scope: Microscope, selection: Selection, kind: str, place: int) -> Edit | None:
    """The edit of a click on a patch; None if it would swap a group with itself, or with one of another size."""
    groups = groups_of(scope, selection)
    places = _area(groups, AREA.value(selection), place)
    if KINDS[kind].pairs:
        mine, its = (groups.patches(int(groups.of[patch])) for patch in (selection.patch, place))
        alike = groups.box(selection.patch)[2:] == groups.box(place)[2:]
        return Edit(kind, None, (*mine, *its)) if alike and mine != its else None
    if kind == SHUFFLE and len(places) == 1:
        return None
    number = None
    if kind == PASTE:
        number = other_sample(scope, selection)
    elif KINDS[kind].numbers(len(scope.samples)):
        number = sum(edit.kind == kind for edit in selection.edits)
    return Edit(kind, number, places)


def _area(groups: Groups, area: str, place: int) -> tuple[int, ...]:
    """The patches that a click on one of them edits: always whole groups."""
    row, col = groups.position(int(groups.of[place]))

    def within(y: int, x: int) -> bool:
        return {
            "patch": (y, x) == (row, col),
            "around": max(abs(y - row), abs(x - col)) <= 1,
            "row": y == row,
            "column": x == col,
            "all": True,
        }[area]

    selected = [group for group in range(len(groups)) if within(*groups.position(group))]
    return tuple(sorted(groups.patches(*selected)))


def _controls(scope: Microscope, selection: Selection) -> str:
    """HTML: buttons for all edits, usable without a mouse, and a list of the edits made."""
    made, undone = selection.edits, selection.undone
    edit = _edit(scope, selection, TOOL.value(selection), selection.patch)
    edit = None if len(made) == edits.MAX_EDITS else edit
    buttons = [
        _button(
            f"Apply to {_where(scope, selection)}",
            _params(scope, (*made, edit)) if edit else None,
        ),
        _button("Undo", _params(scope, made[:-1], (*made[-1:], *undone)) if made else None),
        _button("Redo", _params(scope, (*made, *undone[:1]), undone[1:]) if undone else None),
        _button("Reset", _params(scope, (), (*made, *undone)) if made else None),
    ]
    listed = "; ".join(describe(scope, edit) for edit in made)
    done = f"{escape(listed) or 'No edits yet'}. All lenses show the edited picture."
    return f"<span class='does'>{''.join(buttons)}</span>{done}"


def _where(scope: Microscope, selection: Selection) -> str:
    """The patches that the brush edits around the selected one."""
    row, col = group_place(groups_of(scope, selection), selection.patch)
    return {
        "patch": f"patch ({row}, {col})",
        "around": f"patch ({row}, {col}) and its neighbours",
        "row": f"row {row}",
        "column": f"column {col}",
        "all": "all patches",
    }[AREA.value(selection)]


def _button(name: str, params: Params | None) -> str:
    does = f"data-words='{escape(urlencode(params))}'" if params is not None else "disabled"
    return f"<button type='button' {does}>{name}</button>"


def _params(scope: Microscope, made: Sequence[Edit], undone: Sequence[Edit] = ()) -> dict[str, str]:
    params = {"edits": edits.text(made, scope.grid)}
    return params | {"undone": edits.text(undone, scope.grid)} if undone else params


def _listed(scope: Microscope, selection: Selection) -> list[int]:
    """The classes in the figure: the selected one, and the most probable before and after; highest first."""
    pictures = (selection.original, selection.picture)
    listed = {selection.target, *(i for picture in pictures for i in scope.leading(picture, SHOWN))}
    return sorted(listed, key=lambda i: -max(float(scope.probabilities(picture)[i]) for picture in pictures))


PICTURE = View(
    "picture",
    "Edit patches",
    'What if a patch were changed (click in "edited"), restored ("before") or pasted (the other picture)?',
    "Limits: no replacement is neutral, so repeat with another filling.",
    sees=lambda scope, s: (
        s.picture,
        s.original,
        s.edits,
        s.undone,
        s.patch,
        s.side,
        TOOL.value(s),
        AREA.value(s),
        other_sample(scope, s),
    ),
    draw=draw_picture,
    pick=pick_picture,
)
ANSWER = View(
    "answer",
    "Effect on the answer",
    "How do the edits change the probabilities of the classes?",
    "Limits: the answer may change because an edited picture looks unnatural, not because of what was removed.",
    sees=lambda scope, s: (s.picture, s.original, s.target),
    draw=draw_answer,
    pick=pick_answer,
)


def lens(scope: Microscope) -> Lens:
    asks = "What if the picture were different?"
    return Lens("whatif.edit", "Edit", asks, ((PICTURE, ANSWER),), (TOOL, AREA, other_of(scope)))
