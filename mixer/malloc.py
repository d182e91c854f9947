"""What the C library does with memory that a layer no longer needs."""

import ctypes
import platform

TRIM_THRESHOLD, MMAP_MAX = -1, -4
"""numbers of mallopt's parameters in glibc's malloc.h"""


def keep() -> None:
    """From now on this process keeps freed memory for its next layer, rather than to return it and fetch it anew.

    By default glibc maps every large tensor afresh, and the system has to fill it with zeros, page by page. On a CPU
    that is a fifth of a training step (`make bench`). Without glibc, nothing happens.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(MMAP_MAX, 0)
        libc.mallopt(TRIM_THRESHOLD, 2**31 - 1)
