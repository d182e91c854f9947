"""Mixer weights from elsewhere: the authors' `.npz` files and timm's state dicts, with what is said about them."""

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

from mixer.checkpoint import CheckpointError, check_fetched, read_json
from mixer.data import class_names, few
from mixer.model import Mixer, MixerConfig

Weights = dict[str, Tensor]

TOKENS, CHANNELS, HEAD = "blocks.0.token_mixing.fc1.weight", "blocks.0.channel_mixing.fc1.weight", "head.weight"
"""the weights that tell the sizes"""
WRAPPER = re.compile(r"(?:(?<=[./])|^)(?:_orig_mod|module|_fsdp_wrapped_module|_checkpoint_wrapped_module)[./]")
"""what torch.compile, DataParallel and the like put into names"""
GELUS = {"gelu": "none", "gelu_tanh": "tanh"}
"""timm's names of the activation, and ours"""
PICKLES = (".pt", ".pth", ".bin", ".ckpt", ".pkl", ".tar")
AS_SAFETENSORS = (
    "import sys, torch; from safetensors.torch import save_file; "
    'found = torch.load(sys.argv[1], "cpu", weights_only=True); '
    'found = found.get("state_dict", found.get("model", found)); '
    "save_file({k: v.clone().contiguous() for k, v in found.items() if torch.is_tensor(v)}, sys.argv[2])"
)


@dataclass(frozen=True)
class Metadata:
    """What a source says of all that weights do not tell; None for what it does not say."""

    by: str
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
    tell: Callable[[str], object] = lambda line: None,
) -> Mixer:
    """The network in an `.npz` of the authors' or a `.safetensors` of timm's, or in a folder with one of them.

    Sizes are those of the weights. Image size (height, width), mean, std and the names of the classes are those that
    are given, else those in the metadata of the file, else those in timm's `config.json` beside it, else: square
    images, mean and std 0.5, no names. The authors' GELU is the tanh form, timm's the exact one; the LayerNorms of
    both have eps 1e-6.

    tell: takes the lines that say what was found, and where

    Raises CheckpointError, in words, for a file that is neither, and where the weights contradict what is said.
    """
    path = _file(source)
    authors = zipfile.is_zipfile(path)
    try:
        foreign, metadata = _read_npz(path) if authors else _read_safetensors(path)
        weights, patch = _from_authors(foreign) if authors else _from_timm(foreign)
        for name in (TOKENS, CHANNELS, HEAD):
            if name not in weights or weights[name].ndim != 2:
                raise ValueError(f"it has no {name}, but {few([*weights])}")
    except (
        OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error, safetensors.SafetensorError,
    ) as error:  # fmt: skip
        raise _no_mixer(path, error) from error
    patches, num_classes = weights[TOKENS].shape[1], len(weights[HEAD])

    half = (0.5, 0.5, 0.5)
    sources = [Metadata("as given", image_size, mean, std, classes)]
    if authors:
        sources += [Metadata("as all of the authors'", _square(patches, patch), half, half, gelu="tanh")]
    else:
        sources += [_said_by(metadata, f"as {path.name} says", num_classes), _said_beside(path, num_classes)]
        sources += [Metadata("not stated: as most of timm's", _square(patches, patch), half, half, gelu="none")]
    found: dict[str, tuple[Any, str]] = {"classes": ((), "not stated")}
    for said in reversed(sources):
        found |= {name: (value, said.by) for name, value in vars(said).items() if name != "by" and value is not None}
    if "image_size" not in found:
        raise CheckpointError(
            f"{path}: {patches} patches of {_times_joined(patch)} pixels do not form a square, and nothing states "
            "the size of the pictures. State it by --image-size HEIGHT WIDTH"
        )
    try:
        config = _config(weights, patch, **{name: value for name, (value, _) in found.items()})
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from error
    if config.grid.patches != patches:
        size, by = found["image_size"]
        raise CheckpointError(
            f"{path}: pictures of {_times_joined(size)} pixels ({by}) have {config.grid.patches} patches of "
            f"{_times_joined(patch)}, and the weights are for {patches}. State the right size by --image-size "
            "HEIGHT WIDTH"
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
        "classes": f"{num_classes:,}, {few(class_names(config))}",
        "gelu": "exact" if config.gelu == "none" else f"{config.gelu} form",
    }.items():
        tell(f"{name}: {value} ({found[name.replace(' ', '_')][1]})")
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
    """Raises ValueError, in words, for weights that are not the model's."""
    own = model.state_dict()
    shapes = (
        f"{name} is {_times_joined(weights[name].shape)} in place of {_times_joined(value.shape)}"
        for name, value in own.items()
        if name in weights and weights[name].shape != value.shape
    )
    for words, names in {
        "it lacks": own.keys() - weights.keys(),
        "it has, which a Mixer has not,": weights.keys() - own.keys(),
        "sizes differ:": shapes,
    }.items():
        if wrong := sorted(names):
            raise ValueError(f"{words} {few(wrong)}")
    model.load_state_dict(weights)


def _from_authors(foreign: Weights) -> tuple[Weights, tuple[int, int]]:
    """Flax names: kernels are (in, out), the stem's is (height, width, colour, out)."""
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
    """timm's stem is a convolution, its weight (out, colour, height, width)."""
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
    """The weights by the names that they have in the network itself, and the stem's.

    What stands before the stem's name is a wrapper's, and so are its other weights; wrappers may stand inside, too.
    colours: which of the stem's dimensions are the colours

    Raises ValueError where that is not one network with three colours.
    """
    plain = {name: WRAPPER.sub("", name) for name in foreign}
    stems = [name for name, short in plain.items() if short == stem or short.endswith((f".{stem}", f"/{stem}"))]
    if len(stems) != 1:
        raise ValueError(
            f"it has {len(stems)} {stem}: {few(stems)}" if stems else f"it has no {stem}, but {few([*foreign])}"
        )
    before = stems[0][: stems[0].rindex("stem")]
    own = {name.removeprefix(before): value for name, value in foreign.items() if name.startswith(before)}
    for name, value in own.items():
        if not value.is_floating_point():
            raise ValueError(f"{name} is of {value.dtype}: weights are real numbers")
    weights = {WRAPPER.sub("", name): value.float() for name, value in own.items()}
    kernel = weights[stem]
    if kernel.ndim != 4 or kernel.shape[colours] != 3:
        raise ValueError(f"its stem, {_times_joined(kernel.shape)}, does not take pictures of three colours")
    return weights, kernel


def _square(patches: int, patch: tuple[int, int]) -> tuple[int, int] | None:
    """The size of the square picture that so many patches make, if they make one."""
    height, width = patch
    side = math.isqrt(patches * height * width)
    return None if side * side != patches * height * width or side % height or side % width else (side, side)


def _said_beside(path: Path, num_classes: int) -> Metadata:
    """What `config.json` in the same folder says, if it is timm's."""
    beside = path.with_name("config.json")
    config = read_json(beside) if beside.is_file() else {}
    return _said_by(config if "architecture" in config else {}, f"as {beside} says", num_classes)


def _said_by(config: Mapping[str, Any], by: str, num_classes: int) -> Metadata:
    """What timm says in `config.json`. Raises CheckpointError where it makes no sense.

    Newer ones keep what is said of the pictures in `pretrained_cfg`, older ones have all in one dictionary. Names of
    other classes than the head's are of another network, from which this one was tuned.
    """
    try:
        said, arguments = {**(config.get("pretrained_cfg") or {}), **config}, config.get("model_args") or {}
        size = arguments.get("img_size") or (said.get("input_size") or [None])[1:]  # after the number of colours
        names, described = said.get("label_names") or said.get("labels"), said.get("label_descriptions") or {}
        if isinstance(names, Mapping):  # there may be gaps
            names = [names.get(str(i), f"class {i}") for i in range(num_classes)] if len(names) <= num_classes else None
        if names and len(names) != num_classes:
            names = None
        activation = arguments.get("act_layer") or "gelu"
        if activation not in GELUS:
            raise ValueError(f"act_layer is {activation!r}; a Mixer has {' or '.join(GELUS)}")
        return Metadata(
            by,
            image_size=(size, size) if isinstance(size, int) else _numbers("image size", size or None, int, 2),
            mean=_numbers("mean", said.get("mean"), float, 3),
            std=_numbers("std", said.get("std"), float, 3),
            classes=None if names is None else tuple(str(described.get(name, name)) for name in names),
            gelu=GELUS[activation] if "act_layer" in arguments else None,
        )
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise CheckpointError(f"{by}, which makes no sense: {error}") from error


def _numbers(name: str, values: Sequence[Any] | None, kind: Callable[[Any], Any], count: int) -> Any:
    """Just so many numbers of a kind, or None. Raises ValueError, in words, for others."""
    if values is not None and len(values) != count:
        raise ValueError(f"{name} must be {count} numbers, not {values}")
    return None if values is None else tuple(map(kind, values))


def _file(source: Path) -> Path:
    """The file with the weights. Raises CheckpointError, with the next step, where that cannot be read."""
    path = source
    if source.is_dir():
        if (source / "config.json").is_file() and "network" in read_json(source / "config.json"):
            raise CheckpointError(f"{source} is a checkpoint already: python app.py --checkpoint {source}")
        files = sorted(file for file in source.iterdir() if file.suffix in (".safetensors", ".npz", *PICKLES))
        usual = [file for file in files if file.name == "model.safetensors"]
        safe = [file for file in files if file.suffix not in PICKLES]
        found = usual or safe or files
        if len(found) != 1:
            raise CheckpointError(f"{source} holds {len(found) or 'no'} files of weights: name one")
        (path,) = found
    if not path.is_file():
        raise _no_mixer(path, "there is no such file")
    check_fetched(path)
    if _is_pickle(path):
        command = ["python", "-c", AS_SAFETENSORS, str(path), f"{path}.safetensors"]
        raise CheckpointError(
            f"{path} is a pickle. To read one can run whatever its maker wanted, so convert reads none. Make it "
            f"safetensors, which holds numbers only, and convert that:\n{shlex.join(command)}"
        )
    return path


def _is_pickle(path: Path) -> bool:
    """Whether torch.save made it: since 2020 a zip with a pickle inside, before a pickle."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as file:
            return any(name.endswith(".pkl") for name in file.namelist())
    with path.open("rb") as file:
        start = file.read(9)
    if start[8:] == b"{":  # safetensors: the length of the header, which may begin with any byte, and the header
        return False
    return start[:1] == b"\x80" or path.suffix in PICKLES


def _read_safetensors(path: Path) -> tuple[Weights, dict[str, Any]]:
    """The weights, and those of the metadata that are JSON."""
    metadata = {}
    with safetensors.safe_open(path, "pt") as file:
        for name, text in (file.metadata() or {}).items():
            with suppress(ValueError):
                metadata[name] = json.loads(text)
        return {name: file.get_tensor(name) for name in file.keys()}, metadata  # noqa: SIM118 (it is no dictionary)


def _read_npz(path: Path) -> tuple[Weights, dict[str, Any]]:
    """The weights, real numbers in float32. numpy does not know bfloat16: it gives two bytes without a meaning."""
    weights = {}
    with np.load(path, allow_pickle=False) as file:
        for name in file.files:
            values = file[name]
            if values.dtype == "V2":
                values = (values.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
            weights[name] = torch.from_numpy(values.astype(np.float32 if values.dtype.kind == "f" else np.int64))
    return weights, {}


def _no_mixer(path: Path, why: object) -> CheckpointError:
    return CheckpointError(f"{path} is not an MLP-Mixer of the authors' (.npz) or of timm's (.safetensors): {why}")


def _times_joined(sizes: Sequence[int]) -> str:
    return " x ".join(map(str, sizes))
