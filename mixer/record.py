"""What the record of a result holds: the measurements, and when, on what and with which code they were made."""

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
    """The test images whose answer was about so sure."""

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
    """which were trained on, where they are somebody's own: `mixer.image_folder.seen`"""


class Data(TypedDict, total=False):
    """The images, as `mixer.image_folder.Parts.record` has them."""

    classes: dict[str, Annotated[list[Count], Field(min_length=3, max_length=3)]]
    """of each class the training, validation and test images"""


class MethodRecord(TypedDict):
    deletion: Number
    insertion: Number
    gap: Number | None
    seconds: Number


class Attributions(TypedDict):
    """What `viz.doubt.survey` measures."""

    methods: dict[str, MethodRecord]
    images: Count
    steps: Count
    samples: Count
    block: Count
    removals: Count
    baseline: str
    output: str


class Metrics(TypedDict, total=False):
    """Fields read from a metrics.json. Every entry may be missing, and others may stand beside these."""

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
    """With what only some networks have, above all those that were trained on other images than CIFAR-10's."""

    data: Data
    classes_without_images: dict[str, list[str]]


METRICS = TypeAdapter(Own)


def check(metrics: dict[str, Any], num_classes: int) -> None:
    """Raise ValueError, which names the entry, where one that is read again is not what it should be.

    An interval that earlier versions wrote, beyond 0 or 1 by a last digit, is put right.
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
    sizes = {len(row) for row in [metrics.get("confusion", []), *metrics.get("confusion", [])]}
    if "confusion" in metrics and sizes != {num_classes}:
        raise ValueError(f"confusion is not {num_classes} rows of {num_classes} numbers, one for each class")


def report(model: Mixer, test: Labelled, validation: Labelled, device: torch.device) -> dict[str, Any]:
    """All that is recorded of an evaluation: what `evaluate` measures, and how it came about."""
    return evaluate(model, test, validation, device) | {"parameters": parameters(model)} | circumstances(device)


def effort(stages: list[dict[str, Any]]) -> dict[str, Any]:
    """All training runs that a network went through, each from where the last one ended."""
    return {"stages": stages} | {name: round(sum(s[name] for s in stages), 2) for name in ("epochs", "hours")}


def circumstances(device: torch.device) -> dict[str, Any]:
    """When, on what and with which code a result was made."""
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
