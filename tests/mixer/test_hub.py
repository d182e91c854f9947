"""Publishing, against a Hub that is a folder."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from huggingface_hub import ModelCard
from huggingface_hub.errors import LocalTokenNotFoundError
from huggingface_hub.utils import filter_repo_objects

from mixer import checkpoint, hub
from mixer.atomic_write import NotWritable
from mixer.data import CLASSES, Labelled, OtherClasses, choose_samples
from mixer.evaluate import evaluate, headline
from mixer.model import Mixer


class Hub:
    """As much of the Hub as is used: models are folders, and names belong to "owner" unless they say otherwise."""

    def __init__(self, folder: Path):
        self.folder = folder

    def create_repo(self, repo_id: str, exist_ok: bool) -> Any:
        repo_id = repo_id if "/" in repo_id else f"owner/{repo_id}"
        (self.folder / repo_id).mkdir(parents=True, exist_ok=exist_ok)
        return SimpleNamespace(repo_id=repo_id)

    def upload_folder(self, repo_id: str, folder_path: Path, allow_patterns: list[str]) -> None:
        names = [str(path.relative_to(folder_path)) for path in folder_path.rglob("*")]
        for name in filter_repo_objects(names, allow_patterns=allow_patterns):
            (self.folder / repo_id / name).write_bytes((folder_path / name).read_bytes())

    def snapshot_download(self, repo_id: str, allow_patterns: list[str]) -> str:
        return str(self.folder / repo_id)


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    there = Hub(tmp_path / "hub")
    monkeypatch.setattr(hub, "HfApi", lambda token: there)
    monkeypatch.setattr(checkpoint, "snapshot_download", there.snapshot_download)
    return there


@pytest.fixture
def metrics(network: Mixer, coloured: Labelled) -> dict[str, Any]:
    """As `main.train` writes them."""
    measured = evaluate(network, coloured, coloured, torch.device("cpu"))
    where = {"date": "2026-01-31", "device": "an abacus", "versions": {"torch": "2.14"}, "commit": "abc"}
    return (
        measured
        | where
        | {
            "parameters": 1234,
            "stages": [{"recipe": {"epochs": 7, "teacher": None}}, {"recipe": {"epochs": 9, "teacher": "cnn"}}],
        }
    )


@pytest.fixture
def folder(network: Mixer, metrics: dict[str, Any], tmp_path: Path) -> Path:
    checkpoint.save(tmp_path / "net", network, metrics)
    (tmp_path / "net" / "notes.txt").touch()
    (tmp_path / "net" / "private").mkdir()
    (tmp_path / "net" / "private" / "model.safetensors").touch()
    return tmp_path / "net"


def test_what_is_pushed_is_what_is_loaded_by_its_id(there: Hub, folder: Path, network: Mixer) -> None:
    assert hub.push(folder, "net") == "owner/net"
    names = {path.name for path in (there.folder / "owner" / "net").iterdir()}
    assert names == {"README.md", "config.json", "metrics.json", "model.safetensors"}
    model, metrics = checkpoint.load("owner/net", Mixer)
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(model(images), network(images))
    assert metrics == checkpoint.load(folder, Mixer)[1]
    assert hub.push(folder, "else/net") == "else/net"
    assert hub.push(folder, "else/net") == "else/net", "a second time"


def test_the_card_says_what_the_metrics_say(network: Mixer, metrics: dict[str, Any]) -> None:
    card = ModelCard(hub.card(network.config, metrics))
    assert card.data.license == "apache-2.0"
    assert card.data.datasets == ["uoft-cs/cifar10"]
    assert card.data.pipeline_tag == "image-classification"
    (result,) = card.data.eval_results
    assert result.metric_value == round(metrics["accuracy"], 4)
    assert headline(metrics) in card.text
    assert "32 x 32 pixels, in 16 patches of 4 x 16" in card.text
    assert "11 channels, 3 blocks, 13 hidden units" in card.text
    assert "| epochs | 7 | 9 |" in card.text
    worst = min(metrics["class_accuracy"].values())
    assert f"is {worst:.2%}." in card.text
    assert f"{metrics['calibration_error']:.2%}" in card.text
    assert "## Limits" in card.text
    assert "It can only answer with one of its 10 classes (airplane, automobile, bird, " in card.text


def test_a_network_of_own_images_is_pushed_with_the_names_and_numbers_of_its_classes_and_no_image(
    there: Hub, network: Mixer, metrics: dict[str, Any], coloured: Labelled, tmp_path: Path
) -> None:
    names = ("red | pink", *CLASSES[1:])
    own = Mixer(replace(network.config, classes=names)).eval()
    data = {"name": "my photos", "parts": "by hand", "classes": {of: [4, 1, int(of != "cat")] for of in names}}
    of_them = {name: 0.5 for name in names if name != "cat"}
    evaluated = metrics | {"data": data, "class_accuracy": of_them, "classes_without_images": {"test": ["cat"]}}
    checkpoint.save(tmp_path / "own", own, evaluated, choose_samples(replace(coloured, classes=names)))
    hub.push(tmp_path / "own", "net")
    assert {path.name for path in (there.folder / "owner" / "net").iterdir()} == {
        "README.md",
        "config.json",
        "metrics.json",
        "model.safetensors",
    }
    card = ModelCard.load(there.folder / "owner" / "net" / "README.md")
    assert not card.data.datasets
    assert card.data.eval_results[0].dataset_name == "my photos"
    assert "trained on private images" in card.text
    assert "| red \\| pink | 4 | 1 | 1 |\n| automobile | 4 | 1 | 1 |" in card.text
    assert "Classes without test images: cat." in card.text
    assert "CIFAR" not in card.text
    assert checkpoint.load("owner/net", Mixer)[0].config.classes == names


def test_a_card_without_a_recipe_says_so(network: Mixer, metrics: dict[str, Any]) -> None:
    assert "The recipe was not recorded." in hub.card(network.config, metrics | {"stages": []})


def test_what_was_never_evaluated_is_not_pushed(there: Hub, network: Mixer, tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "net", network, {})
    with pytest.raises(hub.NotPushed, match="lacks metrics for the model card"):
        hub.push(tmp_path / "net", "net")
    with pytest.raises(checkpoint.CheckpointError):
        hub.push(tmp_path, "net")
    assert not there.folder.exists()


def test_a_network_with_other_classes_is_not_pushed_as_one_for_cifar10(
    there: Hub, foreign_mixer: Mixer, metrics: dict[str, Any], tmp_path: Path
) -> None:
    known = {name: value for name, value in metrics.items() if name != "confusion"}  # which states its classes
    checkpoint.save(tmp_path / "other", foreign_mixer, known)
    with pytest.raises(OtherClasses):
        hub.push(tmp_path / "other", "net")
    assert not there.folder.exists()


def test_what_the_card_cannot_state_is_named(there: Hub, network: Mixer, tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "net", network, {"accuracy": 0.5})
    with pytest.raises(hub.NotPushed, match=r"\(class_accuracy, .*\): evaluate it first with python main.py evaluate"):
        hub.push(tmp_path / "net", "net")


def test_somebody_s_own_readme_stays_and_nothing_is_published(there: Hub, folder: Path) -> None:
    hub.push(folder, "net")
    card = (folder / "README.md").read_text(encoding="utf-8")
    for text in ("My notes", card + "\nMy notes", card.replace("Limits", "My limits")):
        (folder / "README.md").write_text(text, encoding="utf-8")
        with pytest.raises(NotWritable, match=r"README\.md exists already.* move it away"):
            hub.push(folder, "other")
        assert (folder / "README.md").read_text(encoding="utf-8") == text
    assert not (there.folder / "owner" / "other").exists()


def test_without_a_token_it_says_how_to_get_one(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the real client, which finds no token before it asks the network."""
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "none"))
    with pytest.raises(hub.NotPushed, match="hf auth login") as caught:
        hub.push(folder, "net")
    assert isinstance(caught.value.__cause__, LocalTokenNotFoundError)
    assert not (folder / "README.md").exists()


def test_what_the_hub_says_is_passed_on(there: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: object) -> None:
        raise ConnectionError("the Hub sleeps")

    monkeypatch.setattr(there, "upload_folder", full)
    with pytest.raises(hub.NotPushed, match="owner/net was not published: the Hub sleeps"):
        hub.push(folder, "net")
