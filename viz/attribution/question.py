"""What is asked of the network, and what it answers when only some patches of the image are there.

An image with patches left out has those patches from the baseline. A walk starts at the baseline and puts the patches
of the image in, one after the other: Shapley values and the curves of deletion and insertion are made of walks.

Patches come and go in groups (`mixer.grid.Groups`), each of a single patch where a question says nothing else.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from mixer.grid import Groups
from mixer.model import Mixer
from viz.capture import exclusive, run_from
from viz.pace import Steps, batches, timed

Output = Literal["logit", "probability"]


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
    side: int = 1
    """patches along each side of a group"""

    def groups(self, model: Mixer) -> Groups:
        """The patches that come and go together, and have one value."""
        return Groups(model.config.grid, self.side)

    def of(self, logits: Float[Tensor, "batch classes"]) -> Float[Tensor, "batch"]:
        """F: the number that is explained."""
        return (logits if self.output == "logit" else logits.softmax(1))[:, self.target]


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


def of_each(questions: Sequence[Question], logits: Float[Tensor, "images classes"]) -> Float[Tensor, "images"]:
    """F of each image by its own question."""
    return torch.cat([question.of(row[None]) for question, row in zip(questions, logits, strict=True)])


def score(model: Mixer, question: Question) -> Callable[[Tensor], Tensor]:
    """F from images, with whatever gradients and hooks there are."""
    return lambda images: question.of(model(images))


def answers(
    model: Mixer, questions: Sequence[Question], images: Float[Tensor, "images 3 height width"]
) -> Steps[Float64[np.ndarray, "images"]]:
    """F of each image by its own question, batch by batch, without gradients. An image that comes twice passes once."""
    distinct, places = images.unique(dim=0, return_inverse=True)
    logits = list[Tensor]()
    for batch in batches(model, distinct):
        with timed(model, len(batch)), torch.no_grad():
            logits.append(model(batch))
        yield len(batch)
    yield len(images) - len(distinct)
    return of_each(questions, torch.cat(logits)[places]).cpu().double().numpy()


def answers_with(
    model: Mixer, question: Question, present: Bool[np.ndarray, "images groups"]
) -> Steps[Float64[np.ndarray, "images"]]:
    """F of images that have only some groups of the image's patches, batch by batch: present[image, group]."""
    logits = yield from logits_with(model, question.baseline, question.image, question.groups(model), present)
    return question.of(logits).cpu().double().numpy()


def logits_with(
    model: Mixer,
    base: Float[Tensor, "3 height width"],
    donor: Float[Tensor, "3 height width"],
    groups: Groups,
    present: Bool[np.ndarray, "images groups"],
) -> Steps[Float[Tensor, "images classes"]]:
    """The logits of an image that has some groups of patches from another one, batch by batch.

    present: [image, group] is True where the patches are the donor's. The stem passes each of the two once, as it sees
    every patch by itself.
    """
    there = torch.from_numpy(groups.expand(present))[..., None].to(base.device)
    with exclusive(model), torch.no_grad():
        into, put = (model.stem(model.patches(image.detach()[None])) for image in (base, donor))
    found = [base.new_zeros(0, model.config.num_classes)]
    for part in batches(model, there):
        with timed(model, len(part)), torch.no_grad():
            found.append(run_from(model, torch.where(part, put, into), 0))
        yield len(part)
    return torch.cat(found)


def ends(model: Mixer, question: Question) -> Steps[tuple[float, float]]:
    """F(baseline), F(image): where every walk starts and ends."""
    both = np.array([[False], [True]]).repeat(len(question.groups(model)), 1)
    empty, whole = yield from answers_with(model, question, both)
    return float(empty), float(whole)


def walk(
    model: Mixer,
    question: Question,
    order: Int64[np.ndarray, "groups"],
    ends: tuple[float, float],
    counts: Int64[np.ndarray, "points"] | None = None,
) -> Steps[Float64[np.ndarray, "points"]]:
    """F(baseline), F with the first group of the order, with the first two, ..., F(image).

    ends: as of `ends`, so that they are not computed again with every walk: groups - 1 passes
    counts: with how many groups, from none to all; without it, with every number of them
    """
    counts = np.arange(len(order) + 1) if counts is None else counts
    between = yield from answers_with(model, question, np.argsort(order) < counts[1:-1, None])
    return np.array([ends[0], *between, ends[1]])
