"""Embedding lookup: single rows of a table, or a reduction over bags of rows."""

from __future__ import annotations

import math

from xpnet_backends import Array, Namespace, max_rows, pairwise_sum, sum_rows

from ._shared import Result, widened


def embedding(xp: Namespace, indices: Array, weight: Array, *, padding_idx: int | None = None) -> Result:
    """``y = W[indices]``;  ``dW[v] = Σ dy`` over the positions with index v.

    indices (...,), weight (V, D) -> y (..., D).  The row ``padding_idx`` is looked up normally, but its gradient is 0.
    """
    shape = weight.shape

    def backward(dy: Array, needs: tuple[bool, ...] = (False, True)) -> tuple[Array | None, ...]:
        flat = indices.reshape(math.prod(indices.shape))
        dw = sum_rows(dy.reshape(flat.shape[0], shape[1]), flat, shape[0])
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

    indices i (M,), their bags (M,) of 0..count−1, weight W (V, D) -> y (count, D).  For a sum, s is 1 or
    ``per_sample_weights`` (M,).  For a mean over a bag of n rows, s is 1/n.

    ``dW[v] = Σ s_m dy[b_m]`` over the m with i_m = v, ``ds_m = W[i_m] · dy[b_m]``.
    For a maximum, the first row that attains it gets all of dy.

    Parameters
    ----------
    count : the number of bags.
    mode : "sum", "mean" or "max".
    padding_idx : an index that is ignored.
    """
    counts = xp.ones(indices.shape, dtype=bool) if padding_idx is None else indices != padding_idx
    if mode == "max":
        return _bag_max(xp, indices, bags, weight, counts, count)
    share = counts.astype(weight.dtype) if per_sample_weights is None else xp.where(counts, per_sample_weights, 0.0)
    if mode == "mean":
        share = share / xp.maximum(sum_rows(share[:, None], bags, count), 1.0)[bags, 0]
    rows = weight[indices]  # (M, D)
    if padding_idx is not None:
        rows = xp.where(counts[:, None], rows, 0.0)  # a product with a share of 0 would keep NaN
    table, kept = weight.shape[0], None if per_sample_weights is None else rows

    def backward(dy: Array, needs: tuple[bool, ...] = (False, False, True, True)) -> tuple[Array | None, ...]:
        of_rows = xp.where(counts[:, None], dy[bags], 0.0)  # (M, D)
        dw = sum_rows(of_rows * share[:, None], indices, table) if needs[2] else None
        return None, None, dw, pairwise_sum(of_rows * kept, 1) if kept is not None and needs[3] else None

    return sum_rows(rows * share[:, None], bags, count), backward


def _bag_max(xp: Namespace, indices: Array, bags: Array, weight: Array, counts: Array, count: int) -> Result:
    """The maximum of each feature.  Its gradient goes to the first row of the bag that attains it."""
    rows = xp.where(counts[:, None], weight[indices], -math.inf)  # (M, D)
    table, samples = weight.shape[0], rows.shape[0]
    best = max_rows(rows, bags, count)
    has_it = ((rows == best[bags]) | xp.isnan(rows)) & counts[:, None]
    candidates = xp.where(has_it, xp.arange(samples)[:, None], samples)
    first = -max_rows(-candidates, bags, count)
    wins = has_it & (candidates == first[bags])
    filled = max_rows(counts[:, None].astype("int32"), bags, count) > 0

    def backward(dy: Array, needs: tuple[bool, ...] = (False, False, True)) -> tuple[Array | None, ...]:
        return None, None, sum_rows(xp.where(wins, dy[bags], 0.0), indices, table)

    return xp.where(filled, best, 0.0), backward
