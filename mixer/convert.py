"""Conversion of Mixer weights: the authors' `.npz` files and timm's state dicts, with their metadata."""

import json
import math
import re
import shlex
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import safetensors
import torch
from einops import rearrange
from torch import Tensor

from mixer.checkpoint import CheckpointError, check_not_pointer, read_json
from mixer.data import class_names, first_few
from mixer.model import Mixer, MixerConfig

Weights = dict[str, Tensor]

TOKENS, CHANNELS, HEAD = "blocks.0.token_mixing.fc1.weight", "blocks.0.channel_mixing.fc1.weight", "head.weight"
"""weights that determine the sizes"""
WRAPPER = re.compile(r"(?:(?<=[./])|^)(?:_orig_mod|module|_fsdp_wrapped_module|_checkpoint_wrapped_module)[./]")
"""name parts of wrappers such as torch.compile and DataParallel"""
GELUS = {"gelu": "none", "gelu_tanh": "tanh"}
"""activation: timm's name and that of `MixerConfig.gelu`"""
PICKLES = (".pt", ".pth", ".bin", ".ckpt", ".pkl", ".tar")
AS_SAFETENSORS = (
    "import sys, torch; from safetensors.torch import save_file; "
    'found = torch.load(sys.argv[1], "cpu", weights_only=True); '
    'found = found.get("state_dict", found.get("model", found)); '
    "save_file({k: v.clone().contiguous() for k, v in found.items() if torch.is_tensor(v)}, sys.argv[2])"
)


@dataclass(frozen=True)
class Metadata:
    """The settings in one source that the weights do not determine; None for missing ones."""

    by: str
    """description of the source"""
    image_size: tuple[int, int] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    classes: tuple[str, ...] | None = None
    gelu: str | None = None


def convert(
    source: Path,
    image_size: tuple[int, int] | None = None,
    mean: tuple[float, float, float] | None = None,
    std: tuple[float, float, float] | None = None,
    classes: tuple[str, ...] | None = None,
    log: Callable[[str], object] = lambda line: None,
) -> Mixer:
    """The network in an `.npz` of the authors or a `.safetensors` of timm, or in a folder with one of them.

    The weights determine the sizes. Image size (height, width), mean, std and class names come from the first of: the
    arguments, the metadata of the file, timm's `config.json` beside it, and defaults (square images, mean and std 0.5,
    no names). GELU is the tanh form for the authors' weights, the exact form for timm's; LayerNorm has eps 1e-6.

    log: gets one line for each setting, with its source

    Raises CheckpointError for any other file, and if the weights contradict the settings.
    """
    path = _file(source)
    authors = zipfile.is_zipfile(path)
    try:
        foreign, metadata = _read_npz(path) if authors else _read_safetensors(path)
        weights, patch = _from_authors(foreign) if authors else _from_timm(foreign)
        for name in (TOKENS, CHANNELS, HEAD):
            if name not in weights or weights[name].ndim != 2:
                raise ValueError(f"it has no {name}; it has {first_few([*weights])}")
    except (
        OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error, safetensors.SafetensorError,
    ) as error:  # fmt: skip
        raise _no_mixer(path, error) from error
    patches, num_classes = weights[TOKENS].shape[1], len(weights[HEAD])

    half = (0.5, 0.5, 0.5)
    sources = [Metadata("option", image_size, mean, std, classes)]
    if authors:
        sources += [Metadata("default of the authors", _square(patches, patch), half, half, gelu="tanh")]
    else:
        sources += [_timm_metadata(metadata, f"in {path.name}", num_classes), _metadata_beside(path, num_classes)]
        sources += [Metadata("not stated: default of timm", _square(patches, patch), half, half, gelu="none")]
    found: dict[str, tuple[Any, str]] = {"classes": ((), "not stated")}
    for each in reversed(sources):
        found |= {name: (value, each.by) for name, value in vars(each).items() if name != "by" and value is not None}
    if "image_size" not in found:
        raise CheckpointError(
            f"{path}: {patches} patches of {_times_joined(patch)} pixels do not form a square, and the size of the "
            "pictures is not stated. Add --image-size HEIGHT WIDTH"
        )
    try:
        config = _config(weights, patch, **{name: value for name, (value, _) in found.items()})
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from error
    if config.grid.patches != patches:
        size, by = found["image_size"]
        raise CheckpointError(
            f"{path}: pictures of {_times_joined(size)} pixels ({by}) have {config.grid.patches} patches of "
            f"{_times_joined(patch)}, but the weights are for {patches}. Add --image-size HEIGHT WIDTH"
        )
    model = Mixer(config)
    try:
        _fill(model, weights)
    except ValueError as error:
        raise _no_mixer(path, error) from error
    for name, value in {
        "image size": _times_joined(config.image_size),
        "mean": config.mean,
        "std": config.std,
        "classes": f"{num_classes:,}, {first_few(class_names(config))}",
        "gelu": "exact" if config.gelu == "none" else f"{config.gelu} form",
    }.items():
        log(f"{name}: {value} ({found[name.replace(' ', '_')][1]})")
    return model.eval()


def _config(
    weights: Weights,
    patch: tuple[int, int],
    image_size: tuple[int, int],
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
    classes: tuple[str, ...],
    gelu: Literal["none", "tanh"],
) -> MixerConfig:
    return MixerConfig(
        image_size=image_size,
        patch_size=patch,
        num_classes=len(weights[HEAD]),
        classes=classes,
        num_blocks=len({name.split(".")[1] for name in weights if name.startswith("blocks.")}),
        hidden_dim=weights[HEAD].shape[1],
        tokens_mlp_dim=len(weights[TOKENS]),
        channels_mlp_dim=len(weights[CHANNELS]),
        pre_head_norm="pre_head_norm.weight" in weights,
        gelu=gelu,
        norm_eps=1e-6,
        mean=mean,
        std=std,
    )


def _fill(model: Mixer, weights: Weights) -> None:
    """Load the weights into the model. Raises ValueError for other names or shapes."""
    own = model.state_dict()
    shapes = (
        f"{name} is {_times_joined(weights[name].shape)} instead of {_times_joined(value.shape)}"
        for name, value in own.items()
        if name in weights and weights[name].shape != value.shape
    )
    for problem, names in {
        "missing:": own.keys() - weights.keys(),
        "not part of a Mixer:": weights.keys() - own.keys(),
        "sizes differ:": shapes,
    }.items():
        if wrong := sorted(names):
            raise ValueError(f"{problem} {first_few(wrong)}")
    model.load_state_dict(weights)


def _from_authors(foreign: Weights) -> tuple[Weights, tuple[int, int]]:
    """Convert Flax weights: kernels are (in, out), the stem's kernel is (height, width, colour, out)."""
    names = {"LayerNorm_0": "norm1", "LayerNorm_1": "norm2", "Dense_0": "fc1", "Dense_1": "fc2"}
    names |= {"kernel": "weight", "scale": "weight", "pre_head_layer_norm": "pre_head_norm"}
    weights = {}
    foreign, stem = _unwrapped(foreign, "stem/kernel", colours=2)
    for key, value in foreign.items():
        parts = [names.get(part, part) for part in key.split("/")]
        if parts[0].startswith("MixerBlock_"):
            parts[0] = f"blocks.{parts[0].removeprefix('MixerBlock_')}"
        if key.endswith("kernel"):
            value = rearrange(value, "... inputs outputs -> outputs ... inputs").flatten(1)
        weights[".".join(parts)] = value
    height, width, *_ = stem.shape
    return weights, (height, width)


def _from_timm(foreign: Weights) -> tuple[Weights, tuple[int, int]]:
    """Convert timm's weights: the stem is a convolution with weight (out, colour, height, width)."""
    weights = {}
    foreign, stem = _unwrapped(foreign, "stem.proj.weight", colours=1)
    for key, value in foreign.items():
        name = key.replace("mlp_tokens", "token_mixing").replace("mlp_channels", "channel_mixing")
        if name.startswith("norm."):
            name = f"pre_head_{name}"
        if value is stem:
            value = rearrange(value, "outputs colour height width -> outputs (height width colour)")
        weights[name.replace("stem.proj", "stem")] = value
    *_, height, width = stem.shape
    return weights, (height, width)


def _unwrapped(foreign: Weights, stem: str, colours: int) -> tuple[Weights, Tensor]:
    """The weights by their names in the network itself, and the weight of the stem.

    The prefix of the stem's name belongs to a wrapper. Weights with another prefix are left out; inner wrappers are
    removed from the names.
    colours: dimension of the colours in the weight of the stem

    Raises ValueError unless the weights are one network for three colours.
    """
    plain = {name: WRAPPER.sub("", name) for name in foreign}
    stems = [name for name, short in plain.items() if short == stem or short.endswith((f".{stem}", f"/{stem}"))]
    if len(stems) != 1:
        raise ValueError(
            f"it has {len(stems)} {stem}: {first_few(stems)}"
            if stems
            else f"it has no {stem}; it has {first_few([*foreign])}"
        )
    before = stems[0][: stems[0].rindex("stem")]
    own = {name.removeprefix(before): value for name, value in foreign.items() if name.startswith(before)}
    for name, value in own.items():
        if not value.is_floating_point():
            raise ValueError(f"{name} is {value.dtype}: weights must be floating-point numbers")
    weights = {WRAPPER.sub("", name): value.float() for name, value in own.items()}
    kernel = weights[stem]
    if kernel.ndim != 4 or kernel.shape[colours] != 3:
        raise ValueError(f"its stem, {_times_joined(kernel.shape)}, is not for pictures of three colours")
    return weights, kernel


def _square(patches: int, patch: tuple[int, int]) -> tuple[int, int] | None:
    """(height, width) of the square picture with this number of patches; None if there is none."""
    height, width = patch
    side = math.isqrt(patches * height * width)
    return None if side * side != patches * height * width or side % height or side % width else (side, side)


def _metadata_beside(path: Path, num_classes: int) -> Metadata:
    """Metadata of timm's `config.json` in the same folder; empty if there is none."""
    beside = path.with_name("config.json")
    config = read_json(beside) if beside.is_file() else {}
    return _timm_metadata(config if "architecture" in config else {}, f"in {beside}", num_classes)


def _timm_metadata(config: Mapping[str, Any], by: str, num_classes: int) -> Metadata:
    """Metadata of timm's `config.json`. Raises CheckpointError for invalid entries.

    Newer versions have the entries about pictures in `pretrained_cfg`, older ones at the top level. Names are ignored
    if their number differs from the classes of the head: they belong to the network from which this one was tuned.
    """
    try:
        entries, arguments = {**(config.get("pretrained_cfg") or {}), **config}, config.get("model_args") or {}
        size = arguments.get("img_size") or (entries.get("input_size") or [None])[1:]  # after the number of colours
        names, described = entries.get("label_names") or entries.get("labels"), entries.get("label_descriptions") or {}
        if isinstance(names, Mapping):  # numbers may be missing
            names = [names.get(str(i), f"class {i}") for i in range(num_classes)] if len(names) <= num_classes else None
        if names and len(names) != num_classes:
            names = None
        activation = arguments.get("act_layer") or "gelu"
        if activation not in GELUS:
            raise ValueError(f"act_layer must be {' or '.join(GELUS)}, not {activation!r}")
        return Metadata(
            by,
            image_size=(size, size) if isinstance(size, int) else _numbers("image size", size or None, int, 2),
            mean=_numbers("mean", entries.get("mean"), float, 3),
            std=_numbers("std", entries.get("std"), float, 3),
            classes=None if names is None else tuple(str(described.get(name, name)) for name in names),
            gelu=GELUS[activation] if "act_layer" in arguments else None,
        )
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise CheckpointError(f"invalid metadata {by}: {error}") from error


def _numbers(name: str, values: Sequence[Any] | None, kind: Callable[[Any], Any], count: int) -> Any:
    """The values as a tuple of `count` numbers of a kind, or None. Raises ValueError for another count."""
    if values is not None and len(values) != count:
        raise ValueError(f"{name} must be {count} numbers, not {values}")
    return None if values is None else tuple(map(kind, values))


def _file(source: Path) -> Path:
    """The file with the weights. Raises CheckpointError with the next step if it cannot be read."""
    path = source
    if source.is_dir():
        if (source / "config.json").is_file() and "network" in read_json(source / "config.json"):
            raise CheckpointError(f"{source} is a checkpoint already: python app.py --checkpoint {source}")
        files = sorted(file for file in source.iterdir() if file.suffix in (".safetensors", ".npz", *PICKLES))
        standard = [file for file in files if file.name == "model.safetensors"]
        safe = [file for file in files if file.suffix not in PICKLES]
        found = standard or safe or files
        if len(found) != 1:
            raise CheckpointError(f"{source} holds {len(found) or 'no'} files with weights: name one")
        (path,) = found
    if not path.is_file():
        raise _no_mixer(path, "the file does not exist")
    check_not_pointer(path)
    if _is_pickle(path):
        command = ["python", "-c", AS_SAFETENSORS, str(path), f"{path}.safetensors"]
        raise CheckpointError(
            f"{path} is a pickle, which can run any code when it is read, so convert does not read it. Convert it to "
            f"safetensors, which holds only numbers, then use that file:\n{shlex.join(command)}"
        )
    return path


def _is_pickle(path: Path) -> bool:
    """Whether torch.save wrote the file: a zip file with a pickle since 2020, a pickle before."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as file:
            return any(name.endswith(".pkl") for name in file.namelist())
    with path.open("rb") as file:
        start = file.read(9)
    if start[8:] == b"{":  # safetensors: the length of the header (8 bytes), then the header
        return False
    return start[:1] == b"\x80" or path.suffix in PICKLES


def _read_safetensors(path: Path) -> tuple[Weights, dict[str, Any]]:
    """The weights, and the metadata entries that are JSON."""
    metadata = {}
    with safetensors.safe_open(path, "pt") as file:
        for name, text in (file.metadata() or {}).items():
            with suppress(ValueError):
                metadata[name] = json.loads(text)
        return {name: file.get_tensor(name) for name in file.keys()}, metadata  # noqa: SIM118 (it is no dictionary)


def _read_npz(path: Path) -> tuple[Weights, dict[str, Any]]:
    """The weights; real numbers become float32. numpy has no bfloat16 and returns two raw bytes (V2) instead."""
    weights = {}
    with np.load(path, allow_pickle=False) as file:
        for name in file.files:
            values = file[name]
            if values.dtype == "V2":
                values = (values.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
            weights[name] = torch.from_numpy(values.astype(np.float32 if values.dtype.kind == "f" else np.int64))
    return weights, {}


def _no_mixer(path: Path, why: object) -> CheckpointError:
    return CheckpointError(f"{path} is not an MLP-Mixer of the authors (.npz) or of timm (.safetensors): {why}")


def _times_joined(sizes: Sequence[int]) -> str:
    return " x ".join(map(str, sizes))
