"""What was recently computed, and not too much of it."""

from collections.abc import Callable
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Recent(dict[K, V]):
    """A dictionary of bounded size: what was set or made longest ago is forgotten first."""

    def __init__(self, most: int):
        super().__init__()
        self.most = most

    def __setitem__(self, key: K, value: V) -> None:
        self.pop(key, None)
        super().__setitem__(key, value)
        for oldest in list(self)[: len(self) - self.most]:
            self.pop(oldest, None)  # another thread may have been faster

    def get_or_make(self, key: K, make: Callable[[], V]) -> V:
        """What is under the key; where there is nothing, what `make` gives, which then is."""
        if key not in self:
            self[key] = make()
        else:
            self[key] = self[key]  # used just now
        return self[key]
