"""Measures of many pictures: the answers, the depth of each decision, the votes of the patches, the mean tokens.

Depths and patches are numbered as in `viz.tokens`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64
from torch import Tensor

from mixer.model import Mixer
from viz import tokens
from viz.attribution.methods import METHODS, FromGradients, Settings
from viz.attribution.question import Question
from viz.capture import array, trace
from viz.pace import batch_size, batches, due, silent, spread_out

Images = Callable[[list[int]], Float[Tensor, "batch 3 height width"]]
"""from indices to pictures, normalised, on the model's device"""
FITTED = 200
"""pictures whose mean tokens define the components"""
COMPONENTS = 32
"""principal components of mean tokens that are kept: 32 MB for 10,000 images and 25 depths"""


@dataclass(frozen=True, eq=False)
class Components:
    """The directions in which the mean tokens of a depth differ most: their first principal components."""

    centre: Float[Tensor, "depths 1 channels"]
    axes: Float[Tensor, "depths channels components"]
    explained: Float32[np.ndarray, "depths components"]
    """the share of the variance of the pictures that define the axes"""

    @classmethod
    def of(cls, means: Float[Tensor, "depths images channels"]) -> "Components":
        axes, explained = tokens.principal_axes(means, COMPONENTS)
        return cls(means.mean(1, keepdim=True), axes.to(means), array(explained))

    def scores(self, means: Float[Tensor, "depths images channels"]) -> Float32[np.ndarray, "images depths components"]:
        return array(((means - self.centre) @ self.axes).movedim(1, 0))


@dataclass(frozen=True, eq=False)
class Answers:
    """Results of a network for each of many pictures; without a meaning for those that are not `known`."""

    known: Bool[np.ndarray, "images"]
    """whether a picture is measured"""

    probabilities: Float32[np.ndarray, "images classes"]
    decided: Int64[np.ndarray, "images"]
    """the depth from which on the answer is the most probable class"""
    votes: Float32[np.ndarray, "images patches"]
    """the logit of the answer from each token of the last depth alone; their mean is the answer's logit"""
    components: Components | None
    """None before enough pictures are measured"""
    scores: Float32[np.ndarray, "images depths components"]
    """of the mean token of each picture"""

    @property
    def answer(self) -> Int64[np.ndarray, "images"]:
        return self.probabilities.argmax(1)

    @property
    def confidence(self) -> Float32[np.ndarray, "images"]:
        return self.probabilities.max(1)

    @property
    def margin(self) -> Float32[np.ndarray, "images"]:
        """The probability of the answer minus that of the next class; with one class only, its probability."""
        best = np.sort(self.probabilities, 1)[:, -2:]
        return best[:, -1] - (best[:, 0] if best.shape[1] > 1 else 0)

    @property
    def top_patch(self) -> Int64[np.ndarray, "images"]:
        """The patch whose token has the largest vote for the answer."""
        return self.votes.argmax(1)


def answers(model: Mixer, count: int, images: Images) -> Iterator[int | Answers]:
    """The `Answers` to `count` pictures: yields the number done, and the result: first of a few, finally of all.

    The model is free between the batches.
    """
    config, depths = model.config, 2 * len(model.blocks) + 1
    # whole arrays: small ones between the large tensors of the passes would keep the freed memory from being used again
    probabilities, decided = np.zeros((count, config.num_classes), np.float32), np.zeros(count, np.int64)
    votes = np.zeros((count, config.grid.patches), np.float32)
    scores = np.zeros((count, depths, COMPONENTS), np.float32)
    known, order = np.zeros(count, bool), spread_out(torch.arange(count))
    waiting, components, done, scored = list[Tensor](), None, 0, 0
    for part in batches(model, order, gradients=True):
        here = part.numpy()
        seen = trace(model, images(part.tolist())).depths
        logits = tokens.answer(model, seen)
        best = logits[-1].argmax(1)
        each = tokens.votes_of(model, seen[-1])
        votes[here] = array(each.gather(2, best[:, None, None].expand(-1, each.shape[1], 1))[..., 0])
        probabilities[here] = array(logits[-1].softmax(1))
        decided[here] = tokens.leads_for_good(logits.argmax(-1)).cpu().numpy()
        waiting.append(seen.mean(2))
        known[here] = True
        before, done = done, done + len(part)
        if components is None and done >= min(count, FITTED):
            components = Components.of(torch.cat(waiting, 1))
        if components is not None:
            scores[order[scored:done].numpy()] = components.scores(torch.cat(waiting, 1))
            scored = done
            waiting.clear()
        yield done
        if due(before, done) or done == count:
            yield Answers(known.copy(), probabilities, decided, votes, components, scores)


def gradients_x_input(
    model: Mixer, targets: Int64[np.ndarray, "images"], images: Images
) -> Iterator[int | Float32[np.ndarray, "images patches"]]:
    """Gradient x input of the logit of a class of each picture, with the mean colour as baseline; yields as `answers`.

    The method alone, without the passes for the sum of its values.
    """
    method, grid = METHODS["Gradient x input"].compute, model.config.grid
    assert isinstance(method, FromGradients)
    found, size = np.empty((len(targets), grid.patches), np.float32), batch_size(model, gradients=True)
    for done in range(0, len(targets), size):
        part = [*range(done, min(done + size, len(targets)))]
        asked = zip(images(part), targets[part].tolist(), strict=True)
        questions = [Question(image, torch.zeros_like(image), target) for image, target in asked]
        raws = yield from silent(method.of(model, questions, Settings()), done)
        found[part] = array(grid.to_tokens(torch.stack([raw.values for raw in raws])).sum(2))
        yield done + len(part)
    yield found
