"""Evaluation of a network: accuracy and calibration."""

import math
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mixer.data import Labelled, class_names, class_numbers, normalise
from mixer.model import Mixer, MixerConfig
from mixer.precision import autocast


def at_once(device: torch.device) -> int:
    """Images in one forward pass; on a CPU few enough for the activations of a block to fit into its cache.

    On two cores in float32, the seed network is twice as fast per image with 8 images as with 64 or more.
    """
    return 8 if device.type == "cpu" else 256


@torch.inference_mode()
def accuracy(model: nn.Module, data: Labelled, config: MixerConfig, device: torch.device) -> float:
    """Share of images whose true class has the highest logit, in the precision of training, for decisions in it."""
    model.eval()
    right = torch.zeros((), dtype=torch.long, device=device)  # read once, because reading waits for a GPU
    size = at_once(device)
    for images, labels in zip(data.images.split(size), data.labels.split(size), strict=True):
        with autocast(device):
            logits = model(normalise(images.to(device), config))
        right += (logits.argmax(1) == labels.to(device)).sum()
    return right.item() / len(data)


@torch.inference_mode()
def evaluate(model: Mixer, test: Labelled, validation: Labelled, device: torch.device) -> dict[str, Any]:
    """All metrics of a network on a data set, from logits in float32; for `metrics.json`.

    Accuracies are shares (0 to 1), the interval is Wilson's at 95 %; `class_accuracy` has the classes with test images.
    `flip_accuracy` averages the probabilities of an image and its mirror image. `calibration_error` is the expected
    calibration error over 15 bins of confidence (Guo et al. 2017); `temperature` is the divisor of the logits that fits
    the validation images best.

    Raises OtherClasses for a network with other classes, and ValueError without images or for logits that are not
    finite.
    """
    model.to(device).eval()
    names = class_names(model.config)
    numbers = class_numbers(names, test.classes, test.source)
    if not len(test) or not len(validation):
        raise ValueError(f"evaluation needs images, not {len(test)} test and {len(validation)} validation images")
    labels = numbers[test.labels]
    logits, mirrored = _logits(model, test, device), _logits(model, test, device, mirror=True)
    probabilities, right = logits.softmax(1), logits.argmax(1) == labels
    temperature = fit_temperature(_logits(model, validation, device), numbers[validation.labels])
    confusion = torch.zeros(len(names), len(names), dtype=torch.long)
    confusion.index_put_((labels, logits.argmax(1)), torch.ones_like(labels), accumulate=True)
    return {
        "accuracy": right.float().mean().item(),
        "interval": wilson(int(right.sum()), len(test)),
        "flip_accuracy": ((probabilities + mirrored.softmax(1)).argmax(1) == labels).float().mean().item(),
        "images": len(test),
        "class_accuracy": {names[i]: right[labels == i].float().mean().item() for i in labels.unique().tolist()},
        "classes_without_images": without_images(test, validation),
        "confusion": confusion.tolist(),
        "calibration_error": calibration_error(probabilities, labels),
        "reliability": reliability(probabilities, labels),
        "temperature": temperature,
        "calibration_error_at_temperature": calibration_error((logits / temperature).softmax(1), labels),
    }


def headline(metrics: dict[str, Any]) -> str:
    """One line with the accuracy and the recorded details."""
    details = {
        "images": " on {0:,} images",
        "interval": " (95% interval {0[0]:.2%} to {0[1]:.2%})",
        "flip_accuracy": ", {0:.2%} with horizontal-flip averaging",
        "parameters": ". {0:,} parameters",
        "date": ". Evaluated on {0}",
        "device": ", {0}",
    }
    recorded = (template.format(metrics[name]) for name, template in details.items() if name in metrics)
    lines = [f"{data_name(metrics)} test accuracy: {metrics['accuracy']:.2%}{''.join(recorded)}."]
    return " ".join(lines + lacking(metrics.get("classes_without_images", {})))


def data_name(metrics: dict[str, Any]) -> str:
    """Name of the data set on which a network was evaluated."""
    return metrics.get("data", {}).get("name", "CIFAR-10")


def lacking(without: dict[str, list[str]]) -> list[str]:
    """Sentences about the classes of `without_images`."""
    return [f"Classes without {part} images: {', '.join(names)}." for part, names in without.items() if names]


def without_images(test: Labelled, validation: Labelled) -> dict[str, list[str]]:
    """The classes without test images, and those without validation images."""
    parts = {"test": test, "validation": validation}
    return {part: [name for i, name in enumerate(data.classes) if i not in data.labels] for part, data in parts.items()}


def _logits(
    model: Mixer, data: Labelled, device: torch.device, mirror: bool = False
) -> Float[Tensor, "images classes"]:
    """In float64, in which no finite float32 overflows when it is divided by a temperature or summed."""
    images = data.images.flip(3) if mirror else data.images
    batches = images.split(at_once(device))
    logits = torch.cat([model(normalise(batch.to(device), model.config)).cpu().double() for batch in batches])
    if not logits.isfinite().all():
        raise ValueError("the logits of this network are not finite (NaN or infinite): its weights are damaged")
    return logits


def wilson(right: int, images: int) -> tuple[float, float]:
    """The 95 % score interval of a share (Wilson 1927), within 0 to 1."""
    z, p = 1.959964, right / images
    middle, scale = p + z * z / (2 * images), 1 + z * z / images
    half = z * math.sqrt(p * (1 - p) / images + z * z / (4 * images * images))
    low, high = (middle - half) / scale, (middle + half) / scale
    return low if right else 0.0, high if right < images else 1.0  # exact, without rounding errors


def calibration_error(probabilities: Float[Tensor, "images classes"], labels: Int[Tensor, "images"]) -> float:
    """Mean |confidence - accuracy| over 15 equal bins of confidence, weighted by the images in each."""
    confidence, answer = probabilities.max(1)
    bins = (confidence * 15).long().clamp(max=14)
    gap = confidence.new_zeros(15).index_add_(0, bins, confidence - (answer == labels).float())
    return gap.abs().sum().item() / len(labels)


def reliability(probabilities: Float[Tensor, "images classes"], labels: Int[Tensor, "images"]) -> list[dict[str, Any]]:
    """Mean confidence, accuracy and number of images of each non-empty bin of ten equal bins of confidence."""
    confidence, answer = probabilities.max(1)
    bins = (confidence * 10).long().clamp(max=9)
    return [
        {
            "confidence": confidence[bins == i].mean().item(),
            "accuracy": (answer == labels)[bins == i].float().mean().item(),
            "images": int((bins == i).sum()),
        }
        for i in bins.unique().tolist()
    ]


def fit_temperature(logits: Float[Tensor, "images classes"], labels: Int[Tensor, "images"]) -> float:
    """The temperature with the highest likelihood on a grid from 0.25 to 4 in steps of 1 %."""
    temperatures = 4 ** torch.linspace(-1, 1, 279)
    losses = torch.stack([nn.functional.cross_entropy(logits / t, labels) for t in temperatures])
    return temperatures[losses.argmin()].item()
