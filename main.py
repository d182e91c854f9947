"""The command line. `python main.py` without arguments trains the seed network with the default recipe."""

import hashlib
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import partial
from itertools import chain, count, product
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
from mixer.data import CLASSES, PUBLISHED, at_hand, choose_samples, cifar10, class_names, class_numbers
from mixer.errors import readable_errors
from mixer.evaluate import headline
from mixer.image_folder import compare, digests_of, left_out, read_samples, with_test_images
from mixer.layout import Folders, files_of, text
from mixer.model import PRESETS, Mixer
from mixer.networks import display_name, open_network, quality_text, samples_of
from mixer.picture import Unreadable, decode
from mixer.record import device_name
from mixer.run import Run
from mixer.teacher import Ensemble, Teacher, TeacherConfig, TeacherTrainConfig
from mixer.train import TrainConfig
from viz.attribution.baselines import BASELINES
from viz.attribution.methods import METHODS
from viz.attribution.question import Output
from viz.measuring import Measurement
from viz.pace import undisturbed

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
    """Train a network or continue a stopped run, then evaluate it once on the test images.

    Ctrl-C saves the state and stops; the same command continues. More --epochs prolong a run. The recipe and the
    teacher of a run may change; the network, the images and the seed may not. A notebook shows the learning curves
    after each epoch. On many GPUs: torchrun --nproc-per-node gpu --local-ranks-filter 0 -- main.py train. Each GPU
    computes a part of every batch.

    Args:
        data: cifar10, cifar100, or a folder with one folder of images per class
        preset: the network; default: seed for CIFAR, small for a folder
        image_size: height and width of the input in pixels; default: size of the preset, 32 for CIFAR. The number of
            patches does not change, only their size
        blocks: train only this many blocks, which is faster; --init continues with more
        run: folder of the run: state, history.jsonl, and at the end checkpoint/; default: runs/PRESET for CIFAR-10,
            runs/DATA for other data
        teacher: checkpoints of teachers (from train-teacher); their mean probabilities are learned besides the labels.
            None: no teacher. Default: the shipped teachers for CIFAR-10, none for other data
        init: checkpoint to start from; additional blocks start as the identity
        all_images: train on the validation images, too (then their accuracy is meaningless)
        folders: whether the folders in --data are parts (train, test) or classes, if both are possible
        data_root: folder that holds cifar-10-batches-py or cifar-100-python; default: $CIFAR10_ROOT or ./data
        download: download CIFAR (170 MB) if it is missing
    """
    published = PUBLISHED.get(data)
    name = data if published else Path(data).resolve().name
    preset = preset or ("seed" if published else "small")
    folder = run or Path("runs", preset if data == "cifar10" else name)
    checkpoint.check_target(folder / "checkpoint")
    device = session.best_device()
    if published and image_size not in (None, published.side):
        size = f"{published.side} x {published.side} pixels"
        raise ValueError(f"the images of {name} have {size}: omit --image-size {image_size}")
    network = PRESETS[preset].resized(published.side if published else image_size)
    with parallel.main_process_first():
        parts = session.parts_of(data, network.image_size, data_root, download, folders)
    network = replace(network, num_classes=len(parts.train.classes), classes=parts.train.classes)
    if data != "cifar10":
        network = session.scaled(network, parts.train, init)
        teacher = None if teacher == TEACHERS else teacher
    ensemble = Ensemble(map(partial(session.teacher_of, parts.train), teacher)) if teacher else None
    where = device_name(device) if parallel.count() == 1 else f"{parallel.count()} x {device_name(device)}"
    split = "train+validation" if all_images else "train"
    identity = {"preset": preset, "split": split} | ({} if data == "cifar10" else {"parts": parts.digests()})
    with Run(folder, identity, tuple(map(display_name, teacher or ())), where) as current:
        if init or not current.begun:
            current.identity["init"] = init
        notes = [] if published else parts.describe()
        if init and not current.begun:
            before = checkpoint.load(init, Mixer)[1]
            current.earlier = before.get("stages", [])
            notes += [] if published else compare(parts, before, init)
        model = session.start(preset, blocks, None if current.begun else init, config.seed, network)
        training_images = parts.with_validation() if all_images else parts.train
        print(
            mixer.summary.summary(model),
            f"\n{len(training_images):,} training images, on {device_name(device)}, run in {folder}",
        )
        if config.batch_size and config.batch_size > len(training_images):
            notes.append(f"--batch-size {config.batch_size:,} exceeds their number: each step uses all of them.")
        for line in notes:
            print(line)
        steps = mixer.train.train(model, training_images, parts.validation, config, current, device, ensemble)
        from viz import learning_curves  # here because plotly loads slowly

        images = round(config.epochs * len(training_images))
        if not session.follow(steps, images, lambda again: learning_curves.show(folder, again)):
            print(f"Stopped; the state is saved in {folder}. The same command continues the run.")
            return
        if not parallel.is_first():
            return
        stages = current.record()
        if not published:
            stages[-1]["images"] = digests_of(training_images)
        if session.holds_checkpoint(folder / "checkpoint", stages):
            print(
                f"{folder} is finished after {current.epochs:.1f} epochs (--epochs {config.epochs}); a larger --epochs "
                f"prolongs it. Its network is in {folder / 'checkpoint'}"
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
        f"\nSaved in {folder / 'checkpoint'}; to explore it: python app.py --checkpoint {folder / 'checkpoint'}",
    )


def train_teacher(
    config: Annotated[TeacherTrainConfig, Flat] = TeacherTrainConfig(),
    output: Path = TEACHER,
    data_root: Path | None = None,
    download: bool = False,
) -> None:
    """Train the small CNN that can teach the Mixer (about 25 minutes on two cores).

    Args:
        output: folder for the checkpoint
        data_root: folder that holds cifar-10-batches-py; default: $CIFAR10_ROOT or ./data
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
        data_root: folder that holds cifar-10-batches-py; default: $CIFAR10_ROOT or ./data
        download: download CIFAR-10 (170 MB) if it is missing
        data: cifar10 (default), cifar100, or a folder of images: the folder of the training, or a new one
        folders: whether the folders in --data are parts (train, test) or classes, if both are possible
        attributions: measure all attribution methods on the samples, too (about 15 minutes on two cores). Without
            --data, the accuracy is measured only for a network of CIFAR-10 whose images are there
        samples: folder of pictures for --attributions, instead of the samples of the checkpoint
        as_json: print one line of JSON instead of a sentence
    """
    if attributions:
        checkpoint.check_metrics(source)
    elif samples:
        raise ValueError("--samples needs --attributions: add it")
    model, metrics = checkpoint.load(source, Mixer)
    log = partial(print, file=sys.stderr if as_json else sys.stdout)
    scope = _scope_of(source, samples) if attributions else None
    of_cifar10 = "data" not in metrics and set(class_names(model.config)) == set(CLASSES)
    if data or not attributions or (of_cifar10 and (download or at_hand("CIFAR-10", data_root))):
        data = data or "cifar10"
        if data == "cifar10":
            class_numbers(class_names(model.config))  # before the download
        parts = session.parts_of(data, model.config.image_size, data_root, download, folders)
        for line in [] if data in PUBLISHED else [*parts.describe(), *compare(parts, metrics, source)]:
            log(line)
        metrics |= record.report(model, parts.test, parts.validation, session.best_device())
        if data != "cifar10":
            metrics["data"] = with_test_images(metrics.get("data", {}), parts)
    if scope:
        from viz.doubt.survey import survey  # here because Captum loads slowly

        with undisturbed():
            found = survey(scope.model, scope.sample_inputs, partial(tqdm, desc="attributions", unit="image"))
        metrics["attributions"] = found | {"source": scope.samples.source}
        log(f"Attribution methods measured on {found['images']:,} images of {scope.samples.source}.")
    names = ("accuracy", "images", "parameters", "interval", "flip_accuracy")
    short = {name: metrics[name] for name in names if name in metrics}
    if as_json:
        print(json.dumps(short))
    elif "accuracy" in metrics:
        print(headline(metrics))
    if Path(source).is_dir():
        checkpoint.write_metrics(Path(source), metrics)


def _scope_of(source: str, samples: Path | None) -> "Microscope":
    """The network with its samples, for a survey. Raises ValueError for other classes or too few pictures."""
    from viz.doubt.survey import SETTINGS
    from viz.microscope import Microscope  # here because plotly loads slowly

    scope = Microscope.load(source, session.best_device(), samples)
    if not samples and not scope.knows_samples and scope.samples.classes:
        raise ValueError(f"{source} has no samples of its classes: name a folder of pictures with --samples")
    if (count := len(scope.samples)) < SETTINGS.draws:
        raise ValueError(f"the survey needs at least {SETTINGS.draws} pictures, not {count} ({scope.samples.source})")
    return scope


def summary(preset: Preset = "seed") -> None:
    """Print the layer table of a network.

    Args:
        preset: the network
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
    """Convert Mixer weights of the paper's authors (.npz) or of timm (.safetensors) into a checkpoint.

    Missing settings come from timm's config.json beside the weights, or from the options.

    Args:
        source: the file with the weights, or timm's folder
        output: folder for the checkpoint
        image_size: height and width of the pictures in pixels; default: square
        mean: mean of red, green and blue (0 to 1), subtracted from the pixels
        std: standard deviation of red, green and blue, the divisor after that
        classes: names of the classes, in their order
        samples: folder of pictures, with or without class folders, as the samples of the network
    """
    checkpoint.check_target(output)
    if source.resolve().is_relative_to(output.resolve()):
        raise checkpoint.CheckpointError(f"{source} is in {output}, which would be replaced: name another folder")
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
    """Write a report with the views of a picture into one HTML file.

    Views that do not depend on the picture, and views that the page measures only on request, are left out and listed.

    Args:
        picture: file of the picture
        source: folder of the network, or the id of a model on the Hugging Face Hub
        out: file of the report; default: PICTURE-report.html in this folder, or PICTURE-report-2.html, ... if another
            report has that name
        samples: folder of pictures that replaces the samples of the network
        label: class to explain; default: the answer
        patch: ROW,COLUMN of the selected patch, each from 0
        depth: the selected depth, such as stem, 3a or 12b
        methods: attribution methods; default: those of the page
        views: views, or tabs with all their views, such as tokens.votes or attribution; default: the views that show
            the picture. They are measured, even if that takes long
        everything: write and measure all views, which takes hours on a slow machine
        pinned: another picture for comparison
    """
    decoded, other = decode(picture), decode(pinned) if pinned else None
    key = hashlib.blake2b(picture.read_bytes() + source.encode(errors="surrogateescape"), digest_size=16).hexdigest()
    mark = f"<!-- of {key} -->"
    names = chain([f"{picture.stem}-report.html"], (f"{picture.stem}-report-{number}.html" for number in count(2)))
    out = out or next(path for path in map(Path, names) if not path.exists() or mark.encode() in path.read_bytes())
    atomic_write.check(out, atomic_write.signed)
    from viz.lenses.all import Lenses
    from viz.microscope import Microscope  # here because the other commands need no figures
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
    chosen, on_request = reports.choose(lenses, visit.selection, views, everything), bool(views) or everything
    visit.pinned = Pinned(lenses, selected(Photo.of(other)), other.name) if other else None
    with undisturbed():
        for selection in [visit.selection, *([visit.pinned.selection] if visit.pinned else [])]:
            reports.measure(scope, [lenses.named[name][1] for name in chosen], selection, with_a_bar, on_request)
    text = reports.report(lenses, visit, "", chosen)
    atomic_write.write_signed(out, f"{reports.with_library(text)}\n{mark}")
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
    groups: int | None = None,
) -> None:
    """Write the attribution of each picture in a folder into a CSV file with one line per patch, or group of patches.

    Gradient methods process many pictures together; the other methods take as long as on the page.

    Args:
        folder: folder of the pictures, including its subfolders
        csv: CSV file to write
        source: folder of the network, or the id of a model on the Hugging Face Hub
        method: attribution method; default: Gradient x input
        label: class to explain; default: the answer for each picture
        baseline: the baseline of the method; default: the mean colour
        output: whether the values are in units of the logit or of the probability of the class
        block: for methods that explain tokens, the number of their block, from 1; default: the last
        groups: patches along each side of a group, for networks of over 64 patches: 1, 2 or 4; default: single patches.
            A line has the first row and column of its group
    """
    if csv.suffix.lower() != ".csv":
        raise ValueError(f"--csv must be the name of a CSV file, such as {csv.with_suffix('.csv')}, not {csv}")
    atomic_write.check(csv, atomic_write.signed)
    files = files_of(folder)

    # here because the other commands need no Captum or figures
    from viz.attribution.attribute import Attribution
    from viz.attribution.query import explain_many
    from viz.lenses.view import csv_text, parts_text, places, side_text
    from viz.microscope import Microscope

    scope, method, baseline = Microscope.load(source), method or next(iter(METHODS)), baseline or next(iter(BASELINES))
    target, after = None if label is None else scope.class_number(label), scope.block_number(block)
    side = scope.group_side(groups)
    positions = [*product(*places(scope, side).values())]
    rows, names, unreadable, explained = list[list[Any]](), list[str](), list[str](), 0
    with undisturbed(), tqdm(total=len(files), desc=method, unit=" pictures") as bar:

        def pictures() -> Iterator[bytes]:
            for path in files:
                name = text(path.relative_to(folder))
                try:
                    picture = scope.picture_of(path)
                except (Unreadable, OSError):
                    unreadable.append(name)
                    bar.update()
                else:
                    names.append(name)
                    yield picture

        for one in explain_many(scope, pictures(), method, target, baseline, output, after, side):
            if isinstance(one, Attribution):
                values = zip(positions, one.values, strict=True)
                rows += [[names[explained], scope.classes[one.target], row, col, value] for (row, col), value in values]
                explained += 1
                bar.update()
    for sentence in left_out(unreadable):
        print(sentence)
    if not explained:
        raise ValueError(f"{folder} has no pictures: name a folder with photos")
    facts = {"method": method, "baseline": baseline, "values": output, "network": f"{source}, {scope.name}"}
    if METHODS[method].block:
        facts["block"] = str(after + 1)
    if side > 1:
        facts["groups"] = side_text(side)
    atomic_write.write_signed(csv, csv_text(facts, ["file", "class", "row", "column", "value"], rows))
    print(f"{csv}: {method} of {explained:,} pictures, {len(positions)} {parts_text(side)} each, by {source}")


def snapshot(source: tyro.conf.Positional[Path], output: tyro.conf.Positional[Path]) -> None:
    """Save the current network of a run, also during training, as a checkpoint in half precision.

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
    """Draw the learning curves of a run, finished or not, into curves.html in its folder.

    Args:
        run: folder of the run
    """
    from viz import learning_curves  # here because plotly loads slowly

    print(learning_curves.write(run))
    learning_curves.show(run)


def push(folder: tyro.conf.Positional[Path], repo_id: tyro.conf.Positional[str]) -> None:
    """Publish an evaluated checkpoint on the Hugging Face Hub, with a model card. Needs a token (hf auth login).

    Your own images are not published, only their number and the names of the classes and of the folder.

    Args:
        folder: folder of the checkpoint; the card is written there as README.md
        repo_id: OWNER/NAME of the model; NAME alone for your own account
    """
    repo_id = hub.push(folder, repo_id)
    if (folder / checkpoint.SAMPLES).exists():
        print(f"{checkpoint.SAMPLES} was not published: its test images may be private")
    print(f"Published as {repo_id}; to explore it: python app.py --checkpoint {repo_id}")


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
    """Run one command. Expected errors exit with a message (SystemExit)."""
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help")):
        arguments = ["train", *arguments]
    with readable_errors(), parallel.processes():
        tyro.extras.subcommand_cli_from_dict(COMMANDS, description=__doc__, args=arguments)


if __name__ == "__main__":
    malloc.keep()
    command(sys.argv[1:])
