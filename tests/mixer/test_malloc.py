import platform
import subprocess
import sys

import pytest

PAGES_FETCHED = """
import os, resource, torch
from mixer import malloc
keeps = os.fork() == 0
if keeps:
    malloc.keep()
else:
    os.wait()

def layers():
    x = torch.ones(64 * 2**20, dtype=torch.uint8)
    return x + 1

for _ in range(8): layers()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(8): layers()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.process
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc")
def test_kept_memory_is_used_again():
    pages = subprocess.check_output([sys.executable, "-c", PAGES_FETCHED], encoding="utf-8")
    keep, leave = map(int, pages.split())
    assert leave > 100 + 10 * keep
