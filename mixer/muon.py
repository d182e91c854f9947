"""Muon, an optimiser for matrices (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon)."""

from collections import defaultdict
from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mixer.precision import native_bf16

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""coefficients of the polynomial that moves singular values close to 1 in a few rounds"""
ROUNDS = 5


class Muon(torch.optim.Optimizer):
    """Update each matrix by its orthogonalised momentum, with the update size of AdamW (Liu et al. 2025).

    Updates and state equal those of `torch.optim.Muon` with `adjust_lr_fn="match_rms_adamw"`, which processes one
    matrix at a time, and in bf16 even where no device computes in it. Here all matrices of one shape are one batch:
    half the time on a CPU, an eighth of the operators (kernel launches) on a GPU.
    """

    def __init__(self, params: Iterable[nn.Parameter], lr: float, weight_decay: float, momentum: float = 0.95):
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        for group in self.param_groups:
            alike = defaultdict(list)
            for p in group["params"]:
                alike[p.shape].append(p)
            for shape, params in alike.items():
                grads = [p.grad for p in params]
                means = [self.state[p].setdefault("momentum_buffer", torch.zeros_like(p)) for p in params]
                torch._foreach_lerp_(means, grads, 1 - group["momentum"])
                ahead = torch._foreach_lerp(grads, means, group["momentum"])  # Nesterov's
                updates = orthogonal(torch.stack(ahead)).to(params[0].dtype)
                torch._foreach_mul_(params, 1 - group["lr"] * group["weight_decay"])
                torch._foreach_add_(params, updates.unbind(), alpha=-group["lr"] * 0.2 * max(shape) ** 0.5)


def orthogonal(matrices: Float[Tensor, "batch rows cols"]) -> Float[Tensor, "batch rows cols"]:
    """Matrices with the same singular vectors and singular values of about 0.7 to 1.2 (Newton-Schulz).

    In bf16 where the device computes in it, else in the numbers of `matrices`.
    """
    a, b, c = COEFFICIENTS
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.bfloat16() if native_bf16(matrices.device) else matrices
    x = x.mT if tall else x
    x = x / x.flatten(1).norm(dim=1).clamp(min=1e-7)[:, None, None]
    for _ in range(ROUNDS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x
