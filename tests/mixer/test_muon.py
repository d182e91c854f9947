from copy import deepcopy

import pytest
import torch
from torch import nn

from mixer.muon import Muon, orthogonal


@pytest.mark.parametrize("bf16", [True, False])
def test_updates_and_state_are_those_of_torch_s_own(bf16: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mixer.muon.native_bf16", lambda device: bf16)
    if not bf16:  # torch's own always rounds to bf16
        monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.float)
    torch.manual_seed(0)
    shapes = [(32, 7), (7, 32), (16, 16), (32, 7), (16, 16), (5, 9)]
    ours, theirs = ([nn.Parameter(torch.empty(shape)) for shape in shapes] for _ in range(2))
    for p, q in zip(ours, theirs, strict=True):
        nn.init.normal_(p)
        q.data.copy_(p)
    one = Muon(ours, 0.02, 0.05)
    other = torch.optim.Muon(theirs, 0.02, 0.05, adjust_lr_fn="match_rms_adamw")
    for step in range(4):
        for p, q in zip(ours, theirs, strict=True):
            p.grad = torch.randn_like(p)
            q.grad = p.grad.clone()
        one.step()
        other.step()
        if step == 1:  # a state of theirs is taken up, as runs from before have it
            state = deepcopy(other.state_dict())
            state["param_groups"] = one.state_dict()["param_groups"]
            one.load_state_dict(state)
        for p, q in zip(ours, theirs, strict=True):
            torch.testing.assert_close(p, q, rtol=0, atol=1e-6)
            torch.testing.assert_close(one.state[p]["momentum_buffer"], other.state[q]["momentum_buffer"])


@pytest.mark.parametrize("bf16", [True, False])
@pytest.mark.parametrize("shape", [(3, 20, 6), (3, 6, 20), (2, 12, 12)])
def test_all_singular_values_come_near_1_and_the_vectors_stay(
    shape: tuple[int, int, int], bf16: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mixer.muon.native_bf16", lambda device: bf16)
    torch.manual_seed(0)
    matrices = torch.randn(shape) * torch.tensor([1e-4, 1.0, 1e4])[: shape[0], None, None]
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    turned = left.mT @ orthogonal(matrices).float() @ right.mT
    values = turned.diagonal(dim1=1, dim2=2)
    assert 0.3 < values.min() <= values.max() < 1.4
    torch.testing.assert_close(turned, torch.diag_embed(values), atol=0.05, rtol=0)


def test_a_matrix_of_zeros_stays() -> None:
    assert not orthogonal(torch.zeros(2, 3, 4)).any()
