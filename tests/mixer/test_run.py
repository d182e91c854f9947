"""Runs that are killed, on disks that are full, with files that are damaged, and continued by another recipe."""

import errno
import io
import math
import multiprocessing
import os
import random
import re
import signal
import time
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeAlias

import pytest
import torch

from mixer import train as training
from mixer.data import Labelled
from mixer.model import Mixer, MixerConfig
from mixer.run import Run, RunError, history
from mixer.train import TrainConfig, train

CPU = torch.device("cpu")
TINY = MixerConfig(patch_size=(4, 16), num_blocks=2, hidden_dim=11, tokens_mlp_dim=13, channels_mlp_dim=17, dropout=0.2)
RECIPE = TrainConfig(
    epochs=5, warmup_epochs=0.5, decay_epochs=1, batch_size=7, micro_batch=4, ema_decay=0.5, auto_augment=False
)


@pytest.fixture(autouse=True)
def _every_epoch_is_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    """However short it is: here, an epoch takes as long as a save."""
    monkeypatch.setattr(training, "SAVE_SHARE", math.inf)


def pictures(number: int = 30, seed: int = 0) -> Labelled:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(256, (number, 3, 32, 32), generator=generator, dtype=torch.uint8)
    return Labelled(images, torch.arange(number) % 10)


def steps(folder: Path | Run, config: TrainConfig = RECIPE, data: Labelled | None = None):
    """A training, and the network that it trains."""
    torch.manual_seed(1)
    model = Mixer(TINY)
    model.start_as_identity()
    data = data or pictures()
    return train(model, data, pictures(8), config, folder, CPU), model


def finish(folder: Path | Run, config: TrainConfig = RECIPE) -> Mixer:
    done, model = steps(folder, config)
    for _ in done:
        pass
    return model


def until(folder: Path, step: int, config: TrainConfig = RECIPE) -> None:
    done, _ = steps(folder, config)
    for metrics in done:
        if metrics["step"] == step:
            break
    done.close()


def assert_same(one: Mixer, other: Mixer) -> None:
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)


def lines(folder: Path) -> list[dict]:
    return [line | {"seconds": None} for line in history(folder)]


Ended: TypeAlias = tuple[Mixer, list[dict]]
"""the network of a run that has ended, and its history"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """Of a run that nothing happened to."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "SAVE_SHARE", math.inf)
        return finish(folder), lines(folder)


def assert_ended_as(whole: Ended, folder: Path) -> None:
    """A run goes on to the same end."""
    assert_same(finish(folder), whole[0])
    assert lines(folder) == whole[1]


def in_a_process(folder: Path, parent: Connection) -> None:
    """Train, save after every step and say so."""
    torch.set_num_threads(1)
    training.SAVE_SECONDS = -1
    done, model = steps(folder, replace(RECIPE, epochs=15))
    for metrics in done:
        parent.send(metrics["step"])
    torch.save(model.state_dict(), folder / "ended.pt")


@pytest.mark.process
def test_a_run_that_is_killed_ten_times_gives_the_weights_of_one_that_is_not(tmp_path: Path) -> None:
    processes = multiprocessing.get_context("forkserver")  # as it imports torch once
    processes.set_forkserver_preload(["tests.mixer.test_run", "torchvision.transforms.v2"])

    def begin(name: str) -> tuple[multiprocessing.process.BaseProcess, Connection]:
        (tmp_path / name).mkdir(exist_ok=True)
        child, parent = processes.Pipe(duplex=False)
        process = processes.Process(target=in_a_process, args=(tmp_path / name, parent))
        process.start()
        return process, child

    began = []
    moments = random.Random(0)
    for _ in range(10):
        process, child = begin("killed")
        began.append(child.recv())
        for _ in range(moments.randrange(3)):
            child.recv()
        time.sleep(moments.uniform(0, 0.02))  # a step and its save take half as long
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL, "it has ended before"
    assert began[-1] > 10, "each went on from where the one before was killed"
    for name in ("killed", "whole"):
        process, child = begin(name)
        process.join()
    ended = [torch.load(tmp_path / name / "ended.pt") for name in ("whole", "killed")]
    for name, weights in ended[0].items():
        assert torch.equal(weights, ended[1][name]), name
    assert lines(tmp_path / "killed") == lines(tmp_path / "whole")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the size of files is limited on Unix only")
@pytest.mark.parametrize("room", [0, 1, 1000, 20_000])
@pytest.mark.long
def test_a_disk_that_is_full_is_said_and_nothing_is_lost(tmp_path: Path, whole: Ended, room: int) -> None:
    import resource

    until(tmp_path / "full", 9)
    before = (tmp_path / "full" / "state.pt").read_bytes()
    assert len(before) > room
    done, _ = steps(tmp_path / "full")
    next(done)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
    try:
        with pytest.raises(RunError, match=r"state\.pt could not be written.* then the same command"):
            done.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (tmp_path / "full" / "state.pt").read_bytes() == before
    assert [file.name for file in (tmp_path / "full" / ".work").iterdir()] == ["lock"]  # what is half written goes
    assert_ended_as(whole, tmp_path / "full")


def no_room(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def half(state: object, file: io.BufferedWriter) -> None:
    buffer = io.BytesIO()
    save(state, buffer)
    file.write(buffer.getvalue()[: len(buffer.getvalue()) // 2])
    no_room()


save = torch.save


@pytest.mark.parametrize("when", [(torch, "save", half), (os, "fsync", no_room), (os, "replace", no_room)])
def test_a_disk_may_be_full_at_any_time(tmp_path: Path, when: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
    until(tmp_path, 9)
    done, _ = steps(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(*when)
        with pytest.raises(RunError, match="No space left on device"):
            list(done)
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert state["progress"]["step"] == 9
    finish(tmp_path)
    assert len(history(tmp_path)) == 5


class Killed(BaseException):
    """Nothing can catch it."""


MOVES = {"fsync": [8, 8, 9], "replace": [8, 8, 8, 9]}


@pytest.mark.parametrize(
    ("name", "call", "step"),
    [(name, call, step) for name, found in MOVES.items() for call, step in enumerate(found)],
)
@pytest.mark.long
def test_a_kill_between_any_two_moves_of_a_save_loses_nothing(
    tmp_path: Path, whole: Ended, name: str, call: int, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The history is put in place; the state moved aside, the new one put in its place, the history again.

    step: the first that has to be done after the kill
    """
    until(tmp_path / "run", 7)
    done, _ = steps(tmp_path / "run")
    move, left = getattr(os, name), iter(range(call))

    def killed(*arguments: object) -> None:
        if next(left, None) is None:
            raise Killed
        move(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(os, name, killed)
        patch.setattr(training, "SAVE_SECONDS", -1)
        with pytest.raises(Killed):
            next(done)
    assert next(steps(tmp_path / "run")[0])["step"] == step
    assert_ended_as(whole, tmp_path / "run")


def damage(file: Path, how: str) -> None:
    content = bytearray(file.read_bytes())
    if how == "empty":
        content = bytearray()
    elif how == "cut":
        content = content[: len(content) // 2]
    elif how == "last byte missing":
        content = content[:-1]
    elif how == "a bit has flipped":
        content[len(content) // 2] ^= 16
    elif how == "zeros":
        content = bytearray(len(content))
    elif how == "text":
        content = bytearray(b"no state at all")
    file.write_bytes(content)


DAMAGES = ["empty", "cut", "last byte missing", "a bit has flipped", "zeros", "text"]


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.long
def test_a_damaged_state_gives_way_to_the_one_before(
    tmp_path: Path, whole: Ended, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    until(tmp_path / "run", 8)
    until(tmp_path / "run", 14)
    damage(tmp_path / "run" / "state.pt", how)
    done, _ = steps(tmp_path / "run")
    assert next(done)["step"] == 14  # the state at the end of the second epoch is that of step 13
    done.close()
    said = capsys.readouterr().out
    assert re.search(
        r"state\.pt is .*damaged.*, so it is now state\.damaged\.pt; the run continues from .* step 13", said
    )
    assert_ended_as(whole, tmp_path / "run")


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.long
def test_without_a_good_state_nothing_is_written(tmp_path: Path, how: str) -> None:
    until(tmp_path, 14)
    for name in ("state.pt", "state.previous.pt"):
        damage(tmp_path / name, how)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir() if file.is_file()}
    with pytest.raises(RunError, match=r"state\.pt is .*damaged.*previous\.pt is .*damaged.*: no state can be read"):
        finish(tmp_path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir() if file.is_file()} == before


def test_whatever_byte_is_changed_the_weights_are_right(tmp_path: Path) -> None:
    """The checksums see it, or it did not matter."""
    until(tmp_path, 1)
    content, at = (tmp_path / "state.pt").read_bytes(), random.Random(0)
    right = torch.load(tmp_path / "state.pt", weights_only=True)["parts"]["model"]
    said = []
    for _ in range(60):
        changed = bytearray(content)
        changed[at.randrange(len(content))] ^= 1 << at.randrange(8)
        (tmp_path / "state.pt").write_bytes(changed)
        with Run(tmp_path) as run:
            try:
                found = run.resume(TINY, pictures(), 0)["model"]
            except RunError as error:
                said.append(str(error))
            else:
                assert all(torch.equal(found[name], right[name]) for name in right)
    assert len(said) > 20
    assert all("state.pt" in words for words in said)


def test_a_state_that_is_missing_gives_way_to_the_one_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As after a kill between the two moves of a save."""
    until(tmp_path, 14)
    (tmp_path / "state.pt").unlink()
    done, _ = steps(tmp_path)
    assert next(done)["step"] == 14
    assert "state.pt is missing; the run continues from the previous state, step 13" in capsys.readouterr().out


@pytest.mark.parametrize("left", ["", '{"step": 5, "ima', "\0\0\0", "no history\n"])
@pytest.mark.long
def test_the_history_is_written_anew_from_the_state(tmp_path: Path, whole: Ended, left: str) -> None:
    until(tmp_path / "run", 14)
    (tmp_path / "run" / "history.jsonl").write_text(left, encoding="utf-8")
    assert_ended_as(whole, tmp_path / "run")


LACKING = ('{"epoch": 1}\n', '{"epoch": "x", "loss": null, "validation_accuracy": []}\n', "[" * 100_000 + "\n")
"""lines of JSON that no curve can be drawn of"""


def test_a_history_whose_last_line_is_cut_is_read_and_one_that_is_damaged_is_named(tmp_path: Path) -> None:
    until(tmp_path, 14)
    file = tmp_path / "history.jsonl"
    both = file.read_text(encoding="utf-8")
    file.write_text(both[:-20], encoding="utf-8")
    assert [line["step"] for line in history(tmp_path)] == [5, 9]
    for damaged in ("nonsense\n" + both, both.replace("{", "[", 1).replace("}", "]", 1), "12\n", *LACKING):
        file.write_text(damaged, encoding="utf-8")
        with pytest.raises(RunError, match=r"history\.jsonl is damaged"):
            history(tmp_path)


def test_a_history_without_its_state_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "history.jsonl").write_text("mine", encoding="utf-8")
    with pytest.raises(RunError, match="exists without a state"):
        finish(tmp_path)
    assert (tmp_path / "history.jsonl").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("content", [{"model": {}, "step": 3, "seconds": 1.0, "config": {}}, [1, 2]])
def test_states_of_other_programs_and_of_earlier_versions_are_left_alone(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "state.pt")
    before = (tmp_path / "state.pt").read_bytes()
    with pytest.raises(RunError, match=r"is not a state of this version.*--init"):
        finish(tmp_path)
    assert (tmp_path / "state.pt").read_bytes() == before


def test_a_run_of_an_earlier_version_continues_in_its_stage(tmp_path: Path) -> None:
    until(tmp_path, 7)
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    recipe = state["stages"][0]["recipe"]
    recipe["average"] = recipe.pop("ema_decay")
    torch.save(state, tmp_path / "state.pt")
    with Run(tmp_path) as run:
        finish(run)
        (stage,) = run.stages
    assert stage["recipe"]["ema_decay"] == RECIPE.ema_decay
    assert "average" not in stage["recipe"]


def test_what_is_in_the_way_of_a_state_is_named_and_is_not_taken_for_a_full_disk(tmp_path: Path) -> None:
    until(tmp_path, 7)
    (tmp_path / "history.jsonl").unlink()
    (tmp_path / "history.jsonl").mkdir()
    with pytest.raises(RunError, match=r"history\.jsonl could not be written: .*: fix that, then the same command"):
        finish(tmp_path)


@pytest.mark.parametrize("epochs", [0, 0.01])
def test_a_training_that_sees_no_picture_is_none(tmp_path: Path, epochs: float) -> None:
    with pytest.raises(ValueError, match=f"epochs must cover at least one of the 30 training images, not {epochs}"):
        finish(tmp_path / "run", replace(RECIPE, epochs=epochs, warmup_epochs=0, decay_epochs=None))
    assert not (tmp_path / "run").exists()


def test_two_cannot_train_in_one_folder(tmp_path: Path) -> None:
    first, _ = steps(tmp_path)
    next(first)
    with pytest.raises(RunError, match=r"another process is training in .* choose another folder with --run"):
        finish(tmp_path)
    first.close()
    finish(tmp_path)


def test_a_folder_that_cannot_be_written_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"file/run cannot be written: .* Choose another folder with --run"):
        finish(tmp_path / "file" / "run")


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (pictures(31), r"training images 30, digest \w{16}, not of training images 31, digest \w{16},"),
        (pictures(seed=1), r"is a run of digest \w{16}, not of digest \w{16},"),
        (replace(pictures(), labels=pictures().labels.flip(0)), r"is a run of digest \w{16}, not of digest \w{16},"),
    ],
)
def test_other_images_are_another_run(tmp_path: Path, images: Labelled, words: str) -> None:
    until(tmp_path, 3)
    with pytest.raises(RunError, match=words):
        next(steps(tmp_path, data=images)[0])


def test_another_recipe_is_followed_and_recorded_from_where_it_began(tmp_path: Path) -> None:
    config = replace(RECIPE, epochs=2.0, batch_size=10, decay_epochs=0.5, muon_lr=0.02, adamw_lr=0.01)
    other = replace(config, epochs=4.0, batch_size=15, muon_lr=0.5, adamw_lr=0.25, weight_decay=0.125, mix=0.0)
    with Run(tmp_path, device="one") as run:
        done, _ = steps(run, config)
        for metrics in done:
            if metrics["step"] == 4:
                break
        done.close()
    with Run(tmp_path, device="two", teacher=["cnn"]) as run:
        finish(run, other)
        record = run.record()
    assert [(s["epochs"], s["device"], s["recipe"]["teacher"]) for s in record] == [
        (1.33, "one", []),
        (3.0, "two", ["cnn"]),  # 40 images of 30, then batches of 15 until 120 are seen
    ]
    assert [s["recipe"]["muon_lr"] for s in record] == [0.02, 0.5]
    assert [line["images"] for line in history(tmp_path)] == [30, 70, 100, 130]
    assert [line["images"] for s in record for line in s["history"]] == [30, 30, 60, 90]
    assert [line["epoch"] for s in record for line in s["history"]] == [1, 1, 2, 3]
    assert [line["step"] for s in record for line in s["history"]] == [3, 2, 4, 6]
    parts = torch.load(tmp_path / "state.pt", weights_only=True)["parts"]
    (muon,), (outer, flat) = (parts[name]["param_groups"] for name in ("muon", "adamw"))
    assert [group["peak"] for group in (muon, outer, flat)] == [0.5, 0.25, 0.25]
    assert [group["weight_decay"] for group in (muon, outer, flat)] == [0.125, 0.125, 0.0]


def test_each_epoch_shows_every_image_once_whatever_the_batches() -> None:
    sizes, seen, order = random.Random(0), 0, []
    while seen < 5 * 30:
        size = sizes.choice([1, 4, 7, 30, 64])
        order.append(training._batch(seen, size, RECIPE.seed, 30))
        assert len(order[-1]) == size
        seen += size
    epochs = torch.cat(order)[: 5 * 30].split(30)
    for epoch in epochs:
        assert epoch.sort().values.tolist() == list(range(30))
    assert not torch.equal(epochs[0], epochs[1])
