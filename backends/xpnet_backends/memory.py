"""Freed memory that is kept for the next step."""

from __future__ import annotations

import ctypes
import functools
import os
import sys

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
