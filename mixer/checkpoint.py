"""A checkpoint is a folder: `config.json`, `metrics.json` and weights in safetensors shards below 10 MB each.

It is read from a local folder or, by its id, from the Hugging Face Hub. Nothing in it is ever unpickled.
"""

import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import safetensors
from huggingface_hub import load_torch_model, save_torch_state_dict, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

from mixer.model import CIFAR10_CLASSES, Mixer, MixerConfig
from mixer.teacher import Teacher, TeacherConfig

DEFAULT = Path(__file__).parent.parent / "checkpoints" / "seed"
SHARD_BYTES = 9_000_000  # a plain git push to Hugging Face Spaces refuses files above 10 MB
FILES = ["config.json", "metrics.json", "*.safetensors", "*.safetensors.index.json"]
LFS_POINTER = b"version https://git-lfs"
CONFIGS = {Mixer: MixerConfig, Teacher: TeacherConfig}

Network = TypeVar("Network", Mixer, Teacher)


class CheckpointError(ValueError):
    """A checkpoint is missing, damaged or of another kind; the message says which."""


def save(folder: Path, model: Mixer | Teacher, metrics: dict[str, Any]) -> None:
    """Write a checkpoint. The folder appears (or is replaced) only when all of it is written."""
    new, old = folder.with_name(folder.name + ".new"), folder.with_name(folder.name + ".old")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    weights = {name: tensor.cpu() for name, tensor in model.state_dict().items()}
    save_torch_state_dict(weights, new, max_shard_size=SHARD_BYTES)
    _write(new / "config.json", {"network": type(model).__name__, **asdict(model.config)})
    _write(new / "metrics.json", metrics)
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def load(source: Path | str, network: type[Network]) -> tuple[Network, dict[str, Any]]:
    """The network, ready to answer (eval mode, float32, on the CPU), and its metrics.

    source: a folder, or the id of a model on the Hub ("owner/name").
    Raises CheckpointError if it is missing, truncated, or not a checkpoint of such a network.
    """
    folder = _folder(source)
    config = read_json(folder / "config.json")
    if config.pop("network", None) != network.__name__:
        raise CheckpointError(f"{folder}: config.json does not describe a {network.__name__} of this project")
    metrics = read_json(folder / "metrics.json")
    if network is Mixer and "stages" in metrics:  # of our training, which before configs held names was on CIFAR-10
        config.setdefault("classes", CIFAR10_CLASSES)
    try:
        model = network(CONFIGS[network](**{k: tuple(v) if isinstance(v, list) else v for k, v in config.items()}))
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"{folder}: config.json does not fit: {error}") from error
    try:
        for weights in folder.glob("*.safetensors"):
            check_fetched(weights)
        load_torch_model(model, folder, strict=True)
    except (RuntimeError, ValueError, OSError, safetensors.SafetensorError) as error:
        why = error.__cause__ or error  # the error itself may advise to load pickles
        raise CheckpointError(f"{folder}: the weights are incomplete, damaged or of another shape: {why}") from error
    return model.eval(), metrics


def check_fetched(weights: Path) -> None:
    """Raises CheckpointError, in words, where Git LFS has left a pointer in place of the weights."""
    with weights.open("rb") as file:
        if file.read(len(LFS_POINTER)) == LFS_POINTER:
            raise CheckpointError(
                f"{weights} is a pointer of Git LFS, not the weights: git lfs pull, in its folder, fetches them"
            )


def write_metrics(folder: Path, metrics: dict[str, Any]) -> None:
    """Replace the metrics of a checkpoint."""
    _write(folder / "metrics.new", metrics)
    os.replace(folder / "metrics.new", folder / "metrics.json")


def _folder(source: Path | str) -> Path:
    """Where the checkpoint is. Raises CheckpointError, with the next step, for what is known not to be one."""
    path = Path(source)
    if path.is_dir():
        if not (path / "config.json").is_file() and (path / "checkpoint" / "config.json").is_file():
            raise CheckpointError(f"{path} is the folder of a run; its network is in {path / 'checkpoint'}")
        if (path / "config.json").is_file() and "architecture" in read_json(path / "config.json"):
            raise CheckpointError(
                f"{path} holds a network of timm's; for a Mixer: python main.py convert {path} NEW_FOLDER"
            )
        return path
    if path.is_file():
        raise CheckpointError(
            f"{path} is a file, and a checkpoint a folder; for weights of the authors' or timm's: "
            f"python main.py convert {path} NEW_FOLDER"
        )
    try:
        return Path(snapshot_download(str(source), allow_patterns=FILES))
    except (HFValidationError, HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise CheckpointError(
            f"there is no folder {source}, and the Hub gave no model of that name: {error}"
        ) from error


def read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} is missing or damaged: {error}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds {type(content).__name__}, not a dictionary")
    return content


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n")
