"""No step of any measurement takes long, however slow the network is; so nobody waits for somebody else's.

The slow network is a small one that turns on a clock: half a block of one image takes so many seconds on it. So the
tests take no time themselves, and do not depend on the machine.
"""

import asyncio
import re
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from mixer.model import Mixer
from tests.viz.looking import microscope
from viz import pace
from viz.measuring import BUDGET, Measurement, duration, on_model_thread
from viz.microscope import Microscope
from viz.pace import batches, finish, in_time, seconds_per_pass, summed, undisturbed
from viz.page.instrument import Instrument
from viz.page.session import Session
from viz.selection import first

STEP = 0.3
"""seconds that a step may take"""


class Clock:
    """What the time is for those who use a slow network."""

    def __init__(self) -> None:
        self.now, self.pass_ = 0.0, 0.0

    def slow_down(self, model: Mixer, seconds: float) -> None:
        """seconds: that a pass of one image takes from now on; with gradients, twice as many"""
        self.pass_ = seconds
        sublayers = 2 * len(model.blocks)

        def turn_on(module: nn.Module, args: tuple[Tensor, ...]) -> None:
            self.now += len(args[0]) * self.pass_ / sublayers * (2 if torch.is_grad_enabled() else 1)

        for block in model.blocks:
            for sublayer in (block.token_mixing, block.channel_mixing):
                sublayer.register_forward_pre_hook(turn_on)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(pace, "time", SimpleNamespace(perf_counter=lambda: found.now))
    return found


@pytest.fixture
def scope(clock: Clock) -> Microscope:
    """Of 4 x 2 patches, with twenty samples; a pass takes a tenth of a second."""
    made = microscope(image_size=(16, 32))
    clock.slow_down(made.model, 0.1)
    return made


@pytest.fixture
def slow(scope: Microscope) -> Instrument:
    return Instrument(scope)


def steps_of(clock: Clock, measurement: Measurement) -> list[float]:
    """How long each takes."""
    begin, took = clock.now, []
    for _ in measurement.steps():
        took.append(clock.now - begin)
        begin = clock.now
    return [*took, clock.now - begin]


@pytest.mark.long
@pytest.mark.usefixtures("few_draws")
def test_every_step_of_every_measurement_is_short(slow: Instrument, clock: Clock) -> None:
    """Also of those that wait to be asked for, and of all methods."""
    methods = ("Saliency,SmoothGrad x input,GradientShap", "Integrated Gradients,Patch ablation,Shapley values")
    blocks = "Token Grad-CAM,Layer Integrated Gradients,Layer Conductance"
    seen = set[str]()
    for words in ({"methods": methods[0]}, {"methods": methods[1]}, {"methods": blocks, "ablation": "mean"}):
        visit = Session(first(slow.scope, slow.page))
        slow.answer(visit, {"words": words})
        for name in slow.views:
            while todo := slow._needs(visit, name):
                took = steps_of(clock, todo[0])
                assert max(took) <= STEP + 1e-9, f"{todo[0].label}: {max(took):.2f} s"
                seen.add(todo[0].label)
    assert len(seen) > 30, seen


def test_a_network_of_more_than_the_time_of_a_step_passes_one_image_at_a_time(clock: Clock) -> None:
    model = microscope().model
    clock.slow_down(model, 2.0)
    assert [len(part) for part in batches(model, torch.arange(3))] == [1, 1, 1]
    with undisturbed():
        assert [len(part) for part in batches(model, torch.arange(3))] == [3]
    assert seconds_per_pass(model) == pytest.approx(2.0)


def test_batches_follow_the_pace_and_ignore_a_hiccup(clock: Clock) -> None:
    model = microscope().model
    clock.slow_down(model, 0.045)
    assert (in_time(model, 1), in_time(model, 2)) == (4, 2)
    for seconds, fits in ((1.0, 4), (0.09, 4), (0.09, 2), (0.019, 10)):
        with pace.timed(model, 1):
            clock.now += seconds
        assert in_time(model, 1) == fits


def test_a_pass_is_timed_in_a_batch_and_again_by_a_single_image(clock: Clock) -> None:
    model, images = microscope().model, list[int]()

    def turn_on(module: nn.Module, args: tuple[Tensor, ...]) -> None:
        images.append(len(args[0]))
        clock.now += 0.03 + 0.01 * len(args[0])

    model.register_forward_pre_hook(turn_on)
    assert seconds_per_pass(model) == pytest.approx(0.08 / 5)
    clock.now += pace.STALE + 1
    assert seconds_per_pass(model) == pytest.approx(0.08 / 5)
    assert images == [1, 1, 5, 1]


def test_what_failed_says_nothing_of_the_pace(clock: Clock) -> None:
    model = microscope().model
    clock.slow_down(model, 0.05)
    before = seconds_per_pass(model)

    def fail() -> None:
        with pace.timed(model, 1):
            clock.now += 9
            raise RuntimeError

    for _ in range(3):
        with pytest.raises(RuntimeError):
            fail()
    assert seconds_per_pass(model) == pytest.approx(before)


def test_steps_are_summed_and_finished() -> None:
    def steps():
        yield 2
        yield 0
        yield 3
        return "done"

    def outer():
        return (yield from summed(steps(), 10))

    assert list(outer()) == [12, 12, 15]
    assert finish(outer()) == finish(steps()) == "done"


def test_cancel_and_the_click_of_another_wait_for_one_step(
    slow: Instrument, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While Doubt measures what takes minutes."""
    monkeypatch.setattr("viz.page.instrument.REFRESH", 0)
    busy, other = (Session(first(slow.scope, slow.page)) for _ in range(2))
    for visit in (busy, other):
        slow.answer(visit, {"words": {"lens": "doubt", "methods": "Shapley values"}})
    slow.answer(busy, {"measure": "doubt-verdict"})

    async def waited(visit: Session, event: dict) -> float:
        begin = clock.now
        await on_model_thread(slow.answer, visit, event)
        return clock.now - begin

    async def visits() -> tuple[list[float], int]:
        waits, after = [], 0
        async for update in slow.run(busy):
            if waits:
                after += 1
            elif update.get("wait") and update["wait"]["done"] > 20:
                waits.append(await waited(other, {"words": {"lens": "tokens", "patch": "2,1"}}))
                waits.append(await waited(busy, {"stop": True}))
        return waits, after

    waits, after = asyncio.run(visits())
    assert len(waits) == 2
    assert max(waits) < 1
    assert after <= 3  # that it has ended
    assert "Cancelled." in busy.stopped.values()


@pytest.mark.parametrize("words", [{"lens": "attribution", "methods": "Shapley values"}, {"lens": "tokens"}])
def test_an_estimate_is_refined_until_the_budget_is_used_up(
    slow: Instrument, clock: Clock, words: dict[str, str]
) -> None:
    visit = Session(first(slow.scope, slow.page))
    slow.answer(visit, {"words": words})
    begin = clock.now
    run(slow, visit)
    assert BUDGET / 3 < clock.now - begin <= BUDGET + STEP


def run(page: Instrument, visit: Session) -> None:
    """All that starts by itself."""

    async def to_the_end() -> None:
        async for _ in page.run(visit):
            pass

    asyncio.run(to_the_end())


def test_what_starts_by_itself_keeps_to_its_budget_and_the_rest_is_offered(slow: Instrument, clock: Clock) -> None:
    visit = Session(first(slow.scope, slow.page))
    slow.answer(visit, {"words": {"lens": "doubt", "methods": "Integrated Gradients,Saliency"}})
    begin = clock.now
    run(slow, visit)
    assert 0 < clock.now - begin <= BUDGET + STEP
    offered = slow.answer(visit, {"redraw": True, "again": True})
    assert "Random removals" in offered["doubt-verdict"]["measure"]
    assert re.search(r"about \d+ min", offered["doubt-verdict"]["measure"])
    assert re.search(r">[^;]+; [^;]+; [^;]+ and \d+ more: ", offered["doubt-verdict"]["measure"])
    assert not offered["doubt-verdict"]["waiting"]
    slow.answer(visit, {"words": {"patch": "1,1"}})  # another choice, another budget: but not for what is longer alone
    assert all(one.seconds <= BUDGET for one in slow.to_run(visit))


def test_who_asks_for_a_view_is_not_asked_again_for_what_that_needs_next(
    slow: Instrument, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The curves of a method are needed as soon as its values are there."""
    monkeypatch.setattr("viz.doubt.checks.ORDERS", 19)
    monkeypatch.setattr("viz.measuring.BUDGET", 0)
    visit = Session(first(slow.scope, slow.page))
    slow.answer(visit, {"words": {"lens": "doubt", "methods": "Saliency"}})
    assert not slow.to_run(visit)
    slow.answer(visit, {"measure": "doubt-deletion"})
    run(slow, visit)
    assert not slow._needs(visit, "doubt-deletion")
    assert slow._needs(visit, "doubt-randomisation")  # that is another view's


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0, "1 s"),
        (0.4, "1 s"),
        (12.4, "12 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (91, "2 min"),
        (3569, "59 min"),
        (3599, "1 h"),
        (14198, "3 h 57 min"),
        (90000, "25 h"),
    ],
)
def test_waits_are_told_in_hours_minutes_and_seconds(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_the_stand_in_is_slow(clock: Clock) -> None:
    """Or nothing above would be shown."""
    model = microscope().model
    clock.slow_down(model, 0.25)
    with torch.no_grad():
        model(torch.zeros(4, 3, 32, 32))
    assert clock.now == pytest.approx(1)


def test_a_network_that_was_opened_on_a_busy_machine_is_timed_again(
    network: Mixer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else nothing would start by itself, and nothing would show that it is fast."""
    pace.seconds_per_pass(network)
    pace._SPEEDS[network].seen.clear()
    pace._SPEEDS[network].seen.append(100.0)
    assert pace.seconds_per_pass(network) == 100
    monkeypatch.setattr(pace._SPEEDS[network], "when", pace.time.perf_counter() - pace.STALE - 1)
    assert pace.seconds_per_pass(network) < 100
