import errno
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import SafetensorError

from mixer import checkpoint
from mixer.atomic_write import NotWritable, write_signed
from mixer.checkpoint import CheckpointError
from mixer.data import CLASSES, Samples, class_names, samples
from mixer.model import PRESETS, Mixer
from mixer.teacher import Teacher, TeacherConfig

CASES = Path(__file__).parent.parent / "data" / "cases"


@pytest.fixture
def folder(network: Mixer, tmp_path: Path) -> Path:
    checkpoint.save(tmp_path / "net", network, {"accuracy": 0.5})
    return tmp_path / "net"


def test_what_is_loaded_answers_as_what_was_saved(network: Mixer, folder: Path) -> None:
    loaded, metrics = checkpoint.load(folder, Mixer)
    images = torch.randn(4, 3, 32, 32)
    assert torch.equal(loaded(images), network(images))
    assert loaded.config == network.config
    assert not loaded.training
    assert metrics == {"accuracy": 0.5}


def test_saving_again_replaces_all_and_leaves_nothing_behind(network: Mixer, folder: Path) -> None:
    (folder / "model-00001-of-00002.safetensors").touch()  # as of a larger network
    write_signed(folder / "README.md", "as by main.py push")
    checkpoint.check_target(folder)
    checkpoint.save(folder, network, {"accuracy": 0.75})
    assert checkpoint.load(folder, Mixer)[1] == {"accuracy": 0.75}
    assert [path.name for path in folder.parent.iterdir()] == ["net"]
    assert {path.name for path in folder.iterdir()} == {"config.json", "metrics.json", "model.safetensors"}


def file(name: str, text: str = "mine") -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text, encoding="utf-8")


def forget_config(folder: Path) -> None:
    (folder / "config.json").unlink()


@pytest.mark.parametrize(
    "change",
    [
        file("notes.txt"),
        file("README.md"),
        file("mixer_b16.safetensors"),
        file("model-best.safetensors"),
        file("metrics.json.bak"),
        file("config.json", '{"architecture": "mixer_b16_224"}'),
        file("config.json", '{"network": "Mixer", "learning_rate": 0.1}'),
        file("config.json", '{"network": ["Mixer"]}'),
        file("config.json", '{"network": "ResNet"}'),
        file("config.json", "[]"),
        file("config.json", "{"),
        forget_config,
    ],
)
def test_a_folder_with_anything_that_is_not_ours_is_refused_and_stays(
    network: Mixer, folder: Path, change: Callable[[Path], object]
) -> None:
    change(folder)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(NotWritable, match="so it is not replaced: name a new folder"):
        checkpoint.check_target(folder)
    with pytest.raises(NotWritable):
        checkpoint.save(folder, network, {})
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
    assert list(folder.parent.iterdir()) == [folder]


def test_metrics_are_replaced_beside_what_is_somebody_else_s(folder: Path) -> None:
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    checkpoint.check_metrics(folder)
    checkpoint.write_metrics(folder, {"accuracy": 0.9})
    assert checkpoint.load(folder, Mixer)[1] == {"accuracy": 0.9}
    assert (folder / "notes.txt").read_text(encoding="utf-8") == "mine"


def test_a_metrics_file_that_is_a_link_or_of_another_project_stays(folder: Path, tmp_path: Path) -> None:
    (folder / "metrics.json").rename(tmp_path / "elsewhere.json")
    (folder / "metrics.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(NotWritable, match="is a link"):
        checkpoint.write_metrics(folder, {})
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "metrics.json").write_text("{}", encoding="utf-8")
    with pytest.raises(NotWritable, match="move it away"):
        checkpoint.check_metrics(tmp_path / "other")
    with pytest.raises(NotWritable, match="download a copy first"):
        checkpoint.check_metrics("owner/name")


def test_a_number_that_is_none_is_never_written(network: Mixer, folder: Path) -> None:
    for value in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match=r"metrics\.json is not written because a number is not finite"):
            checkpoint.write_metrics(folder, {"class_accuracy": {"cat": value}})
        with pytest.raises(ValueError, match=r"metrics\.json is not written"):
            checkpoint.save(folder, network, {"accuracy": value})
    assert checkpoint.load(folder, Mixer)[1] == {"accuracy": 0.5}


def test_wrong_metrics_are_said_with_their_file_and_entry(folder: Path) -> None:
    (folder / "metrics.json").write_text('{"accuracy": 90.1}', encoding="utf-8")
    words = r"metrics\.json: accuracy: should be less than or equal to 1, not 90\.1; correct or delete that entry"
    with pytest.raises(CheckpointError, match=words):
        checkpoint.load(folder, Mixer)


def test_a_failed_save_leaves_the_old_checkpoint(network: Mixer, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    as_python = OSError(errno.ENOSPC, "No space left on device")
    as_safetensors = SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")
    for error in (as_python, as_safetensors):

        def full(*_: object, error: Exception = error, **__: object) -> None:
            raise error

        monkeypatch.setattr(checkpoint, "save_torch_state_dict", full)
        with pytest.raises(OSError, match="No space left on device") as caught:
            checkpoint.save(folder, network, {})
        assert caught.value.filename == str(folder)
        assert checkpoint.load(folder, Mixer)[1] == {"accuracy": 0.5}
        assert list(folder.parent.iterdir()) == [folder]


def test_shards_of_the_seed_network_stay_below_ten_megabytes(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "seed", Mixer(PRESETS["seed"]), {})
    sizes = [path.stat().st_size for path in (tmp_path / "seed").iterdir()]
    assert sum(sizes) > 4 * 6_782_858
    assert max(sizes) < 10_000_000
    checkpoint.load(tmp_path / "seed", Mixer)


def test_a_teacher_is_a_checkpoint_too(tmp_path: Path) -> None:
    teacher = Teacher(TeacherConfig((5, 6, 7))).eval()
    checkpoint.save(tmp_path / "teacher", teacher, {})
    images = torch.randn(3, 3, 32, 32)
    assert torch.equal(checkpoint.load(tmp_path / "teacher", Teacher)[0](images), teacher(images))
    with pytest.raises(CheckpointError, match="does not describe a Mixer"):
        checkpoint.load(tmp_path / "teacher", Mixer)


def test_metrics_can_be_replaced(folder: Path) -> None:
    checkpoint.write_metrics(folder, {"accuracy": 0.9})
    assert checkpoint.load(folder, Mixer)[1] == {"accuracy": 0.9}


def change(folder: Path, **changes: object) -> None:
    """Of config.json; None takes out."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8")) | changes
    (folder / "config.json").write_text(
        json.dumps({k: v for k, v in config.items() if v is not None}), encoding="utf-8"
    )


def test_a_checkpoint_without_names_is_read(folder: Path) -> None:
    """As all were once. Those that our training made are of CIFAR-10, the only data there was."""
    change(folder, classes=None)
    assert class_names(checkpoint.load(folder, Mixer)[0].config)[:2] == ("class 0", "class 1")
    checkpoint.write_metrics(folder, {"stages": []})
    assert checkpoint.load(folder, Mixer)[0].config.classes == CLASSES
    change(folder, classes=[f"bird {i}" for i in range(10)])
    assert checkpoint.load(folder, Mixer)[0].config.classes[9] == "bird 9"


@pytest.mark.parametrize("names", [["cat"], ["cat"] * 11])
def test_names_must_be_as_many_as_the_classes(folder: Path, names: list[str]) -> None:
    change(folder, classes=names)
    with pytest.raises(CheckpointError, match=f"classes must be 10 names or none, not {len(names)}"):
        checkpoint.load(folder, Mixer)


def test_what_is_no_checkpoint_is_refused_with_the_next_step(network: Mixer, folder: Path) -> None:
    run = folder.parent / "run"
    checkpoint.save(run / "checkpoint", network, {})
    with pytest.raises(CheckpointError, match=re.escape(f"its network is in {run / 'checkpoint'}")):
        checkpoint.load(run, Mixer)
    weights = folder / "model.safetensors"
    with pytest.raises(CheckpointError, match=re.escape(f"python main.py convert {weights} NEW_FOLDER")):
        checkpoint.load(weights, Mixer)
    with pytest.raises(CheckpointError, match=re.escape(f"name the folder of a checkpoint ({folder}).")):
        checkpoint.load(folder / "config.json", Mixer)
    shutil.rmtree(run / "checkpoint")
    (run / "state.pt").touch()
    with pytest.raises(CheckpointError, match="run is a run that has not ended: continue it with the same command"):
        checkpoint.load(run, Mixer)
    theirs = CASES / "miil"
    with pytest.raises(CheckpointError, match=re.escape(f"python main.py convert {theirs} NEW_FOLDER")):
        checkpoint.load(theirs, Mixer)


def test_weights_that_git_lfs_has_not_fetched_are_said_to_be_so(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes((CASES / "lfs_pointer.safetensors").read_bytes())
    with pytest.raises(CheckpointError, match=r"model.safetensors is a Git LFS pointer.*git lfs pull"):
        checkpoint.load(folder, Mixer)


def test_pickles_are_never_advised(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"hello, world")
    with pytest.raises(CheckpointError, match="weights are incomplete, damaged") as refused:
        checkpoint.load(folder, Mixer)
    assert "safe=False" not in str(refused.value)


def truncate(folder: Path) -> None:
    path = next(folder.glob("*.safetensors"))
    path.write_bytes(path.read_bytes()[:-100])


def state(**entries: object) -> Callable[[Path], object]:
    def write(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        (folder / "config.json").write_text(json.dumps(config | entries), encoding="utf-8")

    return write


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "config.json").unlink(), "config.json is missing or damaged"),
        (
            lambda folder: (folder / "config.json").write_text("{", encoding="utf-8"),
            "config.json is missing or damaged",
        ),
        (lambda folder: (folder / "config.json").write_text("[]", encoding="utf-8"), "holds list"),
        (
            lambda folder: (folder / "config.json").write_text('{"model_type": "bert"}', encoding="utf-8"),
            "does not describe a Mixer",
        ),
        (lambda folder: next(folder.glob("*.safetensors")).unlink(), "weights are incomplete"),
        (lambda folder: (folder / "metrics.json").unlink(), "metrics.json is missing"),
        (truncate, "weights are incomplete, damaged"),
        (state(hidden_dim=12), "weights are incomplete, damaged or have another shape"),
        (state(hidden_dim=10**9), r"\d bytes cannot hold 320,\d{3},\d{3},\d{3} parameters"),  # and none are made
        (state(num_blocks=10**9), "num_blocks must be from 1 to 1000"),
        (state(attention_heads=8), "config.json does not fit: .*attention_heads"),
        (
            lambda folder: (folder / "config.json").write_text("[" * 100_000, encoding="utf-8"),
            "config.json is missing or damaged",
        ),
        (
            lambda folder: (folder / "metrics.json").write_text('{"a":' * 100_000, encoding="utf-8"),
            "metrics.json is missing or damaged",
        ),
    ],
)
def test_a_damaged_checkpoint_is_an_error_in_words(folder: Path, damage, message: str) -> None:
    damage(folder)
    with pytest.raises(CheckpointError, match=message):
        checkpoint.load(folder, Mixer)


def test_neither_a_folder_nor_on_the_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is neither a folder nor a model on the Hub"):
        checkpoint.load(tmp_path / "nowhere" / "at" / "all", Mixer)


@pytest.mark.long
def test_the_shipped_network_knows_its_samples() -> None:
    model, metrics = checkpoint.load(checkpoint.DEFAULT, Mixer)
    assert model.config == PRESETS["seed"]
    shipped = samples()
    from mixer.data import normalise

    with torch.inference_mode():
        found = model(normalise(shipped.images[::4], model.config)).argmax(1)
    right = (found == shipped.labels[::4]).float().mean().item()
    assert abs(right - metrics["accuracy"]) < 0.17  # 50 of the 10,000 test images: four standard errors
    assert max(path.stat().st_size for path in checkpoint.DEFAULT.iterdir()) < 10_000_000


def own_samples() -> Samples:
    images = torch.randint(256, (3, 3, 4, 6), dtype=torch.uint8)
    return Samples(images, torch.tensor([0, 1, 1]), torch.tensor([7, 2, 9]), classes=("ä>b", "c"), source="mine")


def test_a_checkpoint_keeps_its_own_samples(network: Mixer, folder: Path) -> None:
    assert torch.equal(checkpoint.load_samples(folder).images, samples().images)  # those that ship
    made = own_samples()
    checkpoint.save(folder, network, {}, made)
    found = checkpoint.load_samples(folder)
    assert all(torch.equal(getattr(found, name), getattr(made, name)) for name in ("images", "labels", "indices"))
    assert (found.classes, found.source) == (made.classes, made.source)
    checkpoint.save(folder, network, {})  # is ours, so it is replaced
    assert not (folder / "samples.npz").exists()


def test_damaged_samples_are_refused_in_words(network: Mixer, folder: Path) -> None:
    made = own_samples()
    arrays = {name: getattr(made, name).numpy() for name in ("images", "labels", "indices")}
    right = {**arrays, "classes": made.classes, "source": made.source}
    for wrong in (
        {"images": np.zeros((3, 4, 6), np.uint8)},
        {"images": np.zeros((3, 3, 4, 6), np.float32)},
        {"images": np.zeros((2, 3, 4, 6), np.uint8)},
        {"images": np.zeros((100, 3, 300, 300), np.uint8)},  # a few kB that unpack to 27 MB
        {"labels": np.array([0, 1, 2])},
        {"indices": np.array([[0, 1, 2]])},
        {"classes": np.array([{}], object)},
    ):
        np.savez_compressed(folder / "samples.npz", **right | wrong)
        with pytest.raises(
            CheckpointError, match=r"samples\.npz is damaged, or another program wrote it: .*; delete it"
        ):
            checkpoint.load_samples(folder)
    (folder / "samples.npz").write_bytes(b"cut off")
    with pytest.raises(CheckpointError, match=r"samples\.npz is damaged"):
        checkpoint.load_samples(folder)
