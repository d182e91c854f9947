import platform
import subprocess
import sys

import pytest

PAGES_FETCHED = """
import resource, torch
from mixer import malloc

def layers():
    x = torch.ones(64 * 2**20, dtype=torch.uint8)
    return x + 1

def fetched():
    for _ in range(4): layers()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4): layers()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

leave = fetched()
malloc.keep()
print(leave, fetched())
"""


@pytest.mark.process
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc")
def test_kept_memory_is_used_again():
    said = subprocess.check_output([sys.executable, "-c", PAGES_FETCHED], encoding="utf-8")
    leave, keep = map(int, said.split())
    assert leave > 100 + 4 * keep  # one block in eight may find no place among those kept
