import json
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import tyro
from torch import nn

from mixer.data import Labelled
from mixer.model import Mixer, MixerConfig
from mixer.run import Run
from mixer.train import TrainConfig, train

CPU = torch.device("cpu")
SHORT = TrainConfig(epochs=4, warmup_epochs=0.5, decay_epochs=1, batch_size=12, micro_batch=5, ema_decay=0.5)


def fresh(config: MixerConfig) -> Mixer:
    torch.manual_seed(1)
    model = Mixer(config)
    model.start_as_identity()
    return model


def same(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))


@pytest.mark.long
def test_learns_what_can_be_learned(tiny: MixerConfig, coloured: Labelled, tmp_path: Path) -> None:
    model = fresh(tiny)
    config = replace(SHORT, epochs=30, decay_epochs=10, micro_batch=12, mix=0.1, auto_augment=False)
    config = replace(config, muon_lr=0.02, adamw_lr=0.01)
    last = list(train(model, coloured, coloured, config, tmp_path, CPU))[-1]
    assert last["validation_accuracy"] > 0.9


@pytest.mark.parametrize("kill", [False, True], ids=["stopped", "killed after the last save"])
@pytest.mark.long
def test_continued_run_equals_an_uninterrupted_one(
    tiny: MixerConfig, coloured: Labelled, tmp_path: Path, kill: bool
) -> None:
    tiny = replace(tiny, dropout=0.2)
    whole, parts = fresh(tiny), fresh(tiny)
    straight = list(train(whole, coloured, coloured, SHORT, tmp_path / "whole", CPU))
    steps = train(parts, coloured, coloured, SHORT, tmp_path / "parts", CPU)
    for metrics in steps:
        if metrics["step"] == 8:
            break
    if kill:  # three steps after the save at the end of the first epoch: they must be done again, alike
        killed = (tmp_path / "parts" / "state.pt").read_bytes()
    steps.close()
    if kill:
        (tmp_path / "parts" / "state.pt").write_bytes(killed)
    rest = list(train(fresh(tiny), coloured, coloured, SHORT, tmp_path / "parts", CPU))
    parts = fresh(tiny)
    assert rest[0]["step"] == (6 if kill else 9)
    assert rest[-1]["loss"] == straight[-1]["loss"]
    for _ in train(parts, coloured, coloured, SHORT, tmp_path / "parts", CPU):
        raise AssertionError("the run has ended, there is no step left")
    assert same(parts, whole)
    histories = [
        (tmp_path / run / "history.jsonl").read_text(encoding="utf-8").splitlines() for run in ("whole", "parts")
    ]
    lines = [[json.loads(line) | {"seconds": None} for line in lines] for lines in histories]
    assert lines[0] == lines[1]


def test_micro_batches_give_the_gradient_of_the_whole_batch(
    tiny: MixerConfig, coloured: Labelled, tmp_path: Path
) -> None:
    losses = []
    for micro in (4, 12):
        config = replace(SHORT, epochs=1, warmup_epochs=0, decay_epochs=0, micro_batch=micro)
        steps = train(fresh(tiny), coloured, coloured, config, tmp_path / str(micro), CPU)
        losses.append([metrics["loss"] for metrics in steps])
    assert losses[0] == pytest.approx(losses[1], rel=2e-2)  # bf16 rounds differently


@pytest.mark.long
def test_bf16_in_micro_batches_learns_as_plain_float32_does(
    tiny: MixerConfig, coloured: Labelled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(SHORT, epochs=20, auto_augment=False)  # of 5 steps each

    def curve(name: str, config: TrainConfig) -> torch.Tensor:
        steps = train(fresh(tiny), coloured, coloured, config, tmp_path / name, CPU)
        return torch.tensor([metrics["loss"] for metrics in steps if "validation_accuracy" in metrics])

    monkeypatch.setattr("mixer.precision.native_bf16", lambda device: True)
    fast = curve("fast", config)
    monkeypatch.setattr("mixer.precision.native_bf16", lambda device: False)
    plain = curve("plain", replace(config, micro_batch=12))
    assert plain[-1] < plain[0] / 2
    assert not torch.equal(fast, plain)
    torch.testing.assert_close(fast, plain, rtol=0.03, atol=0.02)


@pytest.mark.long
def test_learns_from_a_teacher(tiny: MixerConfig, coloured: Labelled, tmp_path: Path) -> None:
    class Knows(nn.Module):
        """Says class 7 to everything."""

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.eye(10)[7].expand(len(images), 10) * 50

    config = replace(SHORT, epochs=12, micro_batch=12, hard_labels=0.0, mix=0.0, adamw_lr=0.02)
    model = fresh(tiny)
    list(train(model, coloured, coloured, config, tmp_path, CPU, Knows()))
    assert (model(torch.randn(5, 3, 32, 32)).argmax(1) == 7).all()


def test_batch_and_average_fit_the_number_of_images() -> None:
    default = TrainConfig()
    assert [default.batch(images) for images in (45_000, 50_000, 5_120, 350, 20)] == [256, 256, 256, 17, 8]
    assert default.ema(45_000) == 0.999  # the recipe that was measured best stays as it was
    assert default.ema(350) == pytest.approx(1 - 10 / (60 * 350 / 17))
    assert replace(default, epochs=0.4).ema(8) == 0
    assert replace(default, batch_size=5, ema_decay=0.5).batch(45_000) == 5
    assert replace(default, ema_decay=0.5).ema(350) == 0.5
    assert [replace(default, batch_size=64).batch(images) for images in (1, 40, 64, 65)] == [1, 40, 64, 64]
    assert default.batch(5) == 5


def test_the_earlier_name_of_an_option_is_still_read() -> None:
    assert tyro.cli(TrainConfig, args=["--average", "0.5"]) == TrainConfig(ema_decay=0.5)


def test_a_shift_larger_than_the_images_is_refused(tiny: MixerConfig, coloured: Labelled, tmp_path: Path) -> None:
    small = replace(tiny, image_size=(8, 16), patch_size=(4, 4))
    with pytest.raises(ValueError, match=r"crop must be smaller than the image, \(8, 16\), not 8"):
        next(train(fresh(small), coloured, coloured, replace(SHORT, crop=8), tmp_path, CPU))


def test_rate_rises_stays_and_falls() -> None:
    config = TrainConfig(epochs=10, warmup_epochs=2, decay_epochs=4)
    assert [config.rate(e) for e in (0, 1, 2, 5, 6, 8, 10)] == [0, 0.5, 1, 1, 1, 0.5, 0]


def test_rate_falls_from_the_warm_up_on_unless_told_otherwise() -> None:
    config = TrainConfig(epochs=10, warmup_epochs=2)
    assert [config.rate(e) for e in (0, 1, 2, 4, 8, 10)] == [0, 0.5, 1, 0.75, 0.25, 0]
    longer = TrainConfig(epochs=18, warmup_epochs=2)
    assert longer.rate(10) == 0.5


def test_impossible_recipes_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter than warm-up and decay"):
        TrainConfig(epochs=3, warmup_epochs=1, decay_epochs=3)
    with pytest.raises(ValueError, match="shorter than warm-up and decay"):
        TrainConfig(epochs=3, warmup_epochs=4)
    with pytest.raises(ValueError, match="from 1 to 100000"):
        TrainConfig(batch_size=0)


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_state(
    tiny: MixerConfig, coloured: Labelled, tmp_path: Path
) -> None:
    steps = train(model := fresh(tiny), coloured, coloured, SHORT, tmp_path, CPU)
    for metrics in steps:
        if metrics["step"] == 5:
            break
    kept = (tmp_path / "state.pt").read_bytes()
    with torch.no_grad():
        model.head.bias.fill_(float("nan"))
    with pytest.raises(FloatingPointError, match="step 5"):
        next(steps)
    assert (tmp_path / "state.pt").read_bytes() == kept


def test_saving_at_the_end_of_epochs_takes_a_twentieth_of_the_time_at_most(
    tiny: MixerConfig, coloured: Labelled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(10**9))
    moment = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: moment[0] + 1e-9 * next(clock))
    saved: list[int] = []

    def save(run: Run, parts: Mapping[str, Any]) -> None:
        saved.append(run.progress.step)
        moment[0] += 1.0  # s, which a save takes

    monkeypatch.setattr(Run, "save", save)
    few = Labelled(coloured.images[:4], coloured.labels[:4])
    config = replace(SHORT, epochs=50, batch_size=2, auto_augment=False)
    for _ in train(fresh(tiny), few, few, config, tmp_path, CPU):
        moment[0] += 0.475  # two steps, so 0.95 s, an epoch
    assert saved == [2, 46, 90, 100], "the first epoch; then every 22 epochs, 20.9 s; the end"
