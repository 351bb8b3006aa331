"""Compile functions with numba for this processor, with a cache on disk if the folder is writable.

Only modules of compiled kernels import this one, because importing numba takes a third of a second.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba import types

Function = TypeVar("Function", bound=Callable[..., Any])
ALLOWED = {"contract", "reassoc", "nsz", "arcp"}

LONG, FLOAT, DOUBLE, BOOL = types.int64, types.float32, types.float64, types.boolean
PAIR = types.UniTuple(types.int64, 2)  # type: ignore[no-untyped-call]
_array: Any = types.Array

VERSION = zlib.crc32(b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.parent.rglob("*.py"))))
# numba's cache is valid until the function's own file changes; it does not notice changes of the functions it calls


def read(dimensions: int, order: str = "A", dtype: str = "float32") -> Any:
    """The type of a read-only array: in any memory order, or C-contiguous."""
    return _array(getattr(types, dtype), dimensions, order, readonly=True)


def write(dimensions: int, order: str = "C", dtype: str = "float32") -> Any:
    """The type of a writable array."""
    return _array(getattr(types, dtype), dimensions, order)


def compiled(*arguments: Any) -> Callable[[Function], Function]:
    """Compile a function for arguments of these types.  It releases the GIL, so that threads run in parallel.

    The compiler may reorder sums and contract products with sums, but handles infinities and NaN as IEEE 754 does.
    """
    jit: Any = functools.partial(numba.njit, types.void(*arguments), nogil=True, error_model="numpy", fastmath=ALLOWED)

    def compile_(function: Function) -> Function:
        machine_code: Function
        function.__qualname__ += f"_{VERSION:08x}"  # part of the cache key
        try:
            machine_code = jit(cache=True)(function)
        except RuntimeError:  # no writable cache folder: compile in each process
            machine_code = jit()(function)
        return machine_code

    return compile_


def inlined(function: Function) -> Function:
    """Compile a scalar function for use in compiled functions, whose loops over it can be vectorised.

    Sums are not reordered, because some functions depend on the order for accuracy.
    """
    jit: Any = numba.njit(error_model="numpy", fastmath={"contract", "nsz"})
    machine_code: Function = jit(function)
    return machine_code
