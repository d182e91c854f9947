"""The question that an attribution answers, and F of images with some patches from the baseline.

A removed patch has the content of the baseline. A walk starts at the baseline and inserts the patches of the image,
one after the other: Shapley values and the curves of deletion and insertion are made of walks.

Patches are inserted and removed in groups (`mixer.grid.Groups`), by default of a single patch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from mixer.grid import Groups
from mixer.model import Mixer
from mixer.validation import check_exists
from viz.capture import exclusive, run_from
from viz.pace import Steps, batches, timed

Output = Literal["logit", "probability"]


@dataclass(frozen=True, eq=False)
class Question:
    """Why is F of the target class higher for this image than for the baseline?

    Images are normalised and on the model's device.
    """

    image: Float[Tensor, "3 height width"]
    baseline: Float[Tensor, "3 height width"]
    target: int
    """the class to explain"""
    output: Output = "logit"
    """F: the class's logit, or its probability, which depends on the other classes, too"""
    background: Float[Tensor, "backgrounds 3 height width"] | None = None
    """typical images, for a method that compares with many baselines instead of one"""
    side: int = 1
    """patches along each side of a group"""
    ends: Float[Tensor, "2 classes"] | None = None
    """the logits of baseline and image, if computed (`with_ends`): all methods and checks need them"""

    @property
    def unknown(self) -> int:
        """The number of passes for the `ends`: none if they are computed."""
        return 2 if self.ends is None else 0

    @property
    def scores(self) -> tuple[float, float]:
        """F(baseline), F(image), if the `ends` are computed."""
        assert self.ends is not None
        empty, whole = self.of(self.ends).double().tolist()
        return empty, whole

    @property
    def answer(self) -> int:
        """The most probable class of the image, if the `ends` are computed."""
        assert self.ends is not None
        return int(self.ends[1].argmax())

    def groups(self, model: Mixer) -> Groups:
        """The groups of patches, each with one value."""
        return Groups(model.config.grid, self.side)

    def of(self, logits: Float[Tensor, "batch classes"]) -> Float[Tensor, "batch"]:
        """F of each image: the explained number."""
        return (logits if self.output == "logit" else logits.softmax(1))[:, self.target]


def check(model: Mixer, question: Question) -> None:
    """Raise ValueError for a question that is invalid for this network."""
    size = (3, *model.config.image_size)
    for images in (question.image[None], question.baseline[None], question.background):
        if images is not None and images.shape[1:] != size:
            raise ValueError(f"expected an image of {size}, not {tuple(images.shape[1:])}")
        if images is not None and not torch.isfinite(images).all():
            raise ValueError("an image holds values that are no numbers (NaN) or infinite")
    check_exists("class", question.target, model.config.num_classes)
    if question.output not in ("logit", "probability"):
        raise ValueError(f"the output must be 'logit' or 'probability', not {question.output!r}")


def of_each(questions: Sequence[Question], logits: Float[Tensor, "images classes"]) -> Float[Tensor, "images"]:
    """F of each image by its own question."""
    return torch.cat([question.of(row[None]) for question, row in zip(questions, logits, strict=True)])


def logits_of(model: Mixer, images: Float[Tensor, "images 3 height width"]) -> Steps[Float[Tensor, "images classes"]]:
    """The logits of images, batch by batch, without gradients. Equal images need one pass."""
    distinct, places = images.unique(dim=0, return_inverse=True)
    logits = list[Tensor]()
    for batch in batches(model, distinct):
        with timed(model, len(batch)), torch.no_grad():
            logits.append(model(batch))
        yield len(batch)
    yield len(images) - len(distinct)
    return torch.cat(logits)[places]


def with_ends(model: Mixer, questions: Sequence[Question]) -> Steps[list[Question]]:
    """The questions with their `ends`. The cost is `Question.unknown` of each."""
    images = [image for one in questions if one.unknown for image in (one.baseline, one.image)]
    if not images:
        return [*questions]
    found = iter((yield from logits_of(model, torch.stack(images))).split(2))
    return [replace(one, ends=next(found)) if one.unknown else one for one in questions]


def complete(model: Mixer, question: Question) -> Steps[Question]:
    """The question with its `ends`, for `Question.unknown` passes. Raises ValueError for an invalid one (`check`)."""
    check(model, question)
    return (yield from with_ends(model, [question]))[0]


def answers_with(
    model: Mixer, question: Question, present: Bool[np.ndarray, "images groups"]
) -> Steps[Float64[np.ndarray, "images"]]:
    """F of images that have only some groups of the image's patches, batch by batch.

    present: [image, group] is False where the patches are the baseline's
    """
    logits = yield from logits_with(model, question.baseline, question.image, question.groups(model), present)
    return question.of(logits).cpu().double().numpy()


def logits_with(
    model: Mixer,
    base: Float[Tensor, "3 height width"],
    donor: Float[Tensor, "3 height width"],
    groups: Groups,
    present: Bool[np.ndarray, "images groups"],
) -> Steps[Float[Tensor, "images classes"]]:
    """The logits of the base image with some groups of patches from the donor image, batch by batch.

    present: [image, group] is True where the patches are the donor's. The stem computes each of the two images once,
    because its patches are independent.
    """
    there = torch.from_numpy(groups.expand(present))[..., None].to(base.device)
    with exclusive(model), torch.no_grad():
        into, donated = (model.stem(model.patches(image.detach()[None])) for image in (base, donor))
    found = [base.new_zeros(0, model.config.num_classes)]
    for part in batches(model, there):
        with timed(model, len(part)), torch.no_grad():
            found.append(run_from(model, torch.where(part, donated, into), 0))
        yield len(part)
    return torch.cat(found)


def walk(
    model: Mixer,
    question: Question,
    order: Int64[np.ndarray, "groups"],
    counts: Int64[np.ndarray, "points"] | None = None,
) -> Steps[Float64[np.ndarray, "points"]]:
    """F(baseline), F with the first group of the order, with the first two, ..., F(image).

    question: with its `ends`; so a walk costs groups - 1 passes
    counts: the numbers of groups, from 0 to all (default: every number)
    """
    counts = np.arange(len(order) + 1) if counts is None else counts
    between = yield from answers_with(model, question, np.argsort(order) < counts[1:-1, None])
    empty, whole = question.scores
    return np.array([empty, *between, whole])
