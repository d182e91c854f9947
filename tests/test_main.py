"""The command line, end to end on a small data set in CIFAR's own format."""

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import main
from mixer import checkpoint
from mixer.data import normalise
from mixer.model import PRESETS, Mixer, MixerConfig
from mixer.teacher import Teacher, TeacherTrainConfig
from mixer.train import TrainConfig
from viz.doubt.survey import survey

ROOT = Path(__file__).parent.parent
SHORT = TrainConfig(epochs=2, warmup_epochs=0.5, decay_epochs=1, batch_size=16)


def test_train_teach_continue_evaluate(cifar: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main.train_teacher(TeacherTrainConfig(epochs=1, batch_size=16), tmp_path / "teacher", cifar)
    assert checkpoint.load(tmp_path / "teacher", Teacher)[1]["recipe"]["batch_size"] == 16
    assert "epoch 1: loss" in capsys.readouterr().out

    teacher = str(tmp_path / "teacher")
    main.train(SHORT, blocks=1, run=tmp_path / "run", teacher=teacher, data_root=cifar)
    out = capsys.readouterr().out
    assert "MixerBlock-15  [-1, 32, 512]  0" in out
    assert "40 training images" in out
    model, metrics = checkpoint.load(tmp_path / "run" / "checkpoint", Mixer)
    assert model.config == replace(PRESETS["seed"], num_blocks=1)
    (stage,) = metrics["stages"]
    assert stage["recipe"]["teacher"] == teacher
    assert [line["epoch"] for line in stage["history"]] == [1, 2]
    assert metrics["epochs"] == 2
    assert f"{metrics['accuracy']:.2%} of 60 test images right" in out

    main.train(replace(SHORT, epochs=3), blocks=1, run=tmp_path / "run", data_root=cifar)
    metrics = checkpoint.load(tmp_path / "run" / "checkpoint", Mixer)[1]
    assert [line["epoch"] for line in metrics["stages"][0]["history"]] == [1, 2, 3]

    first = str(tmp_path / "run" / "checkpoint")
    main.train(SHORT, blocks=2, run=tmp_path / "more", init=first, teacher=None, data_root=cifar)
    grown = checkpoint.load(tmp_path / "more" / "checkpoint", Mixer)[1]
    assert [stage["recipe"]["blocks"] for stage in grown["stages"]] == [1, 2]
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
    shipped = main.samples()
    few = replace(shipped, images=shipped.images[:5], labels=shipped.labels[:5], indices=shipped.indices[:5])
    monkeypatch.setattr(main, "samples", lambda: few)
    checkpoint.save(tmp_path / "tiny", Mixer(tiny), {})
    main.evaluate(str(tmp_path / "tiny"), cifar, attributions=True)
    model, metrics = checkpoint.load(tmp_path / "tiny", Mixer)
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
    deep = main.start("seed", 5, str(tmp_path / "two"), seed=0).eval()
    images = torch.randn(2, 3, 32, 32)
    assert len(deep.blocks) == 5
    torch.testing.assert_close(deep(images), shallow(images))
    with pytest.raises(checkpoint.CheckpointError, match="more blocks or other layers"):
        main.start("seed", 1, str(tmp_path / "two"), seed=0)
    checkpoint.save(tmp_path / "wide", Mixer(replace(PRESETS["seed"], num_blocks=1, hidden_dim=16)), {})
    with pytest.raises(checkpoint.CheckpointError, match="does not fit into seed"):
        main.start("seed", 1, str(tmp_path / "wide"), seed=0)


def test_an_interrupted_training_ends_between_two_steps_and_can_go_on(
    cifar: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = []

    def interrupted(*args: object) -> object:
        for metrics in training(*args):
            steps.append(metrics["step"])
            signal.raise_signal(signal.SIGINT)
            yield metrics

    training = main.training
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(main, "training", interrupted)
    main.train(SHORT, blocks=1, run=tmp_path / "run", data_root=cifar)
    assert steps == [1]
    assert "The same command goes on from there" in capsys.readouterr().out
    assert signal.getsignal(signal.SIGINT) is before
    assert torch.load(tmp_path / "run" / "state.pt", weights_only=True)["step"] == 1


def test_convert_makes_a_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tests.mixer.test_convert import as_the_authors_save

    sizes = {"image_size": (14, 14), "patch_size": (7, 7), "num_classes": 5, "num_blocks": 1, "hidden_dim": 11}
    model = Mixer(replace(PRESETS["B/16"], **sizes, tokens_mlp_dim=13, channels_mlp_dim=19)).eval()
    np.savez(tmp_path / "authors.npz", **as_the_authors_save(model))
    main.convert(tmp_path / "authors.npz", tmp_path / "ours")
    loaded, metrics = checkpoint.load(tmp_path / "ours", Mixer)
    assert loaded.config == model.config
    assert metrics["source"] == "authors.npz"
    assert "parameters saved in" in capsys.readouterr().out


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "main.py", *arguments], capture_output=True, text=True, cwd=ROOT, timeout=120
    )


def test_summary_prints_the_seed_s_table() -> None:
    out = run("summary").stdout.splitlines()
    assert "Linear-2  [-1, 32, 512]  49,664" in out
    assert "Total params: 6,782,858" in out


def test_errors_are_words_and_an_exit_status(tmp_path: Path) -> None:
    for arguments, words in (
        (("--data-root", str(tmp_path)), "Three ways to get it"),
        (("evaluate", "--checkpoint", str(tmp_path)), "config.json is missing or damaged"),
        (("convert", "nowhere.npz", str(tmp_path / "out")), "is not an MLP-Mixer"),
        (("train", "--epochs", "1"), "shorter than warm-up and decay"),
    ):
        result = run(*arguments)
        assert result.returncode != 0, arguments
        assert words in " ".join(result.stderr.replace("│", "").split())
        assert "Traceback" not in result.stderr
