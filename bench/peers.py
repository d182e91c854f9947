"""Other Mixers with the dimensions of the seed network: timm's, lucidrains', and the plain form of the seed's code."""

import subprocess
import sys
from pathlib import Path

from einops.layers.torch import Rearrange
from timm.models.mlp_mixer import MlpMixer
from torch import Tensor, nn

PLACE = Path(__file__).parent / "peers"


def timm_mixer() -> nn.Module:
    """timm's Mixer, which has an additional LayerNorm before the head."""
    return MlpMixer(num_classes=10, img_size=32, patch_size=(4, 8), num_blocks=12, embed_dim=512, mlp_ratio=(1.0, 1.0))  # type: ignore[arg-type]


def lucidrains_mixer() -> nn.Module:
    """lucidrains' mlp-mixer-pytorch. Its patches are square: 4 x 4 on 32 x 16 pixels has the same 32 tokens."""
    if not PLACE.exists():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(PLACE)]
        subprocess.run([*command, "mlp-mixer-pytorch"], check=True)
    sys.path.insert(0, str(PLACE))
    from mlp_mixer_pytorch import MLPMixer

    sizes = {"expansion_factor": 1, "expansion_factor_token": 1}
    return MLPMixer(image_size=(32, 16), channels=3, patch_size=4, dim=512, depth=12, num_classes=10, **sizes)


def plain_mixer() -> nn.Module:
    """The form of the seed's code: nn.Sequential, with a Rearrange before and after the token mixing."""
    return nn.Sequential(
        Rearrange("b c (h p) (w q) -> b (h w) (p q c)", p=4, q=8),
        nn.Linear(96, 512),
        *(_plain_block() for _ in range(12)),
        Rearrange("b n c -> b c n"),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Linear(512, 10),
    )


class _Residual(nn.Module):
    def __init__(self, inner: nn.Module):
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inner(x)


def _plain_block() -> nn.Module:
    def feed_forward(dim: int) -> nn.Module:
        return nn.Sequential(nn.Linear(dim, 512), nn.GELU(), nn.Dropout(0.0), nn.Linear(512, dim), nn.Dropout(0.0))

    turn, back = Rearrange("b n d -> b d n"), Rearrange("b d n -> b n d")
    return nn.Sequential(
        _Residual(nn.Sequential(nn.LayerNorm(512), turn, feed_forward(32), back)),
        _Residual(nn.Sequential(nn.LayerNorm(512), feed_forward(512))),
    )
