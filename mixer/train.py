"""Training: one loop for CPU, GPU and many GPUs. A stopped or killed run can be continued and prolonged."""

import math
import time
from collections.abc import Generator
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

import torch
import torch.nn.functional as F
import tyro
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from mixer import parallel
from mixer.augment import MAX_SHIFT, crop_and_flip, cutmix, mixup
from mixer.autoaugment import auto_augment
from mixer.checkpoint import digest
from mixer.compiled import compiled
from mixer.data import Labelled, normalise
from mixer.evaluate import accuracy
from mixer.model import Mixer
from mixer.muon import Muon
from mixer.precision import autocast
from mixer.run import Run, RunError
from mixer.validation import check_range

SAVE_SECONDS = 300
SAVE_SHARE = 0.05
"""largest share of the time that saving at the end of epochs may take"""
MAX_EPOCHS, MAX_AT_ONCE = 1_000_000, 100_000
"""implausible numbers are rejected at once; CIFAR-10 has 60,000 images"""


@dataclass(frozen=True)
class TrainConfig:
    """The recipe. One epoch is one pass over the training images."""

    epochs: float = 60
    """length of the whole run; a run can be continued with more"""
    warmup_epochs: float = 0.3
    """epochs in which the learning rates rise from zero"""
    decay_epochs: float | None = None
    """epochs at the end in which the rates fall to zero; they are constant before. None: they fall after the warm-up"""
    batch_size: int | None = None
    """images in a batch; None: 256, or fewer for a small data set (20 batches per epoch, at least 8 images)"""
    micro_batch: int | None = None
    """images in one forward and backward pass; None: 32 on a CPU, because of its cache; the whole batch on a GPU"""
    muon_lr: float = 4e-3
    """learning rate of Muon, for the matrices of the blocks"""
    adamw_lr: float = 2.5e-3
    """learning rate of AdamW, for stem, head, norms and biases"""
    weight_decay: float = 0.05
    """weight decay of all matrices"""
    ema_decay: Annotated[float | None, tyro.conf.arg(aliases=["--average"])] = None
    """decay per step of the moving average of the weights (EMA), which is evaluated and saved. None: 0.999; in a run of
    fewer than 10,000 steps, the decay that averages over a tenth of the run"""
    crop: int = 4
    """largest random shift of an image in pixels"""
    auto_augment: bool = True
    """apply AutoAugment: random changes of colour and geometry"""
    mix: float = 0.6
    """share of the batches with CutMix or mixup (alternating)"""
    hard_labels: float = 0.25
    """weight of the true labels in the target when a teacher is used; the teacher's probabilities have the rest"""
    seed: int = 0

    def __post_init__(self):
        check_range(self, 0, math.inf, "warmup_epochs", "muon_lr", "adamw_lr", "weight_decay")
        check_range(self, 0, MAX_EPOCHS, "epochs")
        check_range(self, 0, 1, "mix", "hard_labels", *(["ema_decay"] if self.ema_decay is not None else []))
        check_range(self, 0, MAX_SHIFT, "crop")
        check_range(self, 0, 2**32 - 1, "seed")
        given = (name for name in ("batch_size", "micro_batch") if getattr(self, name) is not None)
        check_range(self, 1, MAX_AT_ONCE, *given)
        check_range(self, 0, math.inf, *(["decay_epochs"] if self.decay_epochs is not None else []))
        if self.epochs < self.warmup_epochs + (self.decay_epochs or 0):
            raise ValueError(
                f"{self.epochs} epochs are shorter than warm-up and decay, "
                f"{self.warmup_epochs} + {self.decay_epochs or 0}"
            )

    def batch(self, images: int) -> int:
        """Batch size for a data set of this many images; at most all of them."""
        return min(images, self.batch_size or max(8, min(256, images // 20)))

    def ema(self, images: int) -> float:
        """EMA decay for a data set of this many images."""
        steps = self.epochs * images / self.batch(images)
        return min(0.999, max(0.0, 1 - 10 / max(1.0, steps))) if self.ema_decay is None else self.ema_decay

    def rate(self, epoch: float) -> float:
        """Factor of both learning rates, 0 to 1: linear warm-up, constant, linear decay."""
        up = epoch / self.warmup_epochs if self.warmup_epochs else 1.0
        decay = self.epochs - self.warmup_epochs if self.decay_epochs is None else self.decay_epochs
        down = (self.epochs - epoch) / decay if decay else 1.0
        return max(0.0, min(1.0, up, down))


def train(
    model: Mixer,
    data: Labelled,
    validation: Labelled,
    config: TrainConfig,
    run: Run | Path,
    device: torch.device,
    teacher: nn.Module | None = None,
) -> Generator[dict[str, Any]]:
    """Train or continue a run until `config.epochs`; yields metrics after every step.

    `Run.identity` cannot change within a run: the network, the images and labels, the seed of their order, and the
    entries of the caller. A difference raises RunError before anything is written. All other settings may change when a
    run is continued: the other fields of TrainConfig, the teacher and the device. A change starts a new stage in the
    record.

    All random numbers of a step follow from (seed, step), so a run that was interrupted and continued gives the same
    weights as an uninterrupted one. The state is saved every five minutes, at the end of every epoch unless epochs are
    too short for that, and when the caller stops iterating. At the end, `model` has the averaged weights. With several
    processes (`mixer.parallel`), all compute the same steps and the first writes the files.

    run: a folder, or a run that the caller has already entered
    """
    if config.crop >= min(model.config.image_size):
        raise ValueError(f"crop must be smaller than the image, {model.config.image_size}, not {config.crop}")
    size = config.batch(len(data))
    end = round(config.epochs * len(data))
    if not end:
        raise ValueError(f"epochs must cover at least one of the {len(data)} training images, not {config.epochs}")
    with nullcontext(run) if isinstance(run, Run) else Run(run) as run:
        model.to(device).train()
        images, labels = data.images.to(device), data.labels.to(device)
        validation = Labelled(validation.images.to(device), validation.labels.to(device))
        answers = compiled(model, device)
        if teacher is not None:
            teacher = compiled(teacher.to(device).to(memory_format=torch.channels_last).eval(), device)
        averaged = AveragedModel(
            Mixer(model.config).to(device), multi_avg_fn=get_ema_multi_avg_fn(config.ema(len(data)))
        )
        optimizers = _optimizers(model, config)
        parts: dict[str, Any] = {"model": model, "averaged": averaged, **optimizers}
        for name, state in run.resume(model.config, data, config.seed).items():
            if name in optimizers:  # the current recipe sets rates and decay
                state["param_groups"] = parts[name].state_dict()["param_groups"]
            parts[name].load_state_dict(state)
        _agree(run, model)
        at = run.progress
        if at.images < end:
            run.begin(asdict(config) | {"batch_size": size, "ema_decay": config.ema(len(data))})
        began = time.monotonic() - at.seconds
        saved, cost = time.monotonic(), 0.0

        def save() -> None:
            nonlocal saved, cost
            started = time.monotonic()
            run.save({name: part.state_dict() for name, part in parts.items()})
            saved = time.monotonic()
            cost = saved - started

        while at.images < end:
            torch.manual_seed(config.seed * 1_000_003 + at.step)
            epochs_before = at.images // len(data)
            rate = config.rate((at.images + size) / len(data))
            for optimizer in optimizers.values():
                for group in optimizer.param_groups:
                    group["lr"] = group["peak"] * rate
            index = _batch(at.images, size, config.seed, len(data)).to(device, non_blocking=True)
            total = _step(model, answers, images[index], labels[index], config, at.step, teacher)
            for optimizer in optimizers.values():
                optimizer.step()
            averaged.update_parameters(model)
            loss = total.item()  # last, because it waits for the GPU
            if not math.isfinite(loss):
                raise FloatingPointError(
                    f"the loss is not finite at step {at.step}: choose a lower --muon-lr or --adamw-lr; the run "
                    "continues from its last saved state"
                )
            at.step += 1
            at.images += size
            at.loss += loss
            metrics: dict[str, Any] = {
                "step": at.step,
                "images": at.images,
                "epoch": at.images / len(data),
                "loss": loss,
            }
            ended = at.images >= end
            if at.images // len(data) > epochs_before or ended:
                metrics |= {
                    "loss": at.loss / (at.step - at.since),
                    "rate": rate,
                    "validation_accuracy": accuracy(averaged.module, validation, model.config, device),
                    "seconds": round(time.monotonic() - began, 1),
                }
                at.loss, at.since = 0.0, at.step
                run.log(metrics)
            at.seconds = time.monotonic() - began
            since = time.monotonic() - saved
            if ended or since > SAVE_SECONDS or ("rate" in metrics and since * SAVE_SHARE > cost):
                save()
            try:
                yield metrics
            except GeneratorExit:
                save()
                raise
        model.load_state_dict(averaged.module.state_dict())
        model.eval()


def _agree(run: Run, model: Mixer) -> None:
    """Raise RunError in every process unless all have the same state: the sum of their gradients needs one network."""
    own = f"step {run.progress.step}, weights {digest(model)}, images {run.identity['data']['digest']}"
    first = parallel.from_first(own)
    if parallel.any_process(own != first):
        raise RunError(
            f"the processes of this run have different states: {run.folder} is here at {own}, in the first process at "
            f"{first}. Use --run with a folder on a shared drive, or copy the folder and the images of the first "
            "process to each machine"
        )


def _batch(seen: int, size: int, seed: int, images: int) -> Int[Tensor, "batch"]:
    """Numbers of the next images after `seen` images. A batch may span two epochs, so any batch size is possible.

    Each epoch is a new permutation, which follows from (seed, epoch).
    """
    epoch, place = divmod(seen, images)
    epochs = range(epoch, (seen + size - 1) // images + 1)
    orders = torch.cat([_order(seed, number, images) for number in epochs])
    return orders[place : place + size]


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, images: int) -> Int[Tensor, "images"]:
    return torch.randperm(images, generator=torch.Generator().manual_seed(seed * 1_000_003 + epoch))


def _step(
    model: Mixer,
    answers: nn.Module,
    images: UInt8[Tensor, "batch 3 height width"],
    labels: Int[Tensor, "batch"],
    config: TrainConfig,
    step: int,
    teacher: nn.Module | None,
) -> Float[Tensor, "1"]:
    """Compute the gradients of one batch into the parameters; returns the mean loss.

    answers: the model, or its compiled form
    """
    images = crop_and_flip(images, config.crop)
    if config.auto_augment:
        images = auto_augment(images)
    inputs = normalise(images, model.config)
    targets = F.one_hot(labels, model.config.num_classes).float()
    if torch.rand(()) < config.mix:
        inputs, targets = (cutmix if step % 2 else mixup)(inputs, targets)
    inputs, targets = parallel.shard(inputs), parallel.shard(targets)
    if teacher is not None:
        targets = torch.lerp(_answer(teacher, inputs), targets, config.hard_labels)
    model.zero_grad(set_to_none=True)
    micro = config.micro_batch or (32 if inputs.device.type == "cpu" else len(inputs))
    total = torch.zeros(1, device=inputs.device)
    for x, y in zip(inputs.split(micro), targets.split(micro), strict=True):
        with autocast(x.device):
            logits = answers(x)
        loss = F.cross_entropy(logits.float(), y, reduction="sum") / len(images)
        loss.backward()
        total += loss.detach()
    parallel.all_reduce_sum([total, *(p.grad for p in model.parameters() if p.grad is not None)])
    return total


@torch.no_grad()
def _answer(teacher: nn.Module, inputs: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch classes"]:
    with autocast(inputs.device):
        return teacher(inputs).float().softmax(1)


def _optimizers(model: Mixer, config: TrainConfig) -> dict[str, torch.optim.Optimizer]:
    """By their names in a run: Muon for the matrices of the blocks; AdamW for the rest, matrices with weight decay."""
    inner = [p for p in model.blocks.parameters() if p.ndim == 2]
    outer = [model.stem.weight, model.head.weight]
    flat = [p for p in model.parameters() if p.ndim == 1]
    muon = Muon(inner, config.muon_lr, config.weight_decay)
    adamw = torch.optim.AdamW(
        [{"params": outer, "weight_decay": config.weight_decay}, {"params": flat, "weight_decay": 0.0}],
        config.adamw_lr,
        betas=(0.9, 0.98),
    )
    optimizers: dict[str, torch.optim.Optimizer] = {"muon": muon, "adamw": adamw}
    for optimizer in optimizers.values():
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return optimizers
