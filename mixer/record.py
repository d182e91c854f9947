"""The record of a result: its measurements, date, device and code version."""

import platform
import reprlib
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from mixer.data import Labelled
from mixer.evaluate import evaluate
from mixer.model import Mixer

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Number = Annotated[float, Field(allow_inf_nan=False)]


class Bin(TypedDict):
    """Test images with similar confidence."""

    confidence: Share
    accuracy: Share
    images: Count


class Epoch(TypedDict):
    epoch: Number
    loss: Number
    validation_accuracy: Share


class Stage(TypedDict, total=False):
    """One training run."""

    epochs: Number
    recipe: dict[str, Any]
    history: list[Epoch]
    images: str
    """digests of the training images, for a folder of images: `mixer.image_folder.digests_of`"""


class Data(TypedDict, total=False):
    """The images, as `mixer.image_folder.Parts.record` returns them."""

    classes: dict[str, Annotated[list[Count], Field(min_length=3, max_length=3)]]
    """numbers of training, validation and test images of each class"""


class MethodRecord(TypedDict):
    deletion: Number
    insertion: Number
    gap: Number | None
    seconds: Number


class Attributions(TypedDict):
    """Results of `viz.doubt.survey`."""

    methods: dict[str, MethodRecord]
    images: Count
    steps: Count
    samples: Count
    block: Count
    removals: Count
    baseline: str
    output: str


class Metrics(TypedDict, total=False):
    """Fields read from a metrics.json. Each may be missing; other fields are allowed."""

    accuracy: Share
    interval: Annotated[list[Share], Field(min_length=2, max_length=2)]
    flip_accuracy: Share
    images: Count
    class_accuracy: dict[str, Share]
    confusion: list[list[Count]]
    calibration_error: Share
    calibration_error_at_temperature: Share
    temperature: Number
    reliability: list[Bin]
    parameters: Count
    stages: list[Stage]
    epochs: Number
    hours: Number
    attributions: Attributions
    date: str
    device: str
    versions: dict[str, str]
    commit: str | None


class Own(Metrics, total=False):
    """Metrics with fields of some networks only, such as those trained on a folder of images."""

    data: Data
    classes_without_images: dict[str, list[str]]


METRICS = TypeAdapter(Own)


def check(metrics: dict[str, Any], num_classes: int) -> None:
    """Raise ValueError, which names the entry, for an invalid entry. Convert entries of earlier versions in place.

    Earlier versions wrote intervals that exceed 0 or 1 by a rounding error, and other names in recipes (`upgrade`).
    """
    interval = metrics.get("interval")
    if isinstance(interval, list) and all(isinstance(end, float) and -1e-9 < end < 1 + 1e-9 for end in interval):
        metrics["interval"] = [min(max(end, 0.0), 1.0) for end in interval]
    try:
        METRICS.validate_python(metrics, strict=True)
    except ValidationError as error:
        wrong = error.errors()[0]
        place = ".".join(map(str, wrong["loc"]))
        if wrong["type"] == "missing":
            raise ValueError(f"{place} is missing") from error
        right = wrong["msg"].removeprefix("Input ")
        raise ValueError(f"{place}: {right}, not {reprlib.repr(wrong['input'])}") from error
    if "stages" in metrics:
        metrics["stages"] = upgrade(metrics["stages"])
    sizes = {len(row) for row in [metrics.get("confusion", []), *metrics.get("confusion", [])]}
    if "confusion" in metrics and sizes != {num_classes}:
        raise ValueError(f"confusion is not {num_classes} rows of {num_classes} numbers, one for each class")


def upgrade(stages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Stages with the field names of this version: recipes of earlier versions named the EMA decay `average`."""
    names = {"average": "ema_decay"}
    recipes = [{names.get(name, name): value for name, value in stage.get("recipe", {}).items()} for stage in stages]
    return [stage | ({"recipe": recipe} if recipe else {}) for stage, recipe in zip(stages, recipes, strict=True)]


def report(model: Mixer, test: Labelled, validation: Labelled, device: torch.device) -> dict[str, Any]:
    """The record of an evaluation: the results of `evaluate`, the number of parameters and the `circumstances`."""
    return evaluate(model, test, validation, device) | {"parameters": parameters(model)} | circumstances(device)


def effort(stages: list[dict[str, Any]]) -> dict[str, Any]:
    """The training stages of a network with the sums of their epochs and hours."""
    return {"stages": stages} | {name: round(sum(s[name] for s in stages), 2) for name in ("epochs", "hours")}


def circumstances(device: torch.device) -> dict[str, Any]:
    """Date, device, versions and commit of a result."""
    commit = None
    with suppress(OSError, subprocess.CalledProcessError):
        command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
        commit = subprocess.check_output(
            command, encoding="utf-8", stderr=subprocess.DEVNULL, cwd=Path(__file__).parent
        ).strip()
    return {
        "date": time.strftime("%Y-%m-%d"),
        "device": device_name(device),
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "commit": commit,
    }


def parameters(model: torch.nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"CPU ({threads} thread{'' if threads == 1 else 's'})"
