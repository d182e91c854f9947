"""Validation of settings."""

import math
from typing import Any


def check_range(settings: Any, least: float, most: float, *names: str) -> None:
    """Raise ValueError unless each of these settings is finite and from `least` to `most`, inclusive."""
    for name in names:
        value = getattr(settings, name)
        if not (math.isfinite(value) and least <= value <= most):
            right = f"from {least} to {most}" if math.isfinite(most) else f"at least {least}"
            raise ValueError(f"{name} must be {right}, not {value}")
