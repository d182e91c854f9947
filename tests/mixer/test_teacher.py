import pytest
import torch
from torch import nn

from mixer import teacher as teaching
from mixer.data import Labelled
from mixer.teacher import Ensemble, Teacher, TeacherConfig, TeacherTrainConfig, train_teacher

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


def test_several_teachers_answer_with_their_mean_probability() -> None:
    class Sure(nn.Module):
        """Gives to every picture the same probabilities."""

        def __init__(self, *probabilities: float):
            super().__init__()
            self.logits = torch.tensor(probabilities).log() + 3  # a constant makes no difference

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.logits.expand(len(images), 3)

    images = torch.zeros(2, 3, 32, 32)
    mean = Ensemble([Sure(0.5, 0.25, 0.25), Sure(0.125, 0.875, 0.0), Sure(0.125, 0.0, 0.875)])(images).exp()
    torch.testing.assert_close(mean, torch.tensor([[0.25, 0.375, 0.375]]).expand(2, 3))
    assert mean.sum(1).tolist() == pytest.approx([1, 1])
    alone = Ensemble([Sure(0.5, 0.25, 0.25)])(images).softmax(1)
    torch.testing.assert_close(alone, torch.tensor([[0.5, 0.25, 0.25]]).expand(2, 3))


@pytest.mark.parametrize("wanted", [False, True])
def test_a_teacher_is_trained_on_auto_augmented_views_where_wanted(
    coloured: Labelled, monkeypatch: pytest.MonkeyPatch, wanted: bool
) -> None:
    seen = []

    def noise(images: torch.Tensor) -> torch.Tensor:
        seen.append(len(images))
        return torch.randint_like(images, 256)

    monkeypatch.setattr(teaching, "auto_augment", noise)
    torch.manual_seed(0)
    config = TeacherTrainConfig(epochs=8, batch_size=12, lr=0.03, auto_augment=wanted)
    *_, last = train_teacher(Teacher(SMALL), coloured, coloured, config, torch.device("cpu"))
    assert seen == [12] * 40 * wanted
    assert (last["validation_accuracy"] < 0.4) == wanted  # there is nothing to be learned from noise
