"""What the lenses share: what is measured over the samples, once, is what their traces hold."""

import pytest
import torch

from mixer.model import Mixer
from viz import microscope
from viz.microscope import Microscope


@pytest.fixture
def scope(network: Mixer) -> Microscope:
    return Microscope(network, {}, torch.device("cpu"))


def test_the_bank_holds_the_tokens_of_every_sample(scope: Microscope) -> None:
    for depth in (0, 3, 6):
        assert scope.bank(depth) is None
        (reading,) = scope.bank_needed(depth)
        assert list(reading.steps())[-1] == reading.total == 200
        assert not scope.bank_needed(depth)
        bank = scope.bank(depth)
        assert bank is not None
        assert bank.shape == (200, 16, 11)
        for sample in (0, 26, 199):
            trace = scope.look(scope.sample_picture(sample))
            torch.testing.assert_close(bank[sample], trace.depths[depth, 0])


def test_a_depth_is_read_in_batches_and_known_when_all_are_read(
    scope: Microscope, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []
    original = microscope.tokens.bank

    def counted(model: Mixer, images: torch.Tensor, depth: int) -> torch.Tensor:
        read.append((depth, len(images)))
        return original(model, images, depth)

    monkeypatch.setattr(microscope.tokens, "bank", counted)
    (reading,) = scope.bank_needed(2)
    steps = reading.steps()
    assert [next(steps), next(steps)] == [8, 16]
    assert read == [(2, 8)] * 2
    steps.close()  # given up: nothing is known of it
    assert scope.bank(2) is None
    assert list(scope.bank_needed(2)[0].steps()) == list(range(8, 201, 8))
    assert read == [(2, 8)] * 27
    assert [one.key for one in scope.bank_needed(4)] != [reading.key]


def test_the_samples_answers_are_those_of_their_own_passes(scope: Microscope) -> None:
    assert scope.sample_answers() is None
    for _ in scope.bank_needed(6)[0].steps():
        pass
    pictures = [scope.sample_picture(sample) for sample in range(0, 200, 19)]
    assert (scope.sample_answers() or [])[::19] == [scope.answer(picture) for picture in pictures]


def test_what_is_read_stays_and_what_nobody_read_is_forgotten(scope: Microscope) -> None:
    scope.remember("at every click", "usual")
    scope.remember("once", "other")
    for number in range(microscope.KEPT_RESULTS):
        scope.remember(number, number)
        assert scope.recall("at every click") == "usual"
    assert scope.recall("once") is None
    assert scope.recall(0) is None
    assert scope.recall(1) == 1
