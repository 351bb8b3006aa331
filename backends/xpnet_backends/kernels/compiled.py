"""Functions that numba compiles for this processor, when they are first needed; kept on disk where that is possible."""

from __future__ import annotations

import functools
import importlib
import importlib.util
from collections.abc import Callable
from typing import Any, TypeVar, cast

from ..base import Array, Kernel, Namespace

Function = TypeVar("Function", bound=Callable[..., Any])


@functools.cache
def available() -> bool:
    """Whether numba is installed (the extra ``fast``)."""
    return importlib.util.find_spec("numba") is not None


def compiled_later(module: str, name: str) -> Kernel:
    """The kernel of this name in a module that is imported, and so compiled, when it is first called.

    It declines all but float32, and everything where numba is not installed.
    """

    def kernel(xp: Namespace, x: Array, *arrays: Any, **options: Any) -> Any:
        if x.dtype != "float32" or not available():
            return None
        return getattr(importlib.import_module(f".{module}", __package__), name)(xp, x, *arrays, **options)

    return kernel


def compiled(*signatures: str) -> Callable[[Function], Function]:
    """Machine code for arguments of these types.  It runs without Python's lock, so that threads run side by side.

    Sums may be reordered and a product joined with a sum, but infinities and NaN stay what they are.
    """
    numba: Any = importlib.import_module("numba")
    allowed = {"contract", "reassoc", "nsz", "arcp"}
    jit = functools.partial(numba.njit, list(signatures), nogil=True, error_model="numpy", fastmath=allowed)

    def compile_(function: Function) -> Function:
        machine_code: Any
        try:
            machine_code = jit(cache=True)(function)
        except RuntimeError:  # no folder that may be written: compiled anew in each process
            machine_code = jit()(function)
        return cast(Function, machine_code)

    return compile_
