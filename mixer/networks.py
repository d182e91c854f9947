"""Open a Mixer from a checkpoint, a run (also during training), weights of timm or the authors, or the Hub.

List the networks on this machine, with their accuracy, without loading them.
"""

import json
import math
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError
from huggingface_hub.utils import logging

from mixer import checkpoint, run
from mixer.checkpoint import ROOT, CheckpointError
from mixer.convert import convert
from mixer.data import Samples
from mixer.model import Mixer, MixerConfig
from mixer.record import effort, parameters

CHECKPOINTS, RUNS = "checkpoints", "runs"
MEMORY_FACTOR = 3
"""memory per byte of the weight files: half precision becomes single, and the file is in memory at the same time"""

DAMAGED = (ValueError, OSError, LookupError, TypeError, AttributeError)
"""errors from malformed files"""


class NotOpened(CheckpointError):
    """A network is too large for this machine, private or of another kind. The message has the next step."""


@dataclass(frozen=True)
class LocalNetwork:
    """A network on this machine."""

    name: str
    source: str
    """its folder, for `open_network`"""
    words: str
    """its accuracy, if known"""


def display_name(source: Path | str) -> str:
    """Name of a checkpoint for records and messages: its path, relative to this project if it is inside."""
    path = Path(source).resolve()
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(source)


def present(root: Path = ROOT) -> list[LocalNetwork]:
    """The Mixers in `checkpoints`, and the runs in `runs`, finished or not, without damaged ones.

    The name of a run contains the time of its last state, so that a name always means the same weights.
    """
    found = []
    for folder in _folders(root / CHECKPOINTS):
        with suppress(*DAMAGED):
            if checkpoint.read_json(folder / "config.json").get("network") == Mixer.__name__:
                found.append(LocalNetwork(folder.name, str(folder), _quality_of(folder)))
    for folder in _folders(root / RUNS):
        with suppress(*DAMAGED):
            saved = time.localtime((folder / run.NEWEST).stat().st_mtime)
            words = (
                _quality_of(ended)
                if (ended := _final_checkpoint(folder))
                else _quality_of_line(run.history(folder)[-1])
            )
            found.append(LocalNetwork(f"{folder.name}-{time.strftime('%m%d-%H%M%S', saved)}", str(folder), words))
    return found


def quality_text(metrics: dict[str, Any]) -> str:
    """The accuracy of a network in its record, as text."""
    if "accuracy" in metrics:
        return f"test accuracy: {metrics['accuracy']:.2%}"
    if metrics.get("epochs") == 0:
        return "untrained"
    lines = [line for stage in metrics.get("stages", []) for line in stage.get("history", [])]
    return (
        _quality_of_line({**lines[-1], "epoch": metrics.get("epochs", lines[-1]["epoch"])})
        if lines
        else "not evaluated"
    )


def _quality_of_line(line: dict[str, Any]) -> str:
    epochs = f"{line['epoch']:.1f}".removesuffix(".0")
    return f"validation accuracy: {line['validation_accuracy']:.2%} after {epochs} epoch{'s' * (epochs != '1')}"


def _quality_of(folder: Path) -> str:
    return quality_text(checkpoint.read_json(folder / "metrics.json"))


def open_network(source: Path | str) -> tuple[Mixer, dict[str, Any]]:
    """The network, in eval mode, and its metrics.

    source: the folder of a checkpoint, a run or a timm model, a weight file of timm or of the authors, or the id of a
        model on the Hub. A relative path may be relative to the current folder or to this project.
    Raises CheckpointError for other sources, and if the memory is too small.
    """
    path = resolve(source)
    if path.is_dir() and (path / run.NEWEST).is_file() and not (path / "config.json").is_file():
        return checkpoint.load(ended, Mixer) if (ended := _final_checkpoint(path)) else _load_run(path)
    check_memory(str(source), _sizes(path))
    config = path / "config.json"
    if config.is_file() and "network" in checkpoint.read_json(config):
        return checkpoint.load(path, Mixer)
    model = convert(path)
    return model, {"source": path.name, "parameters": parameters(model)}


def samples_of(source: Path | str) -> Samples:
    """The samples of a network for `open_network`, or the shipped samples if it has none."""
    path = resolve(source)
    return checkpoint.load_samples(path / "checkpoint" if (path / run.NEWEST).is_file() else path)


def resolve(source: Path | str) -> Path:
    """The local path of a source, downloaded from the Hub if necessary. Raises NotOpened."""
    local = next((path for path in (Path(source), ROOT / source) if path.exists()), None)
    return local or _download(str(source))


def check_memory(name: str, sizes: Sequence[int]) -> None:
    """Raise NotOpened if a network with weight files of these sizes (bytes) does not fit into the free memory."""
    needed, free = MEMORY_FACTOR * sum(sizes), psutil.virtual_memory().available
    if needed > free:
        raise NotOpened(
            f"{name} needs about {needed / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free: end other "
            "programs, or open it on a larger machine"
        )


def _final_checkpoint(folder: Path) -> Path | None:
    """The checkpoint of a run, if the run has ended and was not prolonged: both have the same number of epochs.

    File times are not used, because copies change them. If the state is damaged, the checkpoint is used.
    """
    final = folder / "checkpoint"
    if not (final / "metrics.json").is_file():
        return None
    epochs = checkpoint.read_json(final / "metrics.json").get("epochs", math.inf)
    with suppress(run.RunError):
        return final if epochs >= effort(run.saved(folder, weights=False)[0].record())["epochs"] else None
    return final


def _load_run(folder: Path) -> tuple[Mixer, dict[str, Any]]:
    """The averaged weights in the last state of a run, and its record."""
    last, parts = run.saved(folder)
    model = Mixer(MixerConfig(**last.identity["network"]))
    prefix = "module."  # from torch's AveragedModel
    averaged = parts["averaged"].items()
    model.load_state_dict({name.removeprefix(prefix): value for name, value in averaged if name.startswith(prefix)})
    data = {"data": last.identity["parts"]} if "parts" in last.identity else {}
    return model.eval(), {"parameters": parameters(model)} | data | effort(last.record())


def _download(name: str) -> Path:
    """Download a model from the Hub if it is a Mixer and fits into the memory; return its folder. Raises NotOpened."""
    logging.set_verbosity_error()  # hide the client's messages about each attempt
    try:
        config = json.loads(Path(hf_hub_download(name, "config.json")).read_text(encoding="utf-8"))
        if config.get("network") != Mixer.__name__ and not str(config.get("architecture")).startswith("mixer_"):
            raise NotOpened(f"{name} on the Hub is not an MLP-Mixer of this project or of timm")
        files = HfApi().model_info(name, files_metadata=True).siblings or []
        check_memory(name, [file.size or 0 for file in files if file.rfilename.endswith(".safetensors")])
        return Path(snapshot_download(name, allow_patterns=checkpoint.FILES))
    except NotOpened:
        raise
    except HFValidationError as error:
        raise NotOpened(f"{name} is neither a file, nor a folder, nor an OWNER/NAME on the Hub: check it") from error
    except (GatedRepoError, RepositoryNotFoundError) as error:
        raise NotOpened(
            f"{name} is neither a folder nor a public model on the Hub. If it is private: hf auth login, with a token "
            "that can read it"
        ) from error
    except Exception as error:  # the Hub's client raises its own types and those of two HTTP libraries
        raise NotOpened(checkpoint.not_found(name, error)) from error


def _sizes(path: Path) -> list[int]:
    files = [path] if path.is_file() else [*path.glob("*.safetensors"), *path.glob("*.npz")]
    return [file.stat().st_size for file in files]


def _folders(parent: Path) -> list[Path]:
    return sorted(path for path in parent.iterdir() if path.is_dir()) if parent.is_dir() else []
