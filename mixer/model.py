"""The MLP-Mixer, with the authors' names (google-research/vision_transformer, models_mixer.py)."""

import math
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Literal, cast

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from mixer.grid import PatchGrid
from mixer.validation import check_exists, check_range

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

MAX_BLOCKS = 1_000
"""the largest network of the paper has 32; implausible sizes are rejected before building"""


@dataclass(frozen=True)
class MixerConfig:
    """The architecture and normalisation of a network. The default is the seed network."""

    image_size: tuple[int, int] = (32, 32)
    """(height, width) in pixels"""
    patch_size: tuple[int, int] = (4, 8)
    """(height, width) in pixels"""
    num_classes: int = 10
    classes: tuple[str, ...] = ()
    """names of the classes, if known (see `mixer.data.class_names`)"""
    num_blocks: int = 12
    hidden_dim: int = 512
    """channels of a token (C in the paper)"""
    tokens_mlp_dim: int = 512
    """hidden units of the token-mixing MLP (D_S)"""
    channels_mlp_dim: int = 512
    """hidden units of the channel-mixing MLP (D_C)"""
    dropout: float = 0.0
    pre_head_norm: bool = False
    """a LayerNorm before the pooling, as in the paper; the seed network has none"""
    gelu: Literal["none", "tanh"] = "none"
    """exact, or the tanh form of the authors' weights"""
    norm_eps: float = 1e-5
    mean: tuple[float, float, float] = (0.4914, 0.4822, 0.4465)
    """subtracted from the pixels (0 to 1) of each colour; the default is CIFAR-10's training mean"""
    std: tuple[float, float, float] = (0.2470, 0.2435, 0.2616)
    """divisor of the pixels of each colour after that"""

    def __post_init__(self):
        check_range(self, 1, math.inf, "num_classes", "hidden_dim", "tokens_mlp_dim", "channels_mlp_dim")
        check_range(self, 1, MAX_BLOCKS, "num_blocks")
        check_range(self, 0, 1, "dropout")
        check_range(self, 1e-12, 1, "norm_eps")
        if self.gelu not in ("none", "tanh"):
            raise ValueError(f"gelu must be 'none' (exact) or 'tanh', not {self.gelu!r}")
        if not isinstance(self.classes, tuple) or not all(isinstance(name, str) for name in self.classes):
            raise ValueError(f"classes must be names, not {self.classes!r}")
        if self.classes and len(self.classes) != self.num_classes:
            raise ValueError(f"classes must be {self.num_classes} names or none, not {len(self.classes)}")
        for name, least, range in (("mean", -math.inf, ""), ("std", 0.0, " above 0")):
            values = getattr(self, name)
            if len(values) != 3 or not all(least < value < math.inf for value in values):
                raise ValueError(f"{name} must be three numbers{range}, one for each colour, not {values}")
        PatchGrid(self.image_size, self.patch_size)

    @property
    def grid(self) -> PatchGrid:
        return PatchGrid(self.image_size, self.patch_size)

    def resized(self, side: int | None) -> "MixerConfig":
        """The config for square images of another size, with the same number of patches. None: no change."""
        if side is None or (side, side) == self.image_size:
            return self
        rows, cols = self.grid.rows, self.grid.cols
        if side < 1 or side % rows or side % cols:
            raise ValueError(
                f"image_size must be a multiple of {math.lcm(rows, cols)} for {rows} x {cols} patches, not {side}"
            )
        return replace(self, image_size=(side, side), patch_size=(side // rows, side // cols))


def _paper(patch: int, num_blocks: int, hidden_dim: int, tokens_mlp_dim: int, channels_mlp_dim: int) -> MixerConfig:
    return MixerConfig(
        image_size=(224, 224),
        patch_size=(patch, patch),
        num_classes=1000,
        num_blocks=num_blocks,
        hidden_dim=hidden_dim,
        tokens_mlp_dim=tokens_mlp_dim,
        channels_mlp_dim=channels_mlp_dim,
        pre_head_norm=True,
        gelu="tanh",
        norm_eps=1e-6,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
    )


PRESETS: dict[str, MixerConfig] = {
    "seed": MixerConfig(classes=CIFAR10_CLASSES),
    "seed-rows": MixerConfig(patch_size=(1, 32), classes=CIFAR10_CLASSES),
    # for hundreds or thousands of images; trains in minutes on a CPU
    "small": MixerConfig(
        image_size=(64, 64),
        patch_size=(8, 8),
        num_blocks=4,
        hidden_dim=128,
        tokens_mlp_dim=128,
        channels_mlp_dim=256,
        classes=CIFAR10_CLASSES,
    ),
    # Table 1 of the paper
    "S/32": _paper(32, 8, 512, 256, 2048),
    "S/16": _paper(16, 8, 512, 256, 2048),
    "B/32": _paper(32, 12, 768, 384, 3072),
    "B/16": _paper(16, 12, 768, 384, 3072),
    "L/32": _paper(32, 24, 1024, 512, 4096),
    "L/16": _paper(16, 24, 1024, 512, 4096),
    "H/14": _paper(14, 32, 1280, 640, 5120),
}


class Mlp(nn.Sequential):
    """Linear, GELU, Linear over the last dimension: W2 gelu(W1 x) (paper, equation 1)."""

    fc1: nn.Linear
    gelu: nn.GELU
    fc2: nn.Linear

    def __init__(self, dim: int, hidden_dim: int, dropout: float, gelu: str):
        super().__init__(
            OrderedDict[str, nn.Module](
                fc1=nn.Linear(dim, hidden_dim),
                gelu=nn.GELU(gelu),
                drop1=nn.Dropout(dropout),
                fc2=nn.Linear(hidden_dim, dim),
                drop2=nn.Dropout(dropout),
            )
        )


class MixerBlock(nn.Module):
    """Token mixing for each channel, then channel mixing for each token, both as residual updates."""

    def __init__(self, config: MixerConfig):
        super().__init__()
        patches, dim = config.grid.patches, config.hidden_dim
        self.norm1 = nn.LayerNorm(dim, config.norm_eps)
        self.token_mixing = Mlp(patches, config.tokens_mlp_dim, config.dropout, config.gelu)
        self.norm2 = nn.LayerNorm(dim, config.norm_eps)
        self.channel_mixing = Mlp(dim, config.channels_mlp_dim, config.dropout, config.gelu)

    def forward(self, x: Float[Tensor, "batch patches channels"]) -> Float[Tensor, "batch patches channels"]:
        return self.mix_channels(self.mix_tokens(x))

    def mix_tokens(self, x: Float[Tensor, "batch patches channels"]) -> Float[Tensor, "batch patches channels"]:
        return x + self.token_mixing(self.norm1(x).mT.contiguous()).mT  # contiguous: fuses bias and product

    def mix_channels(self, x: Float[Tensor, "batch patches channels"]) -> Float[Tensor, "batch patches channels"]:
        return x + self.channel_mixing(self.norm2(x))


class Mixer(nn.Module):
    """Images to class logits. Hooks on the named modules read the activations.

    Input: (batch, 3, height, width), normalised by `mixer.data.normalise`. Raises ValueError for another size.
    """

    def __init__(self, config: MixerConfig):
        super().__init__()
        self.config = config
        self.patches = config.grid.layer()
        self.stem = nn.Linear(config.grid.values, config.hidden_dim)
        self.blocks = nn.Sequential(*(MixerBlock(config) for _ in range(config.num_blocks)))
        self.pre_head_norm = nn.LayerNorm(config.hidden_dim, config.norm_eps) if config.pre_head_norm else None
        self.pool = nn.AdaptiveAvgPool1d(1)
        self.head = nn.Linear(config.hidden_dim, config.num_classes)

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch classes"]:
        height, width = self.config.image_size
        if images.ndim != 4 or images.shape[1:] != (3, height, width):
            raise ValueError(f"expected images of (batch, 3, {height}, {width}), not {tuple(images.shape)}")
        return self.classify(self.blocks(self.stem(self.patches(images))))

    def classify(self, x: Float[Tensor, "batch patches channels"]) -> Float[Tensor, "batch classes"]:
        """The logits for the tokens of the last block."""
        if self.pre_head_norm is not None:
            x = self.pre_head_norm(x)
        pooled = self.pool(rearrange(x, "b p c -> b c p"))  # batch channels 1
        return self.head(rearrange(pooled, "b c 1 -> b c"))

    def block_at(self, block: int) -> MixerBlock:
        """A block, counted from 0. Raises ValueError if there is none."""
        check_exists("block", block, len(self.blocks))
        return cast(MixerBlock, self.blocks[block])

    @torch.no_grad()
    def start_as_identity(self) -> None:
        """Zero the last layer of each MLP, so that all blocks are identities.

        This is a good start for training, and new blocks do not change the logits of a trained network.
        """
        for mlp in self.blocks.modules():
            if isinstance(mlp, Mlp):
                nn.init.zeros_(mlp.fc2.weight)
                nn.init.zeros_(mlp.fc2.bias)


def untrained(config: MixerConfig, seed: int) -> Mixer:
    """The network at the start of training: random weights of this seed, with blocks that are identities."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Mixer(config)
    model.start_as_identity()
    return model
