"""The checker of annotations while testing: an int is a float, as PEP 484 has it."""

from collections import Counter
from collections.abc import Callable
from functools import wraps
from typing import Any

from beartype import BeartypeConf, beartype

annotations = beartype(conf=BeartypeConf(is_pep484_tower=True))
CALLS = 100
calls: Counter[Callable] = Counter()
"""of each function that is checked, in the test that runs"""


def at_first(checked: Callable) -> Callable:
    """Checks its first calls in each test: a check takes as long as much of what is checked."""
    plain = checked.__wrapped__

    @wraps(plain)
    def call(*given: Any, **named: Any) -> Any:
        calls[checked] += 1
        return (plain if calls[checked] > CALLS else checked)(*given, **named)

    return call
