"""The attribution methods: gradients by Captum, batch by batch.

Most methods are `FromGradients`: a function from (question, settings, gradients) to values. The others are generators
of (model, question, settings), with the model free between their steps: Captum's functions of whole methods would
compute all batches without a pause. Each batch locks the model and sets eval mode. A new method is a function and a
row of `METHODS`, here or in any other program.

Random draws use local generators. Captum's NoiseTunnel and GradientShap are not used, because they change the global
random states of torch and numpy, which all threads share.

Captum is imported at its first use: it imports matplotlib, which would delay the page.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mixer.model import Mixer
from viz.attribution.question import Question, answers_with, of_each, walk
from viz.capture import capture, evaluating, run_from
from viz.pace import Steps, batches, timed


@dataclass(frozen=True, eq=False)
class Raw:
    """The raw values of a method."""

    values: Float[Tensor, "3 height width"] | Float[Tensor, "places"]
    """one per colour of each pixel, per patch, or per group of patches"""
    draws: Float[Tensor, "draws 3 height width"] | Float[Tensor, "draws places"] | None = None
    """the random draws whose mean the values are, if any"""

    @property
    def count(self) -> int:
        """The number of draws."""
        return 0 if self.draws is None else len(self.draws)


@dataclass(frozen=True)
class Settings:
    """Settings of all methods; each uses some of them."""

    steps: int = 50
    """points on the path from the baseline to the image"""
    draws: int = 20
    """number of noisy copies, baselines or orders for a mean"""
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


Points = Callable[[Question, Settings], Float[Tensor, "points 3 height width"]]
"""from a question to the images at which gradients are computed"""
Found = Float[Tensor, "points 3 height width"] | Float[Tensor, "points 2 patches channels"]
Gradients = Callable[[Mixer, Sequence[Question], Settings, Float[Tensor, "points 3 height width"]], Steps[Found]]
"""from images, each with its question, to a result for each"""


@dataclass(frozen=True)
class FromGradients:
    """A method that uses gradients at some points. Several questions share batches."""

    points: Points
    """the images for the gradients, such as `itself`"""
    values: Callable[[Question, Settings, Found], Raw]
    """from the results of `gradients` at the points of a question to values"""
    gradients: Gradients
    """`pixel_gradients`: dF/dx at each point; `token_gradients`: the tokens after a block, and dF/dA, for each point"""

    def of(self, model: Mixer, questions: Sequence[Question], settings: Settings) -> Steps[list[Raw]]:
        """The raw values of each question."""
        points = [self.points(question, settings) for question in questions]
        owners = [question for question, own in zip(questions, points, strict=True) for _ in own]
        found = yield from self.gradients(model, owners, settings, torch.cat(points))
        parts = found.split([len(own) for own in points])
        return [self.values(question, settings, part) for question, part in zip(questions, parts, strict=True)]

    def refined(self, model: Mixer, question: Question, settings: Settings, few: int) -> Iterator[int | Raw]:
        """The raw values from the first `few` points, then from more and more: yields the passes of each step, too."""
        found = list[Found]()
        for part in self.points(question, settings).split(few):
            found.append((yield from self.gradients(model, [question] * len(part), settings, part)))
            yield self.values(question, settings, torch.cat(found))


def itself(question: Question, settings: Settings) -> Float[Tensor, "1 3 height width"]:
    """Use the picture as the only point."""
    return question.image[None]


def saliency(question: Question, settings: Settings, gradients: Found) -> Raw:
    """|dF/dx|: the size of the change of F, not its direction (Simonyan et al. 2014)."""
    return Raw(gradients[0].abs())


def gradient_x_input(question: Question, settings: Settings, gradients: Found) -> Raw:
    """dF/dx (x - b): the linear approximation of F(x) - F(b) at x.

    With the mean colour as baseline, which is 0, this equals Captum's InputXGradient.
    """
    return Raw(gradients[0] * (question.image - question.baseline))


def smooth_saliency(question: Question, settings: Settings, gradients: Found) -> Raw:
    """|E dF/dx| over noisy copies of the image: SmoothGrad (Smilkov et al. 2017)."""
    return Raw(gradients.mean(0).abs())


def smooth_gradient_x_input(question: Question, settings: Settings, gradients: Found) -> Raw:
    """E dF/dx (x - b): only the gradient is smoothed, so that pixels equal to the baseline get 0."""
    return _mean(gradients * (question.image - question.baseline))


def integrated_gradients(question: Question, settings: Settings, gradients: Found) -> Raw:
    """(x - b) times the mean of dF/dx on the straight path from b to x (Sundararajan et al. 2017).

    The mean is that of Captum (Gauss-Legendre), whose own function computes all batches without a pause.
    """
    _, weights = _legendre(settings.steps, question.image)
    return Raw(torch.tensordot(weights, gradients, 1) * (question.image - question.baseline))


def gradient_shap(question: Question, settings: Settings, gradients: Found) -> Raw:
    """E dF/dx (x - b) at random points between the image and images of the background (Lundberg and Lee 2017).

    Each baseline gives one point. Their positions on the paths are stratified, which reduces the noise of the mean.
    """
    return _mean(gradients * (question.image - drawn(question, settings)[: len(gradients)]))


def _stratified(question: Question, settings: Settings) -> Float[Tensor, "draws 3 height width"]:
    image, baselines = question.image, drawn(question, settings)
    generator = torch.Generator().manual_seed(settings.seed + 1)
    count = len(baselines)
    places = (torch.randperm(count, generator=generator) + torch.rand(count, generator=generator)) / count
    return baselines + places.to(image).view(-1, 1, 1, 1) * (image - baselines)


def drawn(question: Question, settings: Settings) -> Float[Tensor, "draws 3 height width"]:
    """The images of the background that serve as baselines. Raises ValueError if the background has too few."""
    there = 0 if question.background is None else len(question.background)
    if question.background is None or there < settings.draws:
        raise ValueError(f"GradientShap draws {settings.draws} baselines from the background, which has {there}")
    generator = torch.Generator().manual_seed(settings.seed)
    chosen = torch.randperm(there, generator=generator)[: settings.draws]
    return question.background.detach()[chosen.to(question.background.device)]


def ablation(model: Mixer, question: Question, settings: Settings) -> Iterator[int | Raw]:
    """F(x) - F(x with one group of patches from the baseline), for each group: as Captum's FeatureAblation."""
    without = yield from answers_with(model, question, ~np.eye(len(question.groups(model)), dtype=bool))
    yield Raw(torch.from_numpy(question.scores[1] - without))


def shapley(model: Mixer, question: Question, settings: Settings) -> Iterator[int | Raw]:
    """Shapley values: the mean gain of F at the insertion of each group of patches, over random orders.

    Castro et al. 2009; Strumbelj and Kononenko 2010. In each order the gains add up to F(x) - F(b), and so do their
    means. Captum's ShapleyValueSampling is not used: it has no standard error and no progress, and draws from torch's
    global random state.
    """
    generator, gains = np.random.default_rng(settings.seed), np.empty((settings.draws, len(question.groups(model))))
    for draw, gain in enumerate(gains, 1):
        order = generator.permutation(len(gain))
        gain[order] = np.diff((yield from walk(model, question, order)))
        yield _mean(torch.from_numpy(gains[:draw].copy()))


def grad_cam(question: Question, settings: Settings, found: Found) -> Raw:
    """sum_c A_c mean_patches(dF/dA_c) for the tokens A after a block (Selvaraju et al. 2017), without their ReLU.

    Captum's LayerGradCam averages over the last dimension, which is that of the channels here, not of the patches.
    """
    tokens, gradients = found[0]
    return Raw((tokens * gradients.mean(0)).sum(1))


def layer_integrated_gradients(model: Mixer, question: Question, settings: Settings) -> Iterator[int | Raw]:
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
    yield Raw((torch.tensordot(weights, torch.cat(gradients), 1) * (after - before)).sum(1))


def layer_conductance(question: Question, settings: Settings, found: Found) -> Raw:
    """The integral of dF/dA dA over the tokens A after a block, with the IMAGE on the straight path from b to x.

    Dhamdhere et al. 2019, by the trapezoidal rule: Captum's LayerConductance uses the gradient at the start of each
    step, which leaves a gap many times as large for the same work if F is nonlinear.
    """
    tokens, gradients = found.unbind(1)
    return Raw((tokens.diff(dim=0) * (gradients[1:] + gradients[:-1]) / 2).sum((0, 2)))


Compute = Callable[[Mixer, Question, Settings], Iterator[int | Raw]]
"""yields the passes of each step and the raw values, those of draws after each draw"""


def _mean(products: Float[Tensor, "draws *places"]) -> Raw:
    return Raw(products.mean(0), products)


def _noisy(question: Question, settings: Settings) -> Float[Tensor, "draws 3 height width"]:
    image = question.image
    generator = torch.Generator().manual_seed(settings.seed)
    noise = torch.randn(settings.draws, *image.shape, generator=generator).to(image)
    return image + settings.noise * (image.max() - image.min()) * noise


def _between(start: Tensor, end: Tensor, places: Float[Tensor, "places"]) -> Tensor:
    """Points on the straight path from start (at 0) to end (at 1)."""
    return start + places.view(-1, *[1] * start.ndim) * (end - start)


def _path(question: Question, settings: Settings) -> Float[Tensor, "steps 3 height width"]:
    places, _ = _legendre(settings.steps, question.image)
    return _between(question.baseline, question.image, places)


def _even_path(question: Question, settings: Settings) -> Float[Tensor, "steps 3 height width"]:
    places = torch.linspace(0, 1, settings.steps + 1).to(question.image)
    return _between(question.baseline, question.image, places)


def _legendre(count: int, like: Tensor) -> tuple[Float[Tensor, "count"], Float[Tensor, "count"]]:
    """Positions from 0 to 1, and the weights of a mean over them (Gauss-Legendre)."""
    places, weights = np.polynomial.legendre.leggauss(count)
    return torch.from_numpy((1 + places) / 2).to(like), torch.from_numpy(weights / 2).to(like)


@contextmanager
def _with_gradients(model: Mixer, passes: int) -> Iterator[None]:
    """Lock the model for a batch, with gradients also if the caller has disabled them."""
    with torch.inference_mode(False), torch.enable_grad(), timed(model, passes):
        yield


def _scores(
    model: Mixer, owners: Sequence[Question], points: Float[Tensor, "points 3 height width"]
) -> Float[Tensor, "points"]:
    return of_each(owners, model(points))


def pixel_gradients(
    model: Mixer, owners: Sequence[Question], settings: Settings, points: Float[Tensor, "points 3 height width"]
) -> Steps[Float[Tensor, "points 3 height width"]]:
    """dF/dx."""
    from captum.attr import Saliency

    found = []
    for part in batches(model, torch.arange(len(points)), gradients=True):
        method = Saliency(partial(_scores, model, [owners[i] for i in part]))
        with _with_gradients(model, 2 * len(part)):
            found.append(method.attribute(points[part].detach().clone().requires_grad_(), abs=False))
        yield 2 * len(part)
    return torch.cat(found)


def token_gradients(
    model: Mixer, owners: Sequence[Question], settings: Settings, points: Float[Tensor, "points 3 height width"]
) -> Steps[Float[Tensor, "points 2 patches channels"]]:
    """The tokens A after the block of the settings, and dF/dA."""
    model.block_at(settings.block)  # raises ValueError if the block does not exist
    found = list[Tensor]()
    for part in batches(model, torch.arange(len(points)), gradients=True):
        seen: list[Tensor] = []

        def keep(tokens: Tensor, seen: list[Tensor] = seen) -> Tensor:
            seen.append(tokens)
            return tokens

        with _with_gradients(model, 2 * len(part)):
            with capture(model, [], {f"blocks.{settings.block}": keep}):
                scores = _scores(model, [owners[i] for i in part], points[part].detach().clone().requires_grad_())
            (gradients,) = torch.autograd.grad(scores.sum(), seen)
        found.append(torch.stack([seen[0].detach(), gradients], 1))
        yield 2 * len(part)
    return torch.cat(found)


SHAPLEY = "Shapley values"
FEW = 5
"""draws of noise or of baselines before a first result, and between two results"""


@dataclass(frozen=True)
class Method:
    """The properties of a method: a row of `METHODS`."""

    passes: Callable[[int, Settings], int]
    """the cost for (groups of patches, settings), in forward passes of one image, without `Question.unknown`. A
    gradient counts as two, because without gradients of the weights, the backward pass of every layer costs about as
    much as its forward pass"""
    compute: FromGradients | Compute
    pixels: bool = False
    """whether it has values of pixels, not only of patches"""
    signed: bool = True
    complete: bool = False
    """whether its values should add up to F(image) - F(baseline)"""
    baseline: bool = True
    """whether it compares with the question's baseline"""
    background: bool = False
    """whether it compares with the question's background instead"""
    block: bool = False
    """whether it explains the tokens after a block instead of the image"""
    first: int | None = None
    """the number of draws before its first result, if it is an estimate that more draws refine"""


METHODS: dict[str, Method] = {
    "Gradient x input": Method(lambda p, s: 2, FromGradients(itself, gradient_x_input, pixel_gradients), pixels=True),
    "Saliency": Method(
        lambda p, s: 2, FromGradients(itself, saliency, pixel_gradients), pixels=True, signed=False, baseline=False
    ),
    "SmoothGrad x input": Method(
        lambda p, s: 2 * s.draws,
        FromGradients(_noisy, smooth_gradient_x_input, pixel_gradients),
        pixels=True,
        first=FEW,
    ),
    "SmoothGrad": Method(
        lambda p, s: 2 * s.draws,
        FromGradients(_noisy, smooth_saliency, pixel_gradients),
        pixels=True,
        signed=False,
        baseline=False,
        first=FEW,
    ),
    "Integrated Gradients": Method(
        lambda p, s: 2 * s.steps,
        FromGradients(_path, integrated_gradients, pixel_gradients),
        pixels=True,
        complete=True,
    ),
    "GradientShap": Method(
        lambda p, s: 3 * s.draws,
        FromGradients(_stratified, gradient_shap, pixel_gradients),
        pixels=True,
        complete=True,
        baseline=False,
        background=True,
        first=FEW,
    ),
    "Patch ablation": Method(lambda p, s: p, ablation),
    SHAPLEY: Method(lambda p, s: (p - 1) * s.draws, shapley, complete=True, first=1),
    "Token Grad-CAM": Method(
        lambda p, s: 2, FromGradients(itself, grad_cam, token_gradients), baseline=False, block=True
    ),
    "Layer Integrated Gradients": Method(
        lambda p, s: 2 * s.steps + 2, layer_integrated_gradients, complete=True, block=True
    ),
    "Layer Conductance": Method(
        lambda p, s: 2 * (s.steps + 1),
        FromGradients(_even_path, layer_conductance, token_gradients),
        complete=True,
        block=True,
    ),
}
"""by name, as on the page. Another program may add rows; names must not contain a comma"""
