"""A checkpoint is a folder: `config.json`, `metrics.json` and weights in safetensors shards below 10 MB each. One that
was trained on other images than CIFAR-10's has some of its test images in `samples.npz`.

It is read from a local folder or, by its id, from the Hugging Face Hub. Nothing in it is ever unpickled.
An untrained network needs no weights: `start` in its `config.json` has the seed, and a digest of what that must give.
"""

import hashlib
import json
import os
import re
from dataclasses import asdict, fields
from pathlib import Path
from textwrap import shorten
from typing import Any, TypeVar
from zipfile import BadZipFile, ZipFile

import numpy as np
import safetensors
import torch
from huggingface_hub import load_torch_model, save_torch_state_dict, snapshot_download

from mixer import atomic_write, record
from mixer.data import MOST_SAMPLE_BYTES, Samples
from mixer.data import samples as shipped_samples
from mixer.model import CIFAR10_CLASSES, Mixer, MixerConfig, untrained
from mixer.teacher import Teacher, TeacherConfig

ABOVE = Path(__file__).parent.parent
ROOT = installed if (installed := ABOVE / "mixer_microscope").is_dir() else ABOVE
"""what `checkpoints` lies in: the folder of this project, or what pip makes of it (`setup.py`)"""
DEFAULT = ROOT / "checkpoints" / "seed"
SHARD_BYTES = 9_000_000  # a plain git push to Hugging Face Spaces refuses files above 10 MB
SAMPLES = "samples.npz"
FILES = ["config.json", "metrics.json", "*.safetensors", "*.safetensors.index.json", SAMPLES]
LFS_POINTER = b"version https://git-lfs"
CONFIGS = {Mixer: MixerConfig, Teacher: TeacherConfig}
OURS = re.compile(
    r"(config|metrics)\.json|model(-\d{5}-of-\d{5})?\.safetensors|model\.safetensors\.index\.json|samples\.npz"
)

Network = TypeVar("Network", Mixer, Teacher)


class CheckpointError(ValueError):
    """A checkpoint is missing, damaged or of another kind; the message says which."""


def check_target(folder: Path) -> None:
    """Raise NotWritable unless `save` may write there: for use before any work is done."""
    atomic_write.check(folder, ours)


def check_metrics(source: Path | str) -> None:
    """Raise NotWritable unless `write_metrics` may write there: for use before any work is done."""
    if not Path(source).is_dir():
        raise atomic_write.NotWritable(
            f"{source} is no folder here, so its metrics.json cannot be written: first get a copy"
        )
    atomic_write.check(Path(source) / "metrics.json", _ours_beside)


def save(
    folder: Path,
    model: Mixer | Teacher,
    metrics: dict[str, Any],
    samples: Samples | None = None,
    precision: torch.dtype = torch.float32,
) -> None:
    """Write a checkpoint. The folder appears (or is replaced) only when all of it is written (`mixer.atomic_write`).

    samples: for the microscope, where those that ship with the project are not of the network's images
    precision: of the weights in the files

    Raises NotWritable where something else stands there, OSError where writing fails.
    """
    with atomic_write.replacing(folder, ours) as new:
        new.mkdir()
        state = {name: tensor.cpu() for name, tensor in model.state_dict().items()}
        weights = {name: t.to(precision) if t.is_floating_point() else t for name, t in state.items()}
        try:
            save_torch_state_dict(weights, new, max_shard_size=SHARD_BYTES)
        except safetensors.SafetensorError as error:  # its library's words for OSError, as on a full disk
            number = re.search(r"os error (\d+)", str(error))
            raise OSError(int(number[1]), os.strerror(int(number[1]))) if number else error from error
        _write(new / "config.json", {"network": type(model).__name__, **asdict(model.config)})
        _write(new / "metrics.json", metrics)
        if samples is not None:
            arrays = {name: getattr(samples, name).numpy() for name in ("images", "labels", "indices")}
            stated = {"classes": np.array(samples.classes, str), "held_out": samples.held_out}
            np.savez_compressed(new / SAMPLES, source=samples.source, **stated, **arrays)


def ours(folder: Path) -> set[Path]:
    """Which files of a folder are a checkpoint of ours: none where config.json does not state one of our networks.

    Else those with the names that `save` gives, and the card of `mixer.hub.push`.
    """
    try:
        config = read_json(folder / "config.json")
    except CheckpointError:
        return set()
    stated = (of for network, of in CONFIGS.items() if config.get("network") == network.__name__)
    if not any(config.keys() <= {"network", "start", *(field.name for field in fields(of))} for of in stated):
        return set()
    parts = {path for path in folder.iterdir() if OURS.fullmatch(path.name) and path.is_file()}
    return parts | atomic_write.signed(folder / "README.md")


def _ours_beside(path: Path) -> set[Path]:
    return ours(path.parent)


def load(source: Path | str, network: type[Network]) -> tuple[Network, dict[str, Any]]:
    """The network, ready to answer (eval mode, float32, on the CPU), and its metrics.

    source: a folder, or the id of a model on the Hub ("owner/name").
    Raises CheckpointError if it is missing, truncated, or not a checkpoint of such a network.
    """
    folder = _folder(source)
    config = read_json(folder / "config.json")
    if config.pop("network", None) != network.__name__:
        raise CheckpointError(
            f"{folder}: config.json does not describe a {network.__name__} of this project: name the folder of one"
        )
    start = config.pop("start", None)
    metrics = read_json(folder / "metrics.json")
    if network is Mixer and "stages" in metrics:  # of our training, which before configs held names was on CIFAR-10
        config.setdefault("classes", CIFAR10_CLASSES)
    try:
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in config.items()}
        stated = CONFIGS[network](**values)
        with torch.device("meta"):
            parameters = record.parameters(network(stated))
    except (TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"{folder}: config.json does not fit: {error}; correct that entry, or get the checkpoint again"
        ) from error
    _check_record(folder, metrics, stated.num_classes)
    if start is not None and isinstance(stated, MixerConfig):
        started = _started(folder, stated, start)
        assert isinstance(started, network)
        return started.eval(), metrics
    shards = [weights for weights in folder.glob("*.safetensors") if weights.is_file()]
    for weights in shards:
        check_fetched(weights)
    try:
        held = sum(weights.stat().st_size for weights in shards)
        if parameters > held:  # a number takes a byte at least; so no memory is asked for that they could not fill
            raise ValueError(f"{held:,} bytes do not hold {parameters:,} parameters")
        load_torch_model(model := network(stated), folder, strict=True)
    except (RuntimeError, ValueError, OSError, safetensors.SafetensorError) as error:
        why = shorten(str(error.__cause__ or error), 300)  # the error itself may advise to load pickles
        raise CheckpointError(
            f"{folder}: the weights are incomplete, damaged or of another shape ({why}): get the checkpoint again"
        ) from error
    return model.eval(), metrics


def load_samples(folder: Path) -> Samples:
    """The samples of a checkpoint: its own, or else those that ship with the project.

    Raises CheckpointError where its own are damaged, or not what `save` writes.
    """
    file = folder / SAMPLES
    if not file.is_file():
        return shipped_samples()
    try:
        with ZipFile(file) as archive:  # which states the sizes before anything is unpacked
            if sum(part.file_size for part in archive.infolist()) > 2 * MOST_SAMPLE_BYTES:
                raise ValueError("it holds more than samples")
        with np.load(file, allow_pickle=False) as arrays:
            images, labels, indices = (torch.from_numpy(arrays[name]) for name in ("images", "labels", "indices"))
            classes, name = tuple(map(str, arrays["classes"])), str(arrays["source"])
            held_out = bool(arrays["held_out"]) if "held_out" in arrays else True  # earlier versions wrote test images
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3 or not len(images):
            raise ValueError(f"its images are {images.dtype} of {tuple(images.shape)}")
        if not labels.shape == indices.shape == (len(images),) or not 0 <= labels.min() <= labels.max() < max(
            1, len(classes)
        ):
            raise ValueError("its labels do not fit to its images and classes")
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, BadZipFile) as error:
        raise CheckpointError(f"{file} is damaged, or not from here: {error}; delete it to go on without") from error
    return Samples(images, labels.long(), indices.long(), classes=classes, source=name, held_out=held_out)


def check_fetched(weights: Path) -> None:
    """Raises CheckpointError, in words, where Git LFS has left a pointer in place of the weights."""
    with weights.open("rb") as file:
        if file.read(len(LFS_POINTER)) == LFS_POINTER:
            raise CheckpointError(
                f"{weights} is a pointer of Git LFS, not the weights: git lfs pull, in its folder, fetches them"
            )


def digest(model: Mixer) -> str:
    """16 hexadecimal digits that tell the weights of a network from all others (BLAKE2b)."""
    content = hashlib.blake2b(digest_size=8)
    for tensor in model.state_dict().values():
        content.update(tensor.contiguous().cpu().numpy().data)
    return content.hexdigest()


def write_metrics(folder: Path, metrics: dict[str, Any]) -> None:
    """Replace the metrics of a checkpoint. Raises NotWritable and OSError as `save` does."""
    with atomic_write.replacing(folder / "metrics.json", _ours_beside) as new:
        _write(new, metrics)


def _folder(source: Path | str) -> Path:
    """Where the checkpoint is. Raises CheckpointError, with the next step, for what is known not to be one."""
    path = Path(source)
    if path.is_dir():
        if not (path / "config.json").is_file() and (path / "checkpoint" / "config.json").is_file():
            raise CheckpointError(f"{path} is the folder of a run; its network is in {path / 'checkpoint'}")
        if not (path / "config.json").exists() and (path / "state.pt").exists():
            raise CheckpointError(f"{path} is a run that has not ended: the command that began it goes on with it")
        if (path / "config.json").is_file() and "architecture" in read_json(path / "config.json"):
            raise CheckpointError(
                f"{path} holds a network of timm's; for a Mixer: python main.py convert {path} NEW_FOLDER"
            )
        return path
    if path.is_file():
        here = f", here {path.parent}" if ours(path.parent) else ""
        raise CheckpointError(
            f"{path} is a file, and a checkpoint a folder{here}; for weights of the authors' or timm's: "
            f"python main.py convert {path} NEW_FOLDER"
        )
    try:
        return Path(snapshot_download(str(source), allow_patterns=FILES))
    except Exception as error:  # the Hub's client has errors of its own, and passes on those of two HTTP libraries
        raise CheckpointError(not_found(source, error)) from error


def not_found(source: Path | str, error: Exception) -> str:
    """In words: neither this machine nor the Hub has it."""
    why = str(error).strip().partition("\n")[0]
    return (
        f"there is no folder {source}, and the Hub gave no model of that name: check the name, and the connection "
        f"({why})"
    )


def _started(folder: Path, config: MixerConfig, start: Any) -> Mixer:
    """Raises CheckpointError where the seed does not give the weights that were meant."""
    try:
        model = untrained(config, start["seed"])
    except (KeyError, TypeError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"{folder}: start must be a seed and a digest, not {start!r}") from error
    if digest(model) != start.get("digest"):
        raise CheckpointError(f"{folder}: this version of PyTorch draws other weights from seed {start['seed']}")
    return model


def read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        why = getattr(error, "strerror", None) or error
        raise CheckpointError(
            f"{path} is missing or damaged ({why}): check the name of the folder, or get the file again"
        ) from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds {type(content).__name__}, not a dictionary: get the file again")
    return content


def _check_record(folder: Path, metrics: dict[str, Any], num_classes: int) -> None:
    try:
        record.check(metrics, num_classes)
    except ValueError as error:
        raise CheckpointError(f"{folder / 'metrics.json'}: {error}; correct or delete that entry") from error


def _write(path: Path, content: dict[str, Any]) -> None:
    """Raises ValueError for a number that is none: JSON has no NaN, and nobody could use it."""
    try:
        text = json.dumps(content, indent=1, allow_nan=False)
    except ValueError as error:
        raise ValueError(f"{path.name} is not written, as a number in it is not finite: {error}") from error
    path.write_text(text + "\n", encoding="utf-8")
