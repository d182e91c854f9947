"""What the lenses share: the bank of the samples' tokens is read once, and is what a trace holds."""

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
        bank = scope.bank(depth)
        assert bank.shape == (200, 16, 11)
        for sample in (0, 26, 199):
            trace = scope.look(scope.picture_of(scope.sample_image(sample)))
            torch.testing.assert_close(bank[sample], trace.depths[depth, 0])


def test_a_depth_is_read_once_and_its_batches_are_followed(scope: Microscope, monkeypatch: pytest.MonkeyPatch) -> None:
    read, followed = [], []
    original = microscope.tokens.bank

    def counted(model, images, depth):
        read.append((depth, len(images)))
        return original(model, images, depth)

    def follow(batches):
        for batch in batches:
            yield batch
            followed.append(batch)

    monkeypatch.setattr(microscope.tokens, "bank", counted)
    first = scope.bank(2, follow)
    assert read == [(2, 8)] * 25
    assert followed == list(range(25))
    assert torch.equal(scope.bank(2), first)
    scope.bank(4)
    assert read == [(2, 8)] * 25 + [(4, 8)] * 25
