import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mixer.checkpoint import load, save
from mixer.data import CLASSES, Labelled, OtherClasses
from mixer.evaluate import accuracy, calibration_error, evaluate, fit_temperature, headline, wilson
from mixer.model import Mixer
from mixer.record import report

CPU = torch.device("cpu")


def test_wilson_interval_against_a_published_example() -> None:
    # Newcombe 1998, table I: 81 of 263
    low, high = wilson(81, 263)
    assert (low, high) == (pytest.approx(0.2553, abs=5e-5), pytest.approx(0.3662, abs=5e-5))


def test_an_interval_is_of_shares_and_holds_what_was_measured() -> None:
    for images in (*range(1, 150), 999, 1_000, 10_000, 60_000):
        for right in {0, 1, images // 2, images - 1, images}:
            low, high = wilson(right, images)
            assert 0 <= low <= right / images <= high <= 1
            assert "-0" not in headline({"accuracy": 0.0, "interval": [low, high]})


@pytest.mark.parametrize("count", [7, 21, 22, 41])  # Wilson's sums miss 0 or 1 for them
@pytest.mark.parametrize("right", [True, False])
def test_whatever_came_out_can_be_loaded(tiny, count: int, right: bool, tmp_path: Path) -> None:
    images = torch.zeros(count, 3, 32, 32, dtype=torch.uint8)
    images[..., :16] = 200
    test = Labelled(images, torch.full((count,), 3 if right else 4))
    save(tmp_path / "net", Mixer(tiny), report(ByBrightness(tiny), test, test, CPU))
    metrics = load(tmp_path / "net", Mixer)[1]
    assert metrics["accuracy"] == metrics["interval"][right] == right


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
    """Class 3 for a picture brighter on its left (98 %), else class 5 (92 %)."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        left = images[..., :16].mean((1, 2, 3)) > images[..., 16:].mean((1, 2, 3))
        return torch.where(left, 3, 5)[:, None].eq(torch.arange(10)).float() * torch.where(left, 6.1, 4.6)[:, None]


@pytest.mark.parametrize("largest", [1e20, 1e38, -1e38, 3.4e38])
def test_no_finite_logits_are_too_large(tiny, coloured: Labelled, largest: float) -> None:
    model = Mixer(tiny)
    torch.nn.init.constant_(model.head.weight, 0)
    with torch.no_grad():
        model.head.bias.copy_(torch.linspace(-1, 1, 10) * largest)
    metrics = evaluate(model, coloured, coloured, CPU)
    json.dumps(metrics, allow_nan=False)
    assert metrics["accuracy"] == pytest.approx(0.1)
    assert metrics["calibration_error"] == pytest.approx(0.9)
    assert metrics["temperature"] == pytest.approx(4)


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
    assert metrics["flip_accuracy"] == pytest.approx(11 / 20)  # 3, the surer one, for all


def test_a_class_without_images_has_no_accuracy_and_nothing_is_nan(tiny, coloured: Labelled) -> None:
    few = Labelled(coloured.images[:7], coloured.labels[:7])  # of classes 0 to 6
    metrics = evaluate(Mixer(tiny), few, few, CPU)
    json.dumps(metrics, allow_nan=False)
    assert tuple(metrics["class_accuracy"]) == CLASSES[:7]
    words = "Classes without test images: horse, ship, truck. Classes without validation images: horse, ship, truck."
    assert headline(metrics).endswith(words)
    assert "without" not in headline(evaluate(Mixer(tiny), coloured, coloured, CPU))
    assert [sum(row) for row in metrics["confusion"]] == [1] * 7 + [0] * 3


def test_a_network_that_knows_the_classes_in_another_order_is_judged_by_their_names(tiny, coloured: Labelled) -> None:
    torch.manual_seed(0)
    model = Mixer(tiny)
    order = torch.tensor([7, 2, 9, 0, 1, 3, 8, 4, 6, 5])
    turned = Mixer(replace(tiny, classes=tuple(CLASSES[i] for i in order.tolist())))
    turned.load_state_dict(model.state_dict())
    with torch.no_grad():
        turned.head.weight.copy_(model.head.weight[order])
        turned.head.bias.copy_(model.head.bias[order])
    want, found = (evaluate(network, coloured, coloured, CPU) for network in (model, turned))
    for name in ("accuracy", "flip_accuracy", "class_accuracy", "temperature"):
        assert found[name] == pytest.approx(want[name], rel=1e-5)
    assert found["confusion"] == torch.tensor(want["confusion"])[order][:, order].tolist()


def test_a_network_with_other_classes_cannot_be_evaluated(foreign_mixer: Mixer) -> None:
    data = Labelled(torch.zeros(10, 3, 32, 32, dtype=torch.uint8), torch.arange(10))
    with pytest.raises(OtherClasses, match=rf"other classes .{foreign_mixer.config.num_classes}: .* than CIFAR-10"):
        evaluate(foreign_mixer, data, data, CPU)


def test_what_cannot_be_counted_is_refused_in_words(tiny, coloured: Labelled) -> None:
    none = Labelled(coloured.images[:0], coloured.labels[:0])
    for test, validation in ((none, coloured), (coloured, none)):
        with pytest.raises(ValueError, match=r"not \d+ test and \d+ validation images"):
            evaluate(Mixer(tiny), test, validation, CPU)
    broken = Mixer(tiny)
    torch.nn.init.constant_(broken.stem.bias, torch.nan)
    with pytest.raises(ValueError, match="logits of this network are not finite"):
        evaluate(broken, coloured, coloured, CPU)


def test_the_headline_says_what_the_record_holds() -> None:
    assert headline({"accuracy": 0.5}) == "CIFAR-10 test accuracy: 50.00%."
    assert headline({"accuracy": 0.5, "data": {"name": "photos"}}) == "photos test accuracy: 50.00%."
    whole = {
        "accuracy": 0.5,
        "images": 10_000,
        "interval": [0.49, 0.51],
        "flip_accuracy": 0.52,
        "parameters": 1_234,
        "date": "2026-01-31",
        "device": "an abacus",
    }
    assert headline(whole) == (
        "CIFAR-10 test accuracy: 50.00% on 10,000 images (95% interval 49.00% to 51.00%), 52.00% with horizontal-flip "
        "averaging. 1,234 parameters. Evaluated on 2026-01-31, an abacus."
    )
