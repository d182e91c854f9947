"""A small CNN as a teacher for distillation, trained on CIFAR-10 only, in minutes.

Architecture and schedule follow Keller Jordan's airbench94 (arXiv 2404.00498): a fixed whitening layer, three groups
of two convolutions, label smoothing, and a triangular schedule with a high learning rate.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from mixer.augment import MAX_SHIFT, crop_and_flip
from mixer.autoaugment import auto_augment
from mixer.data import Labelled, normalise
from mixer.evaluate import accuracy
from mixer.model import MixerConfig
from mixer.precision import autocast
from mixer.validation import check_range


@dataclass(frozen=True)
class TeacherConfig:
    widths: tuple[int, int, int] = (64, 256, 256)
    """channels of the three groups"""
    num_classes: int = 10

    def __post_init__(self):
        check_range(self, 1, math.inf, "num_classes")
        if len(self.widths) != 3 or min(self.widths) < 1:
            raise ValueError(f"widths must be three numbers, all at least 1, not {self.widths}")


@dataclass(frozen=True)
class TeacherTrainConfig:
    epochs: int = 16
    batch_size: int = 1024
    lr: float = 1.5
    """peak learning rate of Nesterov SGD, with momentum 0.85"""
    weight_decay: float = 1.3e-3
    bias_factor: float = 64.0
    """factor of the learning rate, and divisor of the weight decay, for the biases of the BatchNorms"""
    label_smoothing: float = 0.2
    whiten_epochs: int = 3
    """number of epochs in which the bias of the whitening layer is trained"""
    shift: int = 2
    """largest random shift of an image in pixels"""
    auto_augment: bool = False
    """apply AutoAugment, as in the training of the Mixer"""
    seed: int = 0

    def __post_init__(self):
        check_range(self, 1, 1_000_000, "epochs", "batch_size")
        check_range(self, 0, math.inf, "lr", "weight_decay", "whiten_epochs")
        check_range(self, 1e-6, math.inf, "bias_factor")
        check_range(self, 0, 1, "label_smoothing")
        check_range(self, 0, MAX_SHIFT, "shift")
        check_range(self, 0, 2**32 - 1, "seed")


class Group(nn.Sequential):
    """Two 3 x 3 convolutions, with 2 x 2 pooling after the first; the output has half the height and width."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, padding="same", bias=False),
            nn.MaxPool2d(2),
            _norm(outputs),
            nn.GELU(),
            nn.Conv2d(outputs, outputs, 3, padding="same", bias=False),
            _norm(outputs),
            nn.GELU(),
        )
        for layer in self:
            if isinstance(layer, nn.Conv2d):  # start as the identity
                nn.init.dirac_(layer.weight[: layer.in_channels].data)


def _norm(channels: int) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(channels, eps=1e-12, momentum=0.4)
    norm.weight.requires_grad_(False)
    return norm


class Teacher(nn.Module):
    """Images (batch, 3, 32, 32), normalised as for the Mixer, to logits (batch, classes)."""

    def __init__(self, config: TeacherConfig):
        super().__init__()
        self.config = config
        first, second, third = config.widths
        self.whiten = nn.Conv2d(3, 24, 2)
        self.whiten.weight.requires_grad_(False)
        self.groups = nn.Sequential(Group(24, first), Group(first, second), Group(second, third))
        self.head = nn.Linear(third, config.num_classes, bias=False)

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch classes"]:
        x = self.groups(F.gelu(self.whiten(images.contiguous(memory_format=torch.channels_last))))
        return self.head(x.amax((2, 3))) / 9

    @torch.no_grad()
    def set_whitening(self, images: Float[Tensor, "batch 3 height width"], eps: float = 5e-4) -> None:
        """Set the filters to the eigenvectors of the images' 2 x 2 patches, scaled to unit variance, and negatives."""
        patches = F.unfold(images, 2).movedim(1, -1).flatten(0, 1)  # patches 12
        values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
        filters = (vectors / (values + eps).sqrt()).T.flip(0).unflatten(1, (3, 2, 2))
        self.whiten.weight.copy_(torch.cat((filters, -filters)))
        nn.init.zeros_(self.whiten.get_parameter("bias"))


class Ensemble(nn.Module):
    """An ensemble of teachers with the mean of their probabilities."""

    def __init__(self, teachers: Iterable[nn.Module]):
        super().__init__()
        self.teachers = nn.ModuleList(teachers)

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch classes"]:
        """The logarithms of the mean probabilities."""
        each = torch.stack([teacher(images).float().log_softmax(1) for teacher in self.teachers])
        return each.logsumexp(0) - math.log(len(self.teachers))


def train_teacher(
    model: Teacher, data: Labelled, validation: Labelled, config: TeacherTrainConfig, device: torch.device
) -> Iterator[dict[str, float]]:
    """Train the model in place; yields epoch, loss and validation accuracy (0 to 1) after each epoch.

    Raises ValueError for fewer images than one batch.
    """
    if len(data) < config.batch_size:
        raise ValueError(f"batch_size must be at most {len(data)}, the number of training images")
    torch.manual_seed(config.seed)
    inputs = MixerConfig()
    model.to(device).to(memory_format=torch.channels_last)
    model.set_whitening(normalise(data.images[:5000].to(device), inputs))
    whiten_bias = model.whiten.get_parameter("bias")
    biases = [m.bias for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    fast = {id(p) for p in biases}
    rest = [p for p in model.parameters() if p.requires_grad and id(p) not in fast]
    optimizer = torch.optim.SGD(
        [
            {
                "params": biases,
                "lr": config.lr * config.bias_factor,
                "weight_decay": config.weight_decay / config.bias_factor,
            },
            {"params": rest, "lr": config.lr, "weight_decay": config.weight_decay},
        ],
        momentum=0.85,
        nesterov=True,
    )
    per_epoch = len(data) // config.batch_size
    steps = config.epochs * per_epoch

    def rate(step: int) -> float:
        rise = 0.23 * steps
        return 0.2 + 0.8 * step / rise if step < rise else 1 - 0.93 * (step - rise) / (steps - rise)

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    images, labels = data.images.to(device), data.labels.to(device)
    mirrored = torch.rand(len(data), device=device) < 0.5
    for epoch in range(config.epochs):
        model.train()
        whiten_bias.requires_grad_(epoch < config.whiten_epochs)
        mirrored = ~mirrored  # alternate for each image, instead of random
        total = torch.zeros(
            (), dtype=torch.float64, device=device
        )  # read once per epoch, because reading waits for a GPU
        for index in torch.randperm(len(data), device=device)[: per_epoch * config.batch_size].split(config.batch_size):
            batch = crop_and_flip(images[index], config.shift, mirrored[index])
            if config.auto_augment:
                batch = auto_augment(batch)
            with autocast(device):
                logits = model(normalise(batch, inputs))
            loss = F.cross_entropy(logits.float(), labels[index], label_smoothing=config.label_smoothing)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.detach()
        if not total.isfinite():
            raise FloatingPointError(f"the loss is not finite in epoch {epoch + 1}: choose a lower lr than {config.lr}")
        yield {
            "epoch": epoch + 1,
            "loss": total.item() / per_epoch,
            "validation_accuracy": accuracy(model, validation, inputs, device),
        }
