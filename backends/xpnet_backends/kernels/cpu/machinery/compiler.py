"""Functions that numba compiles for this processor; kept on disk where that is possible.

Only modules of compiled kernels import this one, and it numba: that takes a third of a second.
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
# numba keeps machine code until the function's own file changes; it does not see changes of what the function calls


def read(dimensions: int, order: str = "A", dtype: str = "float32") -> Any:
    """The type of an array that is only read; in any memory order, or in C's."""
    return _array(getattr(types, dtype), dimensions, order, readonly=True)


def write(dimensions: int, order: str = "C", dtype: str = "float32") -> Any:
    """The type of an array that is written."""
    return _array(getattr(types, dtype), dimensions, order)


def compiled(*arguments: Any) -> Callable[[Function], Function]:
    """Machine code for arguments of these types.  It runs without Python's lock, so that threads run side by side.

    Sums may be reordered and a product joined with a sum, but infinities and NaN stay what they are.
    """
    jit: Any = functools.partial(numba.njit, types.void(*arguments), nogil=True, error_model="numpy", fastmath=ALLOWED)

    def compile_(function: Function) -> Function:
        machine_code: Function
        function.__qualname__ += f"_{VERSION:08x}"  # a part of the name under which it is kept
        try:
            machine_code = jit(cache=True)(function)
        except RuntimeError:  # no folder that may be written: compiled anew in each process
            machine_code = jit()(function)
        return machine_code

    return compile_


def inlined(function: Function) -> Function:
    """A function of numbers, for use in compiled functions; loops over it can become vectors.

    Its sums keep their order: some are there to save digits.
    """
    jit: Any = numba.njit(error_model="numpy", fastmath={"contract", "nsz"})
    machine_code: Function = jit(function)
    return machine_code
