"""Any Mixer is opened from wherever it is, or refused in words."""

import json
import math
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from huggingface_hub.errors import RepositoryNotFoundError

import main
from mixer import checkpoint, networks, run, session
from mixer import train as training
from mixer.checkpoint import CheckpointError
from mixer.data import Labelled
from mixer.model import PRESETS, Mixer, MixerConfig, untrained
from mixer.networks import NotOpened, open_network, present
from mixer.record import effort
from mixer.train import TrainConfig, train
from tests import foreign
from tests.mixer.test_convert import as_the_authors_save

START = checkpoint.DEFAULT.with_name("seed-start")
CPU = torch.device("cpu")


def same(one: Mixer, other: Mixer) -> bool:
    return checkpoint.digest(one) == checkpoint.digest(other)


def test_the_untrained_network_that_ships_is_the_one_that_training_starts_from() -> None:
    model, metrics = open_network(START)
    assert model.config == PRESETS["seed"]
    assert same(model, session.start("seed", None, None, TrainConfig().seed))
    assert metrics["epochs"] == 0
    assert "accuracy" not in metrics
    assert sum(file.stat().st_size for file in START.iterdir()) < 2_000


def test_a_seed_that_gives_other_weights_is_refused(tmp_path: Path) -> None:
    config = json.loads((START / "config.json").read_text(encoding="utf-8"))
    (tmp_path / "metrics.json").write_text("{}", encoding="utf-8")
    for start, words in (({"seed": 1, "digest": "0"}, "draws other weights from seed 1"), (7, "must be a seed and a")):
        (tmp_path / "config.json").write_text(json.dumps(config | {"start": start}), encoding="utf-8")
        with pytest.raises(CheckpointError, match=words):
            open_network(tmp_path)
    assert checkpoint.ours(tmp_path), "so save may replace it"


def test_a_seed_leaves_the_draws_of_the_program_alone() -> None:
    torch.manual_seed(5)
    want = torch.rand(3)
    torch.manual_seed(5)
    untrained(PRESETS["seed-rows"], 0)
    assert torch.equal(torch.rand(3), want)


def test_weights_from_elsewhere_are_converted_on_the_fly(tmp_path: Path, tiny: MixerConfig) -> None:
    theirs = foreign.mixer(7)
    model, metrics = open_network(foreign.write(tmp_path / "timm", theirs))
    images = torch.randn(2, 3, *foreign.SIZE)
    torch.testing.assert_close(model(images), theirs(images))
    assert "accuracy" not in metrics
    same_file, _ = open_network(tmp_path / "timm" / "model.safetensors")
    assert same_file.config.num_classes == 7
    authors = replace(tiny, image_size=(14, 14), patch_size=(7, 7), pre_head_norm=True)
    np.savez(tmp_path / "mixer.npz", **as_the_authors_save(Mixer(authors)))
    (tmp_path / "theirs").mkdir()
    (tmp_path / "mixer.npz").rename(tmp_path / "theirs" / "mixer.npz")
    assert open_network(tmp_path / "theirs")[0].config.image_size == (14, 14)


def test_a_path_is_also_looked_for_in_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert open_network("checkpoints/seed-start")[1]["epochs"] == 0


def test_a_run_is_opened_while_it_trains_and_after(
    tmp_path: Path, network: Mixer, coloured: Labelled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "SAVE_SHARE", math.inf)  # every epoch is saved
    folder = tmp_path / "runs" / "mine"
    recipe = TrainConfig(epochs=2, warmup_epochs=0.5, decay_epochs=1, batch_size=20)
    names = set()
    for metrics in (steps := train(network.train(), coloured, coloured, recipe, folder, CPU)):
        if "validation_accuracy" in metrics:
            (listed,) = present(tmp_path)
            names.add(listed.name)
            model, record = open_network(listed.source)
            assert training.accuracy(model, coloured, model.config, CPU) == metrics["validation_accuracy"]
            assert not model.training
            assert record["stages"][0]["history"][-1]["epoch"] == metrics["epoch"]
            assert f"validation accuracy: {metrics['validation_accuracy']:.2%} after" in listed.words
            assert networks.quality_text(record) == listed.words
    assert steps.gi_frame is None
    main.snapshot(folder, tmp_path / "checkpoints" / "half")
    half, _ = open_network(tmp_path / "checkpoints" / "half")
    for a, b in zip(half.parameters(), network.parameters(), strict=True):
        assert a.dtype == torch.float32
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)
    checkpoint.save(folder / "checkpoint", network, {"accuracy": 0.25})
    assert [one.words for one in present(tmp_path)] == [networks.quality_text(record), "test accuracy: 25.00%"]
    assert open_network(folder)[1] == {"accuracy": 0.25}


def test_which_of_checkpoint_and_state_is_newer_follows_from_what_they_have_seen(
    tmp_path: Path, network: Mixer, coloured: Labelled
) -> None:
    """The times of the files say nothing: tar -m, cp and a download give them others."""
    folder = tmp_path / "runs" / "mine"
    recipe = TrainConfig(epochs=1, warmup_epochs=0.5, batch_size=20)
    list(train(network.train(), coloured, coloured, recipe, folder, CPU))
    with run.Run(folder) as ended:
        ended.resume(network.config, coloured, recipe.seed)
        checkpoint.save(folder / "checkpoint", network, {"accuracy": 0.25} | effort(ended.record()))
    state, made = folder / run.NEWEST, folder / "checkpoint" / "metrics.json"
    for newer, older in ((state, made), (made, state)):
        os.utime(older, (1_000, 1_000))
        os.utime(newer)
        assert open_network(folder)[1]["accuracy"] == 0.25
        assert [one.words for one in present(tmp_path)] == ["test accuracy: 25.00%"]
    steps = train(network.train(), coloured, coloured, replace(recipe, epochs=2), folder, CPU)
    next(steps)
    steps.close()  # prolonged, and stopped within an epoch
    os.utime(made)
    assert open_network(folder)[1]["epochs"] == 1.33
    content = state.read_bytes()
    state.write_bytes(content[: len(content) // 2])
    assert open_network(folder)[1]["accuracy"] == 0.25, "all that is whole"


def test_what_is_present_is_listed_and_what_is_damaged_left_out(tmp_path: Path, network: Mixer) -> None:
    assert present(tmp_path) == []
    checkpoint.save(tmp_path / "checkpoints" / "good", network, {"accuracy": 0.5})
    (tmp_path / "checkpoints" / "bad").mkdir()
    (tmp_path / "checkpoints" / "bad" / "config.json").write_text("{", encoding="utf-8")
    (tmp_path / "checkpoints" / "odd").mkdir()
    (tmp_path / "checkpoints" / "odd" / "config.json").write_text('{"network": "Mixer"}', encoding="utf-8")
    (tmp_path / "checkpoints" / "odd" / "metrics.json").write_text('{"stages": [1]}', encoding="utf-8")
    (tmp_path / "runs" / "empty").mkdir(parents=True)
    assert [(one.name, one.words) for one in present(tmp_path)] == [("good", "test accuracy: 50.00%")]
    assert {"seed", "seed-start", "seed-epoch-1"} <= {one.name for one in present()}
    assert "teacher" not in {one.name for one in present()}


def memory(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    monkeypatch.setattr(networks.psutil, "virtual_memory", lambda: SimpleNamespace(available=free))


def test_a_network_that_is_larger_than_the_memory_is_refused(
    tmp_path: Path, network: Mixer, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint.save(tmp_path / "net", network, {})
    memory(monkeypatch, 1000)
    with pytest.raises(NotOpened, match=r"net needs about 0.0 GB of memory, and 0.0 GB are free: end"):
        open_network(tmp_path / "net")


def test_a_path_that_is_not_there_is_said_without_asking_the_hub() -> None:
    with pytest.raises(NotOpened, match="/no/where is neither a file, nor a folder, nor an OWNER/NAME on the Hub"):
        open_network("/no/where")


class Hub:
    """A Hub with one model, as far as it is asked; it notes what was fetched."""

    def __init__(self, folder: Path, size: int):
        self.folder, self.size, self.fetched = folder, size, list[str]()

    def hf_hub_download(self, name: str, file: str) -> str:
        if name != "owner/net":
            answer = httpx.Response(401, request=httpx.Request("GET", "https://huggingface.co"))
            raise RepositoryNotFoundError("401 Client Error", response=answer)
        return str(self.folder / file)

    def model_info(self, name: str, files_metadata: bool) -> Any:
        return SimpleNamespace(siblings=[SimpleNamespace(rfilename="model.safetensors", size=self.size)])

    def snapshot_download(self, name: str, allow_patterns: list[str]) -> str:
        self.fetched.append(name)
        return str(self.folder)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    there = Hub(foreign.write(tmp_path / "hub", foreign.mixer(7)), 1000)
    monkeypatch.setattr(networks, "hf_hub_download", there.hf_hub_download)
    monkeypatch.setattr(networks, "snapshot_download", there.snapshot_download)
    monkeypatch.setattr(networks, "HfApi", lambda: there)
    return there


def test_a_mixer_of_the_hub_is_fetched_and_converted(hub: Hub) -> None:
    assert open_network("owner/net")[0].config.num_classes == 7
    assert hub.fetched == ["owner/net"]


def test_what_is_private_is_no_mixer_or_is_too_large_is_said_before_it_is_fetched(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NotOpened, match=r"is neither a folder nor a public model on the Hub. If it is private: hf"):
        open_network("owner/private")
    hub.size = 10**15
    with pytest.raises(NotOpened, match=r"owner/net needs about 3000000.0 GB of memory"):
        open_network("owner/net")
    (hub.folder / "config.json").write_text('{"architecture": "resnet50"}', encoding="utf-8")
    with pytest.raises(NotOpened, match="owner/net on the Hub is not an MLP-Mixer"):
        open_network("owner/net")
    assert hub.fetched == []
