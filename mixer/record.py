"""What the record of a result holds: the measurements, and when, on what and with which code they were made."""

import platform
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from mixer import parallel
from mixer.data import Labelled
from mixer.evaluate import evaluate
from mixer.model import Mixer


def report(model: Mixer, test: Labelled, validation: Labelled, device: torch.device) -> dict[str, Any]:
    """All that is recorded of an evaluation: what `evaluate` measures, and how it came about."""
    return evaluate(model, test, validation, device) | {"parameters": parameters(model)} | circumstances(device)


def stage(recipe: dict[str, Any], lines: list[dict[str, Any]], device: torch.device) -> dict[str, Any]:
    """The record of one training run. lines: its history"""
    last = lines[-1]
    where = device_name(device) if parallel.count() == 1 else f"{parallel.count()} x {device_name(device)}"
    took = {"epochs": round(last["epoch"], 2), "hours": round(last["seconds"] / 3600, 2), "device": where}
    return took | {"recipe": recipe, "history": lines}


def effort(stages: list[dict[str, Any]]) -> dict[str, Any]:
    """All training runs that a network went through, each from where the last one ended."""
    return {"stages": stages} | {name: round(sum(s[name] for s in stages), 2) for name in ("epochs", "hours")}


def circumstances(device: torch.device) -> dict[str, Any]:
    """When, on what and with which code a result was made."""
    commit = None
    with suppress(OSError, subprocess.CalledProcessError):
        command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
        commit = subprocess.check_output(
            command, text=True, stderr=subprocess.DEVNULL, cwd=Path(__file__).parent
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
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU ({torch.get_num_threads()} threads)"
