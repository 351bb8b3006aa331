"""Memory on the host: what is freed is kept for the next step; arrays that begin where a line of the cache does."""

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
    """Tell the C library of Linux to keep what is freed, for the whole process; whether it took it.

    A training step frees all of its arrays, and the next one wants the same again.  By default glibc hands large blocks
    back to the system, which clears every page anew: about a microsecond for each 4 KB.  With ``XPNET_KEEP_MEMORY=0``
    nothing is changed.
    """
    if not sys.platform.startswith("linux") or os.environ.get("XPNET_KEEP_MEMORY") == "0":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    kept = mallopt(_TRIM_THRESHOLD, 1 << 30), mallopt(_MMAP_THRESHOLD, 1 << 25)  # 32 MB is the most it takes
    return all(kept)


LINE = 64  # bytes


def empty(shape: tuple[int, ...] | list[int], dtype: Any = np.float32) -> np.ndarray:
    """``np.empty`` at the beginning of a line of the cache: a vector that lies across two lines is read twice."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    block = np.empty(size + LINE, np.uint8)
    start = -block.__array_interface__["data"][0] % LINE
    found: np.ndarray = block[start : start + size].view(dtype).reshape(shape)
    return found


def empty_like(x: np.ndarray) -> np.ndarray:
    """``np.empty_like`` at the beginning of a line: in the memory order of x, if its memory is in one piece."""
    if x.flags.c_contiguous:
        return empty(x.shape, x.dtype)
    order = sorted(range(x.ndim), key=lambda axis: (-abs(x.strides[axis]), axis))
    return empty([x.shape[axis] for axis in order], x.dtype).transpose([order.index(axis) for axis in range(x.ndim)])
