"""Kernels that are compiled when they are first called, where numba is installed."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import warnings
from types import ModuleType
from typing import Any

from ..base import Array, Kernel, Namespace


@functools.cache
def load(module: str) -> ModuleType | None:
    """A module of compiled kernels; None where numba is not installed (the extra ``fast``), or is of no use."""
    if importlib.util.find_spec("numba") is None:
        return None
    try:
        return importlib.import_module(f".{module}", __package__)
    except ImportError as error:  # e.g. a numba that is older than this NumPy
        message = f"xpnet runs without its compiled kernels, for numba cannot be used here: {error}"
        warnings.warn(message, RuntimeWarning, stacklevel=2)
        return None


def compiled_later(module: str, name: str) -> Kernel:
    """The kernel of this name in a module that is imported, and so compiled, when it is first called.

    It declines all but float32, and everything where numba cannot be used.
    """

    def kernel(xp: Namespace, x: Array, *arrays: Any, **options: Any) -> Any:
        if x.dtype != "float32" or not x.flags.aligned or (kernels := load(module)) is None:
            return None
        return getattr(kernels, name)(xp, x, *arrays, **options)

    return kernel
