"""Shuffle: does the answer change when the patches are permuted?"""

from html import escape

import numpy as np
from jaxtyping import Int64

from viz import figures
from viz.intervene.edits import Edit
from viz.lenses.view import Drawn, Lens, Numbers, Point, View, patch_under, places
from viz.measuring import Measurement
from viz.microscope import Microscope
from viz.mixing.shuffle import PermutationExperiment, permutation_experiment, random_order
from viz.selection import Number, Params, Selection, patch_text

CONDITIONS = ("original", "picture and weights shuffled", "only the picture shuffled")
TOP = 3
"""number of classes shown of each condition"""
SEED = Number("shuffle", "Permutation (seed)", 0, 999, 0)


def lens(scope: Microscope) -> Lens:
    pictures = View(
        "pictures",
        "Shuffled patches",
        "Where does each patch of the randomly permuted picture come from?",
        "Not changed: the pixels inside a patch, and their order.",
        sees=lambda scope, s: (s.picture, SEED.value(s)),
        draw=draw_pictures,
        pick=pick_picture,
    )
    answers = View(
        "answers",
        "Effect of shuffling",
        "How does the answer change if the patches are shuffled, with and without the token-mixing weights?",
        "Limits: permuted weights undo permuted patches in any network; only the drop for the shuffled picture is "
        "learned.",
        sees=lambda scope, s: (s.picture, SEED.value(s)),
        draw=draw_answers,
        pick=pick_answer,
    )
    asks = "How much does the answer depend on the positions of the patches?"
    return Lens("mixing.shuffle", "Shuffle", asks, ((pictures, answers),), (SEED,))


def experiment_of(scope: Microscope, selection: Selection) -> Measurement[PermutationExperiment]:
    picture, seed = selection.picture, SEED.value(selection)
    return scope.measurement(
        ("shuffle", picture, seed),
        "Shuffled patches",
        "experiments",
        1,
        lambda: iter((1, permutation_experiment(scope.model, scope.input(picture), seed))),
        passes=3,
    )


def experiment(scope: Microscope, selection: Selection) -> PermutationExperiment:
    return scope.measured(experiment_of(scope, selection))


def order_of(scope: Microscope, selection: Selection) -> Int64[np.ndarray, "patches"]:
    """The permutation: position i of the shuffled picture has patch order[i]."""
    return random_order(scope.grid, SEED.value(selection))


def draw_pictures(scope: Microscope, selection: Selection) -> Drawn:
    grid, picture, order = scope.grid, selection.picture, order_of(scope, selection)
    before, moved = (grid.map(np.array(grid.positions)[each], axis=0) for each in (np.arange(grid.patches), order))
    shuffled = scope.edited(picture, [Edit("shuffle", SEED.value(selection), tuple(range(grid.patches)))])
    both = np.stack([scope.pixels(picture), scope.pixels(shuffled)])
    figure = figures.pictures(both, ["original", "shuffled"], (grid.rows, grid.cols), np.stack([before, moved]))
    following = (SEED.value(selection) + 1) % (SEED.high + 1)
    button = f"<button type='button' data-words='{SEED.name}={following}'>Shuffle again</button>"
    numbers = Numbers("came from", {**places(scope), "its": ("row", "column")}, moved)
    return Drawn(figure, words=button, numbers=numbers)


def pick_picture(scope: Microscope, selection: Selection, point: Point) -> Params:
    """A click on a patch; in the shuffled picture, it selects the patch that moved there."""
    shuffled, place = patch_under(scope, point, 2)
    return {"patch": patch_text(scope, int(order_of(scope, selection)[place]) if shuffled else place)}


def draw_answers(scope: Microscope, selection: Selection) -> Drawn:
    found = experiment(scope, selection)
    values = np.stack([found.original, found.both_permuted, found.patches_permuted])
    listed = _listed(found)
    figure = figures.grouped_bars(values[:, listed], CONDITIONS, [scope.classes[i] for i in listed], "probability")
    numbers = Numbers("probability", {"seen": CONDITIONS, "class": scope.classes}, values)
    return Drawn(figure, words=_result_text(scope, found), numbers=numbers)


def pick_answer(scope: Microscope, selection: Selection, point: Point) -> Params:
    (place,) = point.index
    return {"class": scope.classes[_listed(experiment(scope, selection))[place]]}


def _listed(found: PermutationExperiment) -> list[int]:
    """The classes in the figure: the most probable ones of all conditions."""
    values = (found.original, found.both_permuted, found.patches_permuted)
    return list(dict.fromkeys(int(i) for line in values for i in np.argsort(-line, kind="stable")[:TOP]))


def _result_text(scope: Microscope, found: PermutationExperiment) -> str:
    before, after = int(found.original.argmax()), int(found.patches_permuted.argmax())
    return (
        "With token-mixing weights permuted like the patches, no logit changes by more than "
        f"<b>{found.largest_logit_difference:.1e}</b>, which is rounding. The unchanged network predicts "
        f"<b>{escape(scope.classes[after])}</b> ({found.patches_permuted[after]:.1%}) for the shuffled picture and "
        f"<b>{escape(scope.classes[before])}</b> ({found.original[before]:.1%}) for the original."
    )
