"""The methods, and how each is computed: gradients by Captum, batch by batch.

Every function takes (model, question, settings) and gives its values after some steps, between which the model is free:
Captum's functions of whole methods would compute all their batches without a break. Each batch has the model alone for
this thread, in eval mode. A new method is a function here and a row of `METHODS`.

What is random is drawn here, from a generator of its own, although Captum has NoiseTunnel and GradientShap: both draw
from the global states of torch and numpy, which neither stay as they were nor belong to one thread.

Captum is loaded when it is first used: with it comes matplotlib, and nobody should wait for that before the page opens.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mixer.model import Mixer
from viz.attribution.question import Question, answers_with, score
from viz.capture import capture, evaluating, run_from
from viz.pace import Steps, batches, timed


@dataclass(frozen=True, eq=False)
class Raw:
    """What a method computes."""

    values: Float[Tensor, "3 height width"] | Float[Tensor, "places"]
    """one per colour of each pixel, per patch, or per group of patches"""
    draws: Float[Tensor, "draws 3 height width"] | None = None
    """those that the values are the mean of, where they are drawn at random"""


@dataclass(frozen=True)
class Settings:
    """How much work a method does, and where it looks. Each method uses what it needs."""

    steps: int = 50
    """points on the path from the baseline to the image"""
    draws: int = 20
    """noisy copies, baselines or orders that are averaged over"""
    noise: float = 0.15
    """SmoothGrad: the standard deviation, as a share of the image's range (Smilkov et al. advise 0.1 to 0.2)"""
    block: int = 0
    """the block whose output is explained, counted from 0"""
    seed: int = 0

    def __post_init__(self):
        for name in ("steps", "draws"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not self.noise > 0:
            raise ValueError(f"noise must be above 0, not {self.noise}")


def saliency(model: Mixer, question: Question, settings: Settings) -> Steps[Raw]:
    """|dF/dx|: how much F would change, not in which direction (Simonyan et al. 2014)."""
    (gradient,) = yield from _gradients(model, question, question.image[None])
    return Raw(gradient.abs())


def gradient_x_input(model: Mixer, question: Question, settings: Settings) -> Steps[Raw]:
    """dF/dx (x - b): F(x) - F(b) if F were as straight everywhere as it is at x.

    For the mean colour, which is 0, this is Captum's InputXGradient.
    """
    (gradient,) = yield from _gradients(model, question, question.image[None])
    return Raw(gradient * (question.image - question.baseline))


def smooth_saliency(model: Mixer, question: Question, settings: Settings) -> Steps[Raw]:
    """|E dF/dx| over noisy copies of the image: SmoothGrad (Smilkov et al. 2017)."""
    gradients = yield from _gradients(model, question, _noisy(question, settings))
    return Raw(gradients.mean(0).abs())


def smooth_gradient_x_input(model: Mixer, question: Question, settings: Settings) -> Steps[Raw]:
    """E dF/dx (x - b): only the gradient is smoothed, so that what equals the baseline still gets 0."""
    gradients = yield from _gradients(model, question, _noisy(question, settings))
    return _mean(gradients * (question.image - question.baseline))


def integrated_gradients(model: Mixer, question: Question, settings: Settings) -> Steps[Raw]:
    """(x - b) times the mean of dF/dx on the straight path from b to x (Sundararajan et al. 2017).

    The mean is Captum's (Gauss-Legendre), whose own function computes all batches without a break.
    """
    places, weights = _legendre(settings.steps, question.image)
    gradients = yield from _gradients(model, question, _between(question.baseline, question.image, places))
    return Raw(torch.tensordot(weights, gradients, 1) * (question.image - question.baseline))


def gradient_shap(model: Mixer, question: Question, settings: Settings) -> Steps[Raw]:
    """E dF/dx (x - b) at random points between the image and images of the background (Lundberg and Lee 2017).

    Each baseline gives one point. Where they lie on their paths is stratified, which makes the mean less noisy.
    """
    image, baselines = question.image, drawn(question, settings)
    generator = torch.Generator().manual_seed(settings.seed + 1)
    count = len(baselines)
    places = (torch.randperm(count, generator=generator) + torch.rand(count, generator=generator)) / count
    points = baselines + places.to(image).view(-1, 1, 1, 1) * (image - baselines)
    gradients = yield from _gradients(model, question, points)
    return _mean(gradients * (image - baselines))


def drawn(question: Question, settings: Settings) -> Float[Tensor, "draws 3 height width"]:
    """The images of the background that serve as baselines. Raises ValueError where there are too few."""
    there = 0 if question.background is None else len(question.background)
    if question.background is None or there < settings.draws:
        raise ValueError(f"GradientShap draws {settings.draws} baselines from the background, which has {there}")
    generator = torch.Generator().manual_seed(settings.seed)
    chosen = torch.randperm(there, generator=generator)[: settings.draws]
    return question.background.detach()[chosen.to(question.background.device)]


def ablation(model: Mixer, question: Question, settings: Settings) -> Steps[Raw]:
    """F(x) - F(x with one patch from the baseline), for each patch: Captum's FeatureAblation."""
    count = len(question.groups(model))
    present = np.concatenate([np.ones((1, count), bool), ~np.eye(count, dtype=bool)])
    whole, *without = yield from answers_with(model, question, present)
    return Raw(torch.tensor([whole - one for one in without]))


def grad_cam(model: Mixer, question: Question, settings: Settings) -> Steps[Raw]:
    """sum_c A_c mean_patches(dF/dA_c) for the tokens A after a block (Selvaraju et al. 2017), without their ReLU.

    Captum's LayerGradCam takes the last dimension for places: on (batch, patches, channels) it averages the channels.
    """
    tokens, gradients = yield from _at_block(model, question, settings.block, question.image[None])
    return Raw((tokens * gradients.mean(1, keepdim=True)).sum(2)[0])


def layer_integrated_gradients(model: Mixer, question: Question, settings: Settings) -> Steps[Raw]:
    """Integrated Gradients of the rest of the network, between the tokens after a block for b and for x."""
    module, depth = f"blocks.{settings.block}", 2 * settings.block + 2
    model.block_at(settings.block)
    ends = list[Tensor]()
    for part in batches(model, torch.stack([question.baseline, question.image])):
        with timed(model, len(part)), torch.no_grad(), capture(model, [module]) as seen:
            model(part)
        ends.append(seen[module])
        yield len(part)
    before, after = torch.cat(ends)
    places, weights = _legendre(settings.steps, after)
    gradients = list[Tensor]()
    for part in batches(model, _between(before, after, places), gradients=True):
        with torch.inference_mode(False), torch.enable_grad(), evaluating(model):
            tokens = part.detach().clone().requires_grad_()
            gradients += torch.autograd.grad(question.of(run_from(model, tokens, depth)).sum(), tokens)
        yield 2 * len(part)
    return Raw((torch.tensordot(weights, torch.cat(gradients), 1) * (after - before)).sum(1))


def layer_conductance(model: Mixer, question: Question, settings: Settings) -> Steps[Raw]:
    """The integral of dF/dA dA over the tokens A after a block, while the IMAGE goes straight from b to x.

    Dhamdhere et al. 2019. By the trapezoidal rule: Captum's LayerConductance takes each gradient at the start of its
    step, which on a curved network leaves a gap many times as large for the same work.
    """
    places = torch.linspace(0, 1, settings.steps + 1).to(question.image)
    points = _between(question.baseline, question.image, places)
    tokens, gradients = yield from _at_block(model, question, settings.block, points)
    return Raw((tokens.diff(dim=0) * (gradients[1:] + gradients[:-1]) / 2).sum((0, 2)))


Compute = Callable[[Mixer, Question, Settings], Steps[Raw]]


def _mean(products: Float[Tensor, "draws 3 height width"]) -> Raw:
    return Raw(products.mean(0), products)


def _noisy(question: Question, settings: Settings) -> Float[Tensor, "draws 3 height width"]:
    image = question.image
    generator = torch.Generator().manual_seed(settings.seed)
    noise = torch.randn(settings.draws, *image.shape, generator=generator).to(image)
    return image + settings.noise * (image.max() - image.min()) * noise


def _between(start: Tensor, end: Tensor, places: Float[Tensor, "places"]) -> Tensor:
    """Points on the straight path from start (at 0) to end (at 1)."""
    return start + places.view(-1, *[1] * start.ndim) * (end - start)


def _legendre(count: int, like: Tensor) -> tuple[Float[Tensor, "count"], Float[Tensor, "count"]]:
    """Places from 0 to 1, and the weights of a mean of what is found there (Gauss-Legendre)."""
    places, weights = np.polynomial.legendre.leggauss(count)
    return torch.from_numpy((1 + places) / 2).to(like), torch.from_numpy(weights / 2).to(like)


@contextmanager
def _with_gradients(model: Mixer, passes: int) -> Iterator[None]:
    """The model alone for this thread, for a batch with gradients, whatever the caller does with his."""
    with torch.inference_mode(False), torch.enable_grad(), timed(model, passes):
        yield


def _gradients(
    model: Mixer, question: Question, images: Float[Tensor, "images 3 height width"]
) -> Steps[Float[Tensor, "images 3 height width"]]:
    from captum.attr import Saliency

    method, found = Saliency(score(model, question)), []
    for part in batches(model, images, gradients=True):
        with _with_gradients(model, 2 * len(part)):
            found.append(method.attribute(part.detach().clone().requires_grad_(), abs=False))
        yield 2 * len(part)
    return torch.cat(found)


def _at_block(
    model: Mixer, question: Question, block: int, images: Float[Tensor, "images 3 height width"]
) -> Steps[tuple[Float[Tensor, "images patches channels"], Float[Tensor, "images patches channels"]]]:
    """The tokens A after a block, and dF/dA."""
    model.block_at(block)  # or it does not exist
    found = list[tuple[Tensor, Tensor]]()
    for part in batches(model, images, gradients=True):
        seen: list[Tensor] = []

        def keep(tokens: Tensor, seen: list[Tensor] = seen) -> Tensor:
            seen.append(tokens)
            return tokens

        with _with_gradients(model, 2 * len(part)):
            with capture(model, [], {f"blocks.{block}": keep}):
                scores = score(model, question)(part.detach().clone().requires_grad_())
            (gradients,) = torch.autograd.grad(scores.sum(), seen)
        found.append((seen[0].detach(), gradients))
        yield 2 * len(part)
    tokens, gradients = (torch.cat(part) for part in zip(*found, strict=True))
    return tokens, gradients


SHAPLEY = "Shapley values"


@dataclass(frozen=True)
class Method:
    """What is known of a method before it runs."""

    passes: Callable[[int, Settings], int]
    """the cost for (groups of patches, settings), in forward passes of one image. A gradient counts as two: on the way
    back to the input every layer does about as much as on the way there, as no gradients of the weights are computed"""
    compute: Compute | None = None
    """None for Shapley values, which come in steps"""
    pixels: bool = False
    """whether it tells pixels apart, not only patches"""
    signed: bool = True
    complete: bool = False
    """whether its values are meant to add up to F(image) - F(baseline)"""
    baseline: bool = True
    """whether it compares with the question's baseline"""
    background: bool = False
    """whether it compares with the question's background instead"""
    block: bool = False
    """whether it explains the tokens after a block, in place of the image"""


# The first term is the method itself; F(image) and F(baseline), with which it is compared, are two passes more.
METHODS: dict[str, Method] = {
    "Gradient x input": Method(lambda p, s: 2 + 2, gradient_x_input, pixels=True),
    "Saliency": Method(lambda p, s: 2 + 2, saliency, pixels=True, signed=False, baseline=False),
    "SmoothGrad x input": Method(lambda p, s: 2 * s.draws + 2, smooth_gradient_x_input, pixels=True),
    "SmoothGrad": Method(lambda p, s: 2 * s.draws + 2, smooth_saliency, pixels=True, signed=False, baseline=False),
    "Integrated Gradients": Method(lambda p, s: 2 * s.steps + 2, integrated_gradients, pixels=True, complete=True),
    "GradientShap": Method(
        lambda p, s: 2 * s.draws + 1 + s.draws,
        gradient_shap,
        pixels=True,
        complete=True,
        baseline=False,
        background=True,
    ),
    "Patch ablation": Method(lambda p, s: p + 1 + 2, ablation),
    SHAPLEY: Method(lambda p, s: (p - 1) * s.draws + 2, complete=True),
    "Token Grad-CAM": Method(lambda p, s: 2 + 2, grad_cam, baseline=False, block=True),
    "Layer Integrated Gradients": Method(
        lambda p, s: 2 * s.steps + 2 + 2, layer_integrated_gradients, complete=True, block=True
    ),
    "Layer Conductance": Method(lambda p, s: 2 * (s.steps + 1) + 2, layer_conductance, complete=True, block=True),
}
