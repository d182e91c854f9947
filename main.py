"""The command line. `python main.py` alone trains the seed network with the default recipe, and reports."""

import hashlib
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import partial
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import torch
import tyro
from tqdm import tqdm
from tyro.extras import literal_type_from_choices

import mixer.convert
import mixer.summary
import mixer.teacher
import mixer.train
from mixer import atomic_write, checkpoint, hub, malloc, parallel, record, session
from mixer.data import CLASSES, choose_samples, cifar10, class_names, class_numbers, few
from mixer.errors import readable_errors
from mixer.evaluate import headline
from mixer.image_folder import compare, read_samples, seen, tested
from mixer.layout import Folders, files_of, text
from mixer.model import PRESETS, Mixer
from mixer.networks import display_name, open_network, quality_text, samples_of
from mixer.picture import Unreadable, decode
from mixer.record import device_name
from mixer.run import Run
from mixer.teacher import Average, Teacher, TeacherConfig, TeacherTrainConfig
from mixer.train import TrainConfig
from viz.attribution.baselines import BASELINES
from viz.attribution.methods import METHODS
from viz.attribution.question import Output
from viz.measuring import Measurement

if TYPE_CHECKING:
    from viz.microscope import Microscope

Preset = Annotated[str, tyro.conf.arg(constructor=literal_type_from_choices(tuple(PRESETS)))]
MethodName = Annotated[str, tyro.conf.arg(constructor=literal_type_from_choices(tuple(METHODS)))]
Baseline = Annotated[str, tyro.conf.arg(constructor=literal_type_from_choices(tuple(BASELINES)))]
Flat = tyro.conf.OmitArgPrefixes
TEACHER = checkpoint.DEFAULT.with_name("teacher")
TEACHERS = (str(TEACHER), str(checkpoint.DEFAULT.with_name("teacher-augmented")))


def train(
    config: Annotated[TrainConfig, Flat] = TrainConfig(),
    data: str = "cifar10",
    preset: Preset | None = None,
    image_size: int | None = None,
    blocks: int | None = None,
    run: Path | None = None,
    teacher: tuple[str, ...] | None = TEACHERS,
    init: str | None = None,
    all_images: bool = False,
    folders: Folders | None = None,
    data_root: Path | None = None,
    download: bool = False,
) -> None:
    """Train a network, or continue a run that was stopped; then evaluate it once on the test images.

    Ctrl-C saves the state and stops; the same command continues from there. A longer --epochs prolongs a run. Recipe
    and teacher of a run may change; the network, the images and the seed may not. In a notebook, the learning curves
    are drawn after each epoch. On many GPUs: torchrun --nproc-per-node gpu --local-ranks-filter 0 -- main.py train.
    Each takes its part of every batch.

    Args:
        data: cifar10, cifar100, or a folder with one folder of images for each class
        preset: the network; without it seed for CIFAR, small for a folder
        image_size: height and width of the input in pixels; without it that of the preset, for CIFAR 32. The patches
            grow with it; their number stays the same
        blocks: train only so many of its blocks, which is faster; --init continues with more
        run: folder of the run: state, history.jsonl, and at the end checkpoint/; without it runs/PRESET for CIFAR-10,
            runs/DATA for others
        teacher: checkpoints of teachers (made by train-teacher) whose mean answer is learned besides the labels; None:
            no teacher. The shipped ones know only the classes of CIFAR-10, so other data have none by default
        init: checkpoint to start from; blocks that it lacks start as the identity
        all_images: train on the validation images, too (then their accuracy is meaningless)
        folders: whether the folders in --data are parts (train, test) or classes, if both are possible
        data_root: folder that holds cifar-10-batches-py or cifar-100-python; without it $CIFAR10_ROOT, without that
            ./data
        download: download CIFAR (170 MB) if it is missing
    """
    known = data in session.CIFAR
    name = data if known else Path(data).resolve().name
    preset = preset or ("seed" if known else "small")
    folder = run or Path("runs", preset if data == "cifar10" else name)
    checkpoint.check_target(folder / "checkpoint")
    device = session.best_device()
    if known and image_size not in (None, 32):
        raise ValueError(f"{name}'s images have 32 x 32 pixels: leave out --image-size {image_size}")
    network = PRESETS[preset].resized(32 if known else image_size)
    with parallel.main_process_first():
        parts = session.parts_of(data, network.image_size, data_root, download, folders)
    network = replace(network, num_classes=len(parts.train.classes), classes=parts.train.classes)
    if data != "cifar10":
        network = session.scaled(network, parts.train, init)
        teacher = None if teacher == TEACHERS else teacher
    taught_by = Average(map(partial(session.teacher_of, parts.train), teacher)) if teacher else None
    where = device_name(device) if parallel.count() == 1 else f"{parallel.count()} x {device_name(device)}"
    split = "train+validation" if all_images else "train"
    identity = {"preset": preset, "split": split} | ({} if data == "cifar10" else {"parts": parts.digests()})
    with Run(folder, identity, tuple(map(display_name, teacher or ())), where) as ours:
        if init or not ours.begun:
            ours.identity["init"] = init
        said = [] if known else parts.said()
        if init and not ours.begun:
            before = checkpoint.load(init, Mixer)[1]
            ours.earlier = before.get("stages", [])
            said += [] if known else compare(parts, before, init)
        model = session.start(preset, blocks, None if ours.begun else init, config.seed, network)
        training_images = parts.with_validation() if all_images else parts.train
        print(
            mixer.summary.summary(model),
            f"\n{len(training_images):,} training images, on {device_name(device)}, run in {folder}",
        )
        if config.batch_size and config.batch_size > len(training_images):
            said.append(f"--batch-size {config.batch_size:,} is more than there are: each step takes all of them.")
        for line in said:
            print(line)
        steps = mixer.train.train(model, training_images, parts.validation, config, ours, device, taught_by)
        from viz import learning_curves  # here, as it loads plotly

        images = round(config.epochs * len(training_images))
        if not session.follow(steps, images, lambda again: learning_curves.show(folder, again)):
            print(f"Stopped; the state is saved in {folder}. The same command continues from there.")
            return
        if not parallel.is_first():
            return
        stages = ours.record()
        if not known:
            stages[-1]["images"] = seen(training_images)
        if session.is_of(folder / "checkpoint", stages):
            print(
                f"{folder} is finished: it has seen {ours.epochs:.1f} epochs, and --epochs {config.epochs} asks for "
                f"no more; a larger --epochs prolongs it. Its network is in {folder / 'checkpoint'}"
            )
            return
        metrics = record.report(model, parts.test, parts.validation, device) | record.effort(stages)
        if data != "cifar10":
            metrics["data"] = parts.record()
        checkpoint.save(
            folder / "checkpoint", model, metrics, None if data == "cifar10" else choose_samples(parts.test)
        )
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
        download: download CIFAR-10 (170 MB) if it is missing
    """
    checkpoint.check_target(output)
    torch.manual_seed(config.seed)
    model = Teacher(TeacherConfig())
    data, validation = cifar10("train", data_root, download), cifar10("validation", data_root)
    history, began = [], time.monotonic()
    for metrics in mixer.teacher.train_teacher(model, data, validation, config, session.best_device()):
        history.append(metrics | {"seconds": round(time.monotonic() - began, 1)})
        print("epoch {epoch}: loss {loss:.3f}, validation accuracy {validation_accuracy:.2%}".format(**metrics))
    result = {"validation_accuracy": history[-1]["validation_accuracy"], "recipe": asdict(config), "history": history}
    checkpoint.save(output, model, result | record.circumstances(session.best_device()))


def evaluate(
    source: tyro.conf.Positional[str] = str(checkpoint.DEFAULT),
    data_root: Path | None = None,
    download: bool = False,
    data: str | None = None,
    folders: Folders | None = None,
    attributions: bool = False,
    samples: Path | None = None,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
) -> None:
    """Evaluate a checkpoint on the test images, print the result, and write it into its metrics.json.

    Args:
        source: folder of a checkpoint, or the id of a model on the Hugging Face Hub
        data_root: folder that holds cifar-10-batches-py; without it $CIFAR10_ROOT, without that ./data
        download: download CIFAR-10 (170 MB) if it is missing
        data: cifar10 (the default), cifar100, or a folder of images: that of the training, or a new one
        folders: whether the folders in --data are parts (train, test) or classes, if both are possible
        attributions: measure all attribution methods on the samples, too (about 15 minutes on two cores); without
            --data, a network of other images than CIFAR-10's is only measured so
        samples: a folder of pictures for --attributions, in place of the samples of the checkpoint
        as_json: print one line of JSON instead of a sentence
    """
    if attributions:
        checkpoint.check_metrics(source)
    elif samples:
        raise ValueError("--samples is for --attributions: add that")
    model, metrics = checkpoint.load(source, Mixer)
    say = partial(print, file=sys.stderr if as_json else sys.stdout)
    scope = _looked_at(source, samples) if attributions else None
    of_cifar10 = "data" not in metrics and set(class_names(model.config)) == set(CLASSES)
    if data or not attributions or of_cifar10:
        data = data or "cifar10"
        if data == "cifar10":
            class_numbers(class_names(model.config))  # before anything is fetched
        parts = session.parts_of(data, model.config.image_size, data_root, download, folders)
        for line in [] if data in session.CIFAR else [*parts.said(), *compare(parts, metrics, source)]:
            say(line)
        metrics |= record.report(model, parts.test, parts.validation, session.best_device())
        if data != "cifar10":
            metrics["data"] = tested(parts, metrics.get("data", {}))
    if scope:
        from viz.doubt.survey import survey  # here, as it loads Captum

        found = survey(scope.model, scope.sample_inputs, partial(tqdm, desc="attributions", unit="image"))
        metrics["attributions"] = found | {"source": scope.samples.source}
        say(f"Attribution methods measured on {found['images']:,} images of {scope.samples.source}.")
    names = ("accuracy", "images", "parameters", "interval", "flip_accuracy")
    short = {name: metrics[name] for name in names if name in metrics}
    if as_json:
        print(json.dumps(short))
    elif "accuracy" in metrics:
        print(headline(metrics))
    if Path(source).is_dir():
        checkpoint.write_metrics(Path(source), metrics)


def _looked_at(source: str, samples: Path | None) -> "Microscope":
    """The network with its samples, for a survey. Raises ValueError where they are of other classes."""
    from viz.doubt.survey import SETTINGS
    from viz.microscope import Microscope  # here, as it loads plotly

    scope = Microscope.load(source, session.best_device(), samples)
    if not samples and not scope.knows_samples and scope.samples.classes:
        raise ValueError(f"{source} has no samples of its classes: name a folder of pictures with --samples")
    if (count := len(scope.samples)) < SETTINGS.draws:
        raise ValueError(f"{count} pictures of {scope.samples.source} are too few: {SETTINGS.draws} at least")
    return scope


def summary(preset: Preset = "seed") -> None:
    """Print the layer table of a network.

    Args:
        preset: which network
    """
    print(mixer.summary.summary(Mixer(PRESETS[preset])))


def convert(
    source: tyro.conf.Positional[Path],
    output: tyro.conf.Positional[Path],
    image_size: tuple[int, int] | None = None,
    mean: tuple[float, float, float] | None = None,
    std: tuple[float, float, float] | None = None,
    classes: tuple[str, ...] | None = None,
    samples: Path | None = None,
) -> None:
    """Make a checkpoint from Mixer weights of the paper's authors (.npz) or of timm (.safetensors).

    Missing information comes from timm's config.json beside the weights, or from the options.

    Args:
        source: the file with the weights, or timm's folder
        output: folder for the checkpoint
        image_size: height and width of the pictures in pixels; without it, they are square
        mean: what is subtracted from red, green and blue (0 to 1)
        std: what red, green and blue are then divided by
        classes: the names of the classes, in their order
        samples: a folder of pictures, sorted by class into folders or not, that the microscope shows with the network
    """
    checkpoint.check_target(output)
    if source.resolve().is_relative_to(output.resolve()):
        raise checkpoint.CheckpointError(f"{source} lies in {output}, which would be replaced: name another folder")
    model = mixer.convert.convert(source, image_size, mean, std, classes, print)
    own = None if samples is None else read_samples(samples, model.config.image_size, print)
    checkpoint.save(output, model, {"source": source.name, "parameters": record.parameters(model)}, own)
    print(f"{record.parameters(model):,} parameters saved in {output}")


def write_report(
    picture: tyro.conf.Positional[Path],
    source: Annotated[str, tyro.conf.arg(name="checkpoint")] = str(checkpoint.DEFAULT),
    out: Path | None = None,
    samples: Path | None = None,
    label: Annotated[str | None, tyro.conf.arg(name="class")] = None,
    patch: str | None = None,
    depth: str | None = None,
    methods: tuple[MethodName, ...] = (),
    views: tuple[str, ...] = (),
    everything: Annotated[bool, tyro.conf.arg(name="all")] = False,
    pinned: Path | None = None,
) -> None:
    """Write what the microscope shows of a picture into one HTML file, without a browser.

    Views that do not depend on the picture are left out, and so is what the page measures only on request; both are
    listed.

    Args:
        picture: the file of the picture
        source: folder of the network, or the id of a model on the Hugging Face Hub
        out: the file; without it, PICTURE-report.html in this folder, or PICTURE-report-2.html, ... if another report
            has that name
        samples: a folder of pictures that are the samples, in place of those of the network
        label: the class to explain; without it, the answer
        patch: ROW,COLUMN of the selected patch, each from 0
        depth: the selected depth, such as stem, 3a or 12b
        methods: attribution methods; without it, those that the page begins with
        views: views, or tabs with all of their views, in place of those that show the picture, such as tokens.votes or
            attribution; what they need is measured, however long it takes
        everything: all views, and all that they need: hours on a slow machine
        pinned: another picture, to be shown beside
    """
    decoded, beside = decode(picture), decode(pinned) if pinned else None
    of = hashlib.blake2b(picture.read_bytes() + source.encode(errors="surrogateescape"), digest_size=16).hexdigest()
    mark = f"<!-- of {of} -->"
    names = chain([f"{picture.stem}-report.html"], (f"{picture.stem}-report-{number}.html" for number in count(2)))
    out = out or next(path for path in map(Path, names) if not path.exists() or mark.encode() in path.read_bytes())
    atomic_write.check(out, atomic_write.signed)
    from viz.lenses.all import Lenses
    from viz.microscope import Microscope  # here, as nothing else that this file does needs a figure
    from viz.page import report as reports
    from viz.page.photo import Photo
    from viz.page.pin import Pinned
    from viz.page.session import Session
    from viz.selection import Selection, change, show

    def with_a_bar(measurement: Measurement) -> Iterator[int]:
        with tqdm(desc=measurement.label, unit=measurement.unit, total=measurement.total, delay=1) as bar:
            for done in measurement.steps():
                bar.update(done - bar.n)
                yield done

    lenses, photo = Lenses(Microscope.load(source, samples=samples)), Photo.of(decoded)
    scope = lenses.scope
    stated = {"class": label, "patch": patch, "depth": depth, "methods": ",".join(methods)}
    words = {name: word for name, word in stated.items() if word}

    def selected(of: Photo) -> Selection:
        seen = show(scope, lenses.first, of.picture(scope.grid.image_size))
        selection, wrong = change(scope, lenses.page, seen, words)
        if wrong:
            raise ValueError(" ".join(wrong))
        return selection

    visit = Session(selected(photo))
    visit.photo = photo
    chosen, asked = reports.choose(lenses, visit.selection, views, everything), bool(views) or everything
    visit.pinned = Pinned(lenses, selected(Photo.of(beside))) if beside else None
    for selection in [visit.selection, *([visit.pinned.selection] if visit.pinned else [])]:
        reports.measure(scope, [lenses.named[name][1] for name in chosen], selection, with_a_bar, asked)
    text = reports.report(lenses, visit, "", chosen)
    atomic_write.write_signed(out, f"{reports.whole(text)}\n{mark}")
    print(f"{out}: {scope.classes[scope.answer(visit.selection.picture)]}, by {source}")


def attribute(
    folder: tyro.conf.Positional[Path],
    csv: Path,
    source: Annotated[str, tyro.conf.arg(name="checkpoint")] = str(checkpoint.DEFAULT),
    method: MethodName | None = None,
    label: str | None = None,
    baseline: Baseline | None = None,
    output: Output = "logit",
    block: int | None = None,
) -> None:
    """Write which patches support the class of each picture in a folder: a CSV file with a line for each patch.

    Methods that are made of gradients pass many pictures together; the others take as long as on the page.

    Args:
        folder: the pictures, also in folders within it
        csv: the file to write
        source: folder of the network, or the id of a model on the Hugging Face Hub
        method: which method; without it, Gradient x input
        label: the class to explain; without it, each picture's answer
        baseline: what the pictures are compared with; without it, the mean colour
        output: whether the values are in units of the logit or of the probability of the class
        block: for methods that explain tokens, the block after which, counted from 1; without it, the last
    """
    if csv.suffix.lower() != ".csv":
        raise ValueError(f"--csv is the name of a CSV file, such as {csv.with_suffix('.csv')}, not {csv}")
    atomic_write.check(csv, atomic_write.signed)
    files = files_of(folder)
    from viz.attribution.asked import MANY, explain_many
    from viz.attribution.attribute import Attribution
    from viz.lenses.view import csv_text  # here, as nothing else that this file does needs Captum or a figure
    from viz.microscope import Microscope
    from viz.pace import undisturbed

    scope, method, baseline = Microscope.load(source), method or next(iter(METHODS)), baseline or next(iter(BASELINES))
    target, after = None if label is None else scope.class_number(label), scope.block_number(block)
    rows, unreadable, explained = list[list[Any]](), list[str](), 0
    with undisturbed(), tqdm(total=len(files), desc=method, unit=" pictures") as bar:
        for start in range(0, len(files), MANY):
            pictures = dict[str, bytes]()
            for path in files[start : start + MANY]:
                name = text(path.relative_to(folder))
                try:
                    pictures[name] = scope.picture_of(path)
                except (Unreadable, OSError):
                    unreadable.append(name)
                    bar.update()
            steps = explain_many(scope, [*pictures.values()], method, target, baseline, output, after)
            for name, one in zip(pictures, (one for one in steps if isinstance(one, Attribution)), strict=True):
                places = zip(scope.grid.positions, one.values, strict=True)
                rows += [[name, scope.classes[one.target], row, col, value] for (row, col), value in places]
                explained += 1
                bar.update()
    if unreadable:
        print(f"Files that are no picture, left out: {len(unreadable):,} ({few(unreadable)}).")
    if not explained:
        raise ValueError(f"{folder} holds no pictures: name a folder of photos")
    facts = {"method": method, "baseline": baseline, "values": output, "network": f"{source}, {scope.name}"}
    if METHODS[method].block:
        facts["block"] = str(after + 1)
    atomic_write.write_signed(csv, csv_text(facts, ["file", "class", "row", "column", "value"], rows))
    print(f"{csv}: {method} of {explained:,} pictures, {scope.grid.patches} patches each, by {source}")


def snapshot(source: tyro.conf.Positional[Path], output: tyro.conf.Positional[Path]) -> None:
    """Save the current network of a run, also while it trains, as a checkpoint of half precision, half as large.

    Args:
        source: folder of the run
        output: folder for the checkpoint
    """
    checkpoint.check_target(output)
    model, metrics = open_network(source)
    samples = samples_of(source)
    own = samples if samples.source != "CIFAR-10" else None
    checkpoint.save(output, model, metrics | {"weights": "half precision"}, own, precision=torch.float16)
    print(f"{quality_text(metrics)}; saved in {output}")


def plot(run: tyro.conf.Positional[Path]) -> None:
    """Draw the learning curves of a run, finished or not, into the file curves.html in its folder.

    Args:
        run: folder of the run
    """
    from viz import learning_curves  # here, as it loads plotly

    print(learning_curves.write(run))
    learning_curves.show(run)


def push(folder: tyro.conf.Positional[Path], repo_id: tyro.conf.Positional[str]) -> None:
    """Publish an evaluated checkpoint on the Hugging Face Hub, with a model card. Needs a token (hf auth login).

    None of your own images is published, only their number and the names of the classes and of the folder.

    Args:
        folder: folder of the checkpoint; the card stays there as README.md
        repo_id: OWNER/NAME of the model; NAME alone for one of your own
    """
    repo_id = hub.push(folder, repo_id)
    if (folder / checkpoint.SAMPLES).exists():
        print(f"{checkpoint.SAMPLES} stays here: it holds test images, which may be private")
    print(f"Published as {repo_id}; look inside: python app.py --checkpoint {repo_id}")


COMMANDS: dict[str, Any] = {
    "train": train,
    "train-teacher": train_teacher,
    "evaluate": evaluate,
    "summary": summary,
    "convert": convert,
    "report": write_report,
    "attribute": attribute,
    "snapshot": snapshot,
    "plot": plot,
    "push": push,
}


def command(arguments: list[str]) -> None:
    """One line of the command line; what comes from outside ends it in a sentence (SystemExit)."""
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help")):
        arguments = ["train", *arguments]
    with readable_errors(), parallel.processes():
        tyro.extras.subcommand_cli_from_dict(COMMANDS, description=__doc__, args=arguments)


if __name__ == "__main__":
    malloc.keep()
    command(sys.argv[1:])
