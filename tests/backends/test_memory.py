"""Freed memory is kept."""

import os
import subprocess
import sys

import pytest

CODE = """
import resource
import numpy as np
from xpnet_backends import get_backend
get_backend("numpy")
def step():
    arrays = [np.ones(1 << 20) for _ in range(12)]
step(), step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(keep):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "XPNET_KEEP_MEMORY": keep}
    done = subprocess.run([sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
def test_a_step_finds_the_memory_of_the_one_before():
    from xpnet_backends.memory import keep_freed_memory

    if not keep_freed_memory():
        pytest.skip("this C library keeps no freed memory")
    assert faults("1") < 0.2 * faults("0")
