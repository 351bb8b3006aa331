"""Host memory: keep freed memory for the next step, and allocate arrays that are aligned to cache lines."""

from __future__ import annotations

import ctypes
import functools
import math
import os
import sys
from typing import Any

import numpy as np

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of glibc's mallopt(3)


@functools.cache
def keep_freed_memory() -> bool:
    """Tell glibc to keep freed memory in this process.  Returns whether glibc accepted the setting.

    A training step frees all of its arrays, and the next step allocates the same sizes again.  By default glibc returns
    large blocks to the kernel, which then has to clear every page again: about a microsecond for each 4 KB.
    ``XPNET_KEEP_MEMORY=0`` leaves the default.
    """
    if not sys.platform.startswith("linux") or os.environ.get("XPNET_KEEP_MEMORY") == "0":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # not glibc
        return False
    kept = mallopt(_TRIM_THRESHOLD, 1 << 30), mallopt(_MMAP_THRESHOLD, 1 << 25)  # 32 MB is its maximum
    return all(kept)


LINE = 64  # bytes


def empty(shape: tuple[int, ...] | list[int], dtype: Any = np.float32) -> np.ndarray:
    """``np.empty`` aligned to a cache line, because a vector that crosses two lines is read twice."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    block = np.empty(size + LINE, np.uint8)
    start = -block.__array_interface__["data"][0] % LINE
    found: np.ndarray = block[start : start + size].view(dtype).reshape(shape)
    return found


def empty_like(x: np.ndarray) -> np.ndarray:
    """``np.empty_like`` aligned to a cache line.  It keeps the memory order of x if x is contiguous in some order."""
    if x.flags.c_contiguous:
        return empty(x.shape, x.dtype)
    order = sorted(range(x.ndim), key=lambda axis: (-abs(x.strides[axis]), axis))
    return empty([x.shape[axis] for axis in order], x.dtype).transpose([order.index(axis) for axis in range(x.ndim)])
