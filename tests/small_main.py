"""`main.py` on the small stand-in for CIFAR-10, as a process of its own."""

import runpy
from pathlib import Path

from tests import small_cifar

if __name__ == "__main__":
    small_cifar.accept()
    runpy.run_path(str(Path(__file__).parent.parent / "main.py"), run_name="__main__")
