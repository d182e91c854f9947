"""Shared parts of the commands: data, initial network, teachers, and the progress and end of training."""

import signal
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from mixer import checkpoint, data, image_folder, parallel
from mixer.image_folder import Parts
from mixer.layout import Folders
from mixer.model import PRESETS, Mixer, MixerConfig, untrained
from mixer.run import differences
from mixer.teacher import Teacher


def parts_of(name: str, size: tuple[int, int], root: Path | None, download: bool, folders: Folders | None) -> Parts:
    """Training, validation and test images. name: of `data.PUBLISHED`, or a folder, whose images get this `size`"""
    one = data.PUBLISHED.get(name)
    if one is None:
        return image_folder.read(
            Path(name), size, partial(tqdm, desc="reading the images", unit="image", delay=1), folders
        )
    train, validation = data.published(one, "train", root, download), data.published(one, "validation", root)
    return Parts(train, validation, data.published(one, "test", root), "as published, the last validate")


def scaled(config: MixerConfig, train: data.Labelled, init: str | None) -> MixerConfig:
    """The config with the mean and deviation of these images, or of the network `init`."""
    first = checkpoint.load(init, Mixer)[0].config if init else None
    mean, std = (first.mean, first.std) if first else data.statistics(train)
    return replace(config, mean=mean, std=std)


def teacher_of(train: data.Labelled, name: str) -> Teacher:
    """The teacher of a checkpoint. Raises OtherClasses unless the images have CIFAR-10's classes and size."""
    teacher = checkpoint.load(name, Teacher)[0]
    if train.classes != data.CLASSES or train.images.shape[2:] != (32, 32):
        raise data.OtherClasses(
            f"{name} is a teacher for the classes of CIFAR-10 at 32 x 32 pixels, not for {train.source} "
            f"({data.first_few(train.classes)}, {' x '.join(map(str, train.images.shape[2:]))} pixels): omit --teacher"
        )
    return teacher


def start(preset: str, blocks: int | None, init: str | None, seed: int, network: MixerConfig | None = None) -> Mixer:
    """A network before training: the weights of `init`, if given; its new blocks are identities.

    network: the preset adapted to the images; default: the preset
    """
    config = network or PRESETS[preset]
    config = config if blocks is None else replace(config, num_blocks=blocks)
    model = untrained(config, seed)
    if init:
        first = checkpoint.load(init, Mixer)[0]
        there, here = asdict(first.config), asdict(config)
        there["num_blocks"] = max(there["num_blocks"], here["num_blocks"])  # fewer blocks are allowed
        actual, expected = differences(there, here)
        if actual:
            raise checkpoint.CheckpointError(f"{init} does not fit into {preset}: it has {actual}, not {expected}")
        model.load_state_dict(first.state_dict(), strict=False)
    return model


def holds_checkpoint(folder: Path, stages: list[dict[str, Any]]) -> bool:
    """Whether the folder holds the checkpoint of these training stages."""
    try:
        return checkpoint.load(folder, Mixer)[1].get("stages") == stages
    except checkpoint.CheckpointError:
        return False


def follow(steps: Generator[dict[str, Any]], total: int, draw: Callable[[bool], None]) -> bool:
    """Run the training with a progress bar; returns whether it reached its end, or was interrupted (False).

    total: images of the whole run. draw: called after each epoch; its argument is whether it was called before
    """
    drawn = False
    with interrupts() as interrupted, tqdm(total=total, unit="image", smoothing=0.02, delay=0.1) as bar:
        for metrics in steps:
            if not bar.n:  # exclude the earlier images of a continued run from the speed
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
    """Collect Ctrl-C, kill and hang-up signals in a list, so that the caller can stop between two steps.

    Signals ignored before (nohup) stay ignored.
    """
    received: list[int] = []
    stopping = {getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)}
    handled = [number for number in stopping if signal.getsignal(number) != signal.SIG_IGN]
    before = {n: signal.signal(n, lambda number, frame: received.append(number)) for n in handled}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def best_device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
