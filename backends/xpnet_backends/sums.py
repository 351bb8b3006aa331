"""Sums over many numbers, to the accuracy of their dtype.  Every sum of xpnet over an axis that may be long is here.

NumPy adds in order along an axis that is not the innermost: the float32 sum of 20 million ones is 2²⁴ there.  Here such
an axis of more than 1,024 terms is added in blocks of 128, as NumPy's own are, and the blocks' sums again in blocks:
the error grows with the logarithm of the length (Higham 1993, doi:10.1137/0914050).  float16 is added in float32.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

from .base import Array
from .select import matmul

Axis: TypeAlias = int | tuple[int, ...] | None
LONG = 1024  # terms; up to so many, sums are NumPy's own
BLOCK = 128
PIECE = 4096  # terms of one scalar product, which the BLAS adds in several lanes


def pairwise_sum(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """``Σ x`` over ``axis``, one or several or all, in the dtype of x; of integers and booleans as NumPy adds them."""
    total = _sum(x, axis, keepdims)
    return total.astype(x.dtype) if x.dtype.char == "e" else total


def pairwise_mean(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """``Σ x / n`` over ``axis``, in the dtype of a floating x; of nothing NaN, without a warning, as in PyTorch."""
    if x.dtype.kind != "f":
        return x.mean(axis=axis, keepdims=keepdims)
    mean = _sum(x, axis, keepdims) / (_count(x, axis) or math.nan)
    return mean.astype(x.dtype) if x.dtype.char == "e" else mean


def _count(x: Array, axis: Axis) -> int:
    if axis is None:
        return math.prod(x.shape)
    return math.prod(x.shape[a] for a in axis) if isinstance(axis, tuple) else int(x.shape[axis])


def _sum(x: Array, axis: Axis, keepdims: bool) -> Array:
    """The sum, of float16 in float32."""
    dtype = "float32" if x.dtype.char == "e" else None
    if _count(x, axis) <= LONG or x.dtype.kind != "f":
        return x.sum(axis=axis, keepdims=keepdims, dtype=dtype)
    axes = tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    axes = tuple(a % x.ndim for a in axes)
    inner = _side_by_side(x, axes)
    outer = [a for a in axes if a not in inner]
    if math.prod(x.shape[a] for a in outer) <= LONG:
        return x.sum(axis=axis, keepdims=keepdims, dtype=dtype)
    y = x.sum(axis=inner, keepdims=True, dtype=dtype) if inner else x
    for a in sorted(outer, key=lambda a: abs(x.strides[a])):
        y = _along(y, a, dtype)
    return y if keepdims else y.squeeze(axis=axes)


def _side_by_side(x: Array, axes: tuple[int, ...]) -> tuple[int, ...]:
    """The last axes, if they are among ``axes`` and contiguous: NumPy adds those in pairs itself, CuPy in a tree."""
    first = x.ndim
    while x.flags.c_contiguous and first - 1 in axes:
        first -= 1
    return tuple(range(first, x.ndim))


def _along(x: Array, axis: int, dtype: Any) -> Array:
    """The sum along one axis, which stays with length 1."""
    length = x.shape[axis]
    if length <= BLOCK:
        return x.sum(axis=axis, keepdims=True, dtype=dtype)
    lead, whole = (slice(None),) * axis, length - length % BLOCK
    blocks = x[(*lead, slice(whole))].reshape(*x.shape[:axis], whole // BLOCK, BLOCK, *x.shape[axis + 1 :])
    y = _along(blocks.sum(axis=axis + 1, dtype=dtype), axis, dtype)
    if whole == length:
        return y
    return y + x[(*lead, slice(whole, None))].sum(axis=axis, keepdims=True, dtype=dtype)


def sum_of_squares(x: Array) -> Array:
    """``Σ x²`` over all elements, ready to be rooted: of float16 in float32, where 300² still has room."""
    flat = (x.astype("float32") if x.dtype.char == "e" else x).reshape(x.size)
    whole = x.size - x.size % PIECE
    pieces, rest = flat[:whole].reshape(whole // PIECE, PIECE), flat[whole:]
    total = matmul(rest[None], rest[:, None]).reshape(())
    return total + pairwise_sum(matmul(pieces[:, None], pieces[:, :, None])) if whole else total
