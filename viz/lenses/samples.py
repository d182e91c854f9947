"""Lists of samples and test images, filtered and sorted by the answers of the network."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import product

import numpy as np

from mixer.data import turns
from viz import dataset
from viz.dataset import Answers
from viz.lenses.table import table
from viz.lenses.view import MAX_PAIRED, Drawn, Lens, Numbers, View, counted, prediction_text, sample_name
from viz.measuring import Measurement
from viz.microscope import UNLABELLED, Microscope
from viz.pace import FIRST
from viz.pictures import thumbnail_url
from viz.selection import Choice, Number, Selection

ALL, WRONG, UNSURE = "all", "wrong", "unsure"
CLOSE = 0.2
"""below this margin an answer is unsure"""
SAMPLES, TEST = "samples", "test"
FEW, PAGE = 20, 48
"""maximum number of pictures in the drawer, and on a page of the lens: at most 200 kB"""
PLACE = "place"
SORT = Choice(
    "sort",
    "Order",
    (
        (PLACE, "first of each class, then second"),
        ("confidence", "confidence, lowest first"),
        ("sure", "confidence, highest first"),
        ("margin", "margin, smallest first"),
        ("late", "decided depth, deepest first"),
        ("patch", "vote of the top patch, largest first"),
    ),
    PLACE,
)
AS = Choice("as", "Show as", (("grid", "grid"), ("table", "table")), "grid")
COLUMNS = ("picture", "label", "answer", "confidence", "margin", "decided at", "top patch")


def lens(scope: Microscope) -> Lens:
    """The lens that is always on the page."""
    return Lens("specimen", "Specimen", "", ((_samples(scope),),))


def filters(scope: Microscope) -> tuple[Choice, ...]:
    """The options that select pictures: a class, label and answer, or unsure ones; samples or all test images."""
    names, kinds = scope.samples.classes, [(ALL, "all"), (UNSURE, f"unsure (margin below {CLOSE})")]
    if scope.knows_samples:
        kinds.append((WRONG, "misclassified"))
    kinds += [(name, name) for name in _own(scope)]
    if scope.knows_samples and max(len(names), len(scope.classes)) <= MAX_PAIRED:
        kinds += [(f"{a}>{b}", prediction_text(a, b)) for a, b in product(names, scope.classes)]
    chosen = Choice("samples", "Pictures", tuple(kinds), ALL)
    return (chosen, _source(scope)) if scope.test_data else (chosen,)


def _source(scope: Microscope) -> Choice:
    of = (SAMPLES, f"the {len(scope.samples)} samples"), (TEST, f"all test images of {scope.samples.source}")
    return Choice("images", "Of", of, SAMPLES)


@dataclass(frozen=True)
class PictureList:
    """The samples, or all test images."""

    numbers: Sequence[int]
    """their numbers in a link"""
    labels: list[str]
    names: list[str]


def picture_list(scope: Microscope, selection: Selection) -> PictureList:
    """The samples, or all test images if they are selected."""
    test = of_test(scope, selection)
    numbers = scope.test_numbers if test else range(len(scope.samples))
    return scope.cached(
        ("pictures", test),
        lambda: PictureList(numbers, [scope.truth(n) for n in numbers], [sample_name(scope, n) for n in numbers]),
    )


def of_test(scope: Microscope, selection: Selection) -> bool:
    return bool(scope.test_data) and _source(scope).value(selection) == TEST


def answers_to(scope: Microscope, selection: Selection | None = None) -> Measurement[Answers]:
    """The answers to the samples; or to all test images, on request."""
    if selection is None or not of_test(scope, selection):
        return scope.over_samples(
            "answers",
            "Answers to the samples",
            lambda: dataset.answers(scope.model, len(scope.samples), lambda part: scope.sample_inputs[part]),
            first=FIRST,
        )
    numbers = scope.test_numbers
    return scope.measurement(
        "answers to all test images",
        "Answers to all test images",
        "images",
        len(numbers),
        lambda: dataset.answers(scope.model, len(numbers), lambda part: scope.inputs([numbers[i] for i in part])),
        on_request=True,
        first=FIRST,
    )


def selected_pictures(scope: Microscope, selection: Selection) -> list[int] | None:
    """The indices of the selected pictures, in order, without those whose answers are not measured yet.

    None if they depend on answers, and none is measured.
    """
    kind, order = filters(scope)[0].value(selection), SORT.value(selection)
    truths, answers = picture_list(scope, selection).labels, scope.latest(answers_to(scope, selection))
    if answers is None and needs_answers(scope, selection):
        return None
    if kind == ALL:
        places = [*range(len(truths))]
    elif kind in _own(scope):
        places = [i for i, truth in enumerate(truths) if truth == kind]
    else:
        assert answers is not None
        given = [scope.classes[answer] for answer in answers.answer]
        pairs = zip(truths, given, answers.margin.tolist(), strict=True)
        places = [
            i
            for i, (a, b, margin) in enumerate(pairs)
            if {WRONG: a != b, UNSURE: margin < CLOSE}.get(kind, kind == f"{a}>{b}")
        ]
    if answers is not None:
        places = [i for i in places if answers.known[i]]
    if order == PLACE or answers is None:
        return [i for _, i in sorted(zip(turns([truths[i] for i in places]), places, strict=True))]
    return sorted(places, key=_keys(answers)[order].__getitem__)


def _keys(answers: Answers) -> dict[str, list[float]]:
    """The values of each order, smallest first."""
    values = {
        "confidence": answers.confidence,
        "sure": -answers.confidence,
        "margin": answers.margin,
        "late": -answers.decided,
        "patch": -answers.votes.max(1),
    }
    return {name: list.tolist() for name, list in values.items()}


def needs_answers(scope: Microscope, selection: Selection) -> bool:
    """Whether the selected pictures or their order depend on the answers."""
    kind = filters(scope)[0].value(selection)
    return SORT.value(selection) != PLACE or not (kind == ALL or kind in _own(scope))


def wrong_answers(scope: Microscope, selection: Selection, answers: Answers) -> list[bool]:
    """For each picture whether its answer is wrong; False if the network has other classes."""
    labels = picture_list(scope, selection).labels
    pairs = zip(answers.answer.tolist(), labels, strict=True)
    return [scope.knows_samples and scope.classes[answer] != label for answer, label in pairs]


def selected_text(scope: Microscope, selection: Selection, places: Sequence[int]) -> str:
    """HTML: the number of selected pictures, and of correct answers."""
    answers, count = scope.latest(answers_to(scope, selection)), len(picture_list(scope, selection).labels)
    label = escape(filters(scope)[0].label_of(selection))
    words = f"{len(places):,} of {counted(count, 'picture')}: {label}."
    if answers is None or not places or not scope.knows_samples:
        return words
    wrong = wrong_answers(scope, selection, answers)
    right = len(places) - sum(wrong[i] for i in places)
    return f"{words} Correct answers: {right:,} ({right / len(places):.1%})."


def _samples(scope: Microscope) -> View:
    return View(
        "samples",
        "Samples",
        "Which of these test images do you select? None was used for training."
        if scope.samples.held_out
        else "Which of these pictures do you select?",
        f"Only {len(scope.samples)} samples: one picture does not represent its class.",
        lambda scope, s: (s.options.get("images"), s.options.get("sort")),
        _draw_samples,
        options=filters(scope)[:1],
        needs=_needs,
    )


def _needs(scope: Microscope, selection: Selection) -> Sequence[Measurement]:
    return [answers_to(scope, selection)] if needs_answers(scope, selection) else ()


def _draw_samples(scope: Microscope, selection: Selection) -> Drawn:
    places = selected_pictures(scope, selection)
    if places is None:
        return Drawn()
    if not places:
        return Drawn(words="No sample matches.")
    found, here = picture_list(scope, selection), places[:FEW]
    more = len(places) - len(here)
    words = (
        f"The first {len(here)} of {len(places):,}. <button type='button' data-words='lens=model' "
        "data-go='model-pictures'>All of them</button>"
    )
    buttons = [picture_button(scope, found.numbers[i], found.labels[i]) for i in here]
    return Drawn(html=thumbnails(buttons), words=words if more else "")


def pictures(scope: Microscope) -> View:
    return View(
        "pictures",
        "Pictures and answers",
        "Which class does the network predict for each picture, with which confidence, and from which depth on?",
        "Limits: the confidence is that of the network, and a picture at the top of an order is extreme by selection.",
        lambda scope, s: None,
        _draw_pictures,
        options=(*filters(scope), SORT, AS, *_turn(scope)),
        needs=lambda scope, s: [answers_to(scope, s)],
    )


def _turn(scope: Microscope) -> tuple[Number, ...]:
    """The option for the page; none if there can be only one page."""
    pages = -(-max(len(scope.samples), scope.test_data.test_images if scope.test_data else 0) // PAGE)
    return (Number("page", "", 1, pages, 1),) if pages > 1 else ()


def _draw_pictures(scope: Microscope, selection: Selection) -> Drawn:
    answers, places = scope.latest(answers_to(scope, selection)), selected_pictures(scope, selection)
    if places is None:
        return Drawn()
    found = picture_list(scope, selection)
    pages = -(-len(places) // PAGE)
    page = next((turn.value(selection) for turn in _turn(scope) if turn.value(selection) <= pages), 1)
    here = places[PAGE * (page - 1) : PAGE * page]
    numbers = [found.numbers[i] for i in here]
    if answers is None:  # then only the labels are known
        buttons = [picture_button(scope, n, found.labels[i]) for n, i in zip(numbers, here, strict=True)]
        return Drawn(html=thumbnails(buttons) + _turns(page, pages), words=selected_text(scope, selection, places))
    cells = np.array(_cells(scope, found, answers), str).T  # pictures columns
    rows = cells[here].tolist()
    if AS.value(selection) == "table":
        first = [picture_button(scope, n, row[0]) for n, row in zip(numbers, rows, strict=True)]
        html = table(COLUMNS, rows, first)
    else:
        captions = [f"{b} {c}" if a in (b, UNLABELLED) else f"{a} → {b} {c}" for _, a, b, c, *_ in rows]
        html = thumbnails([picture_button(scope, n, words) for n, words in zip(numbers, captions, strict=True)])
    listing = Numbers("value", {"picture": cells[places, 0].tolist(), "of": COLUMNS[1:]}, cells[places, 1:])
    return Drawn(html=html + _turns(page, pages), words=selected_text(scope, selection, places), numbers=listing)


def _cells(scope: Microscope, found: PictureList, answers: Answers) -> list[list[str]]:
    """The texts of each of the `COLUMNS`."""
    return [
        found.names,
        found.labels,
        [scope.classes[answer] for answer in answers.answer],
        [f"{share:.1%}" for share in answers.confidence],
        [f"{margin:.2f}" for margin in answers.margin],
        [scope.depth_names[depth] for depth in answers.decided],
        [str(scope.grid.position(patch)) for patch in answers.top_patch.tolist()],
    ]


def _turns(page: int, pages: int) -> str:
    """HTML: the number of the page, and buttons for the next and the previous one."""
    if pages <= 1:
        return ""
    steps = ("back", "Previous", page - 1), ("next", "Next", page + 1)
    buttons = [
        f"<button type='button' data-keep='{keep}' data-words='page={to}'{'' if 1 <= to <= pages else ' disabled'}>"
        f"{name}</button>"
        for keep, name, to in steps
    ]
    return f"<p class='turns'>{buttons[0]} Page {page} of {pages} {buttons[1]}</p>"


def thumbnails(buttons: Sequence[str]) -> str:
    """HTML: a grid of `picture_button`s."""
    return f"<ul class='thumbnails'>{''.join(f'<li>{button}</li>' for button in buttons)}</ul>"


def picture_button(scope: Microscope, number: int, name: str) -> str:
    """HTML: a thumbnail; a click selects its picture."""
    return (
        f"<button type='button' data-words='sample={number}'>"
        f"<img src='{thumbnail_url(np.asarray(scope.sample_image(number)))}' alt=''>{escape(name)}</button>"
    )


def _own(scope: Microscope) -> list[str]:
    """The classes that can be values of the option by their names."""
    return [name for name in scope.samples.classes if name not in (ALL, WRONG, UNSURE)]
