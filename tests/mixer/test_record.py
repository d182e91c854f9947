import json
from pathlib import Path
from typing import Any

import pytest

from mixer import checkpoint, record
from mixer.evaluate import headline

CASES = Path(__file__).parent.parent / "data" / "cases"
SHIPPED = json.loads((checkpoint.DEFAULT / "metrics.json").read_text(encoding="utf-8"))


def test_what_is_shipped_is_a_record_with_every_entry_that_is_read_again() -> None:
    record.check(SHIPPED, 10)
    assert record.Metrics.__annotations__.keys() <= SHIPPED.keys()


@pytest.mark.parametrize("name", SHIPPED)
def test_every_entry_may_be_missing(name: str) -> None:
    record.check({key: value for key, value in SHIPPED.items() if key != name}, 10)


def test_every_entry_of_a_stage_may_be_missing() -> None:
    record.check({"stages": [{}, {"recipe": {"lr": None}}, {"epochs": 2}]}, 10)


def test_recipes_of_earlier_versions_get_the_present_names() -> None:
    metrics: dict[str, Any] = {"stages": [{"recipe": {"average": 0.9, "crop": 4}}, {"epochs": 2}]}
    record.check(metrics, 10)
    assert metrics == {"stages": [{"recipe": {"ema_decay": 0.9, "crop": 4}}, {"epochs": 2}]}


def test_other_entries_may_stand_beside_them() -> None:
    record.check({"accuracy": 0.5, "note": "by hand", "nested": {"x": None}}, 10)


def test_an_accuracy_alone_is_stated_alone() -> None:
    record.check({"accuracy": 0.8754}, 10)
    assert headline({"accuracy": 0.8754}) == "CIFAR-10 test accuracy: 87.54%."


@pytest.mark.parametrize(
    ("metrics", "words"),
    [
        ({"accuracy": 90.1}, "accuracy: should be less than or equal to 1, not 90.1"),
        ({"accuracy": "90 %"}, "accuracy: should be a valid number, not '90 %'"),
        ({"accuracy": float("nan")}, "accuracy: should be less than or equal to 1, not nan"),
        ({"accuracy": None}, "accuracy: should be a valid number, not None"),
        ({"images": -1}, "images: should be greater than or equal to 0, not -1"),
        ({"interval": [0.5]}, "interval: List should have at least 2 items"),
        ({"class_accuracy": {"cat": float("inf")}}, "class_accuracy.cat: should be less than or equal to 1, not inf"),
        ({"reliability": [{"confidence": 0.5}]}, "reliability.0.accuracy is missing"),
        ({"stages": [{"epochs": "1"}]}, "stages.0.epochs: should be a valid number, not '1'"),
        ({"stages": [{"epochs": 1.0, "history": [{"epoch": 1}]}]}, "stages.0.history.0.loss is missing"),
        ({"confusion": [[1, 2], [3]]}, "confusion is not 10 rows of 10 numbers"),
        ({"confusion": [[1] * 9] * 9}, "confusion is not 10 rows of 10 numbers"),
        ({"attributions": {}}, "attributions.methods is missing"),
        ({"versions": "2.14"}, "versions: should be a valid dictionary, not '2.14'"),
    ],
)
def test_an_entry_that_cannot_be_is_named(metrics: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words.replace("(", r"\(")):
        record.check(metrics, 10)


@pytest.mark.parametrize(("low", "high"), [(0.8453609790128563, 1.0000000000000002), (-1.7e-17, 0.35)])
def test_an_interval_of_an_earlier_version_is_put_right(low: float, high: float) -> None:
    metrics = {"interval": [low, high]}
    record.check(metrics, 10)
    assert metrics["interval"] == [max(low, 0), min(high, 1)]
    assert "-0" not in headline({"accuracy": 0.0, **metrics})
    for wrong in ([low, 1.1], [-0.1, high]):
        with pytest.raises(ValueError, match=r"interval\.\d: should be"):
            record.check({"interval": wrong}, 10)


def test_a_record_of_an_earlier_version_where_all_are_right_is_read() -> None:
    record.check(json.loads((CASES / "metrics_all_right.json").read_text(encoding="utf-8")), 10)


def test_the_checkpoints_of_the_project_hold_records() -> None:
    for folder in Path(checkpoint.DEFAULT.parent).iterdir():
        record.check(json.loads((folder / "metrics.json").read_text(encoding="utf-8")), 10)
