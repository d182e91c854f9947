"""What the lenses share: what is measured over the samples, once, is what their traces hold."""

import pytest
import torch

from mixer.model import Mixer
from viz import tokens
from viz.microscope import Microscope


@pytest.fixture
def scope(network: Mixer) -> Microscope:
    return Microscope(network, {}, torch.device("cpu"))


def test_the_bank_holds_the_tokens_of_every_sample(scope: Microscope) -> None:
    for depth in (0, 3, 6):
        reading = scope.sample_tokens(depth)
        assert scope.latest(reading) is None
        assert scope.missing([reading]) == [reading]
        assert list(reading.steps())[-1] == reading.total == 200
        assert not scope.missing([reading])
        bank = scope.latest(scope.sample_tokens(depth))
        assert bank is not None
        assert bank.shape == (200, 16, 11)
        for sample in (0, 26, 199):
            trace = scope.look(scope.sample_picture(sample))
            torch.testing.assert_close(bank[sample], trace.depths[depth, 0])


def test_a_depth_is_read_in_batches_and_known_when_all_are_read(
    scope: Microscope, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []
    original = tokens._read

    def counted(model: Mixer, images: torch.Tensor, source: str) -> torch.Tensor:
        read.append((source, len(images)))
        return original(model, images, source)

    monkeypatch.setattr(tokens, "_read", counted)
    steps = scope.sample_tokens(2).steps()
    assert [next(steps), next(steps)] == [8, 16]
    assert read == [("blocks.0", 8)] * 2
    steps.close()  # given up: nothing is known of it, and it can go on
    assert scope.latest(scope.sample_tokens(2)) is None
    assert list(scope.sample_tokens(2).steps()) == list(range(24, 201, 8))
    assert read == [("blocks.0", 8)] * 25
    assert scope.latest(scope.sample_tokens(4)) is None
