"""Launch CUDA kernels with checked arguments.

CuPy's ``RawKernel`` does not check its arguments: a Python float silently becomes a double, and surplus arguments are
dropped.  Here each kernel declares its parameters, and every argument is checked against them.
"""

from __future__ import annotations

import numbers
from collections.abc import Callable, Sequence
from importlib import resources
from typing import Any

import numpy as np

BLOCK = 256  # threads
ARRAY = "array of "


def source(file: str) -> str:
    """The text of a CUDA file of this package."""
    return resources.files(__package__).joinpath(file).read_text(encoding="utf-8")


def _array(dtype: str, value: Any) -> Any:
    if getattr(value, "dtype", None) != dtype:
        raise TypeError(f"an array of {dtype}, got {getattr(value, 'dtype', type(value).__name__)}")
    if not value.flags.c_contiguous:
        raise TypeError("a C-contiguous array")
    return value


def _number(dtype: str, value: Any) -> np.generic:
    wanted = numbers.Integral if np.dtype(dtype).kind in "iu" else numbers.Real
    if not isinstance(value, wanted):
        raise TypeError(f"a number of type {dtype}, got {value!r}")
    number: np.generic = np.dtype(dtype).type(value)
    return number


class Launcher:
    """A kernel with the names and types of its parameters, e.g. ``{"y": "array of float32", "n": "int64"}``.

    ``compiled(grid, block, arguments)`` launches it: CuPy's ``RawKernel``, or in tests the same source on the CPU.
    """

    def __init__(self, name: str, parameters: dict[str, str], compiled: Callable[..., Any]) -> None:
        self.name, self.parameters, self._compiled = name, parameters, compiled

    def __call__(self, threads: int, *arguments: Any) -> None:
        """Launch at least ``threads`` threads, in blocks of 256.  The kernel must ignore the surplus threads."""
        if len(arguments) != len(self.parameters):
            raise TypeError(f"kernel {self.name} takes {len(self.parameters)} arguments, got {len(arguments)}")
        if threads:
            self._compiled(((threads + BLOCK - 1) // BLOCK,), (BLOCK,), self._held_to_types(arguments))

    def _held_to_types(self, arguments: Sequence[Any]) -> tuple[Any, ...]:
        held = []
        for (parameter, kind), value in zip(self.parameters.items(), arguments, strict=True):
            check = _array if kind.startswith(ARRAY) else _number
            try:
                held.append(check(kind.removeprefix(ARRAY), value))
            except TypeError as error:
                raise TypeError(f"kernel {self.name}: {parameter} must be {error}") from None
        return tuple(held)


PHILOX = {"words": "array of uint64"} | dict.fromkeys(["count", "key0", "key1", "c0", "c1", "c2", "c3"], "uint64")
PHILOX_AT = {"words": "array of uint64", "step": "array of uint64"} | dict.fromkeys(
    ["count", "key0", "key1", "c0", "c2", "c3"], "uint64"
)
PHILOX_ROWS = {"words": "array of uint64", "rows": "array of int64"} | dict.fromkeys(
    ["height", "count", "key0", "key1", "step", "draw"], "uint64"
)
PHILOX_ROWS_AT = {"words": "array of uint64", "rows": "array of int64", "step": "array of uint64"} | dict.fromkeys(
    ["height", "count", "key0", "key1", "draw"], "uint64"
)
