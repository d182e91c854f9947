"""The command line, end to end on a small data set in CIFAR's own format."""

import json
import re
import shutil
import signal
import subprocess
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from inspect import signature
from io import StringIO
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import main
import mixer.convert
import mixer.train
import viz
from mixer import checkpoint, record, session
from mixer.atomic_write import NotWritable
from mixer.data import CLASSES, Labelled, OtherClasses, normalise, statistics
from mixer.image_folder import read as read_folder
from mixer.layout import UnusableData
from mixer.model import PRESETS, Mixer, MixerConfig
from mixer.networks import display_name
from mixer.picture import decode, to_picture
from mixer.run import Run, RunError
from mixer.teacher import Teacher, TeacherTrainConfig
from mixer.train import TrainConfig
from tests import photos, small_cifar
from tests.viz.explained import bent
from viz.doubt.survey import description, survey
from viz.microscope import Microscope

ROOT = Path(__file__).parent.parent
SHORT = TrainConfig(epochs=2, warmup_epochs=0.5, decay_epochs=1, batch_size=20)


def test_train_teach_continue_evaluate(cifar: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main.train_teacher(TeacherTrainConfig(epochs=1, batch_size=16), tmp_path / "teacher", cifar)
    assert checkpoint.load(tmp_path / "teacher", Teacher)[1]["recipe"]["batch_size"] == 16
    assert "epoch 1: loss" in capsys.readouterr().out

    teacher = str(tmp_path / "teacher")
    main.train(SHORT, blocks=1, run=tmp_path / "run", teacher=(teacher, str(main.TEACHER)), data_root=cifar)
    out = capsys.readouterr().out
    assert "MixerBlock-15  [-1, 32, 512]  0" in out
    assert "40 training images" in out
    model, metrics = checkpoint.load(tmp_path / "run" / "checkpoint", Mixer)
    assert model.config == replace(PRESETS["seed"], num_blocks=1)
    (stage,) = metrics["stages"]
    assert stage["recipe"]["teacher"] == [teacher, "checkpoints/teacher"]
    assert [line["epoch"] for line in stage["history"]] == [1, 2]
    assert metrics["epochs"] == 2
    assert f"CIFAR-10 test accuracy: {metrics['accuracy']:.2%} on 60 images" in out

    main.train(replace(SHORT, epochs=3), blocks=1, run=tmp_path / "run", data_root=cifar)
    metrics = checkpoint.load(tmp_path / "run" / "checkpoint", Mixer)[1]
    before, longer = metrics["stages"]
    assert before == stage
    assert [line["epoch"] for line in longer["history"]] == [1]
    assert (longer["recipe"]["epochs"], longer["recipe"]["teacher"]) == (3, list(map(display_name, main.TEACHERS)))
    assert metrics["epochs"] == 3

    first = str(tmp_path / "run" / "checkpoint")
    main.train(SHORT, blocks=2, run=tmp_path / "more", init=first, teacher=None, data_root=cifar)
    grown = checkpoint.load(tmp_path / "more" / "checkpoint", Mixer)[1]
    assert [stage["recipe"]["blocks"] for stage in grown["stages"]] == [1, 1, 2]
    assert grown["stages"][:2] == metrics["stages"]
    assert grown["epochs"] == 5
    seconds = sum(stage["history"][-1]["seconds"] for stage in grown["stages"])
    assert grown["hours"] == pytest.approx(seconds / 3600, abs=0.02)

    capsys.readouterr()
    main.evaluate(str(tmp_path / "run" / "checkpoint"), cifar, as_json=True)
    short = json.loads(capsys.readouterr().out)
    assert short["accuracy"] == metrics["accuracy"]
    assert short["images"] == 60
    assert short["parameters"] == sum(p.numel() for p in model.parameters())


def test_all_attribution_methods_are_measured_on_demand(
    tiny: MixerConfig, cifar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = checkpoint.load_samples(checkpoint.DEFAULT)
    few = replace(shipped, images=shipped.images[:5], labels=shipped.labels[:5], indices=shipped.indices[:5])
    monkeypatch.setattr(checkpoint, "load_samples", lambda source: few)
    checkpoint.save(tmp_path / "tiny", Mixer(tiny), {})
    main.evaluate(str(tmp_path / "tiny"), tmp_path / "nothing", attributions=True)
    model, metrics = checkpoint.load(tmp_path / "tiny", Mixer)
    assert "accuracy" not in metrics, "which would need all test images"
    want = survey(model.eval(), normalise(few.images, tiny))
    found = metrics["attributions"]
    assert found["images"] == 5
    assert found["methods"].keys() == want["methods"].keys()
    for name, row in want["methods"].items():
        assert found["methods"][name]["deletion"] == pytest.approx(row["deletion"], abs=1e-5)
        assert found["methods"][name]["insertion"] == pytest.approx(row["insertion"], abs=1e-5)
    main.evaluate(str(tmp_path / "tiny"), cifar)
    assert checkpoint.load(tmp_path / "tiny", Mixer)[1]["attributions"] == found  # kept when measured no more


def test_a_deeper_network_starts_as_the_shallower_one(tmp_path: Path) -> None:
    torch.manual_seed(5)
    shallow = Mixer(replace(PRESETS["seed"], num_blocks=2)).eval()
    checkpoint.save(tmp_path / "two", shallow, {})
    deep = session.start("seed", 5, str(tmp_path / "two"), seed=0).eval()
    images = torch.randn(2, 3, 32, 32)
    assert len(deep.blocks) == 5
    torch.testing.assert_close(deep(images), shallow(images))


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"num_blocks": 2}, "num_blocks 2, not num_blocks 1"),
        ({"hidden_dim": 16}, "hidden_dim 16, not hidden_dim 512"),
        ({"patch_size": (1, 32)}, "patch_size (1, 32), not patch_size (4, 8)"),  # as many weights, of the same shapes
        ({"patch_size": (8, 4), "gelu": "tanh"}, "patch_size (8, 4), gelu tanh, not patch_size (4, 8), gelu none"),
        ({"std": (0.5, 0.5, 0.5)}, "std (0.5, 0.5, 0.5), not std (0.247, 0.2435, 0.2616)"),
    ],
)
def test_weights_of_another_network_are_not_taken_to_start_from(
    tmp_path: Path, other: dict[str, object], words: str
) -> None:
    checkpoint.save(tmp_path / "other", Mixer(replace(PRESETS["seed"], **{"num_blocks": 1, **other})), {})
    with pytest.raises(checkpoint.CheckpointError, match="does not fit into seed: it has " + re.escape(words)):
        session.start("seed", 1, str(tmp_path / "other"), seed=0)


def test_a_network_without_blocks_is_refused() -> None:
    with pytest.raises(ValueError, match="num_blocks must be from 1 to 1000, not 0"):
        session.start("seed", 0, None, seed=0)


def files(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.glob("**/*") if file.is_file()}


def test_a_run_stays_what_it_is_of(
    cifar: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"

    def train(config: TrainConfig = SHORT, **other: object) -> str:
        main.train(config, **{"blocks": 1, "run": folder, "teacher": None, "data_root": cifar, **other})
        return capsys.readouterr().out

    train()
    before = files(folder)
    checkpoint.save(tmp_path / "weights", Mixer(replace(PRESETS["seed"], num_blocks=1)), {})
    for change, words in (
        ({"preset": "seed-rows"}, r"is a run of preset seed, patch_size \(4, 8\), not of preset seed-rows, patch_"),
        ({"blocks": 2}, "is a run of num_blocks 1, not of num_blocks 2"),
        ({"all_images": True}, r"is a run of split train, training images 40, digest \w+, not of split train\+validat"),
        ({"config": replace(SHORT, seed=3)}, "is a run of seed 0, not of seed 3"),
        ({"init": str(tmp_path / "weights")}, "is a run of init None, not of init .*weights"),
    ):
        with pytest.raises(RunError, match=words):
            train(**change)
        assert files(folder) == before

    for config in (SHORT, replace(SHORT, epochs=1, decay_epochs=0.5), replace(SHORT, weight_decay=3.0)):
        assert "is finished after 2.0 epochs" in train(config)
        assert files(folder) == before
    with Run(folder), pytest.raises(RunError, match="another process is training in"):
        train()

    lost = folder / "checkpoint"
    shutil.rmtree(lost)
    metrics = json.loads(before["checkpoint/metrics.json"])
    assert "% on 60 images" in train()  # stopped before its end, between training and evaluation
    assert checkpoint.load(lost, Mixer)[1]["stages"] == metrics["stages"]

    monkeypatch.chdir(tmp_path)
    for preset in ("seed", "seed-rows"):  # without --run
        train(run=None, preset=preset)
        assert checkpoint.load(tmp_path / "runs" / preset / "checkpoint", Mixer)[0].config.patch_size


PHOTOS = TrainConfig(epochs=1, batch_size=8, auto_augment=False)


def test_a_folder_of_photos_becomes_a_network_with_its_own_samples(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = str(photos.write(tmp_path / "mine", 30, ("discs", "stripes", "wide stripes")))
    (tmp_path / "mine" / "discs" / "notes.txt").write_text("no picture", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    main.train(PHOTOS, data, image_size=16, blocks=1)
    out = capsys.readouterr().out
    assert "Files that cannot be read as a picture, left out: 1 (discs/notes.txt)." in out
    folder = tmp_path / "runs" / "mine" / "checkpoint"
    model, metrics = checkpoint.load(folder, Mixer)
    parts = read_folder(tmp_path / "mine", (16, 16))
    assert model.config == replace(
        PRESETS["small"],
        num_blocks=1,
        image_size=(16, 16),
        patch_size=(2, 2),
        num_classes=3,
        classes=("discs", "stripes", "wide stripes"),
        mean=statistics(parts.train)[0],
        std=statistics(parts.train)[1],
    )
    assert metrics["data"] == parts.record()
    assert metrics["images"] == len(parts.test) == metrics["data"]["test images"]
    assert f"mine test accuracy: {metrics['accuracy']:.2%} on {len(parts.test)} images" in out
    assert metrics["stages"][0]["recipe"]["teacher"] == []
    own = checkpoint.load_samples(folder)
    assert torch.equal(own.images, parts.test.images[own.indices])
    assert (own.classes, own.source) == (model.config.classes, "mine")

    main.evaluate(str(folder), data=data, as_json=True)
    assert json.loads(capsys.readouterr().out)["accuracy"] == metrics["accuracy"]
    with pytest.raises(OtherClasses, match=r"than CIFAR-10 .* choose images of its classes with --data"):
        main.evaluate(str(folder))

    with pytest.raises(OtherClasses, match="is a teacher for the classes of CIFAR-10 at 32 x 32 pixels, not for mine"):
        main.train(PHOTOS, data, image_size=16, blocks=1, teacher=main.TEACHERS[:1])
    assert "is finished" in train_again(capsys, data)
    shutil.rmtree(tmp_path / "mine" / "wide stripes")  # other classes: another network
    with pytest.raises(RunError, match=r"is a run of .*num_classes 3"):
        main.train(PHOTOS, data, image_size=16, blocks=1)


def train_again(capsys: pytest.CaptureFixture[str], data: str) -> str:
    main.train(PHOTOS, data, image_size=16, blocks=1)
    return capsys.readouterr().out


def test_a_run_stays_with_the_test_images_that_it_began_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = str(photos.write(tmp_path / "mine", 30))
    monkeypatch.chdir(tmp_path)
    main.train(PHOTOS, data, image_size=16, blocks=1)
    before = files(tmp_path / "runs" / "mine")
    photos.write(tmp_path / "more", 30, seed=3)
    (tmp_path / "more" / "discs").rename(tmp_path / "mine" / "discs" / "more")
    with pytest.raises(RunError, match="digest"):
        main.train(replace(PHOTOS, epochs=2), data, image_size=16, blocks=1)
    assert files(tmp_path / "runs" / "mine") == before
    first = "runs/mine/checkpoint"
    main.train(PHOTOS, data, image_size=16, blocks=1, run=tmp_path / "on", init=first)  # goes on, with the new ones
    assert checkpoint.load(tmp_path / "on" / "checkpoint", Mixer)[1]["data"]["training images"] > 42


def test_test_images_that_a_network_was_trained_on_are_refused_and_new_ones_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, data = tmp_path / "run" / "checkpoint", photos.write(tmp_path / "mine", 20)
    main.train(PHOTOS, str(data), image_size=16, blocks=1, run=tmp_path / "run")
    before = (first / "metrics.json").read_bytes()
    parts = read_folder(data, (16, 16))
    turned = tmp_path / "turned"  # what was trained on tests, and the other way round
    for file in sorted(data.rglob("*.jpg")):
        pixels = torch.from_numpy(to_picture(decode(file).image, (16, 16))).permute(2, 0, 1)
        part = "test" if (parts.train.images == pixels).flatten(1).all(1).any() else "train"
        (turned / part / file.parent.name).mkdir(parents=True, exist_ok=True)
        shutil.copy(file, turned / part / file.parent.name)
    for name in ("discs", "stripes"):
        photos.write(tmp_path / "more", 12, seed=8)
        for file in (tmp_path / "more" / name).iterdir():
            shutil.copy(file, turned / "train" / name / f"more {file.name}")
    words = r"trained on (\d+) of the \1 test images, which makes the accuracy meaningless"
    capsys.readouterr()
    with pytest.raises(UnusableData, match=words):
        main.evaluate(str(first), data=str(turned))
    with pytest.raises(UnusableData, match=words):
        main.train(PHOTOS, str(turned), image_size=16, blocks=1, run=tmp_path / "on", init=str(first))
    assert not (tmp_path / "on" / "state.pt").exists()
    assert (first / "metrics.json").read_bytes() == before
    assert "right" not in capsys.readouterr().out

    new = photos.write(tmp_path / "new", 20, seed=9)
    for as_json in (True, False):
        main.evaluate(str(first), data=str(new), as_json=as_json)
        captured = capsys.readouterr()
        assert "None of the" in (captured.err if as_json else captured.out)
    main.evaluate(str(first), data=str(data))
    assert "None of the" not in capsys.readouterr().out

    main.snapshot(first, tmp_path / "half")
    assert checkpoint.load_samples(tmp_path / "half").source == "mine"
    with pytest.raises(UnusableData, match=words):
        main.evaluate(str(tmp_path / "half"), data=str(turned))


def test_a_batch_larger_than_the_data_is_all_of_it_and_said(
    cifar: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    large = TrainConfig(epochs=2, warmup_epochs=0.5, batch_size=1000)
    main.train(large, blocks=1, run=tmp_path / "run", teacher=None, data_root=cifar)
    captured = capsys.readouterr()
    assert "--batch-size 1,000 exceeds their number: each step uses all of them." in captured.out
    assert re.findall(r"epoch (\S+): loss", captured.out) == ["1.0", "2.0"]
    assert "-" not in re.sub(r"e-\d", "", captured.err.rpartition("image/s")[0].rpartition("[")[2])
    stage = checkpoint.load(tmp_path / "run" / "checkpoint", Mixer)[1]["stages"][0]
    assert stage["recipe"]["batch_size"] == 40
    assert [line["images"] for line in stage["history"]] == [40, 80]


def test_reports_of_two_pictures_or_networks_of_one_name_both_stay(
    tiny: MixerConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("viz.page.report.measure", lambda *of: None)
    monkeypatch.setattr("viz.page.report.report", lambda *of: "a report")
    torch.manual_seed(0)
    for name in ("net", "other"):
        checkpoint.save(tmp_path / name, Mixer(tiny), {})
    photos.write(tmp_path / "a", 1)
    for name in ("discs", "stripes"):
        (tmp_path / "a" / name / "IMG_0000.jpg").rename(tmp_path / "a" / name / "photo.jpg")

    def written(kind: str, network: str) -> set[str]:
        main.write_report(tmp_path / "a" / kind / "photo.jpg", network)
        return {path.name for path in tmp_path.glob("*.html")}

    assert written("discs", "net") == {"photo-report.html"}
    assert written("discs", "net") == {"photo-report.html"}, "its own is replaced"
    assert written("stripes", "net") == {"photo-report.html", "photo-report-2.html"}
    assert written("discs", "other") == {"photo-report.html", "photo-report-2.html", "photo-report-3.html"}
    assert len(written("stripes", "net")) == 3


def test_the_pictures_of_a_folder_are_explained_in_a_table(
    tiny: MixerConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint.save(tmp_path / "net", bent(tiny), {})
    folder, source, table = photos.write(tmp_path / "a", 3), str(tmp_path / "net"), tmp_path / "values.csv"
    (folder / "discs" / "IMG_0001.jpg").rename(folder / "=1+2.jpg")
    (folder / "notes.txt").write_text("no picture", encoding="utf-8")
    monkeypatch.setattr("viz.attribution.query.MANY", 4)
    main.attribute(folder, table, source, "Token Grad-CAM", block=2)
    said = capsys.readouterr().out
    assert "Files that cannot be read as a picture, left out: 1 (notes.txt)." in said
    assert "Token Grad-CAM of 6 pictures" in said
    lines = table.read_text("utf-8").splitlines()
    notes, (columns, *rows) = lines[:5], [line for line in lines if line and not line.startswith("#")]
    assert {"# method: Token Grad-CAM", "# block: 2"} < set(notes)
    assert columns == "file,class,row,column,value"
    scope = Microscope.load(source)
    assert len(rows) == 6 * scope.grid.patches
    assert sum(row.startswith("'=1+2.jpg,") for row in rows) == scope.grid.patches
    for name in ("discs/IMG_0000.jpg", "stripes/IMG_0002.jpg"):
        (want,) = viz.attribute(scope, [folder / name], "Token Grad-CAM", block=2)
        cells = [row.split(",") for row in rows if row.startswith(name)]
        assert {row[1] for row in cells} == {scope.classes[want.target]}
        assert [(int(row[2]), int(row[3])) for row in cells] == scope.grid.positions
        np.testing.assert_allclose([float(row[4]) for row in cells], want.values, rtol=1e-3, atol=1e-5)
    main.attribute(folder, table, source, label="cat", baseline="black", output="probability")  # its own is replaced
    again = [line for line in table.read_text("utf-8").splitlines() if not line.startswith("#")]
    assert {line.split(",")[1] for line in again if line} == {"class", "cat"}


def test_a_line_of_the_table_is_a_group_of_patches(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """9 x 10 patches, so that the groups at the lower edge are smaller."""
    many = MixerConfig((18, 20), (2, 2), 10, CLASSES, 1, hidden_dim=8, tokens_mlp_dim=9, channels_mlp_dim=10)
    checkpoint.save(tmp_path / "net", bent(many), {})
    folder, source, table = photos.write(tmp_path / "a", 1), str(tmp_path / "net"), tmp_path / "values.csv"
    given = (folder, "--csv", table, "--checkpoint", source, "--method", "Patch ablation", "--groups", 2)
    main.command(["attribute", *map(str, given)])
    assert "25 groups of 2 x 2 patches each" in capsys.readouterr().out
    lines = table.read_text("utf-8").splitlines()
    assert "# groups: 2 x 2 patches" in lines
    rows = [line.split(",") for line in lines if line.startswith("discs/")]
    (want,) = viz.attribute(Microscope.load(source), [folder / rows[0][0]], "Patch ablation", groups=2)
    assert [(int(row[2]), int(row[3])) for row in rows] == [*product(range(0, 9, 2), range(0, 10, 2))]
    np.testing.assert_allclose([float(row[4]) for row in rows], want.values, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"csv": "mine.csv"}, NotWritable, "mine.csv exists already, and another program wrote or changed it"),
        ({"csv": "values.txt"}, ValueError, "--csv must be the name of a CSV file, such as values.csv, not values.txt"),
        ({"folder": "nowhere"}, FileNotFoundError, "nowhere"),
        ({"folder": "texts"}, ValueError, "texts has no pictures: name a folder with photos"),
        ({"label": "tiger"}, ValueError, "this network has no class 'tiger'"),
        ({"groups": 2}, ValueError, "groups of patches are 1 along each side here, not 2"),
        ({"block": 9}, ValueError, "block is a whole number from 1 to 3, not 9"),
    ],
)
def test_what_cannot_be_explained_is_said_before_any_work_is_lost(
    tiny: MixerConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    error: type[Exception],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    checkpoint.save(tmp_path / "net", Mixer(tiny), {})
    photos.write(tmp_path / "a", 1)
    (tmp_path / "mine.csv").write_text("mine\n", encoding="utf-8")
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "notes.txt").write_text("no picture", encoding="utf-8")
    paths = {name: Path(changes.pop(name, name)) for name in ("folder", "csv") if name in changes}
    given = {"folder": Path("a"), "csv": Path("values.csv"), "source": "net"} | paths | changes
    with pytest.raises(error, match=re.escape(words)):
        main.attribute(**given)
    assert not (tmp_path / "values.csv").exists()
    assert (tmp_path / "mine.csv").read_text(encoding="utf-8") == "mine\n"


def test_cifar100_is_learned_by_its_own_names(
    cifar: Path, coloured: Labelled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = small_cifar.write_100(cifar, coloured)
    small_cifar.accept_100(monkeypatch.setattr)
    main.train(SHORT, "cifar100", blocks=1, run=tmp_path / "run", data_root=cifar)
    model, metrics = checkpoint.load(tmp_path / "run" / "checkpoint", Mixer)
    assert model.config.classes == names
    assert model.config.patch_size == (4, 8)
    assert metrics["data"]["name"] == "CIFAR-100"
    assert metrics["images"] == 60
    assert checkpoint.load_samples(tmp_path / "run" / "checkpoint").source == "CIFAR-100"
    main.evaluate(str(tmp_path / "run" / "checkpoint"), cifar, data="cifar100")


def test_an_interrupted_training_ends_between_two_steps_and_can_go_on(
    cifar: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = []

    def interrupted(*args: object) -> object:
        for metrics in training(*args):
            steps.append(metrics["step"])
            signal.raise_signal(signal.SIGINT)
            yield metrics

    training = mixer.train.train
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(mixer.train, "train", interrupted)
    main.train(SHORT, blocks=1, run=tmp_path / "run", data_root=cifar)
    assert steps == [1]
    assert "The same command continues the run" in capsys.readouterr().out
    assert signal.getsignal(signal.SIGINT) is before
    assert torch.load(tmp_path / "run" / "state.pt", weights_only=True)["progress"]["step"] == 1


def test_convert_makes_a_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tests.mixer.test_convert import as_the_authors_save

    sizes = {"image_size": (14, 14), "patch_size": (7, 7), "num_classes": 5, "num_blocks": 1, "hidden_dim": 11}
    model = Mixer(replace(PRESETS["B/16"], **sizes, tokens_mlp_dim=13, channels_mlp_dim=19)).eval()
    np.savez(tmp_path / "authors.npz", **as_the_authors_save(model))
    main.convert(tmp_path / "authors.npz", tmp_path / "ours")
    loaded, metrics = checkpoint.load(tmp_path / "ours", Mixer)
    assert loaded.config == model.config
    assert metrics["source"] == "authors.npz"
    out = capsys.readouterr().out
    assert "image size: 14 x 14 (default of the authors)" in out
    assert "classes: 5, class 0, class 1, class 2, ... (not stated)" in out
    assert "parameters saved in" in out


def test_what_is_converted_can_be_looked_at_and_not_evaluated(tmp_path: Path) -> None:
    """By the command line: its options come from the signature. And nothing is fetched before it is refused."""
    source, ours = ROOT / "tests" / "data" / "cases" / "timm_2_classes.safetensors", str(tmp_path / "ours")
    options = ("--image-size", "16", "64", "--mean", "0", "0", "0", "--std", "1", "1", "1", "--classes", "ant", "bee")
    result = run("convert", str(source), ours, *options)
    assert "image size: 16 x 64 (option)" in result.stdout
    config = checkpoint.load(ours, Mixer)[0].config
    assert (config.image_size, config.mean, config.std) == ((16, 64), (0, 0, 0), (1, 1, 1))
    assert config.classes == ("ant", "bee")
    result = run("evaluate", ours, "--data-root", str(tmp_path), "--download")
    assert result.returncode == 1
    assert "the network has other classes (2: ant, bee) than CIFAR-10" in result.stderr
    assert "Traceback" not in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["ours"]
    with pytest.raises(
        ValueError, match="ours has no samples of its classes: name a folder of pictures with --samples"
    ):
        main.evaluate(ours, attributions=True)


def test_a_converted_network_has_pictures_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, ours = ROOT / "tests" / "data" / "cases" / "timm_2_classes.safetensors", tmp_path / "ours"
    photos.write(tmp_path / "photos", 2, ("ant", "bee"))
    main.convert(source, ours, image_size=(16, 64), classes=("ant", "bee"), samples=tmp_path / "photos")
    found = checkpoint.load_samples(ours)
    assert (len(found), found.classes, found.source, found.held_out) == (4, ("ant", "bee"), "photos", False)
    main.evaluate(str(ours), attributions=True)
    measured = checkpoint.load(ours, Mixer)[1]["attributions"]
    assert (measured["images"], measured["source"]) == (4, "photos")
    assert "Attribution methods measured on 4 images of photos." in capsys.readouterr().out
    assert "Settings: 4 images of photos, " in description(measured)
    with pytest.raises(ValueError, match="the survey needs at least 4 pictures, not 2 \\(ant\\)"):
        main.evaluate(str(ours), attributions=True, samples=tmp_path / "photos" / "ant")
    with pytest.raises(ValueError, match="--samples needs --attributions: add it"):
        main.evaluate(str(ours), samples=tmp_path / "photos")


@pytest.fixture
def downloads(tmp_path: Path) -> Path:
    """Somebody's folder, with the weights that are to be converted among other things."""
    from tests.mixer.test_convert import as_the_authors_save

    folder = tmp_path / "downloads"
    folder.mkdir()
    sizes = {"image_size": (14, 14), "patch_size": (7, 7), "num_classes": 5, "num_blocks": 1, "hidden_dim": 11}
    model = Mixer(replace(PRESETS["B/16"], **sizes, tokens_mlp_dim=13, channels_mlp_dim=19))
    np.savez(folder / "mixer.npz", **as_the_authors_save(model))
    for name in ("thesis.pdf", "photo.jpg"):
        (folder / name).write_text("mine", encoding="utf-8")
    return folder


def test_nothing_is_written_over_what_is_somebody_s(
    downloads: Path, cifar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All refuse before any work: there is no data to train on, and the weights are not read."""
    monkeypatch.setattr(main, "cifar10", None)
    monkeypatch.setattr(session, "parts_of", None)
    monkeypatch.setattr(mixer.convert, "convert", None)
    before = {path: path.read_bytes() for path in downloads.iterdir()}
    for work in (
        lambda: main.convert(downloads / "mixer.npz", downloads),
        lambda: main.train_teacher(TeacherTrainConfig(epochs=1, batch_size=16), downloads, cifar),
    ):
        with pytest.raises(NotWritable, match=r"downloads holds .*\(.*\), so it is not replaced: name a new folder"):
            work()
    shutil.copytree(downloads, tmp_path / "run" / "checkpoint")
    with pytest.raises(NotWritable, match="run/checkpoint holds"):
        main.train(SHORT, blocks=1, run=tmp_path / "run", data_root=cifar)
    assert {path: path.read_bytes() for path in downloads.iterdir()} == before
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["checkpoint"]


def test_weights_within_the_folder_that_they_would_replace_stay(downloads: Path, tmp_path: Path) -> None:
    ours = tmp_path / "ours"
    main.convert(downloads / "mixer.npz", ours)
    (downloads / "mixer.npz").rename(ours / "model.safetensors")
    with pytest.raises(checkpoint.CheckpointError, match="which would be replaced: name another folder"):
        main.convert(ours / "model.safetensors", ours)
    assert (ours / "model.safetensors").exists()


def test_a_result_is_printed_even_where_it_cannot_be_written(
    tiny: MixerConfig, cifar: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "tiny"
    checkpoint.save(folder, Mixer(tiny), {})
    (folder / "metrics.json").rename(tmp_path / "elsewhere.json")
    (folder / "metrics.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(NotWritable, match=r"metrics\.json is a link"):
        main.evaluate(str(folder), cifar)
    assert "% on 60 images" in capsys.readouterr().out

    monkeypatch.setattr(record, "report", None)
    for source, words in ((str(folder), "is a link"), ("owner/name", "is not a local folder")):
        with pytest.raises(NotWritable, match=words):
            main.evaluate(source, cifar, attributions=True)  # a quarter of an hour, and then it could not be written


def test_a_lost_terminal_ends_a_training_unless_it_was_told_not_to_mind() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # these tests may run under nohup
    try:
        with session.interrupts() as seen:
            signal.raise_signal(signal.SIGHUP)
            assert seen == [signal.SIGHUP]
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
        with session.interrupts() as seen:
            signal.raise_signal(signal.SIGHUP)
            assert not seen
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A command as its process would end, in this one."""
    status = 0
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        try:
            main.command(list(arguments))
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
            if isinstance(end.code, str):
                err.write(end.code)
    return subprocess.CompletedProcess(arguments, status, out.getvalue(), err.getvalue())


def test_summary_prints_the_seed_s_table() -> None:
    out = run("summary").stdout.splitlines()
    assert "Linear-2  [-1, 32, 512]  49,664" in out
    assert "Total params: 6,782,858" in out


def test_errors_are_words_and_an_exit_status(tmp_path: Path) -> None:
    for arguments, words in (
        (("--data-root", str(tmp_path)), "Three ways to get it"),
        (("evaluate", str(tmp_path)), "config.json is missing or damaged"),
        (("convert", "nowhere.npz", str(tmp_path / "out")), "is not an MLP-Mixer"),
        (("train", "--epochs", "1", "--decay-epochs", "3"), "shorter than warm-up and decay"),
        (("train", "--crop", "40"), "crop must be from 0 to 31, not 40"),
        (("--data", str(tmp_path / "nowhere")), "--data takes cifar10, cifar100, or a folder of images"),
        (("--data", str(tmp_path)), "sort the images into one folder per class, at least two"),
        (("--data", "cifar100", "--data-root", str(tmp_path)), "CIFAR-100 is not in"),
        (("--image-size", "48"), "the images of cifar10 have 32 x 32 pixels: omit --image-size 48"),
        (
            ("--data", str(tmp_path), "--image-size", "50"),
            "image_size must be a multiple of 8 for 8 x 8 patches",
        ),
        (("--mix", "3"), "mix must be from 0 to 1, not 3"),
        (("train-teacher", "--batch-size", "0"), "batch_size must be from 1 to 1000000, not 0"),
        (("plot", str(tmp_path)), "has no finished epoch"),
        (("push", str(tmp_path / "nowhere"), "owner/name"), "is not a folder"),
        (("train-teacher", "--output", __file__), "exists already, and another program wrote or changed it"),
        (("train-teacher", "--output", f"{__file__}/below"), "cannot be written (Not a directory)"),
    ):
        result = run(*arguments)
        assert result.returncode != 0, arguments
        assert words in " ".join(result.stderr.replace("│", "").split())
        assert "Traceback" not in result.stderr


def test_the_default_teachers_ship_with_the_project_and_small_enough_for_a_plain_push() -> None:
    assert signature(main.train).parameters["teacher"].default == main.TEACHERS
    for name in main.TEACHERS:
        metrics = checkpoint.load(name, Teacher)[1]
        assert metrics["recipe"].get("auto_augment", False) == ("augmented" in name)
        assert metrics["validation_accuracy"] > 0.92
        assert max(path.stat().st_size for path in Path(name).iterdir()) < 10_000_000
