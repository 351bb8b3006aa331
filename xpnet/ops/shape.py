"""Ops that rearrange elements without arithmetic."""

from __future__ import annotations

import math
from typing import Any

from xpnet_backends import Array, Namespace, is_array, sum_rows

from ._shared import Result, unbroadcast


def reshape(xp: Namespace, x: Array, *, shape: tuple[int, ...]) -> Result:
    """``y = x`` in another shape; one length may be -1.  ``dx = dy`` in the old shape."""
    x_shape = x.shape

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        return (dy.reshape(x_shape),)

    return x.reshape(shape), backward


def transpose(xp: Namespace, x: Array, *, axes: tuple[int, ...]) -> Result:
    """``y = x`` with axis ``axes[i]`` of x as axis i.  ``dx = dy`` with the axes permuted back."""
    back = tuple(sorted(range(len(axes)), key=lambda i: axes[i] % len(axes)))  # the inverse permutation

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        return (dy.transpose(back),)

    return x.transpose(axes), backward


def broadcast_to(xp: Namespace, x: Array, *, shape: tuple[int, ...]) -> Result:
    """``y = x``, repeated along new axes and along axes of length 1.  ``dx = Σ dy`` over the copies."""
    x_shape = x.shape

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        return (unbroadcast(dy, x_shape),)

    return xp.broadcast_to(x, shape), backward


def getitem(xp: Namespace, x: Array, *, index: Any) -> Result:
    """``y = x[index]``;  ``dx[index] += dy``: an element that is selected several times gets the sum."""
    shape, dtype = x.shape, x.dtype

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        if _picks_once(index):
            dx = xp.zeros(shape, dtype=dtype)
            dx[index] = dy
            return (dx,)
        place, axes = _places(xp, shape, index)
        rows = dy.reshape(place.size, math.prod(shape[axes:]))
        return (sum_rows(rows, place.reshape(place.size), math.prod(shape[:axes])).reshape(shape),)

    return x[index], backward


def _places(xp: Namespace, shape: tuple[int, ...], index: Any) -> tuple[Array, int]:
    """The flat positions (C order) that ``index`` selects in the leading axes it refers to, and their number of axes.

    The other axes are selected as a whole.
    """
    parts = index if isinstance(index, tuple) else (index,)
    if len(parts) == 1 and is_array(parts[0]):
        return parts[0].astype("int64") % max(shape[0], 1), 1  # −1 is the last
    axes = len(shape)
    if not any(part is ... for part in parts):
        axes = sum(_axes_of(xp, part) for part in parts)
    return xp.arange(math.prod(shape[:axes])).reshape(shape[:axes])[index], axes


def _axes_of(xp: Namespace, part: Any) -> int:
    """How many axes a part of an index refers to; a boolean mask refers to as many as it has."""
    if part is None:
        return 0
    part = xp.asarray(part) if isinstance(part, list) else part
    return int(part.ndim) if is_array(part) and part.dtype == bool else 1


def _picks_once(index: Any) -> bool:
    """Whether no element is selected twice: true for slices, integers and masks, not for arrays or lists of numbers."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(
        part is None or part is ... or isinstance(part, (slice, int)) or (is_array(part) and part.dtype == bool)
        for part in parts
    )


def concatenate(xp: Namespace, *arrays: Array, axis: int = 0) -> Result:
    """``y = [x₁ x₂ …]``, joined along an existing axis;  ``dxᵢ = dy`` at the position of xᵢ."""
    lengths = [a.shape[axis] for a in arrays]

    def backward(dy: Array, needs: tuple[bool, ...] | None = None) -> tuple[Array | None, ...]:
        pieces: list[Array | None] = []
        start = 0
        for i, length in enumerate(lengths):
            where = [slice(None)] * dy.ndim
            where[axis] = slice(start, start + length)
            pieces.append(dy[tuple(where)] if needs is None or needs[i] else None)
            start += length
        return tuple(pieces)

    return xp.concatenate(arrays, axis=axis), backward


def stack(xp: Namespace, *arrays: Array, axis: int = 0) -> Result:
    """``y[i] = xᵢ``, arrays of equal shape joined along a new axis;  ``dxᵢ = dy[i]``."""

    def backward(dy: Array, needs: tuple[bool, ...] | None = None) -> tuple[Array | None, ...]:
        front = xp.moveaxis(dy, axis, 0)
        return tuple(front[i] if needs is None or needs[i] else None for i in range(front.shape[0]))

    return xp.stack(arrays, axis=axis), backward


def split(xp: Namespace, x: Array, *, sizes: tuple[int, ...], axis: int = -1) -> Result:
    """``[y₁ y₂ …] = x``: split into two or more pieces of these sizes along an axis, without a copy.

    ``dx = [dy₁ dy₂ …]``, with zeros for a piece without a gradient.  The inverse of ``concatenate``.
    """
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes) - 1)]
    pieces = tuple(xp.split(x, ends, axis=axis))
    shapes, dtype = [piece.shape for piece in pieces], x.dtype

    def backward(dys: tuple[Array | None, ...], needs: tuple[bool, ...] = (True,)) -> tuple[Array | None]:
        if not needs[0]:
            return (None,)
        parts = [xp.zeros(s, dtype=dtype) if dy is None else dy for dy, s in zip(dys, shapes, strict=True)]
        return (xp.concatenate(parts, axis=axis),)

    return pieces, backward
