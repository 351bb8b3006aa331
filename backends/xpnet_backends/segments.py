"""Sums and maxima of rows that go to one place, in an order that is the same each time.

A GPU's ``add.at`` adds by atomics, in the order in which its threads arrive, so that the last digits differ from run to
run; its ``maximum.at`` takes doubles through float32.  Here a stable sort brings the rows of a place together, and each
place is reduced as a tree.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .base import Array, Namespace

MANY = 1024  # rows of one place: with more, a plain loop in float32 would lose digits


def reduce_rows(
    xp: Namespace, combine: Callable[[Array, Array], Array], rows: Array, to: Array, count: int, empty: float
) -> Array:
    """``y[v] = rows[m₁] ∘ rows[m₂] ∘ …`` over the m with ``to[m] = v``; ``empty`` where there is none.

    rows (M, D), to (M,) of 0..count−1 -> y (count, D).  After step k, row m holds itself and the up to 2ᵏ − 1 rows
    before it that go to the same place, so that ⌈log₂ M⌉ steps do, and a sum is as accurate as a pairwise one.
    """
    if not len(to):
        return xp.full((count, rows.shape[1]), empty, dtype=rows.dtype)
    order = xp.argsort(to, kind="stable")
    to, total = to[order], rows[order]
    place = xp.arange(count, dtype=to.dtype)
    first, end = xp.searchsorted(to, place, side="left"), xp.searchsorted(to, place, side="right")
    rank = (xp.arange(len(to)) - first[to])[:, None]  # how many of its place stand before it
    step = 1
    while step < len(to):
        joined = combine(total[step:], total[:-step])
        total[step:] = xp.where(rank[step:] >= step, joined, total[step:])
        step *= 2
    return xp.where((end > first)[:, None], total[end - 1], empty)


def sum_rows(xp: Namespace, rows: Array, to: Array, count: int) -> Array:
    """``reduce_rows`` with +; float16 is added up in float32."""
    wide = rows.astype("float32") if rows.dtype == "float16" else rows
    return reduce_rows(xp, xp.add, wide, to, count, 0).astype(rows.dtype, copy=False)


def max_rows(xp: Namespace, rows: Array, to: Array, count: int) -> Array:
    """``reduce_rows`` with the larger of two; −∞, or the smallest whole number, where there is none."""
    return reduce_rows(xp, xp.maximum, rows, to, count, lowest(rows.dtype)).astype(rows.dtype, copy=False)


def lowest(dtype: Any) -> float | int:
    """What every other number of the dtype is larger than."""
    return -float("inf") if dtype.kind == "f" else int(np.iinfo(dtype).min)


def sum_rows_on_host(rows: Array, to: Array, count: int) -> Array:
    """``sum_rows`` one row after the other, as one long vector, because ``np.add.at`` has a fast path for that.

    In float32 for float16; in float64 for float32 where many rows go to one place.
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
    with np.errstate(invalid="ignore"):  # NaN is the largest of all, and no trouble
        np.maximum.at(y, _places(to, rows.shape[1]), rows.ravel())
    return y.reshape(count, rows.shape[1])


def _places(rows: Array, features: int) -> Array:
    """Where rows of a table lie in its memory, element by element."""
    return rows if features == 1 else (rows[:, None] * features + np.arange(features)).ravel()
