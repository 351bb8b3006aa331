"""Rows of a table picked by number: one at a time, or a bag of them as one."""

from __future__ import annotations

import math
from typing import Any

from xpnet_backends import Array, Namespace, pairwise_sum

from ._shared import Result, sum_dtype, widened


def embedding(xp: Namespace, indices: Array, weight: Array, *, padding_idx: int | None = None) -> Result:
    """``y = W[indices]``;  ``dW[v] = Σ dy`` over the places that picked v.

    indices (...,), weight (V, D) -> y (..., D).  The row ``padding_idx`` is picked as any other; its gradient is 0.
    """
    shape = weight.shape

    def backward(dy: Array, needs: tuple[bool, ...] = (False, True)) -> tuple[Array | None, ...]:
        flat = indices.reshape(math.prod(indices.shape))
        dw = _sum_rows(xp, flat, dy.reshape(flat.shape[0], shape[1]), shape[0])
        if padding_idx is not None:
            dw[padding_idx] = 0.0
        return None, dw

    return weight[indices], backward


@widened
def embedding_bag(
    xp: Namespace,
    indices: Array,
    bags: Array,
    weight: Array,
    per_sample_weights: Array | None = None,
    *,
    count: int,
    mode: str = "mean",
    padding_idx: int | None = None,
) -> Result:
    """``y[b] = Σ s_m W[i_m]`` over the m in bag b, or the largest ``W[i_m]``; zero for an empty bag.

    indices i (M,), their bags (M,) of 0..count−1, weight W (V, D) -> y (count, D).  For the sum s is 1, or
    ``per_sample_weights`` (M,); for the mean 1/n of a bag of n.  ``padding_idx`` counts as not there.

    ``dW[v] = Σ s_m dy[b_m]`` over the m with i_m = v, ``ds_m = W[i_m] · dy[b_m]``.
    Of a maximum the first row that has it takes all of dy.
    """
    counts = xp.ones(indices.shape, dtype=bool) if padding_idx is None else indices != padding_idx
    if mode == "max":
        return _bag_max(xp, indices, bags, weight, counts, count)
    share = counts.astype(weight.dtype) if per_sample_weights is None else xp.where(counts, per_sample_weights, 0.0)
    if mode == "mean":
        share = share / xp.maximum(_sum_rows(xp, bags, share[:, None], count), 1.0)[bags, 0]
    rows = weight[indices]  # (M, D)
    if padding_idx is not None:
        rows = xp.where(counts[:, None], rows, 0.0)  # a product with a share of 0 would keep NaN
    table, kept = weight.shape[0], None if per_sample_weights is None else rows

    def backward(dy: Array, needs: tuple[bool, ...] = (False, False, True, True)) -> tuple[Array | None, ...]:
        of_rows = xp.where(counts[:, None], dy[bags], 0.0)  # (M, D)
        dw = _sum_rows(xp, indices, of_rows * share[:, None], table) if needs[2] else None
        return None, None, dw, pairwise_sum(of_rows * kept, 1) if kept is not None and needs[3] else None

    return _sum_rows(xp, bags, rows * share[:, None], count), backward


def _bag_max(xp: Namespace, indices: Array, bags: Array, weight: Array, counts: Array, count: int) -> Result:
    """The largest of each feature; its gradient goes to the first row of the bag that has it."""
    rows = xp.where(counts[:, None], weight[indices], -math.inf)  # (M, D)
    table, features = weight.shape
    places = _flat_places(xp, bags, features)
    best = xp.full(count * features, -math.inf, dtype=weight.dtype)
    xp.maximum.at(best, places, rows.ravel())
    at = xp.arange(rows.shape[0], dtype="int32")[:, None]
    candidates = xp.where((rows == best[places].reshape(rows.shape)) & counts[:, None], at, rows.shape[0])
    first = xp.full(count * features, rows.shape[0], dtype="int32")
    xp.minimum.at(first, places, candidates.astype("int32").ravel())
    wins = candidates == first[places].reshape(rows.shape)
    wins &= counts[:, None]

    def backward(dy: Array, needs: tuple[bool, ...] = (False, False, True)) -> tuple[Array | None, ...]:
        return None, None, _sum_rows(xp, indices, xp.where(wins, dy[bags], 0.0), table)

    y = best.reshape(count, features)
    return xp.where(y == -math.inf, 0.0, y), backward


def _flat_places(xp: Namespace, rows: Array, features: int) -> Array:
    """Where rows of a table lie in its memory, element by element."""
    return (rows[:, None] * features + xp.arange(features)).ravel()


def _sum_rows(xp: Namespace, to: Array, rows: Array, count: int) -> Any:
    """``y[to[m]] += rows[m]``.  As one long vector, for which ``add.at`` of NumPy has a fast path."""
    wide = sum_dtype(rows.dtype)
    y = xp.zeros(count * rows.shape[1], dtype=wide)
    xp.add.at(y, _flat_places(xp, to, rows.shape[1]), rows.ravel().astype(wide, copy=False))
    return y.reshape(count, rows.shape[1]).astype(rows.dtype, copy=False)
