"""Kernels that are compiled when they are first called, where numba is installed."""

from __future__ import annotations

import functools
import importlib
import importlib.util
from typing import Any

from ..base import Array, Kernel, Namespace


@functools.cache
def available() -> bool:
    """Whether numba is installed (the extra ``fast``)."""
    return importlib.util.find_spec("numba") is not None


def compiled_later(module: str, name: str) -> Kernel:
    """The kernel of this name in a module that is imported, and so compiled, when it is first called.

    It declines all but float32, and everything where numba is not installed.
    """

    def kernel(xp: Namespace, x: Array, *arrays: Any, **options: Any) -> Any:
        if x.dtype != "float32" or not x.flags.aligned or not available():
            return None
        return getattr(importlib.import_module(f".{module}", __package__), name)(xp, x, *arrays, **options)

    return kernel
