"""Any Mixer, from wherever it is: a checkpoint, a run that still trains, timm's or the authors' weights, the Hub.

Which networks are present on this machine, and what is known of each without loading it.
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
ROOM = 3
"""how many times the size of its file a network takes: half precision becomes single, and the file is read beside it"""

DAMAGED = (ValueError, OSError, LookupError, TypeError, AttributeError)
"""what malformed files raise"""


class NotOpened(CheckpointError):
    """A network is too large for this machine, private, or none of ours; the message says which, and what helps."""


@dataclass(frozen=True)
class LocalNetwork:
    """A network that is on this machine."""

    name: str
    source: str
    """its folder, for `open_network`"""
    words: str
    """how good it is, as far as that is known"""


def display_name(source: Path | str) -> str:
    """How a record or a program names a checkpoint: in this project's folder, by the path there."""
    path = Path(source).resolve()
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(source)


def present(root: Path = ROOT) -> list[LocalNetwork]:
    """The checkpoints of Mixers in `checkpoints`, and the runs in `runs`, finished or not; what is damaged is left out.

    A run goes on: its name has the time at which it was saved, so that one name always means the same weights.
    """
    found = []
    for folder in _folders(root / CHECKPOINTS):
        with suppress(*DAMAGED):
            if checkpoint.read_json(folder / "config.json").get("network") == Mixer.__name__:
                found.append(LocalNetwork(folder.name, str(folder), _quality_of(folder)))
    for folder in _folders(root / RUNS):
        with suppress(*DAMAGED):
            saved = time.localtime((folder / run.NEWEST).stat().st_mtime)
            words = _quality_of(ended) if (ended := _ended(folder)) else _quality_of_line(run.history(folder)[-1])
            found.append(LocalNetwork(f"{folder.name}-{time.strftime('%m%d-%H%M%S', saved)}", str(folder), words))
    return found


def quality_text(metrics: dict[str, Any]) -> str:
    """How good a network is, as far as its record says."""
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
    """The network, ready to answer, and its metrics.

    source: a checkpoint's folder, a run's, timm's, a file of timm's or of the authors'; or the id of a model on the
    Hub. A path that is not there is also looked for in the folder of this project.
    Raises CheckpointError, in words, for what is none of these, and where the memory does not suffice for it.
    """
    path = resolve(source)
    if path.is_dir() and (path / run.NEWEST).is_file() and not (path / "config.json").is_file():
        return checkpoint.load(ended, Mixer) if (ended := _ended(path)) else _of_run(path)
    check_room(str(source), _sizes(path))
    config = path / "config.json"
    if config.is_file() and "network" in checkpoint.read_json(config):
        return checkpoint.load(path, Mixer)
    model = convert(path)
    return model, {"source": path.name, "parameters": parameters(model)}


def samples_of(source: Path | str) -> Samples:
    """Those of a network that `open_network` opens: its own, or else those that ship with the project."""
    path = resolve(source)
    return checkpoint.load_samples(path / "checkpoint" if (path / run.NEWEST).is_file() else path)


def resolve(source: Path | str) -> Path:
    """Where it is on this machine; fetched from the Hub, if it is one of its models. Raises NotOpened, in words."""
    here = next((path for path in (Path(source), ROOT / source) if path.exists()), None)
    return here or _fetched(str(source))


def check_room(name: str, sizes: Sequence[int]) -> None:
    """Raise NotOpened where files of so many bytes make a network that is larger than the memory that is free."""
    needed, free = ROOM * sum(sizes), psutil.virtual_memory().available
    if needed > free:
        raise NotOpened(
            f"{name} needs about {needed / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free on this machine: "
            "end other programs, or open it on a larger machine"
        )


def _ended(folder: Path) -> Path | None:
    """The checkpoint of a run that has ended, and was not prolonged since: it has seen all that the state has.

    The times of the files say nothing, as a copy may have others. A checkpoint beside a state that is damaged counts.
    """
    made = folder / "checkpoint"
    if not (made / "metrics.json").is_file():
        return None
    seen = checkpoint.read_json(made / "metrics.json").get("epochs", math.inf)
    with suppress(run.RunError):
        return made if seen >= effort(run.saved(folder, weights=False)[0].record())["epochs"] else None
    return made


def _of_run(folder: Path) -> tuple[Mixer, dict[str, Any]]:
    """The averaged weights of a run as they were last saved, and its record so far."""
    last, parts = run.saved(folder)
    model = Mixer(MixerConfig(**last.identity["network"]))
    prefix = "module."  # of torch's AveragedModel
    averaged = parts["averaged"].items()
    model.load_state_dict({name.removeprefix(prefix): value for name, value in averaged if name.startswith(prefix)})
    data = {"data": last.identity["parts"]} if "parts" in last.identity else {}
    return model.eval(), {"parameters": parameters(model)} | data | effort(last.record())


def _fetched(name: str) -> Path:
    """The folder of a model of the Hub's, fetched if it is a Mixer that fits here. Raises NotOpened, in words."""
    logging.set_verbosity_error()  # what the client says of each of its attempts would stand before ours
    try:
        config = json.loads(Path(hf_hub_download(name, "config.json")).read_text(encoding="utf-8"))
        if config.get("network") != Mixer.__name__ and not str(config.get("architecture")).startswith("mixer_"):
            raise NotOpened(f"{name} on the Hub is no MLP-Mixer of this project's or of timm's")
        files = HfApi().model_info(name, files_metadata=True).siblings or []
        check_room(name, [file.size or 0 for file in files if file.rfilename.endswith(".safetensors")])
        return Path(snapshot_download(name, allow_patterns=checkpoint.FILES))
    except NotOpened:
        raise
    except HFValidationError as error:
        raise NotOpened(f"there is no file or folder {name}, and it is no OWNER/NAME of the Hub's: check it") from error
    except (GatedRepoError, RepositoryNotFoundError) as error:
        raise NotOpened(
            f"there is no folder {name}, and no model of that name on the Hub that all may read. If it is private: "
            "hf auth login, with the token of someone who may read it"
        ) from error
    except Exception as error:  # the Hub's client has errors of its own, and passes on those of two HTTP libraries
        raise NotOpened(checkpoint.not_found(name, error)) from error


def _sizes(path: Path) -> list[int]:
    files = [path] if path.is_file() else [*path.glob("*.safetensors"), *path.glob("*.npz")]
    return [file.stat().st_size for file in files]


def _folders(of: Path) -> list[Path]:
    return sorted(path for path in of.iterdir() if path.is_dir()) if of.is_dir() else []
