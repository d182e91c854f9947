"""What the commands share: the data, the networks that a training starts from and learns from, and its end."""

import signal
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, cast, get_args

import torch
from tqdm import tqdm

from mixer import checkpoint, data, image_folder, parallel
from mixer.image_folder import Parts
from mixer.layout import Folders
from mixer.model import PRESETS, Mixer, MixerConfig, untrained
from mixer.run import differences
from mixer.teacher import Teacher

CIFAR = get_args(data.Cifar)


def parts_of(
    name: str, size: tuple[int, int], root: Path | None, download: bool, folders: Folders | None = None
) -> Parts:
    """Training, validation and test images. name: cifar10, cifar100 or a folder, whose images come at that size"""
    if name not in CIFAR:
        return image_folder.read(
            Path(name), size, partial(tqdm, desc="reading the images", unit="image", delay=1), folders
        )
    kind = cast(data.Cifar, name)
    train, validation = data.cifar(kind, "train", root, download), data.cifar(kind, "validation", root)
    return Parts(train, validation, data.cifar(kind, "test", root), "as published, the last validate")


def scaled(config: MixerConfig, train: data.Labelled, init: str | None) -> MixerConfig:
    """With mean and deviation of these images, or of those that `init` was trained on."""
    first = checkpoint.load(init, Mixer)[0].config if init else None
    mean, std = (first.mean, first.std) if first else data.statistics(train)
    return replace(config, mean=mean, std=std)


def teacher_of(train: data.Labelled, name: str) -> Teacher:
    """Raises OtherClasses for a teacher that does not know such images: all of them know CIFAR-10's, at their size."""
    teacher = checkpoint.load(name, Teacher)[0]
    if train.classes != data.CLASSES or train.images.shape[2:] != (32, 32):
        raise data.OtherClasses(
            f"{name} is a teacher of CIFAR-10's classes at 32 x 32 pixels, and {train.source} has others "
            f"({data.few(train.classes)}, {' x '.join(map(str, train.images.shape[2:]))} pixels): leave out --teacher"
        )
    return teacher


def start(preset: str, blocks: int | None, init: str | None, seed: int, network: MixerConfig | None = None) -> Mixer:
    """A network before training: blocks that pass their input on, under the weights of `init` where it has any.

    network: the preset as it fits the images, where it is not to be as it is
    """
    config = network or PRESETS[preset]
    config = config if blocks is None else replace(config, num_blocks=blocks)
    model = untrained(config, seed)
    if init:
        first = checkpoint.load(init, Mixer)[0]
        there, here = asdict(first.config), asdict(config)
        there["num_blocks"] = max(there["num_blocks"], here["num_blocks"])  # it may have fewer
        has, wanted = differences(there, here)
        if has:
            raise checkpoint.CheckpointError(f"{init} does not fit into {preset}: it has {has}, not {wanted}")
        model.load_state_dict(first.state_dict(), strict=False)
    return model


def is_of(made: Path, stages: list[dict[str, Any]]) -> bool:
    """Whether the folder holds the checkpoint that these stages led to."""
    try:
        return checkpoint.load(made, Mixer)[1].get("stages") == stages
    except checkpoint.CheckpointError:
        return False


def follow(steps: Generator[dict[str, Any]], total: int, draw: Callable[[bool], None]) -> bool:
    """Show a training's progress until it ends (True) or the person stops it (False).

    total: images to be seen. draw: is called after each line of the history, with whether it was called before
    """
    drawn = False
    with interrupts() as interrupted, tqdm(total=total, unit="image", smoothing=0.02, delay=0.1) as bar:
        for metrics in steps:
            if not bar.n:  # what was done before today tells nothing about how fast it goes
                bar.initial = bar.last_print_n = min(metrics["images"], total)
            bar.update(min(metrics["images"], total) - bar.n)
            if "validation_accuracy" in metrics:
                line = "epoch {epoch:.1f}: loss {loss:.3f}, validation accuracy {validation_accuracy:.2%}"
                bar.write(line.format(**metrics), file=sys.stdout)
                draw(drawn)
                drawn = True
            if parallel.any_process(bool(interrupted)):
                steps.close()
                return False
    return True


@contextmanager
def interrupts() -> Iterator[list[int]]:
    """Ctrl-C, kill and a lost terminal only add to this list, so that work ends between two steps, not within one.

    Signals ignored before (nohup) stay ignored.
    """
    seen: list[int] = []
    asked = {getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)}
    heard = [number for number in asked if signal.getsignal(number) != signal.SIG_IGN]
    before = {n: signal.signal(n, lambda number, frame: seen.append(number)) for n in heard}
    try:
        yield seen
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def best_device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
