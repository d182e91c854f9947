"""What the lenses share: what is measured over the samples, once, is what their traces hold."""

from pathlib import Path

import pytest
import torch

from mixer.model import Mixer
from mixer.picture import Unreadable
from viz import tokens
from viz.intervene.edits import Edit
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


def test_errors_of_pictures_are_those_of_the_docstrings(scope: Microscope, tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no picture", encoding="utf-8")
    with pytest.raises(FileNotFoundError, match=r"missing\.jpg"):
        scope.picture_of(tmp_path / "missing.jpg")
    with pytest.raises(Unreadable, match="cannot be read as a picture"):
        scope.picture_of(tmp_path / "text.jpg")
    with pytest.raises(OSError, match=r"directory|Permission"):
        scope.picture_of(tmp_path)
    with pytest.raises(ValueError, match="sample 200 does not exist"):
        scope.sample_picture(200)
    picture = scope.sample_picture(3)
    with pytest.raises(ValueError, match="sample 200 does not exist"):
        scope.edited(picture, [Edit("paste", 200, (0,))])
    height, width = scope.grid.image_size
    assert len(picture) == len(scope.edited(picture, [Edit("mean", None, (0,))])) == height * width * 3
    assert scope.probabilities(picture).shape == (len(scope.classes),)
    assert scope.probabilities(picture).sum() == pytest.approx(1)
