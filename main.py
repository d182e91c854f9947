"""The command line. `python main.py` alone trains the seed network with the default recipe, and reports."""

import json
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro
from tqdm import tqdm
from tyro.extras import literal_type_from_choices

from mixer import checkpoint, memory, parallel
from mixer.convert import convert as convert_weights
from mixer.data import DataMissing, Labelled, cifar10, normalise, samples
from mixer.evaluate import evaluate as evaluate_model
from mixer.evaluate import headline
from mixer.hub import push as publish
from mixer.model import PRESETS, Mixer
from mixer.summary import summary as layer_table
from mixer.teacher import Teacher, TeacherConfig, TeacherTrainConfig
from mixer.teacher import train_teacher as teacher_training
from mixer.train import TrainConfig, history
from mixer.train import train as training

Preset = Annotated[str, tyro.conf.arg(constructor=literal_type_from_choices(tuple(PRESETS)))]
CIFAR = tuple(name for name, config in PRESETS.items() if config.image_size == (32, 32))
CifarPreset = Annotated[str, tyro.conf.arg(constructor=literal_type_from_choices(CIFAR))]
Flat = tyro.conf.OmitArgPrefixes
TEACHER = checkpoint.DEFAULT.with_name("teacher")


def train(
    config: Annotated[TrainConfig, Flat] = TrainConfig(),
    preset: CifarPreset = "seed",
    blocks: int | None = None,
    run: Path = Path("runs/seed"),
    teacher: str | None = str(TEACHER),
    init: str | None = None,
    all_images: bool = False,
    data_root: Path | None = None,
    download: bool = False,
) -> None:
    """Train a network on CIFAR-10, or continue a run that was stopped; then evaluate it once on the test images.

    Ctrl-C saves the state and stops; the same command goes on from there. A longer --epochs prolongs a run. In a
    notebook, the learning curves are drawn as it goes. On many GPUs:
    torchrun --nproc-per-node gpu --local-ranks-filter 0 -- main.py train. Each takes its part of every batch.

    Args:
        preset: the network
        blocks: train only so many of its blocks, which is faster; --init continues with more
        run: folder of the run: state, history.jsonl, and at the end checkpoint/
        teacher: checkpoint of a teacher to learn from, besides the labels (made by train-teacher); None for none
        init: checkpoint to start from; blocks that it lacks start as the identity
        all_images: train on the validation images too (their accuracy then says nothing)
        data_root: folder that holds cifar-10-batches-py; without it $CIFAR10_ROOT, without that ./data
        download: fetch CIFAR-10 (170 MB) if it is not there
    """
    device = best_device()
    with parallel.first_before_others():
        data = cifar10("train+validation" if all_images else "train", data_root, download)
    validation, test = cifar10("validation", data_root), cifar10("test", data_root)
    model = start(preset, blocks, init, config.seed)
    print(layer_table(model), f"\n{len(data):,} training images, on {device_name(device)}, run in {run}")
    taught_by = checkpoint.load(teacher, Teacher)[0] if teacher else None
    steps = training(model, data, validation, config, run, device, taught_by)
    if not follow(steps, round(config.epochs * (len(data) // config.batch_size)), run):
        print(f"Stopped; the state is saved in {run}. The same command goes on from there.")
        return
    if not parallel.is_first():
        return
    recipe = {
        **asdict(config),
        "preset": preset,
        "blocks": blocks,
        "teacher": teacher,
        "init": init,
        "all_images": all_images,
    }
    earlier = checkpoint.load(init, Mixer)[1].get("stages", []) if init else []
    metrics = report(model, test, validation, device) | effort([*earlier, stage(recipe, history(run), device)])
    checkpoint.save(run / "checkpoint", model, metrics)
    print(
        headline(metrics),
        f"\nSaved in {run / 'checkpoint'}; look inside: python app.py --checkpoint {run / 'checkpoint'}",
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
    model = Teacher(TeacherConfig())
    data, validation = cifar10("train", data_root, download), cifar10("validation", data_root)
    history, began = [], time.monotonic()
    for metrics in teacher_training(model, data, validation, config, best_device()):
        history.append(metrics | {"seconds": round(time.monotonic() - began, 1)})
        print("epoch {epoch}: loss {loss:.3f}, validation accuracy {validation_accuracy:.2%}".format(**metrics))
    result = {"validation_accuracy": history[-1]["validation_accuracy"], "recipe": asdict(config), "history": history}
    checkpoint.save(output, model, result | circumstances(best_device()))


def evaluate(
    source: Annotated[str, tyro.conf.arg(name="checkpoint")] = str(checkpoint.DEFAULT),
    data_root: Path | None = None,
    download: bool = False,
    attributions: bool = False,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
) -> None:
    """Read the 10,000 test images once, and write what came out into the checkpoint's metrics.json.

    Args:
        source: folder of a checkpoint, or the id of a model on the Hugging Face Hub
        data_root: folder that holds cifar-10-batches-py; without it $CIFAR10_ROOT, without that ./data
        download: fetch CIFAR-10 (170 MB) if it is not there
        attributions: measure all attribution methods on the 200 samples, too (about 15 minutes on two cores)
        as_json: print one line of JSON instead of a sentence
    """
    model, metrics = checkpoint.load(source, Mixer)
    test, validation = cifar10("test", data_root, download), cifar10("validation", data_root)
    metrics |= report(model, test, validation, best_device())
    if attributions:
        metrics["attributions"] = measure_methods(model, best_device())
    if Path(source).is_dir():
        checkpoint.write_metrics(Path(source), metrics)
    short = {name: metrics[name] for name in ("accuracy", "images", "parameters", "interval", "flip_accuracy")}
    print(json.dumps(short) if as_json else headline(metrics))


def summary(preset: Preset = "seed") -> None:
    """Print the layer table of a network.

    Args:
        preset: which network
    """
    print(layer_table(Mixer(PRESETS[preset])))


def convert(source: tyro.conf.Positional[Path], output: tyro.conf.Positional[Path]) -> None:
    """Make a checkpoint from Mixer weights of the authors' (.npz) or of timm's (.safetensors).

    Args:
        source: the file with the weights
        output: folder for the checkpoint
    """
    model = convert_weights(source)
    checkpoint.save(output, model, {"source": source.name, "parameters": parameters(model)})
    print(f"{parameters(model):,} parameters saved in {output}")


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
    torch.manual_seed(seed)
    model = Mixer(replace(PRESETS[preset], num_blocks=blocks or PRESETS[preset].num_blocks))
    model.start_as_identity()
    if init:
        weights = checkpoint.load(init, Mixer)[0].state_dict()
        try:
            missing, unexpected = model.load_state_dict(weights, strict=False)
        except RuntimeError as error:
            raise checkpoint.CheckpointError(f"{init} does not fit into {preset}: {error}") from error
        if unexpected or any(not name.startswith("blocks.") for name in missing):
            raise checkpoint.CheckpointError(f"{init} does not fit into {preset}: it has more blocks or other layers")
    return model


def follow(steps: Generator[dict[str, Any]], total: int, run: Path) -> bool:
    """Show a training's progress until it ends (True) or the person stops it (False)."""
    from viz import curves

    drawn = False
    with interrupts() as interrupted, tqdm(total=total, unit="step", smoothing=0.02) as bar:
        for metrics in steps:
            bar.update(metrics["step"] - bar.n)
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
    """Ctrl-C and kill only add to this list, so that work ends between two steps, not within one."""
    seen: list[int] = []
    before = {n: signal.signal(n, lambda number, frame: seen.append(number)) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield seen
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def report(model: Mixer, test: Labelled, validation: Labelled, device: torch.device) -> dict[str, Any]:
    return evaluate_model(model, test, validation, device) | {"parameters": parameters(model)} | circumstances(device)


def measure_methods(model: Mixer, device: torch.device) -> dict[str, Any]:
    """How far each attribution method can be believed on the shipped samples."""
    from viz.doubt.survey import survey  # here, as it loads Captum

    inputs = normalise(samples().images.to(device), model.config)
    return survey(model.to(device), inputs, partial(tqdm, desc="attributions", unit="image"))


def stage(recipe: dict[str, Any], lines: list[dict[str, Any]], device: torch.device) -> dict[str, Any]:
    """The record of one training run. lines: its history"""
    last = lines[-1]
    where = device_name(device) if parallel.count() == 1 else f"{parallel.count()} x {device_name(device)}"
    took = {"epochs": round(last["epoch"], 2), "hours": round(last["seconds"] / 3600, 2), "device": where}
    return took | {"recipe": recipe, "history": lines}


def effort(stages: list[dict[str, Any]]) -> dict[str, Any]:
    """All training runs that a network went through, each from where the last one ended."""
    return {"stages": stages} | {name: round(sum(s[name] for s in stages), 2) for name in ("epochs", "hours")}


def circumstances(device: torch.device) -> dict[str, Any]:
    """When, on what and with which code a result was made."""
    commit = None
    with suppress(OSError, subprocess.CalledProcessError):
        command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
        commit = subprocess.check_output(
            command, text=True, stderr=subprocess.DEVNULL, cwd=Path(__file__).parent
        ).strip()
    return {
        "date": time.strftime("%Y-%m-%d"),
        "device": device_name(device),
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
        "commit": commit,
    }


def parameters(model: torch.nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def best_device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU ({torch.get_num_threads()} threads)"


COMMANDS: dict[str, Any] = {
    "train": train,
    "train-teacher": train_teacher,
    "evaluate": evaluate,
    "summary": summary,
    "convert": convert,
    "plot": plot,
    "push": push,
}

if __name__ == "__main__":
    arguments = sys.argv[1:]
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help")):
        arguments = ["train", *arguments]
    memory.keep()
    try:
        with parallel.processes():
            tyro.extras.subcommand_cli_from_dict(COMMANDS, description=__doc__, args=arguments)
    except (DataMissing, checkpoint.CheckpointError, ValueError, FloatingPointError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
