"""The command line. `python main.py` alone trains the seed network with the default recipe, and reports."""

import json
import signal
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro
from tqdm import tqdm
from tyro.extras import literal_type_from_choices

from mixer import checkpoint, malloc, parallel
from mixer.convert import convert as convert_weights
from mixer.data import Split, cifar10, cifar10_numbers, class_names, normalise, samples
from mixer.evaluate import headline
from mixer.hub import push as publish
from mixer.model import PRESETS, Mixer, untrained
from mixer.opening import open_network, told
from mixer.outside import in_words
from mixer.record import circumstances, device_name, effort, parameters, report
from mixer.run import Run, differences
from mixer.summary import summary as layer_table
from mixer.teacher import Average, Teacher, TeacherConfig, TeacherTrainConfig
from mixer.teacher import train_teacher as teacher_training
from mixer.train import TrainConfig
from mixer.train import train as training

Preset = Annotated[str, tyro.conf.arg(constructor=literal_type_from_choices(tuple(PRESETS)))]
CIFAR = tuple(name for name, config in PRESETS.items() if config.image_size == (32, 32))
CifarPreset = Annotated[str, tyro.conf.arg(constructor=literal_type_from_choices(CIFAR))]
Flat = tyro.conf.OmitArgPrefixes
TEACHER = checkpoint.DEFAULT.with_name("teacher")
TEACHERS = (str(TEACHER), str(checkpoint.DEFAULT.with_name("teacher-augmented")))


def train(
    config: Annotated[TrainConfig, Flat] = TrainConfig(),
    preset: CifarPreset = "seed",
    blocks: int | None = None,
    run: Path | None = None,
    teacher: tuple[str, ...] | None = TEACHERS,
    init: str | None = None,
    all_images: bool = False,
    data_root: Path | None = None,
    download: bool = False,
) -> None:
    """Train a network on CIFAR-10, or continue a run that was stopped; then evaluate it once on the test images.

    Ctrl-C saves the state and stops; the same command goes on from there. A longer --epochs prolongs a run. Recipe and
    teacher may change on the way; the network, the images and the seed may not. In a notebook, the learning curves are
    drawn as it goes. On many GPUs: torchrun --nproc-per-node gpu --local-ranks-filter 0 -- main.py train. Each takes
    its part of every batch.

    Args:
        preset: the network
        blocks: train only so many of its blocks, which is faster; --init continues with more
        run: folder of the run: state, history.jsonl, and at the end checkpoint/; without it runs/PRESET
        teacher: checkpoints of teachers to learn from, besides the labels (made by train-teacher), whose probabilities
            are averaged; None for none
        init: checkpoint to start from; blocks that it lacks start as the identity
        all_images: train on the validation images too (their accuracy then says nothing)
        data_root: folder that holds cifar-10-batches-py; without it $CIFAR10_ROOT, without that ./data
        download: fetch CIFAR-10 (170 MB) if it is not there
    """
    folder = run or Path("runs", preset)
    checkpoint.check_target(folder / "checkpoint")
    device = best_device()
    split: Split = "train+validation" if all_images else "train"
    with parallel.first_before_others():
        data = cifar10(split, data_root, download)
    validation, test = cifar10("validation", data_root), cifar10("test", data_root)
    taught_by = Average(checkpoint.load(name, Teacher)[0] for name in teacher) if teacher else None
    where = device_name(device) if parallel.count() == 1 else f"{parallel.count()} x {device_name(device)}"
    with Run(folder, {"preset": preset, "split": split}, teacher or (), where) as ours:
        if init or not ours.begun:
            ours.of["init"] = init
        if init and not ours.begun:
            ours.earlier = checkpoint.load(init, Mixer)[1].get("stages", [])
        model = start(preset, blocks, None if ours.begun else init, config.seed)
        print(layer_table(model), f"\n{len(data):,} training images, on {device_name(device)}, run in {folder}")
        steps = training(model, data, validation, config, ours, device, taught_by)
        if not follow(steps, round(config.epochs * len(data)), folder):
            print(f"Stopped; the state is saved in {folder}. The same command goes on from there.")
            return
        if not parallel.is_first():
            return
        stages = ours.record()
        if is_of(folder / "checkpoint", stages):
            print(
                f"{folder} is finished: it has seen {ours.epochs:.1f} epochs, and --epochs {config.epochs} asks for "
                f"no more; a larger --epochs prolongs it. Its network is in {folder / 'checkpoint'}"
            )
            return
        metrics = report(model, test, validation, device) | effort(stages)
        checkpoint.save(folder / "checkpoint", model, metrics)
    print(
        headline(metrics),
        f"\nSaved in {folder / 'checkpoint'}; look inside: python app.py --checkpoint {folder / 'checkpoint'}",
    )


def train_teacher(
    config: Annotated[TeacherTrainConfig, Flat] = TeacherTrainConfig(),
    output: Path = TEACHER,
    data_root: Path | None = None,
    download: bool = False,
) -> None:
    """Train the small CNN that the Mixer can learn from (about 25 minutes on two cores).

    Args:
        output: folder for the checkpoint
        data_root: folder that holds cifar-10-batches-py; without it $CIFAR10_ROOT, without that ./data
        download: fetch CIFAR-10 (170 MB) if it is not there
    """
    checkpoint.check_target(output)
    torch.manual_seed(config.seed)
    model = Teacher(TeacherConfig())
    data, validation = cifar10("train", data_root, download), cifar10("validation", data_root)
    history, began = [], time.monotonic()
    for metrics in teacher_training(model, data, validation, config, best_device()):
        history.append(metrics | {"seconds": round(time.monotonic() - began, 1)})
        print("epoch {epoch}: loss {loss:.3f}, validation accuracy {validation_accuracy:.2%}".format(**metrics))
    result = {"validation_accuracy": history[-1]["validation_accuracy"], "recipe": asdict(config), "history": history}
    checkpoint.save(output, model, result | circumstances(best_device()))


def evaluate(
    source: tyro.conf.Positional[str] = str(checkpoint.DEFAULT),
    data_root: Path | None = None,
    download: bool = False,
    attributions: bool = False,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
) -> None:
    """Read the 10,000 test images once, print what came out, and write it into the checkpoint's metrics.json.

    Args:
        source: folder of a checkpoint, or the id of a model on the Hugging Face Hub
        data_root: folder that holds cifar-10-batches-py; without it $CIFAR10_ROOT, without that ./data
        download: fetch CIFAR-10 (170 MB) if it is not there
        attributions: measure all attribution methods on the 200 samples, too (about 15 minutes on two cores)
        as_json: print one line of JSON instead of a sentence
    """
    if attributions:
        checkpoint.check_metrics(source)
    model, metrics = checkpoint.load(source, Mixer)
    cifar10_numbers(class_names(model.config))  # before anything is fetched
    test, validation = cifar10("test", data_root, download), cifar10("validation", data_root)
    metrics |= report(model, test, validation, best_device())
    if attributions:
        metrics["attributions"] = measure_methods(model, best_device())
    short = {name: metrics[name] for name in ("accuracy", "images", "parameters", "interval", "flip_accuracy")}
    print(json.dumps(short) if as_json else headline(metrics), flush=True)
    if Path(source).is_dir():
        checkpoint.write_metrics(Path(source), metrics)


def summary(preset: Preset = "seed") -> None:
    """Print the layer table of a network.

    Args:
        preset: which network
    """
    print(layer_table(Mixer(PRESETS[preset])))


def convert(
    source: tyro.conf.Positional[Path],
    output: tyro.conf.Positional[Path],
    image_size: tuple[int, int] | None = None,
    mean: tuple[float, float, float] | None = None,
    std: tuple[float, float, float] | None = None,
    classes: tuple[str, ...] | None = None,
) -> None:
    """Make a checkpoint from Mixer weights of the authors' (.npz) or of timm's (.safetensors).

    What the weights do not tell is taken from timm's config.json beside them; the options say it where that does not.

    Args:
        source: the file with the weights, or timm's folder
        output: folder for the checkpoint
        image_size: height and width of the pictures in pixels; without it, they are square
        mean: what is subtracted from red, green and blue (0 to 1)
        std: what red, green and blue are then divided by
        classes: what the classes are called, in their order
    """
    checkpoint.check_target(output)
    if source.resolve().is_relative_to(output.resolve()):
        raise checkpoint.CheckpointError(f"{source} lies in {output}, which would be replaced: name another folder")
    model = convert_weights(source, image_size, mean, std, classes, print)
    checkpoint.save(output, model, {"source": source.name, "parameters": parameters(model)})
    print(f"{parameters(model):,} parameters saved in {output}")


def snapshot(source: tyro.conf.Positional[Path], output: tyro.conf.Positional[Path]) -> None:
    """Keep a network as it is now, of a run that goes on for one, as a checkpoint of half precision, half as large.

    Args:
        source: folder of the run
        output: folder for the checkpoint
    """
    checkpoint.check_target(output)
    model, metrics = open_network(source)
    checkpoint.save(output, model, metrics | {"weights": "half precision"}, torch.float16)
    print(f"{told(metrics)}; saved in {output}")


def plot(run: tyro.conf.Positional[Path]) -> None:
    """Draw the learning curves of a run, finished or not, into the file curves.html in its folder.

    Args:
        run: folder of the run
    """
    from viz import curves  # here, as it loads plotly

    print(curves.write(run))
    curves.show(run)


def push(folder: tyro.conf.Positional[Path], repo_id: tyro.conf.Positional[str]) -> None:
    """Publish an evaluated checkpoint on the Hugging Face Hub, with a model card. Wants a token (hf auth login).

    Args:
        folder: folder of the checkpoint; the card stays there as README.md
        repo_id: OWNER/NAME of the model; NAME alone for one of your own
    """
    repo_id = publish(folder, repo_id)
    print(f"Published as {repo_id}; look inside: python app.py --checkpoint {repo_id}")


def start(preset: str, blocks: int | None, init: str | None, seed: int) -> Mixer:
    """A network before training: blocks that pass their input on, under the weights of `init` where it has any."""
    config = PRESETS[preset] if blocks is None else replace(PRESETS[preset], num_blocks=blocks)
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


def is_of(folder: Path, stages: list[dict[str, Any]]) -> bool:
    """Whether the folder holds the checkpoint that these stages led to."""
    try:
        return checkpoint.load(folder, Mixer)[1].get("stages") == stages
    except checkpoint.CheckpointError:
        return False


def follow(steps: Generator[dict[str, Any]], total: int, run: Path) -> bool:
    """Show a training's progress until it ends (True) or the person stops it (False). total: images to be seen"""
    from viz import curves

    drawn = False
    with interrupts() as interrupted, tqdm(total=total, unit="image", smoothing=0.02, delay=0.1) as bar:
        for metrics in steps:
            if not bar.n:  # what was done before today tells nothing about how fast it goes
                bar.initial = bar.last_print_n = metrics["images"]
            bar.update(min(metrics["images"], total) - bar.n)
            if "validation_accuracy" in metrics:
                line = "epoch {epoch:.1f}: loss {loss:.3f}, validation accuracy {validation_accuracy:.2%}"
                bar.write(line.format(**metrics), file=sys.stdout)
                curves.show(run, again=drawn)
                drawn = True
            if parallel.any_of_them(bool(interrupted)):
                steps.close()
                return False
    return True


@contextmanager
def interrupts() -> Iterator[list[int]]:
    """Ctrl-C, kill and a lost terminal only add to this list, so that work ends between two steps, not within one.

    What this process was told to ignore, as by nohup, it ignores further on.
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


def measure_methods(model: Mixer, device: torch.device) -> dict[str, Any]:
    """How far each attribution method can be believed on the shipped samples."""
    from viz.doubt.survey import survey  # here, as it loads Captum

    inputs = normalise(samples().images.to(device), model.config)
    return survey(model.to(device), inputs, partial(tqdm, desc="attributions", unit="image"))


def best_device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


COMMANDS: dict[str, Any] = {
    "train": train,
    "train-teacher": train_teacher,
    "evaluate": evaluate,
    "summary": summary,
    "convert": convert,
    "snapshot": snapshot,
    "plot": plot,
    "push": push,
}

if __name__ == "__main__":
    arguments = sys.argv[1:]
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help")):
        arguments = ["train", *arguments]
    malloc.keep()
    with in_words(), parallel.processes():
        tyro.extras.subcommand_cli_from_dict(COMMANDS, description=__doc__, args=arguments)
