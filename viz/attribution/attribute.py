"""Which patches made the network say so? One value per patch from each of several methods, with its checks.

An attribution is raw: signed (but for the two kinds of saliency), in units of F, unscaled. F is the logit or the
probability of one class. Values of pixels are summed over the colours, values of patches over their pixels.

Not DeepLift (nor DeepLiftShap): it needs a rule for every nonlinear layer and Captum has none for GELU and LayerNorm,
so it silently takes plain gradients there: on this network its sum missed F(x) - F(b) by three quarters. Not
KernelShap: it estimates the same Shapley values and needs scikit-learn. Not Occlusion: with the patch as its window it
is the ablation.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from mixer.model import Mixer
from viz.attribution.methods import METHODS, SHAPLEY, Settings, drawn
from viz.attribution.question import Output, Question, answers, batch_size, check
from viz.attribution.shapley import shapley
from viz.capture import evaluating
from viz.lent_gpu import on_lent_gpu


@dataclass(frozen=True, eq=False)
class Attribution:
    """What a method answers to a question."""

    method: str
    target: int
    output: Output
    """what the values are made of: the logit or the probability of the target"""
    values: Float32[np.ndarray, "patches"]
    pixels: Float32[np.ndarray, "height width"] | None
    """None where the method does not tell pixels apart"""
    signed: bool
    standard_error: Float32[np.ndarray, "patches"] | None
    """of each value, for Shapley values; NaN after the first order"""
    total: float
    """the sum of the values"""
    difference: float
    """F(image) - F(baseline), or less the mean F of the baselines"""
    gap: float | None
    """total - difference where that should be 0 (for a path method: Captum's convergence delta); None elsewhere"""
    passes: int
    """the cost so far, counted as in `Method.passes`"""
    seconds: float
    """spent on it so far"""

    @property
    def gap_share(self) -> float | None:
        """The size of the gap as a share of what there is to explain; None where there is none of the two."""
        return abs(self.gap / self.difference) if self.gap is not None and self.difference else None


def attribute(model: Mixer, question: Question, method: str, settings: Settings = Settings()) -> Attribution:
    """The answer of one of `METHODS`, finished.

    Modes, hooks, `requires_grad`, `.grad` and random states are afterwards as they were, however it ends. The model is
    this thread's alone while the method computes. The same settings give the same numbers.

    Raises ValueError, in words, for a method, class, block or image that makes no sense, and for GradientShap without
    a background.
    """
    *_, last = attribute_in_steps(model, question, method, settings)
    return last


@on_lent_gpu
def attribute_in_steps(
    model: Mixer, question: Question, method: str, settings: Settings = Settings()
) -> Iterator[Attribution]:
    """As `attribute`, with what is known on the way: Shapley values after every order, other methods once.

    How far it is, is told by the passes so far against `METHODS[method].passes(patches, settings)`. The model is not
    held while the caller has the word.
    """
    if method not in METHODS:
        raise ValueError(f"no method is named {method!r}: there are {', '.join(METHODS)}")
    if method == SHAPLEY:
        yield from _shapley(model, question, settings)
    else:
        yield _computed(model, question, method, settings)


def seconds_per_pass(model: Mixer) -> float:
    """How long one forward pass of one image takes here and now, in a batch: times `Method.passes`, the wait."""
    images = next(model.parameters()).new_zeros(batch_size(model, True), 3, *model.config.image_size)
    with evaluating(model), torch.no_grad():
        model(images[:1])  # the first pass is slower
        start = time.perf_counter()
        model(images)[0, 0].item()  # waits for the device
        return (time.perf_counter() - start) / len(images)


def _computed(model: Mixer, question: Question, name: str, settings: Settings) -> Attribution:
    check(model, question)
    method = METHODS[name]
    assert method.compute is not None
    with torch.inference_mode(False), torch.enable_grad(), evaluating(model):
        start = time.perf_counter()
        # tensors of its own, so that nothing can happen to the caller's
        image, baseline = question.image.detach().clone(), question.baseline.detach().clone()
        question = replace(question, image=image, baseline=baseline)
        raw = method.compute(model, question, settings).detach().cpu().double()
        references = drawn(question, settings) if method.background else baseline[None]
        outputs = answers(model, question, torch.cat([image[None], references]))
        seconds = time.perf_counter() - start
    pixels = raw.sum(0) if method.pixels else None
    values = model.config.grid.to_tokens(raw[None])[0].sum(1) if method.pixels else raw
    total, difference = float(values.sum()), float(outputs[0] - outputs[1:].mean())
    return Attribution(
        method=name,
        target=question.target,
        output=question.output,
        values=_plain(values),
        pixels=None if pixels is None else _plain(pixels),
        signed=method.signed,
        standard_error=None,
        total=total,
        difference=difference,
        gap=total - difference if method.complete else None,
        passes=method.passes(model.config.grid.patches, settings),
        seconds=seconds,
    )


def _shapley(model: Mixer, question: Question, settings: Settings) -> Iterator[Attribution]:
    seconds, start = 0.0, time.perf_counter()
    for estimate in shapley(model, question, settings.draws, settings.seed):
        seconds += time.perf_counter() - start
        total = float(estimate.values.sum())
        yield Attribution(
            method=SHAPLEY,
            target=question.target,
            output=question.output,
            values=estimate.values.astype(np.float32),
            pixels=None,
            signed=True,
            standard_error=estimate.standard_error.astype(np.float32),
            total=total,
            difference=estimate.difference,
            gap=total - estimate.difference,
            passes=METHODS[SHAPLEY].passes(len(estimate.values), replace(settings, draws=estimate.done)),
            seconds=seconds,
        )
        start = time.perf_counter()


def _plain(values: Tensor) -> np.ndarray:
    return values.float().cpu().numpy()
