"""The pictures that there are: filtered, sorted, as a grid, a table and a map; of the samples or of all test images."""

import re
from pathlib import Path

import numpy as np
import pytest

from mixer.data import Labelled
from tests.few import few_samples
from tests.viz.explained import bent
from tests.viz.looking import cells, measure, microscope, view_of
from viz.lenses import over_pictures, samples
from viz.lenses.view import Drawn, Point
from viz.microscope import Microscope
from viz.page import specimen
from viz.page.instrument import Instrument
from viz.selection import Selection, change


@pytest.fixture(scope="module")
def instrument() -> Instrument:
    made = Instrument(microscope())
    for view in ("model-mean", "model-map"):
        measure(made.scope, made.views[view], made.first, asked=True)
    return made


def chosen(instrument: Instrument, **words: str) -> Selection:
    selection, wrong = change(instrument.scope, instrument.page, instrument.first, words)
    assert not wrong
    return selection


def drawn(instrument: Instrument, view: str, **words: str) -> Drawn:
    return instrument.views[f"model-{view}"].draw(instrument.scope, chosen(instrument, **words))


def opened(html: str) -> list[int]:
    return [int(number) for number in re.findall(r"data-words='sample=(\d+)'", html)]


def test_a_table_says_what_the_network_does_with_each_picture(instrument: Instrument) -> None:
    scope, found = instrument.scope, drawn(instrument, "pictures", **{"as": "table"})
    numbers, rows = opened(found.html), cells(found.html)
    assert sorted(numbers) == list(range(20))
    assert [row[1] for row in rows] == [scope.truth(number) for number in numbers]
    for number, row in zip(numbers, rows, strict=True):
        picture = scope.sample_picture(number)
        assert row[2] == scope.classes[scope.answer(picture)]
        assert row[3] == f"{scope.probabilities(picture).max():.1%}"
        assert row[5] == scope.depth_names[scope.decided_at(picture)]
    right = sum(row[1] == row[2] for row in rows)
    assert found.words == f"20 of 20 pictures: all. Correct answers: {right} ({right / 20:.1%})."
    assert found.numbers
    assert found.numbers.values.tolist() == [row[1:] for row in rows]


def test_pictures_are_filtered_and_sorted(instrument: Instrument) -> None:
    rows = cells(drawn(instrument, "pictures", **{"as": "table", "samples": "wrong", "sort": "confidence"}).html)
    assert rows
    assert all(row[1] != row[2] for row in rows)
    shares = [float(row[3].rstrip("%")) for row in rows]
    assert shares == sorted(shares)
    unsure = cells(drawn(instrument, "pictures", **{"as": "table", "samples": "unsure", "sort": "margin"}).html)
    margins = [float(row[4]) for row in unsure]
    assert margins == sorted(margins)
    assert max(margins) <= samples.CLOSE
    pair = f"{rows[0][1]}>{rows[0][2]}"
    for row in cells(drawn(instrument, "pictures", **{"as": "table", "samples": pair}).html):
        assert row[1:3] == rows[0][1:3]
    cats = drawn(instrument, "pictures", samples="cat")
    assert opened(cats.html) == [6, 7]


def test_what_needs_no_answers_is_listed_before_they_are_known() -> None:
    made = Instrument(microscope())
    found = drawn(made, "pictures")
    assert len(opened(found.html)) == 20
    assert found.words == "20 of 20 pictures: all."
    assert not drawn(made, "pictures", samples="wrong").html
    assert not drawn(made, "map").figure


def test_pictures_are_listed_as_they_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("viz.pace.FIRST", 5)
    made = Instrument(microscope())
    steps = samples.answers_to(made.scope).steps()
    next(steps), next(steps)
    some = drawn(made, "pictures", **{"as": "table"})
    count = len(cells(some.html))
    assert 0 < count < 20
    assert some.words.startswith(f"{count} of 20 pictures: all. Correct answers: ")
    assert made.views["model-pictures"].so_far(made.scope, made.first).startswith("Answers to the samples: so far ")
    wrong = cells(drawn(made, "pictures", **{"as": "table", "samples": "wrong"}).html)
    assert all(row[1] != row[2] for row in wrong)
    assert not drawn(made, "map").figure
    assert drawn(made, "mean").figure
    list(steps)
    assert len(cells(drawn(made, "pictures", **{"as": "table"}).html)) == 20


def test_a_page_holds_so_many(instrument: Instrument, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "PAGE", 8)
    view, scope = view_of(Instrument(instrument.scope).lenses[-2], "pictures"), instrument.scope
    (turn,) = (option for option in view.options if option.name == "page")
    assert turn.high == 3
    parts = [view.draw(scope, Selection(b"", chosen=(("page", str(page)),))).html for page in (1, 2, 3)]
    assert [len(opened(part)) for part in parts] == [8, 8, 4]
    assert sorted(number for part in parts for number in opened(part)) == list(range(20))
    assert "data-words='page=3' disabled" not in parts[1]
    assert "data-words='page=4' disabled" in parts[2]
    # of fewer pictures than a page before, the first ones
    assert opened(view.draw(scope, Selection(b"", chosen=(("page", "3"), ("samples", "cat")))).html) == [6, 7]


@pytest.mark.parametrize("projection", ["tsne", "pca"])
def test_a_point_of_the_map_opens_its_picture(instrument: Instrument, projection: str) -> None:
    scope, view, seen = instrument.scope, instrument.views["model-map"], set()
    found = drawn(instrument, "map", projection=projection)
    assert view.pick
    assert found.figure
    *groups, star = found.figure.data
    for curve, trace in enumerate(groups):
        for place, words in enumerate(trace.hovertext):
            number = int(view.pick(scope, instrument.first, Point(curve, trace.name, (place,)))["sample"])
            assert words.startswith(f"{scope.truth(number)}-{scope.sample_place(number)}: {trace.name} ")
            assert (trace.marker.symbol[place] == 0) == (scope.truth(number) == trace.name)
            seen.add(number)
            if number == instrument.first.sample:
                assert (trace.x[place], trace.y[place]) == pytest.approx((star.x[0], star.y[0]), rel=1e-2)
    assert seen == set(range(20))
    with pytest.raises(IndexError):
        view.pick(scope, instrument.first, Point(len(groups), "", (0,)))


def test_the_map_by_tsne_is_of_the_pictures_that_are_shown(instrument: Instrument) -> None:
    scope, view = instrument.scope, instrument.views["model-map"]
    assert not view.missing(scope, instrument.first)
    wrong = chosen(instrument, samples="wrong")
    assert [one.label for one in view.missing(scope, wrong)] == ["t-SNE"], "of other pictures there is another map"
    assert not view.draw(scope, wrong).figure
    two = chosen(instrument, samples="cat")
    assert not view.missing(scope, two), "two points have only a map by PCA"
    *_, trace, _ = view.draw(scope, two).figure.data
    assert len(trace.x) <= 2
    edited = chosen(instrument, edits="mean:0,0")  # near the sample that it was made of
    (x,), (y,) = star_of(view.draw(scope, edited)), star_of(view.draw(scope, edited), "y")
    shown = view.draw(scope, edited).numbers.values
    assert (shown.min(0) <= (x, y)).all()
    assert ((x, y) <= shown.max(0)).all()


def star_of(found: Drawn, axis: str = "x") -> np.ndarray:
    assert found.figure
    return np.asarray(found.figure.data[-1][axis])


def test_the_mean_is_over_what_the_filter_lets_through(instrument: Instrument) -> None:
    scope, found = instrument.scope, drawn(instrument, "mean", samples="cat")
    gradients = scope.latest(over_pictures._gradients(scope, instrument.first))
    assert gradients is not None
    assert found.numbers
    want = gradients[[6, 7]].mean(0)
    np.testing.assert_allclose(found.numbers.values[1].ravel(), want / np.abs(want).sum(), rtol=1e-4)
    np.testing.assert_allclose(np.abs(found.numbers.values).sum((1, 2)), 1, rtol=1e-4)


def test_all_test_images_are_there_where_their_data_set_is(cifar: Path, coloured: Labelled) -> None:
    model = bent(microscope().model.config)
    scope = Microscope(model, {}, microscope().device, own_samples=few_samples(), data_root=cifar)
    made = Instrument(scope)
    measure(scope, made.views["model-mean"], chosen(made, images="test"), asked=True)
    found = drawn(made, "pictures", images="test")
    assert found.words.startswith("60 of 60 pictures: all. Correct answers: ")
    number = scope.test_numbers[59]
    assert number == 20 + 59
    selection = chosen(made, sample=str(number))
    assert selection.picture == coloured.images[59].permute(1, 2, 0).numpy().tobytes()
    assert specimen.answer_texts(scope, selection)[0].startswith("Test image 59 of CIFAR-10, labelled <b>truck</b>")
    place = scope.samples.indices.tolist().index(3)  # a sample keeps the number that it has among the samples
    assert scope.test_numbers[3] == place
    _, said = change(scope, made.page, made.first, {"sample": "80"})
    assert said == ["Sample 80 does not exist: there are 20, counted from 0."]
    neighbours = made.views["tokens-neighbours"]
    measure(scope, neighbours, selection)
    assert "crops" in neighbours.draw(scope, selection).html
    elsewhere = Instrument(microscope())
    assert not any(option.name == "images" for option in elsewhere.page.options)
    _, said = change(elsewhere.scope, elsewhere.page, elsewhere.first, {"sample": "79"})
    assert said == ["Sample is a whole number from 0 to 19, not '79'."]
