"""CuPy's functions as recorded in ``cupy_table.json``, and rules that signatures do not express."""

from __future__ import annotations

import inspect
import json
from functools import cache
from pathlib import Path
from typing import Any

TABLE = json.loads(Path(__file__).with_name("cupy_table.json").read_text(encoding="utf-8"))


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


SYNC_METHODS = words("nonzero compress choose put")
SYNC_FUNCTIONS = words(  # functions whose result size, or control flow, depends on values
    """argwhere bincount compress extract flatnonzero histogram intersect1d isin nonzero put setdiff1d setxor1d
    shares_memory trim_zeros union1d unique unique_all unique_counts unique_inverse unique_values"""
)
CUBLAS = words("dot einsum inner matmul tensordot vdot linalg")
HOST_ANSWERS = words(  # functions that return plain Python values on CuPy, too; all others return 0-d arrays
    """broadcast_shapes can_cast iscomplexobj isdtype isfortran isrealobj isscalar issubdtype iterable
    may_share_memory ndim shape shares_memory size"""
)
ARRAY_FIRST = words("a x v m z arr ary ar array a1 ar1 arr1 prototype condition dst")  # their parameter's name
NUMBER_FIRST = words("isscalar iterable from_dlpack min_scalar_type")
ATOMIC = words("add subtract maximum minimum")
ATOMIC_TYPES = words("int32 uint32 uint64 float16 float32 float64")


@cache
def _signature(text: str) -> inspect.Signature:
    """Parse the table's words: ``a axis= * blocking= **kwargs``."""
    parameters, kind = [], inspect.Parameter.POSITIONAL_OR_KEYWORD
    for word in text.split():
        name, default = word.strip("*="), None if word.endswith("=") else inspect.Parameter.empty
        if word == "*":
            kind = inspect.Parameter.KEYWORD_ONLY
        elif word.startswith("**"):
            parameters.append(inspect.Parameter(name, inspect.Parameter.VAR_KEYWORD))
        elif word.startswith("*"):
            parameters.append(inspect.Parameter(name, inspect.Parameter.VAR_POSITIONAL))
            kind = inspect.Parameter.KEYWORD_ONLY
        else:
            parameters.append(inspect.Parameter(name, kind, default=default))
    return inspect.Signature(parameters)


def check_call(name: str, text: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Refuse arguments that CuPy's function of this name does not accept."""
    try:
        _signature(text).bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"CuPy's {name}({text}): {error}") from None
