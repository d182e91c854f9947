import pytest
import torch
from torch import nn

from mixer.precision import autocast, native_bf16

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("capabilities", "native"),
    [
        ({"avx2": True, "avx512_f": True, "avx512_bf16": False}, False),
        ({"avx512_bf16": True}, True),
        ({"neon": True, "bf16": True}, False),  # Apple's M2: its float32 products run in a unit of their own
        ({"sve_bf16": True}, True),
    ],
)
def test_products_are_in_bf16_where_the_processor_computes_in_it(
    capabilities: dict[str, bool], native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert native_bf16(CPU) == native
    with autocast(CPU):
        assert nn.Linear(3, 2)(torch.ones(1, 3)).dtype == (torch.bfloat16 if native else torch.float32)


def test_a_torch_that_does_not_know_its_processor_uses_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert not native_bf16(CPU)
