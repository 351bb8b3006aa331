"""Accurate sums over many numbers.  xpnet uses these for every sum over an axis that may be long.

Along an axis that is not the innermost, NumPy adds in order: the float32 sum of 20 million ones is 2²⁴ there.  Here an
axis of more than 1,024 terms is summed in blocks of 128, as NumPy sums the innermost axis, and the sums of the blocks
again in blocks.  So the error grows with the logarithm of the length (Higham 1993, doi:10.1137/0914050).
float16 is summed in float32.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np

from .base import Array
from .select import matmul

Axis: TypeAlias = int | tuple[int, ...] | None
LONG = 1024  # terms; shorter sums use NumPy's own sum
BLOCK = 128
THREADS = 512  # threads of one CuPy reduction
PIECE = 4096  # terms of one dot product, which the BLAS sums in several lanes


def pairwise_sum(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """``Σ x`` over ``axis`` (one, several or all), in the dtype of x.  Integers and booleans sum as in NumPy."""
    total = _sum(x, axis, keepdims)
    return total.astype(x.dtype) if x.dtype.char == "e" else total


def pairwise_mean(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """``Σ x / n`` over ``axis``, in the dtype of a floating x.  An empty mean is NaN, without a warning."""
    axes = _axes(x, axis)
    if x.dtype.kind != "f" or axes is None:
        return x.mean(axis=axis, keepdims=keepdims)
    mean = _sum(x, axis, keepdims) / (math.prod(x.shape[a] for a in axes) or math.nan)
    return mean.astype(x.dtype) if x.dtype.char == "e" else mean


def _is_short(x: Array, axis: Axis) -> bool:
    """Whether the sum has few terms, as far as a cheap check can tell."""
    return x.size <= LONG or (type(axis) is int and -x.ndim <= axis < x.ndim and x.shape[axis] <= LONG)


def _axes(x: Array, axis: Axis) -> tuple[int, ...] | None:
    """``axis`` as non-negative axes; None for invalid axes, for which NumPy then raises its own error."""
    axes = range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    found = tuple(a + x.ndim if a < 0 else a for a in axes)
    return found if len({*found} & {*range(x.ndim)}) == len(found) else None


def _sum(x: Array, axis: Axis, keepdims: bool) -> Array:
    """The sum; float16 is summed in float32."""
    dtype = "float32" if x.dtype.char == "e" else None
    if _is_short(x, axis) or x.dtype.kind != "f" or (axes := _axes(x, axis)) is None:
        return x.sum(axis=axis, keepdims=keepdims, dtype=dtype)
    inner = _side_by_side(x, axes)
    outer = [a for a in axes if a not in inner]
    if math.prod(x.shape[a] for a in outer) <= LONG:
        return x.sum(axis=axis, keepdims=keepdims, dtype=dtype)
    y = x.sum(axis=inner, keepdims=True, dtype=dtype) if inner else x
    for a in sorted(outer, key=lambda a: abs(x.strides[a])):
        y = _along(y, a, dtype)
    return y if keepdims else y.squeeze(axis=axes)


def _side_by_side(x: Array, axes: tuple[int, ...]) -> tuple[int, ...]:
    """The trailing axes that are in ``axes`` and contiguous: NumPy sums those pairwise itself.

    CuPy splits them among 512 threads, and the part of each thread must not be too long.
    """
    first = x.ndim
    while x.flags.c_contiguous and first - 1 in axes:
        first -= 1
    many = not isinstance(x, np.ndarray) and math.prod(x.shape[first:]) > THREADS * LONG
    return () if many else tuple(range(first, x.ndim))


def _along(x: Array, axis: int, dtype: Any) -> Array:
    """The sum along one axis, which is kept with length 1."""
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
    """``Σ x²`` over all elements.  float16 is summed in float32, because 300² overflows float16."""
    flat = (x.astype("float32") if x.dtype.char == "e" else x).reshape(x.size)
    whole = x.size - x.size % PIECE
    pieces, rest = flat[:whole].reshape(whole // PIECE, PIECE), flat[whole:]
    total = matmul(rest[None], rest[:, None]).reshape(())
    return total + pairwise_sum(matmul(pieces[:, None], pieces[:, :, None])) if whole else total
