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
from jaxtyping import Float32, Float64

from mixer.model import Mixer
from viz.attribution.methods import METHODS, SHAPLEY, Method, Raw, Settings, drawn
from viz.attribution.question import Output, Question, answers, check
from viz.attribution.shapley import shapley
from viz.capture import array
from viz.pace import Steps, summed
from viz.running_stats import spread_of
from viz.zerogpu import on_lent_gpu


@dataclass(frozen=True, eq=False)
class Attribution:
    """What a method answers to a question."""

    method: str
    target: int
    output: Output
    """what the values are made of: the logit or the probability of the target"""
    values: Float32[np.ndarray, "groups"]
    """one per group of patches: the sum over them, or what they bring together"""
    pixels: Float32[np.ndarray, "height width"] | None
    """None where the method does not tell pixels apart"""
    signed: bool
    standard_error: Float32[np.ndarray, "groups"] | None
    """of each value, where it is a mean over random draws: Shapley values, GradientShap, SmoothGrad x input; NaN after
    the first draw"""
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

    Modes, hooks, `requires_grad`, `.grad` and random states are afterwards as they were, however it ends. The same
    settings give the same numbers, but for rounding.

    Raises ValueError, in words, for a method, class, block or image that makes no sense, and for GradientShap without
    a background.
    """
    *_, last = attribute_in_steps(model, question, method, settings)
    assert isinstance(last, Attribution)
    return last


@on_lent_gpu
def attribute_in_steps(
    model: Mixer, question: Question, method: str, settings: Settings = Settings()
) -> Iterator[int | Attribution]:
    """As `attribute`, batch by batch: yields the passes so far, and at last the answer; before that, Shapley values as
    far as they are known.

    The model is not held while the caller has the word.
    """
    if method not in METHODS:
        raise ValueError(f"no method is named {method!r}: there are {', '.join(METHODS)}")
    check(model, question)
    seconds, start = 0.0, time.perf_counter()
    for found in (_shapley if method == SHAPLEY else _computed)(model, question, method, settings):
        seconds += time.perf_counter() - start
        yield replace(found, seconds=seconds) if isinstance(found, Attribution) else found
        start = time.perf_counter()


def _computed(model: Mixer, question: Question, name: str, settings: Settings) -> Iterator[int | Attribution]:
    method = METHODS[name]
    # tensors of its own, so that nothing can happen to the caller's
    image, baseline = question.image.detach().clone(), question.baseline.detach().clone()
    question = replace(question, image=image, baseline=baseline)
    raw, outputs = yield from summed(_compared(model, question, method, settings))
    tokens, groups = model.config.grid.to_tokens, question.groups(model)
    exact = raw.values.detach().cpu().double()
    pixels = exact.sum(0) if method.pixels else None
    values = tokens(exact[None])[0].sum(1) if method.pixels else exact
    if len(values) > len(groups):  # else what a group brings was computed at once
        values = groups.sum(values)
    each = None if raw.draws is None else groups.sum(tokens(raw.draws.detach().cpu().double()).sum(2)).numpy()
    total, difference = float(values.sum()), float(outputs[0] - outputs[1:].mean())
    yield Attribution(
        method=name,
        target=question.target,
        output=question.output,
        values=array(values),
        pixels=None if pixels is None else array(pixels),
        signed=method.signed,
        standard_error=None if each is None else spread_of(each).standard_error.astype(np.float32),
        total=total,
        difference=difference,
        gap=total - difference if method.complete else None,
        passes=method.passes(len(groups), settings),
        seconds=0.0,
    )


def _compared(
    model: Mixer, question: Question, method: Method, settings: Settings
) -> Steps[tuple[Raw, Float64[np.ndarray, "outputs"]]]:
    """What a method computes, and F of the image and of all that it is compared with."""
    assert method.compute is not None
    raw = yield from method.compute(model, question, settings)
    references = drawn(question, settings) if method.background else question.baseline[None]
    outputs = yield from answers(model, question, torch.cat([question.image[None], references]))
    return raw, outputs


def _shapley(model: Mixer, question: Question, name: str, settings: Settings) -> Iterator[int | Attribution]:
    for found in shapley(model, question, settings.draws, settings.seed):
        if isinstance(found, int):
            yield found
            continue
        total = float(found.values.sum())
        yield Attribution(
            method=name,
            target=question.target,
            output=question.output,
            values=found.values.astype(np.float32),
            pixels=None,
            signed=True,
            standard_error=found.standard_error.astype(np.float32),
            total=total,
            difference=found.difference,
            gap=total - found.difference,
            passes=METHODS[name].passes(len(found.values), replace(settings, draws=found.orders)),
            seconds=0.0,
        )
