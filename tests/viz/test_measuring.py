"""The memory: what is measured once is known as long as it is used."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import pytest
import torch

from viz.measuring import RESULTS, TENSORS, Clock, Measurement, Memory


def measurement(memory: Memory, key: str | int, *parts: object, total: int = 2) -> Measurement:
    return Measurement(key, "Something", "steps", total, 1.0, lambda: memory.resumable(key, lambda: iter(parts)))


def test_a_measurement_is_known_when_it_has_ended() -> None:
    memory = Memory()
    one = measurement(memory, "a", 1, 2, "result")
    steps = one.steps()
    for done in (1, 2):
        assert next(steps) == done
        assert memory.latest(one) is None
        assert memory.missing([one]) == [one]
    assert list(steps) == []
    assert memory.latest(one) == "result"
    assert memory.missing([one]) == []


def test_what_is_measured_again_is_the_same_by_its_key_alone() -> None:
    memory = Memory()
    one, same = measurement(memory, "a", 2, "result"), measurement(memory, "a", 2, "other")
    assert memory.missing([one, same]) == [same]  # each once
    assert memory.measured(one) == "result"
    assert memory.measured(same) == "result"


def test_what_is_known_so_far_is_neither_finished_nor_replaced_by_less() -> None:
    memory = Memory()
    for parts, known in (((1, "one", 2, "two"), "two"), ((1, "less"), "two"), ((2, "again", 3, "all"), "all")):
        one = measurement(memory, "a", *parts, total=3)
        list(one.steps())
        assert memory.latest(one) == known
        assert memory.missing([one]) == ([] if known == "all" else [one])


def test_what_was_cancelled_goes_on_where_it_was_and_is_measured_once_for_all_who_want_it() -> None:
    memory, made = Memory(), list[int]()

    def steps() -> Iterator[int | str]:
        for number in range(1, 5):
            made.append(number)
            yield number
            yield f"after {number}"

    one = Measurement("a", "Something", "steps", 4, 1.0, lambda: memory.resumable("a", steps))
    first, other = one.steps(), one.steps()
    assert (next(first), next(other), next(first)) == (1, 2, 3)
    first.close()  # cancelled
    assert memory.latest(one) == "after 2"
    assert memory.reached("a") == 2
    assert memory.finished(one) is None
    assert memory.measured(one) == memory.finished(one) == "after 4"
    assert made == [1, 2, 3, 4]
    assert list(other) == []  # nobody begins anew what is there
    assert made == [1, 2, 3, 4]


def test_what_fails_is_not_known() -> None:
    memory = Memory()

    def fail() -> Iterator[int | str]:
        yield 1
        raise ValueError("broken")

    one = Measurement("a", "Something", "steps", 2, 1.0, lambda: memory.resumable("a", fail))
    for _ in range(2):  # tried anew each time
        with pytest.raises(ValueError, match="broken"):
            list(one.steps())
    assert memory.latest(one) is None


def test_what_is_read_stays_and_what_nobody_read_is_forgotten() -> None:
    memory = Memory()
    often, once = (measurement(memory, key, 2, "result") for key in ("often", "once"))
    memory.measured(often)
    memory.measured(once)
    for number in range(RESULTS):
        assert memory.cached(number, lambda number=number: number) == number
        assert memory.latest(often) == "result"
    assert memory.latest(once) is None
    assert memory.missing([often, once]) == [once]


def test_tensors_are_few_and_take_the_place_of_no_result() -> None:
    memory = Memory()
    result = measurement(memory, "result", 2, "result")
    memory.measured(result)
    tensors = [measurement(memory, number, 2, torch.zeros(1)) for number in range(TENSORS + 1)]
    for one in tensors:
        memory.measured(one)
    assert memory.missing([*tensors, result]) == tensors[:1]


@pytest.mark.parametrize(
    ("first", "milestones"),
    [
        (None, {0: 100, 99: 100, 100: 100}),
        (20, {0: 20, 19: 20, 20: 40, 41: 80, 80: 100, 100: 100}),
        (1, {0: 1, 1: 2, 63: 64, 64: 100}),
        (500, {0: 100}),
    ],
)
def test_an_estimate_is_next_shown_at_its_first_result_and_at_each_doubling(
    first: int | None, milestones: dict[int, int]
) -> None:
    memory = Memory()
    for reached, end in milestones.items():
        one = replace(measurement(memory, "a", total=100), first=first, reached_now=partial(int, reached))
        assert one.milestone == end
        assert one.until(end) == end - reached
    assert one.seconds == 100 - reached


def test_the_time_left_of_a_continued_measurement_is_that_of_its_missing_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("viz.measuring.time", SimpleNamespace(monotonic=lambda: now))
    clock = Clock(measurement(Memory(), "a", total=1000), 600)
    assert clock.left(600) == 400, "a second for each, as estimated"
    now += 10
    assert clock.left(700) == pytest.approx(30), "a tenth of a second, as it turned out"
