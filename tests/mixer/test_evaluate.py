import pytest
import torch

from mixer.data import CLASSES, Labelled
from mixer.evaluate import accuracy, calibration_error, evaluate, fit_temperature, wilson
from mixer.model import Mixer

CPU = torch.device("cpu")


def test_wilson_interval_against_a_published_example() -> None:
    # Newcombe 1998, table I: 81 of 263
    low, high = wilson(81, 263)
    assert (low, high) == (pytest.approx(0.2553, abs=5e-5), pytest.approx(0.3662, abs=5e-5))


def test_calibration_error_by_hand() -> None:
    # two answers at 0.9, one of them right; two at 0.6, both right
    probabilities = torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.4, 0.6]])
    labels = torch.tensor([0, 1, 0, 1])
    assert calibration_error(probabilities, labels) == pytest.approx((2 * abs(0.9 - 0.5) + 2 * abs(0.6 - 1)) / 4)


def test_temperature_that_made_the_logits_too_sure_is_found() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(20_000, 6, generator=generator) * 2
    labels = torch.multinomial(logits.softmax(1), 1, generator=generator).squeeze(1)
    assert fit_temperature(logits * 2.5, labels) == pytest.approx(2.5, rel=0.05)


class ByBrightness(Mixer):
    """Says class 3 to a picture brighter on its left, else class 5."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        left = images[..., :16].mean((1, 2, 3)) > images[..., 16:].mean((1, 2, 3))
        return torch.where(left, 3, 5)[:, None].eq(torch.arange(10)).float() * 8


def test_evaluation_counts_what_is_right(tiny) -> None:
    images = torch.zeros(20, 3, 32, 32, dtype=torch.uint8)
    images[:12, ..., :16], images[12:, ..., 16:] = 200, 200  # 12 get class 3, 8 get class 5
    labels = torch.arange(20) % 10
    labels[:10] = 3
    test = Labelled(images, labels)  # right: the first ten; of the rest number 15
    model = ByBrightness(tiny)
    metrics = evaluate(model, test, test, CPU)
    assert metrics["accuracy"] == pytest.approx(11 / 20)
    assert accuracy(model, test, tiny, CPU) == pytest.approx(11 / 20)
    assert metrics["images"] == 20
    assert metrics["class_accuracy"]["cat"] == pytest.approx(10 / 11)
    assert metrics["confusion"][CLASSES.index("cat")] == [0, 0, 0, 10, 0, 1, 0, 0, 0, 0]
    assert metrics["interval"][0] < 11 / 20 < metrics["interval"][1]
    assert metrics["flip_accuracy"] == pytest.approx(11 / 20)  # a tie between 3 and 5 goes to the lower class
