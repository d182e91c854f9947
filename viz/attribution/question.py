"""What is asked of the network, and what it answers when only some patches of the image are there.

An image with patches left out has those patches from the baseline. A walk starts at the baseline and puts the patches
of the image in, one after the other: Shapley values and the curves of deletion and insertion are made of walks.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from mixer.evaluate import at_once
from mixer.model import Mixer
from viz.capture import evaluating

Output = Literal["logit", "probability"]

MEMORY = 256 * 2**20
"""bytes that one batch may take for what its blocks compute"""


@dataclass(frozen=True, eq=False)
class Question:
    """Why does the network give this class so much for this image, as compared with the baseline?

    Images are normalised and on the model's device.
    """

    image: Float[Tensor, "3 height width"]
    baseline: Float[Tensor, "3 height width"]
    target: int
    """the class that is asked about"""
    output: Output = "logit"
    """what F is: the class's logit, or its probability, in which the other classes have a say"""
    background: Float[Tensor, "backgrounds 3 height width"] | None = None
    """other images of the world, for a method that compares with many baselines rather than one"""


def check(model: Mixer, question: Question) -> None:
    """Raises ValueError, in words, for a question that makes no sense for this network."""
    size, classes = (3, *model.config.image_size), model.config.num_classes
    for images in (question.image[None], question.baseline[None], question.background):
        if images is not None and images.shape[1:] != size:
            raise ValueError(f"expected an image of {size}, not {tuple(images.shape[1:])}")
        if images is not None and not torch.isfinite(images).all():
            raise ValueError("an image holds values that are no numbers (NaN) or infinite")
    if not 0 <= question.target < classes:
        raise ValueError(f"class {question.target} does not exist: there are {classes}, counted from 0")
    if question.output not in ("logit", "probability"):
        raise ValueError(f"the output must be 'logit' or 'probability', not {question.output!r}")


def score(model: Mixer, question: Question) -> Callable[[Tensor], Tensor]:
    """F: from images to the number that is explained of each, with whatever gradients and hooks there are."""

    def output(images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch"]:
        logits = model(images)
        return (logits if question.output == "logit" else logits.softmax(1))[:, question.target]

    return output


def batch_size(model: Mixer, gradients: bool) -> int:
    """How many images pass together: for gradients what all blocks compute is kept, else that of one."""
    config, device = model.config, next(model.parameters()).device
    tokens = config.grid.patches * (6 * config.hidden_dim + 2 * config.channels_mlp_dim)
    block = 4 * (tokens + 2 * config.hidden_dim * config.tokens_mlp_dim)  # bytes in float32
    return max(1, min(at_once(device), MEMORY // (block * (config.num_blocks if gradients else 1))))


def answers(
    model: Mixer, question: Question, images: Float[Tensor, "images 3 height width"]
) -> Float64[np.ndarray, "images"]:
    """F of images, in bounded batches, without gradients."""
    return _answers(model, question, images.split(batch_size(model, gradients=False)))


def answers_with(
    model: Mixer, question: Question, present: Bool[np.ndarray, "images patches"]
) -> Float64[np.ndarray, "images"]:
    """F of images that have only some patches of the image: present[image, patch]."""
    grid = model.config.grid
    image, baseline = (grid.to_tokens(x.detach()[None]) for x in (question.image, question.baseline))
    parts = torch.from_numpy(present)[..., None].to(image.device).split(batch_size(model, gradients=False))
    return _answers(model, question, (grid.to_images(torch.where(part, image, baseline)) for part in parts))


def ends(model: Mixer, question: Question) -> tuple[float, float]:
    """F(baseline), F(image): where every walk starts and ends."""
    empty, whole = answers_with(model, question, np.array([[False], [True]]).repeat(model.config.grid.patches, 1))
    return float(empty), float(whole)


def walk(
    model: Mixer,
    question: Question,
    order: Int64[np.ndarray, "patches"],
    ends: tuple[float, float],
    counts: Int64[np.ndarray, "points"] | None = None,
) -> Float64[np.ndarray, "points"]:
    """F(baseline), F with the first patch of the order, with the first two, ..., F(image); all in one bounded batch.

    ends: as of `ends`, so that they are not computed again with every walk: patches - 1 passes
    counts: with how many patches, from none to all; without it, with every number of them
    """
    counts = np.arange(len(order) + 1) if counts is None else counts
    between = answers_with(model, question, np.argsort(order) < counts[1:-1, None])
    return np.array([ends[0], *between, ends[1]])


def _answers(model: Mixer, question: Question, batches: Iterable[Tensor]) -> Float64[np.ndarray, "images"]:
    with evaluating(model), torch.no_grad():
        parts = [score(model, question)(batch) for batch in batches]
    return torch.cat(parts).cpu().double().numpy()
