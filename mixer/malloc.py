"""Memory settings of the C library (glibc)."""

import ctypes
import platform

TRIM_THRESHOLD, MMAP_MAX = -1, -4
"""parameters of mallopt in glibc's malloc.h"""


def keep() -> None:
    """Keep freed memory in this process for later tensors. Without glibc, this does nothing.

    By default, glibc requests new memory for each large tensor, and the system fills its pages with zeros. On a CPU,
    that takes a fifth of a training step (`make bench`), and a sixth of the work for visitors of the app.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(MMAP_MAX, 0)
        libc.mallopt(TRIM_THRESHOLD, 2**31 - 1)
