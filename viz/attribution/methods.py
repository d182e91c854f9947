"""The methods, and how each is computed; most of them by Captum.

Every function takes (model, question, settings) and gives one value per colour of each pixel, (3, height, width), or
one per patch. They want the model alone for this thread, in eval mode, with gradients enabled: `attribute` sees to it.
A new method is a function here and a row of `METHODS`.

What is random is drawn here, from a generator of its own, although Captum has NoiseTunnel and GradientShap: both draw
from the global states of torch and numpy, which neither stay as they were nor belong to one thread.

Captum is loaded when it is first used: with it comes matplotlib, and nobody should wait for that before the page opens.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mixer.model import Mixer
from viz.attribution.question import Question, batch_size, score


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


def saliency(model: Mixer, question: Question, settings: Settings) -> Float[Tensor, "3 height width"]:
    """|dF/dx|: how much F would change, not in which direction (Simonyan et al. 2014)."""
    return _gradients(model, question, question.image[None])[0].abs()


def gradient_x_input(model: Mixer, question: Question, settings: Settings) -> Float[Tensor, "3 height width"]:
    """dF/dx (x - b): F(x) - F(b) if F were as straight everywhere as it is at x.

    For the mean colour, which is 0, this is Captum's InputXGradient.
    """
    return _gradients(model, question, question.image[None])[0] * (question.image - question.baseline)


def smooth_saliency(model: Mixer, question: Question, settings: Settings) -> Float[Tensor, "3 height width"]:
    """|E dF/dx| over noisy copies of the image: SmoothGrad (Smilkov et al. 2017)."""
    return _smooth_gradient(model, question, settings).abs()


def smooth_gradient_x_input(model: Mixer, question: Question, settings: Settings) -> Float[Tensor, "3 height width"]:
    """E dF/dx (x - b): only the gradient is smoothed, so that what equals the baseline still gets 0."""
    return _smooth_gradient(model, question, settings) * (question.image - question.baseline)


def integrated_gradients(model: Mixer, question: Question, settings: Settings) -> Float[Tensor, "3 height width"]:
    """(x - b) times the mean of dF/dx on the straight path from b to x (Sundararajan et al. 2017)."""
    from captum.attr import IntegratedGradients

    return IntegratedGradients(score(model, question)).attribute(
        question.image[None],
        question.baseline[None],
        n_steps=settings.steps,
        internal_batch_size=batch_size(model, gradients=True),
    )[0]


def gradient_shap(model: Mixer, question: Question, settings: Settings) -> Float[Tensor, "3 height width"]:
    """E dF/dx (x - b) at random points between the image and images of the background (Lundberg and Lee 2017).

    Each baseline gives one point. Where they lie on their paths is stratified, which makes the mean less noisy.
    """
    image, baselines = question.image, drawn(question, settings)
    generator = torch.Generator().manual_seed(settings.seed + 1)
    count = len(baselines)
    places = (torch.randperm(count, generator=generator) + torch.rand(count, generator=generator)) / count
    points = baselines + places.to(image).view(-1, 1, 1, 1) * (image - baselines)
    return (_gradients(model, question, points) * (image - baselines)).mean(0)


def drawn(question: Question, settings: Settings) -> Float[Tensor, "draws 3 height width"]:
    """The images of the background that serve as baselines. Raises ValueError where there are too few."""
    there = 0 if question.background is None else len(question.background)
    if question.background is None or there < settings.draws:
        raise ValueError(f"GradientShap draws {settings.draws} baselines from the background, which has {there}")
    generator = torch.Generator().manual_seed(settings.seed)
    chosen = torch.randperm(there, generator=generator)[: settings.draws]
    return question.background.detach()[chosen.to(question.background.device)]


def ablation(model: Mixer, question: Question, settings: Settings) -> Float[Tensor, "patches"]:
    """F(x) - F(x with one patch from the baseline), for each patch."""
    from captum.attr import FeatureAblation

    grid = model.config.grid
    values = FeatureAblation(score(model, question)).attribute(
        question.image[None],
        question.baseline[None],
        feature_mask=grid.mask().to(question.image.device)[None, None],
        perturbations_per_eval=min(grid.patches, batch_size(model, gradients=False)),
    )
    return grid.to_tokens(values)[0, :, 0]  # the same for all pixels of a patch


def grad_cam(model: Mixer, question: Question, settings: Settings) -> Float[Tensor, "patches"]:
    """sum_c A_c mean_patches(dF/dA_c) for the tokens A after a block (Selvaraju et al. 2017), without their ReLU.

    Captum's LayerGradCam takes the last dimension for places: on (batch, patches, channels) it averages the channels.
    """
    tokens, gradients = _at_block(model, question, settings.block, question.image[None])
    return (tokens * gradients.mean(1, keepdim=True)).sum(2)[0]


def layer_integrated_gradients(model: Mixer, question: Question, settings: Settings) -> Float[Tensor, "patches"]:
    """Integrated Gradients of the rest of the network, between the tokens after a block for b and for x."""
    from captum.attr import LayerIntegratedGradients

    layer = model.block_at(settings.block)
    values = LayerIntegratedGradients(score(model, question), layer).attribute(
        question.image[None],
        question.baseline[None],
        n_steps=settings.steps,
        internal_batch_size=batch_size(model, gradients=True),
    )
    return values.sum(2)[0]


def layer_conductance(model: Mixer, question: Question, settings: Settings) -> Float[Tensor, "patches"]:
    """The integral of dF/dA dA over the tokens A after a block, while the IMAGE goes straight from b to x.

    Dhamdhere et al. 2019. By the trapezoidal rule: Captum's LayerConductance takes each gradient at the start of its
    step, which on a curved network leaves a gap many times as large for the same work.
    """
    places = torch.linspace(0, 1, settings.steps + 1).to(question.image).view(-1, 1, 1, 1)
    points = question.baseline + places * (question.image - question.baseline)
    parts = [_at_block(model, question, settings.block, part) for part in _split(model, points)]
    tokens, gradients = (torch.cat(part) for part in zip(*parts, strict=True))
    return (tokens.diff(dim=0) * (gradients[1:] + gradients[:-1]) / 2).sum((0, 2))


Compute = Callable[[Mixer, Question, Settings], Tensor]


def _smooth_gradient(model: Mixer, question: Question, settings: Settings) -> Float[Tensor, "3 height width"]:
    image = question.image
    generator = torch.Generator().manual_seed(settings.seed)
    noise = torch.randn(settings.draws, *image.shape, generator=generator).to(image)
    points = image + settings.noise * (image.max() - image.min()) * noise
    return _gradients(model, question, points).mean(0)


def _gradients(
    model: Mixer, question: Question, images: Float[Tensor, "images 3 height width"]
) -> Float[Tensor, "images 3 height width"]:
    from captum.attr import Saliency

    method = Saliency(score(model, question))
    return torch.cat([method.attribute(part.requires_grad_(), abs=False) for part in _split(model, images)])


def _split(model: Mixer, images: Float[Tensor, "images 3 height width"]) -> list[Tensor]:
    """Batches for gradients, with no history and sharing nothing with the images."""
    return [part.detach().clone() for part in images.split(batch_size(model, gradients=True))]


def _at_block(
    model: Mixer, question: Question, block: int, images: Float[Tensor, "images 3 height width"]
) -> tuple[Float[Tensor, "images patches channels"], Float[Tensor, "images patches channels"]]:
    """The tokens A after a block, and dF/dA."""
    seen: list[Tensor] = []
    layer = model.block_at(block)
    hook = layer.register_forward_hook(lambda module, args, output: seen.append(output))
    try:
        scores = score(model, question)(images.detach().requires_grad_())
    finally:
        hook.remove()
    (gradients,) = torch.autograd.grad(scores.sum(), seen)
    return seen[0].detach(), gradients


SHAPLEY = "Shapley values"


@dataclass(frozen=True)
class Method:
    """What is known of a method before it runs."""

    passes: Callable[[int, Settings], int]
    """the cost for (patches, settings), in forward passes of one image. A gradient counts as two: on the way back to
    the input every layer does about as much as on the way there, as no gradients of the weights are computed"""
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
