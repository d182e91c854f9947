import pytest
import torch

from mixer.data import Labelled
from mixer.teacher import Teacher, TeacherConfig, TeacherTrainConfig, train_teacher

SMALL = TeacherConfig((16, 32, 33))


def test_whitened_patches_are_uncorrelated_with_unit_variance() -> None:
    torch.manual_seed(0)
    images = torch.randn(40, 3, 32, 32).cumsum(2).cumsum(3)
    teacher = Teacher(SMALL)
    teacher.set_whitening(images - images.mean(), eps=0.0)
    out = teacher.whiten(images - images.mean())[:, :12].detach().movedim(1, -1).flatten(0, 2)
    torch.testing.assert_close(out.T @ out / len(out), torch.eye(12), atol=2e-2, rtol=0)


def test_the_default_teacher_s_size() -> None:
    assert sum(p.numel() for p in Teacher(TeacherConfig()).parameters()) == 1_972_792


def test_learns_what_can_be_learned(coloured: Labelled) -> None:
    torch.manual_seed(0)
    config = TeacherTrainConfig(epochs=10, batch_size=12, lr=0.03)
    *_, last = train_teacher(Teacher(SMALL), coloured, coloured, config, torch.device("cpu"))
    assert last["epoch"] == 10
    assert last["validation_accuracy"] > 0.8


def test_a_rate_that_is_too_high_is_named(coloured: Labelled) -> None:
    config = TeacherTrainConfig(epochs=3, batch_size=12, lr=1e30)
    with pytest.raises(FloatingPointError, match="choose a lower lr"):
        list(train_teacher(Teacher(SMALL), coloured, coloured, config, torch.device("cpu")))
