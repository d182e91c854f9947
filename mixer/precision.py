"""The number format of products in training: bf16 if the device computes in it, else float32."""

import torch


def native_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bf16 numbers itself.

    A device that does not converts each of them: on two cores of an AMD EPYC without bf16, a training step took 10
    times as long as in float32, and an update of Muon 50 times. The instructions of a CPU are known from torch 2.11 on.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(name) for name in ("avx512_bf16", "sve_bf16"))


def autocast(device: torch.device) -> torch.autocast:
    """The context in which training computes logits: products in bf16 if that is native, else in float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=native_bf16(device))
