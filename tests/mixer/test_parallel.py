"""Two processes that train together, as torchrun starts them."""

import multiprocessing
import os
import signal
import socket
import sys
import time
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.distributed.run import main as torchrun

import main
from mixer import checkpoint, parallel, session
from mixer.model import Mixer
from mixer.run import RunError, history
from mixer.train import TrainConfig
from tests import small_cifar

SMALL_MAIN = Path(small_cifar.__file__).with_name("small_main.py")
RECIPE = TrainConfig(epochs=3, warmup_epochs=0.5, decay_epochs=1, batch_size=16, micro_batch=8)


def with_torch() -> multiprocessing.context.ForkServerContext:
    """Starts processes that have imported it."""
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["tests.mixer.test_parallel"])
    return server


def trains(rank: int, port: int, cifar: Path, run: Path, told: Path) -> None:
    """One of two processes, as torchrun would start it, but from one that has imported torch for both."""
    own = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ |= {name: str(value) for name, value in own.items()} | {"TORCHELASTIC_RUN_ID": "one"}
    torch.set_num_threads(1)  # sums depend on the threads, if only in their last bits
    small_cifar.accept()
    with told.open("w", encoding="utf-8") as file, redirect_stdout(file), parallel.processes():
        main.train(RECIPE, blocks=1, teacher=None, run=run, data_root=cifar)


def weights(model: Mixer) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


@pytest.mark.process
def test_two_processes_give_the_network_of_one(cifar: Path, tmp_path: Path) -> None:
    server = with_torch()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    told = [tmp_path / f"told by {rank}" for rank in range(2)]
    started = [server.Process(target=trains, args=(i, port, cifar, tmp_path / "two", told[i])) for i in range(2)]
    for process in started:
        process.start()
    main.train(RECIPE, blocks=1, teacher=None, run=tmp_path / "one", data_root=cifar)
    for process in started:
        process.join(600)
    assert [process.exitcode for process in started] == [0, 0]
    assert [file.read_text("utf-8").count("test accuracy: ") for file in told] == [1, 0]
    (one, _), (two, metrics) = (checkpoint.load(str(tmp_path / run / "checkpoint"), Mixer) for run in ("one", "two"))
    moved = weights(one) - weights(session.start("seed", 1, None, 0))
    assert (weights(one) - weights(two)).norm() < 1e-4 * moved.norm()
    losses = [[line["loss"] for line in history(tmp_path / run)] for run in ("one", "two")]
    torch.testing.assert_close(*map(torch.tensor, losses), rtol=1e-5, atol=0)
    assert metrics["stages"][0]["device"].startswith("2 x CPU")


def together_by_torchrun(told: Path, *arguments: str) -> None:
    """In a process that has imported torch, for itself and for those that it starts."""
    with told.open("w", encoding="utf-8") as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
    torchrun(["--nproc-per-node", "2", "--start-method", "fork", "--run-path", "--", str(SMALL_MAIN), *arguments])


@pytest.mark.process
def test_together_they_stop_and_go_on(cifar: Path, tmp_path: Path) -> None:
    """By torchrun itself."""
    folder, said = tmp_path / "run", tmp_path / "said"
    lengths = "--epochs 100000 --warmup-epochs 0.5 --decay-epochs 1 --batch-size 16 --micro-batch 8 --blocks 1"
    paths = ["--teacher", "None", "--run", str(folder), "--data-root", str(cifar)]
    together = with_torch().Process(target=together_by_torchrun, args=(said, "train", *lengths.split(), *paths))
    together.start()
    assert together.pid
    told = folder / "history.jsonl"
    while not told.exists() or told.read_text("utf-8").count("\n") < 2:
        assert together.is_alive(), said.read_text("utf-8")
        time.sleep(0.1)
    os.kill(together.pid, signal.SIGINT)
    while said.read_text("utf-8").count("Stopped; the state is saved") < 2:
        assert together.is_alive(), said.read_text("utf-8")
        time.sleep(0.1)
    together.kill()  # it would wait half a minute for what it started by a fork
    together.join()
    step = torch.load(folder / "state.pt", weights_only=True)["progress"]["step"]
    assert step > history(folder)[0]["step"]


@pytest.mark.long
def test_machines_whose_states_differ_stop_in_words(
    cifar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where each has a folder of its own, and only the first's has the state of the run."""
    recipe = TrainConfig(epochs=1, warmup_epochs=0.5, decay_epochs=0.5, batch_size=16)
    said = []
    monkeypatch.setattr(parallel, "from_first", lambda own: said.append(own) or own)
    main.train(recipe, blocks=1, run=tmp_path / "first", teacher=None, data_root=cifar)
    longer = replace(recipe, epochs=2)
    main.train(longer, blocks=1, run=tmp_path / "first", teacher=None, data_root=cifar)
    assert [words.partition(",")[0] for words in said] == ["step 0", "step 3"]
    for run, first in (("second", said[1]), ("first", said[0])):
        monkeypatch.setattr(parallel, "from_first", lambda own, first=first: first)
        with pytest.raises(RunError, match=rf"{run} is here at step \d.*, in the first process at {first}\."):
            main.train(longer, blocks=1, run=tmp_path / run, teacher=None, data_root=cifar)
    assert not (tmp_path / "second" / "state.pt").exists()


def test_alone_all_of_it_does_nothing() -> None:
    batch = torch.arange(6.0)
    with parallel.processes(), parallel.main_process_first():
        assert (parallel.count(), parallel.is_first()) == (1, True)
        assert parallel.shard(batch) is batch
        parallel.all_reduce_sum([batch])
        assert parallel.from_first("own") == "own"
        assert batch.tolist() == [0, 1, 2, 3, 4, 5]
        assert [parallel.any_process(own) for own in (False, True)] == [False, True]
