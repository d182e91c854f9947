"""Views of many pictures: a map of their mean tokens, and mean maps."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float32

from viz import dataset, figures
from viz.dataset import Answers
from viz.lenses.samples import (
    answers_to,
    filters,
    of_test,
    picture_list,
    selected_pictures,
    selected_text,
    wrong_answers,
)
from viz.lenses.view import Drawn, Numbers, Point, View, places
from viz.measuring import Measurement
from viz.microscope import Microscope
from viz.selection import Choice, Params, Selection
from viz.tsne import FEWEST, ITERATIONS, STEP, neighbours_kept, tsne

MAX_POINTS = 500
"""maximum number of points of a figure"""
TSNE, PCA = "tsne", "pca"
PROJECTION = Choice("projection", "Projection", ((TSNE, "t-SNE"), (PCA, "PCA")), TSNE)
NEAREST = 5
"""number of neighbours, for the check of the map and for the place of a picture that is not in it"""
VOTES, GRADIENTS = "votes", "Gradient x input"


def plane(scope: Microscope) -> View:
    return View(
        "map",
        "Map of mean tokens",
        "Which pictures have similar mean tokens at the selected depth, and where is the current one?",
        "Limits: t-SNE keeps neighbours together, not distances or sizes of groups; two principal components show only "
        "a part of the variance.",
        lambda scope, s: (s.depth, s.picture),
        _draw_map,
        options=(*filters(scope), PROJECTION),
        pick=_pick,
        needs=_map_needs,
    )


def _selected(scope: Microscope, selection: Selection) -> tuple[Answers, list[int]] | None:
    """The answers to all pictures, and the sorted indices of the selected ones; None before they are measured."""
    answers, places = scope.latest(answers_to(scope, selection)), selected_pictures(scope, selection)
    return None if answers is None or places is None else (answers, sorted(places))


def _groups(answers: Answers, wrong: Sequence[bool], shown: Sequence[int]) -> list[tuple[int, list[int]]]:
    """The traces of the figure: (class, indices of pictures) by answer, with wrong answers last."""
    answer = answers.answer
    return [
        (c, sorted((i for i in shown if answer[i] == c), key=wrong.__getitem__))
        for c in np.unique(answer[list(shown)]).tolist()
    ]


def _draw_map(scope: Microscope, selection: Selection) -> Drawn:
    if (found := _selected(scope, selection)) is None:
        return Drawn()
    answers, selected = found
    words = selected_text(scope, selection, selected)
    if not selected:
        return Drawn(words=words)
    names, shown, depth = picture_list(scope, selection).names, selected[:MAX_POINTS], selection.depth
    if answers.components is None or (projected := _projected(scope, selection, answers, shown)) is None:
        return Drawn(words=words)
    at, own = projected
    wrong = wrong_answers(scope, selection, answers)
    groups = _groups(answers, wrong, shown)
    drawn = figures.scatter(
        [np.array([at[i] for i in places]) for _, places in groups],
        [scope.classes[c] for c, _ in groups],
        [figures.class_colour(c) for c, _ in groups],
        [[wrong[i] for i in places] for _, places in groups],
        [[f"{names[i]}: {scope.classes[c]} {answers.confidence[i]:.0%}" for i in places] for c, places in groups],
        own,
        answers.components.explained[depth, :2].tolist() if PROJECTION.value(selection) == PCA else None,
    )
    if len(selected) > MAX_POINTS:
        words += f" The first {MAX_POINTS:,} are shown."
    words += " Colour: the answer; a cross: it differs from the label; the star: the current picture."
    places = np.array([at[i] for i in shown])
    if len(shown) > NEAREST:
        kept = neighbours_kept(answers.scores[shown, depth], places, NEAREST)
        words += f" Of the {NEAREST} nearest points, {kept:.0%} are also nearest by mean token."
    axes = {"picture": [names[i] for i in shown], "axis": ("first", "second")}
    return Drawn(drawn, words=words, numbers=Numbers("place", axes, places))


def _map_needs(scope: Microscope, selection: Selection) -> Sequence[Measurement]:
    if missing := scope.missing([answers_to(scope, selection)]):
        return missing
    found = _selected(scope, selection)
    return [_tsne(scope, selection, *found)] if found and _by_tsne(selection, found[1]) else []


def _by_tsne(selection: Selection, selected: Sequence[int]) -> bool:
    """Whether the map is made by t-SNE: a few points have only one by PCA."""
    return PROJECTION.value(selection) == TSNE and len(selected) >= FEWEST


def _tsne(
    scope: Microscope, selection: Selection, answers: Answers, selected: Sequence[int]
) -> Measurement[Float32[np.ndarray, "points 2"]]:
    shown, depth = selected[:MAX_POINTS], selection.depth
    measured = scope.measurement(
        ("t-SNE", of_test(scope, selection), tuple(shown), depth),
        "t-SNE",
        "iterations",
        ITERATIONS,
        lambda: tsne(answers.scores[shown, depth]),
        first=STEP,
    )
    return replace(measured, per_step=4e-4 + 2e-8 * len(shown) ** 2)


def _projected(
    scope: Microscope, selection: Selection, answers: Answers, shown: Sequence[int]
) -> tuple[dict[int, Float32[np.ndarray, "2"]], Float32[np.ndarray, "2"]] | None:
    """The places of the shown pictures by their indices, and of the selected one; None before t-SNE has begun."""
    assert answers.components is not None
    scores, depth = answers.scores[shown, selection.depth], selection.depth
    own = answers.components.scores(scope.look(selection.picture).depths.mean(2))[0, depth]
    if not _by_tsne(selection, shown):
        return dict(zip(shown, scores[:, :2], strict=True)), own[:2]
    places = scope.latest(_tsne(scope, selection, answers, shown))
    if places is None:
        return None
    apart = np.linalg.norm(scores - own, axis=1)
    nearest = apart.argsort()[:1] if apart.min() < 1e-3 * np.median(apart) else apart.argsort()[:NEAREST]
    return dict(zip(shown, places, strict=True)), places[nearest].mean(0)


def _pick(scope: Microscope, selection: Selection, point: Point) -> Params:
    """The picture of a point. Raises IndexError for the star, the current picture."""
    if (found := _selected(scope, selection)) is None:
        raise ValueError("nothing is there yet")
    answers, selected = found
    _, places = _groups(answers, wrong_answers(scope, selection, answers), selected[:MAX_POINTS])[point.curve]
    return {"sample": str(picture_list(scope, selection).numbers[places[point.index[0]]])}


def mean(scope: Microscope) -> View:
    return View(
        "mean",
        "Mean maps",
        "Which patches contribute to the answer in the mean over these pictures, by votes and by Gradient x input?",
        "Limits: a mean over different pictures keeps only what they have in common at the same place.",
        lambda scope, s: None,
        _draw_mean,
        options=filters(scope),
        pick=_pick_patch,
        needs=lambda scope, s: [answers_to(scope, s), _gradients(scope, s)],
    )


def _gradients(scope: Microscope, selection: Selection) -> Measurement:
    """Gradients of every picture, so that the mean over any of them is known."""
    numbers = picture_list(scope, selection).numbers
    of = "all test images" if of_test(scope, selection) else "the samples"
    return scope.measurement(
        ("gradients x input", of),
        f"{GRADIENTS} of {of}",
        "images",
        len(numbers),
        lambda: dataset.gradients_x_input(
            scope.model,
            scope.measured(answers_to(scope, selection)).answer,
            lambda part: scope.inputs([numbers[i] for i in part]),
        ),
        passes=2 * len(numbers),
        on_request=True,
    )


def _draw_mean(scope: Microscope, selection: Selection) -> Drawn:
    if (found := _selected(scope, selection)) is None:
        return Drawn()
    answers, selected = found
    words = selected_text(scope, selection, selected)
    if not selected:
        return Drawn(words=words)
    votes = answers.votes[selected]
    rows = {VOTES: (votes - votes.mean(1, keepdims=True)).mean(0)}
    if (gradients := scope.latest(_gradients(scope, selection))) is not None:
        rows[GRADIENTS] = gradients[selected].mean(0)
    shares = [values / (np.abs(values).sum() or 1) for values in rows.values()]
    maps, label = scope.grid.map(np.stack(shares).astype(np.float32)), "share of the sum of magnitudes"
    drawn = figures.tiles(maps, [*rows], label, True, 2, scope.grid.patch_size)
    words += " Of each picture's votes their mean is subtracted; each map is divided by the sum of its magnitudes."
    return Drawn(drawn, words=words, numbers=Numbers(label, {"of": [*rows], **places(scope)}, maps))


def _pick_patch(scope: Microscope, selection: Selection, point: Point) -> Params:
    count = 1 if scope.latest(_gradients(scope, selection)) is None else 2
    _, row, col = figures.tile_at(point.index, (count, scope.grid.rows, scope.grid.cols), 2)
    return {"patch": f"{row},{col}"}
