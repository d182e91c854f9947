"""What was lately computed, and not too much of it."""

from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Recent(dict[K, V]):
    """A dictionary of bounded size: what was set longest ago is forgotten first."""

    def __init__(self, most: int):
        super().__init__()
        self.most = most

    def __setitem__(self, key: K, value: V) -> None:
        self.pop(key, None)
        super().__setitem__(key, value)
        for oldest in list(self)[: len(self) - self.most]:
            self.pop(oldest, None)  # another thread may have been faster
