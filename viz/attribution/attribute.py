"""Which patches support the class? One value per patch from each of several methods, with its checks.

An attribution is raw: signed (except for the two kinds of saliency), in units of F, unscaled. F is the logit or the
probability of one class. Values of pixels are summed over the colours, values of patches over their pixels.

Some methods are left out. DeepLift and DeepLiftShap need a rule for every nonlinear layer. Captum has none for GELU
and LayerNorm and uses plain gradients without a warning: on this network the sum missed F(x) - F(b) by three quarters.
KernelShap estimates the same Shapley values and needs scikit-learn. Occlusion with a window of one patch equals the
ablation.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float32, Float64
from torch import Tensor

from mixer.model import Mixer
from viz.attribution.methods import METHODS, FromGradients, Method, Raw, Settings, drawn
from viz.attribution.question import Output, Question, check, logits_of, with_ends
from viz.capture import array
from viz.pace import batch_size, summed
from viz.running_stats import spread_of
from viz.zerogpu import on_lent_gpu


@dataclass(frozen=True, eq=False)
class Attribution:
    """The answer of a method to a question."""

    method: str
    target: int
    output: Output
    """the unit of the values: the logit or the probability of the target"""
    values: Float32[np.ndarray, "groups"]
    """one per group of patches: the sum of their values, or their joint effect"""
    pixels: Float32[np.ndarray, "height width"] | None
    """None if the method has no values of pixels"""
    signed: bool
    standard_error: Float32[np.ndarray, "groups"] | None
    """of each value, if it is a mean over random draws: Shapley values, GradientShap, SmoothGrad x input; NaN after
    the first draw"""
    total: float
    """the sum of the values"""
    difference: float
    """F(image) - F(baseline), or minus the mean F of several baselines"""
    gap: float | None
    """total - difference if that should be 0 (for a path method: Captum's convergence delta); else None"""
    passes: int
    """the cost so far: `Method.passes`, and `Question.unknown`"""
    seconds: float
    """computing time so far"""

    @property
    def gap_share(self) -> float | None:
        """|gap / difference|; None if the gap is None or the difference is 0."""
        return abs(self.gap / self.difference) if self.gap is not None and self.difference else None


def attribute(model: Mixer, question: Question, method: str, settings: Settings = Settings()) -> Attribution:
    """The final answer of one of `METHODS`.

    The call preserves modes, hooks, `requires_grad`, `.grad` and random states, also after an error. The same settings
    give the same numbers, except for rounding.

    Raises ValueError for an invalid method, class, block or image, and for GradientShap without a background.
    """
    *_, last = attribute_in_steps(model, question, method, settings)
    assert isinstance(last, Attribution)
    return last


def attribute_in_steps(
    model: Mixer, question: Question, method: str, settings: Settings
) -> Iterator[int | Attribution]:
    """As `attribute`, batch by batch: yields the passes so far, preliminary results of draws, finally the answer.

    The lock of the model is released at every yield.
    """
    for found in _together(model, [question], method, settings):
        yield found if isinstance(found, int) else found[0]


def attribute_many(
    model: Mixer, questions: Sequence[Question], method: str, settings: Settings = Settings()
) -> Iterator[int | Attribution]:
    """As `attribute`, for several questions; with a method of type `FromGradients`, they share batches.

    Yields the passes so far, and each finished answer in the order of the questions.
    """
    done, size = 0, _group(model, questions, method, settings)
    for start in range(0, len(questions), size):
        passes, answers = 0, list[Attribution]()
        for found in _together(model, questions[start : start + size], method, settings):
            if isinstance(found, int):
                passes = found
                yield done + passes
            else:
                answers = found
        done += passes
        yield from answers


def _group(model: Mixer, questions: Sequence[Question], method: str, settings: Settings) -> int:
    """The number of questions that fill a batch."""
    compute = METHODS[method].compute if method in METHODS else None
    if not questions or not isinstance(compute, FromGradients):
        return 1
    return max(1, batch_size(model, gradients=True) // len(compute.points(questions[0], settings)))


@on_lent_gpu
def _together(
    model: Mixer, questions: Sequence[Question], method: str, settings: Settings
) -> Iterator[int | list[Attribution]]:
    """The answers to questions; only one question, unless the method is of type `FromGradients`."""
    if method not in METHODS:
        raise ValueError(f"no method is named {method!r}: there are {', '.join(METHODS)}")
    for question in questions:
        check(model, question)
    seconds, start = 0.0, time.perf_counter()
    for found in _computed(model, questions, method, settings):
        seconds += time.perf_counter() - start
        yield found if isinstance(found, int) else [replace(one, seconds=seconds / len(found)) for one in found]
        start = time.perf_counter()


def _computed(
    model: Mixer, questions: Sequence[Question], name: str, settings: Settings
) -> Iterator[int | list[Attribution]]:
    method, done = METHODS[name], sum(one.unknown for one in questions)
    # copies, to protect the caller's tensors
    questions = [
        replace(one, image=one.image.detach().clone(), baseline=one.baseline.detach().clone()) for one in questions
    ]
    questions = yield from summed(with_ends(model, questions))
    empty = [one.scores[0] for one in questions]
    of_baselines = [question.image.new_zeros(0, model.config.num_classes) for question in questions]
    for found in _raws(model, questions, method, settings):
        if isinstance(found, int):
            done += found
            yield done
            continue
        if method.background:
            parts = [drawn(one, settings)[len(of_baselines[0]) : found[0].count] for one in questions]
            new = yield from summed(logits_of(model, torch.cat(parts)), done)
            done += len(new)
            of_baselines = [torch.cat(both) for both in zip(of_baselines, new.split(len(parts[0])), strict=True)]
            empty = [float(one.of(each).double().mean()) for one, each in zip(questions, of_baselines, strict=True)]
        passes = done // len(questions)
        each = zip(questions, found, empty, strict=True)
        yield [_attribution(model, one, name, raw, one.scores[1] - without, passes) for one, raw, without in each]


def _raws(model: Mixer, questions: Sequence[Question], method: Method, settings: Settings) -> Iterator[int | list[Raw]]:
    """The raw values of each question, of a single one also preliminary: yields the passes of each step, too."""
    compute = method.compute
    if not isinstance(compute, FromGradients):
        parts = compute(model, questions[0], settings)
    elif method.first and len(questions) == 1:
        parts = compute.refined(model, questions[0], settings, method.first)
    else:
        yield (yield from compute.of(model, questions, settings))
        return
    for found in parts:
        yield found if isinstance(found, int) else [found]


def _attribution(model: Mixer, question: Question, name: str, raw: Raw, difference: float, passes: int) -> Attribution:
    """The attribution from the raw values. difference: F of the image minus that of the baselines"""
    method, groups = METHODS[name], question.groups(model)

    def of_groups(exact: Tensor) -> Float64[Tensor, "any groups"]:
        values = model.config.grid.to_tokens(exact).sum(2) if method.pixels else exact
        return values if values.shape[1] == len(groups) else groups.sum(values)

    exact = raw.values.detach().cpu().double()
    values = of_groups(exact[None])[0]
    each = None if raw.draws is None else of_groups(raw.draws.detach().cpu().double()).numpy()
    total = float(values.sum())
    return Attribution(
        method=name,
        target=question.target,
        output=question.output,
        values=array(values),
        pixels=array(exact.sum(0)) if method.pixels else None,
        signed=method.signed,
        standard_error=None if each is None else spread_of(each).standard_error.astype(np.float32),
        total=total,
        difference=difference,
        gap=total - difference if method.complete else None,
        passes=passes,
        seconds=0.0,
    )
