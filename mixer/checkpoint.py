"""A checkpoint is a folder: `config.json`, `metrics.json` and weights in safetensors shards below 10 MB each.

A network that was trained on other images than CIFAR-10 also has some of its test images in `samples.npz`. An untrained
network needs no weights: `start` in its `config.json` has the seed and the digest of the resulting weights.

`load` reads a local folder or a model of the Hugging Face Hub. It never unpickles a file.
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
from mixer.data import MAX_SAMPLE_BYTES, Samples
from mixer.data import samples as shipped_samples
from mixer.model import CIFAR10_CLASSES, Mixer, MixerConfig, untrained
from mixer.teacher import Teacher, TeacherConfig

PARENT = Path(__file__).parent.parent
ROOT = installed if (installed := PARENT / "mixer_microscope").is_dir() else PARENT
"""parent folder of `checkpoints`: this project, or its installed package (`setup.py`)"""
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
    """A checkpoint is missing, damaged or of another kind. The message has the reason."""


def check_target(folder: Path) -> None:
    """Raise NotWritable unless `save` can write there. For use before any work is done."""
    atomic_write.check(folder, ours)


def check_metrics(source: Path | str) -> None:
    """Raise NotWritable unless `write_metrics` can write there. For use before any work is done."""
    if not Path(source).is_dir():
        raise atomic_write.NotWritable(
            f"{source} is not a local folder, so its metrics.json cannot be written: download a copy first"
        )
    atomic_write.check(Path(source) / "metrics.json", _ours_beside)


def save(
    folder: Path,
    model: Mixer | Teacher,
    metrics: dict[str, Any],
    samples: Samples | None = None,
    precision: torch.dtype = torch.float32,
) -> None:
    """Write a checkpoint atomically (`mixer.atomic_write`).

    samples: samples of the microscope, for a network of other images than the shipped samples
    precision: number format of the weights in the files

    Raises NotWritable if the folder holds other files, OSError if writing fails.
    """
    with atomic_write.replacing(folder, ours) as new:
        new.mkdir()
        state = {name: tensor.cpu() for name, tensor in model.state_dict().items()}
        weights = {name: t.to(precision) if t.is_floating_point() else t for name, t in state.items()}
        try:
            save_torch_state_dict(weights, new, max_shard_size=SHARD_BYTES)
        except safetensors.SafetensorError as error:  # the library's form of OSError
            number = re.search(r"os error (\d+)", str(error))
            raise OSError(int(number[1]), os.strerror(int(number[1]))) if number else error from error
        _write(new / "config.json", {"network": type(model).__name__, **asdict(model.config)})
        _write(new / "metrics.json", metrics)
        if samples is not None:
            arrays = {name: getattr(samples, name).numpy() for name in ("images", "labels", "indices")}
            stated = {"classes": np.array(samples.classes, str), "held_out": samples.held_out}
            np.savez_compressed(new / SAMPLES, source=samples.source, **stated, **arrays)


def ours(folder: Path) -> set[Path]:
    """The files of a checkpoint in a folder: those of `save`, and the model card of `mixer.hub.push`.

    Empty unless config.json describes a network of this project.
    """
    try:
        config = read_json(folder / "config.json")
    except CheckpointError:
        return set()
    kinds = (kind for network, kind in CONFIGS.items() if config.get("network") == network.__name__)
    if not any(config.keys() <= {"network", "start", *(field.name for field in fields(kind))} for kind in kinds):
        return set()
    parts = {path for path in folder.iterdir() if OURS.fullmatch(path.name) and path.is_file()}
    return parts | atomic_write.signed(folder / "README.md")


def _ours_beside(path: Path) -> set[Path]:
    return ours(path.parent)


def load(source: Path | str, network: type[Network]) -> tuple[Network, dict[str, Any]]:
    """The network (eval mode, float32, on the CPU) and its metrics.

    source: a folder, or the id of a model on the Hub ("owner/name").
    Raises CheckpointError if it is missing, incomplete, or not a checkpoint of such a network.
    """
    folder = _folder(source)
    config = read_json(folder / "config.json")
    if config.pop("network", None) != network.__name__:
        raise CheckpointError(
            f"{folder}: config.json does not describe a {network.__name__} of this project: name another folder"
        )
    start = config.pop("start", None)
    metrics = read_json(folder / "metrics.json")
    if network is Mixer and "stages" in metrics:  # old configs have no names; all were CIFAR-10's
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
        started = _start(folder, stated, start)
        assert isinstance(started, network)
        return started.eval(), metrics
    shards = [weights for weights in folder.glob("*.safetensors") if weights.is_file()]
    for weights in shards:
        check_not_pointer(weights)
    try:
        held = sum(weights.stat().st_size for weights in shards)
        if parameters > held:  # a number needs at least a byte; check before memory is allocated
            raise ValueError(f"{held:,} bytes cannot hold {parameters:,} parameters")
        load_torch_model(model := network(stated), folder, strict=True)
    except (RuntimeError, ValueError, OSError, safetensors.SafetensorError) as error:
        why = shorten(str(error.__cause__ or error), 300)  # the outer error may recommend loading pickles
        raise CheckpointError(
            f"{folder}: the weights are incomplete, damaged or have another shape ({why}): get the checkpoint again"
        ) from error
    return model.eval(), metrics


def load_samples(folder: Path) -> Samples:
    """The samples of a checkpoint, or the shipped samples if it has none.

    Raises CheckpointError if they are damaged or not from `save`.
    """
    file = folder / SAMPLES
    if not file.is_file():
        return shipped_samples()
    try:
        with ZipFile(file) as archive:  # check the size before unpacking
            if sum(part.file_size for part in archive.infolist()) > 2 * MAX_SAMPLE_BYTES:
                raise ValueError("it is too large")
        with np.load(file, allow_pickle=False) as arrays:
            images, labels, indices = (torch.from_numpy(arrays[name]) for name in ("images", "labels", "indices"))
            classes, name = tuple(map(str, arrays["classes"])), str(arrays["source"])
            held_out = bool(arrays["held_out"]) if "held_out" in arrays else True  # earlier versions: test images
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3 or not len(images):
            raise ValueError(f"its images are {images.dtype} of {tuple(images.shape)}")
        if not labels.shape == indices.shape == (len(images),) or not 0 <= labels.min() <= labels.max() < max(
            1, len(classes)
        ):
            raise ValueError("its labels do not match its images and classes")
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, BadZipFile) as error:
        raise CheckpointError(
            f"{file} is damaged, or another program wrote it: {error}; delete it to continue without samples"
        ) from error
    return Samples(images, labels.long(), indices.long(), classes=classes, source=name, held_out=held_out)


def check_not_pointer(weights: Path) -> None:
    """Raise CheckpointError if the file is a Git LFS pointer instead of the weights."""
    with weights.open("rb") as file:
        if file.read(len(LFS_POINTER)) == LFS_POINTER:
            raise CheckpointError(f"{weights} is a Git LFS pointer, not the weights: run git lfs pull in its folder")


def digest(model: Mixer) -> str:
    """Digest of the weights of a network: 16 hexadecimal digits (BLAKE2b)."""
    content = hashlib.blake2b(digest_size=8)
    for tensor in model.state_dict().values():
        content.update(tensor.contiguous().cpu().numpy().data)
    return content.hexdigest()


def write_metrics(folder: Path, metrics: dict[str, Any]) -> None:
    """Replace the metrics of a checkpoint. Raises NotWritable and OSError as `save` does."""
    with atomic_write.replacing(folder / "metrics.json", _ours_beside) as new:
        _write(new, metrics)


def _folder(source: Path | str) -> Path:
    """The folder of a checkpoint. Raises CheckpointError with the next step."""
    path = Path(source)
    if path.is_dir():
        if not (path / "config.json").is_file() and (path / "checkpoint" / "config.json").is_file():
            raise CheckpointError(f"{path} is the folder of a run; its network is in {path / 'checkpoint'}")
        if not (path / "config.json").exists() and (path / "state.pt").exists():
            raise CheckpointError(f"{path} is a run that has not ended: continue it with the same command")
        if (path / "config.json").is_file() and "architecture" in read_json(path / "config.json"):
            raise CheckpointError(
                f"{path} holds a timm model; if it is a Mixer: python main.py convert {path} NEW_FOLDER"
            )
        return path
    if path.is_file():
        parent = f" ({path.parent})" if ours(path.parent) else ""
        raise CheckpointError(
            f"{path} is a file: name the folder of a checkpoint{parent}. For weights of the authors or of timm: "
            f"python main.py convert {path} NEW_FOLDER"
        )
    try:
        return Path(snapshot_download(str(source), allow_patterns=FILES))
    except Exception as error:  # the Hub's client raises its own types and those of two HTTP libraries
        raise CheckpointError(not_found(source, error)) from error


def not_found(source: Path | str, error: Exception) -> str:
    """The message for a name that is neither a local folder nor a model on the Hub."""
    why = str(error).strip().partition("\n")[0]
    return f"{source} is neither a folder nor a model on the Hub: check the name and the connection ({why})"


def _start(folder: Path, config: MixerConfig, start: Any) -> Mixer:
    """The untrained network of a seed. Raises CheckpointError if its weights have another digest."""
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
    """Raises ValueError for NaN and infinity, which JSON does not have."""
    try:
        text = json.dumps(content, indent=1, allow_nan=False)
    except ValueError as error:
        raise ValueError(f"{path.name} is not written because a number is not finite: {error}") from error
    path.write_text(text + "\n", encoding="utf-8")
