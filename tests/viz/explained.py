"""Networks and questions whose attributions are known, for the tests of attributions and of their checks."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from mixer.model import Mixer, MixerConfig
from viz.attribution.question import Question, with_ends
from viz.pace import finish

BACKGROUNDS = 9


def bent(config: MixerConfig) -> Mixer:
    """A network with weights so large that its GELUs bend and its LayerNorms do something."""
    torch.manual_seed(0)
    model = Mixer(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape))
    return model


def straight(config: MixerConfig) -> Mixer:
    """A network that is linear in its image: its blocks pass their input on."""
    torch.manual_seed(0)
    model = Mixer(config).eval()
    model.start_as_identity()
    return model


def weights(model: Mixer, target: int) -> Tensor:
    """The weight of every value of the image in a logit of a straight network."""
    grid = model.config.grid
    patch = model.head.weight[target] @ model.stem.weight / grid.patches
    return grid.to_images(patch.detach().expand(1, grid.patches, -1))[0]


def contributions(model: Mixer, question: Question) -> np.ndarray:
    """w (x - b), summed over each patch: what every sound method finds in a straight network."""
    products = weights(model, question.target) * (question.image - question.baseline)
    return model.config.grid.to_tokens(products[None])[0].sum(1).numpy()


def ask(config: MixerConfig, **changes) -> Question:
    generator = torch.Generator().manual_seed(1)
    image, baseline = torch.randn(2, 3, *config.image_size, generator=generator)
    background = torch.randn(BACKGROUNDS, 3, *config.image_size, generator=generator)
    return Question(**{"image": image, "baseline": baseline, "target": 3, "background": background, **changes})


def ends(model: Mixer, question: Question) -> tuple[float, float]:
    """F(baseline), F(image)."""
    (known,) = finish(with_ends(model, [question]))
    return known.scores


def score(model: Mixer, question: Question) -> Callable[[Tensor], Tensor]:
    """The function from images to F, for other libraries."""
    return lambda images: question.of(model(images))


def hooks_on(model: torch.nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in model.modules())
