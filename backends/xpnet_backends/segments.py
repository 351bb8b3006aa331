"""Deterministic segment sums and maxima.

On a GPU ``add.at`` uses atomics, which add in the order in which threads arrive, so the last digits differ from run to
run; ``maximum.at`` converts float64 to float32.  Here a stable sort groups the rows by segment, and each segment is
reduced as a tree.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .base import Array, Namespace

MANY = 1024  # rows that go to one place: above this, a plain loop in float32 would lose digits


def reduce_rows(
    xp: Namespace, combine: Callable[[Array, Array], Array], rows: Array, to: Array, count: int, empty: float
) -> Array:
    """``y[v] = rows[m₁] ∘ rows[m₂] ∘ …`` over the m with ``to[m] = v``; ``empty`` if there is none.

    rows (M, D), to (M,) of 0..count−1 -> y (count, D).  After step k, row m combines itself with up to 2ᵏ − 1 rows
    before it of the same segment.  So ⌈log₂ M⌉ steps are enough, and a sum is as accurate as pairwise summation.
    """
    if not len(to):
        return xp.full((count, rows.shape[1]), empty, dtype=rows.dtype)
    order = xp.argsort(to, kind="stable")
    to, total = to[order], rows[order]
    place = xp.arange(count, dtype=to.dtype)
    first, end = xp.searchsorted(to, place, side="left"), xp.searchsorted(to, place, side="right")
    rank = (xp.arange(len(to)) - first[to])[:, None]  # how many rows of its segment come before it
    step = 1
    while step < len(to):
        joined = combine(total[step:], total[:-step])
        total[step:] = xp.where(rank[step:] >= step, joined, total[step:])
        step *= 2
    return xp.where((end > first)[:, None], total[end - 1], empty)


def sum_rows(xp: Namespace, rows: Array, to: Array, count: int) -> Array:
    """``reduce_rows`` with +.  float16 is summed in float32."""
    wide = rows.astype("float32") if rows.dtype == "float16" else rows
    return reduce_rows(xp, xp.add, wide, to, count, 0).astype(rows.dtype, copy=False)


def max_rows(xp: Namespace, rows: Array, to: Array, count: int) -> Array:
    """``reduce_rows`` with the maximum.  Empty segments give −∞, or the smallest integer."""
    return reduce_rows(xp, xp.maximum, rows, to, count, lowest(rows.dtype)).astype(rows.dtype, copy=False)


def lowest(dtype: Any) -> float | int:
    """The smallest value of the dtype: −∞, or the smallest integer."""
    return -float("inf") if dtype.kind == "f" else int(np.iinfo(dtype).min)


def sum_rows_on_host(rows: Array, to: Array, count: int) -> Array:
    """``sum_rows`` one row after the other, as one long vector, because ``np.add.at`` has a fast path for that.

    float16 is summed in float32; float32 is summed in float64 if many rows go to one place.
    """
    many = len(to) > MANY and np.bincount(to).max() > MANY
    kinds = {"float16": "float32", "float32": "float64" if many else "float32"}
    kind = kinds.get(rows.dtype.name, rows.dtype.name)
    y = np.zeros(count * rows.shape[1], dtype=kind)
    np.add.at(y, _places(to, rows.shape[1]), rows.astype(kind, copy=False).ravel())
    return y.reshape(count, rows.shape[1]).astype(rows.dtype, copy=False)


def max_rows_on_host(rows: Array, to: Array, count: int) -> Array:
    """``max_rows`` one row after the other."""
    y = np.full(count * rows.shape[1], lowest(rows.dtype), dtype=rows.dtype)
    with np.errstate(invalid="ignore"):  # NaN counts as the largest value, without a warning
        np.maximum.at(y, _places(to, rows.shape[1]), rows.ravel())
    return y.reshape(count, rows.shape[1])


def _places(rows: Array, features: int) -> Array:
    """The flat index of every element of these rows of a table."""
    return rows if features == 1 else (rows[:, None] * features + np.arange(features)).ravel()
