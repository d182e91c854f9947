"""Validation of settings and numbers."""

import math
from operator import index
from typing import Any


def check_range(settings: Any, least: float, most: float, *names: str) -> None:
    """Raise ValueError unless each of these settings is finite and from `least` to `most`, inclusive."""
    for name in names:
        value = getattr(settings, name)
        if not (math.isfinite(value) and least <= value <= most):
            right = f"from {least} to {most}" if math.isfinite(most) else f"at least {least}"
            raise ValueError(f"{name} must be {right}, not {value}")


def check_exists(kind: str, number: int, count: int) -> None:
    """Raise ValueError unless the number is one of `count`, counted from 0. kind: of the numbered things"""
    if not 0 <= number < count:
        raise ValueError(f"{kind} {number} does not exist: there are {count}, counted from 0")


def whole(value: Any) -> int | None:
    """A whole number of Python, numpy or torch as an int; None for any other value, also True, 2.0 and "2"."""
    try:
        return None if isinstance(value, bool) else index(value)
    except TypeError:
        return None
