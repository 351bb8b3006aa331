"""Embedding lookup."""

from __future__ import annotations

from typing import Any

from xpnet import ops
from xpnet.tensor import Tensor, TensorLike, apply, as_tensor
from xpnet_backends import is_array

MODES = ("sum", "mean", "max")


def embedding(x: TensorLike, weight: TensorLike, padding_idx: int | None = None) -> Tensor:
    """``weight[x]``.  x (...,) of integers, weight (V, D) -> (..., D); ``padding_idx`` gets no gradient.

    >>> from xpnet import tensor
    >>> embedding([1, 0], tensor([[1.0, 2.0], [3.0, 4.0]])).tolist()
    [[3.0, 4.0], [1.0, 2.0]]
    """
    rows = weight.shape[0]
    return apply(
        ops.embedding, _indices("embedding", x, rows, weight), weight, padding_idx=_row("embedding", padding_idx, rows)
    )


def embedding_bag(
    x: TensorLike,
    weight: TensorLike,
    offsets: TensorLike | None = None,
    *,
    mode: str = "mean",
    per_sample_weights: TensorLike | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """Sum, mean or maximum over bags of rows.  An empty bag gives zeros.

    Parameters
    ----------
    x : indices (N, L), where each row is a bag, or (M,) with ``offsets``.
    weight : the table (V, D) -> y (N, D).
    offsets : (N,), the start of each bag.
    mode : "sum", "mean" or "max".
    per_sample_weights : factors of the rows of a sum, of the shape of x.
    include_last_offset : the last offset is the end of the last bag.
    padding_idx : an index that is ignored.
    """
    if mode not in MODES:
        raise ValueError(f"embedding_bag: mode must be 'sum', 'mean' or 'max', got {mode!r}")
    rows = weight.shape[0]
    t = _indices("embedding_bag", x, rows, weight)
    count, bags = _bags(t, offsets, include_last_offset)
    samples = None
    if per_sample_weights is not None:
        samples = _sample_weights(per_sample_weights, t, mode)
    padding = _row("embedding_bag", padding_idx, rows)
    return apply(
        ops.embedding_bag, t.reshape(t.size), bags, weight, samples, count=count, mode=mode, padding_idx=padding
    )


def _indices(name: str, x: TensorLike, rows: int, weight: TensorLike) -> Tensor:
    """Check that indices are integers and, if that needs no synchronisation, in range."""
    t = as_tensor(x if is_array(x) or isinstance(x, Tensor) else weight.backend.asarray(x))
    if t.dtype.kind not in "iu":
        raise TypeError(f"{name}: indices must be whole numbers, got {t.dtype}: convert them, e.g. x.astype('int64')")
    if t.backend.on_host and t.size:
        low, high = int(t.data.min()), int(t.data.max())
        if low < 0 or high >= rows:
            raise ValueError(f"{name}: indices must lie in 0..{rows - 1}, the rows of the table, got {low}..{high}")
    return t


def _row(name: str, padding_idx: int | None, rows: int) -> int | None:
    """``padding_idx`` counted from the start.  Raises: ``ValueError`` if there is no such row."""
    if padding_idx is None:
        return None
    if not -rows <= padding_idx < rows:
        raise ValueError(f"{name}: padding_idx must lie in {-rows}..{rows - 1}, got {padding_idx}")
    return padding_idx % rows


def _bags(x: Tensor, offsets: TensorLike | None, include_last: bool) -> tuple[int, Any]:
    """The number of bags, and the bag of each index."""
    xp = x.backend.xp
    if x.ndim == 2:
        if offsets is not None:
            raise ValueError("embedding_bag: with input (N, L) each row is a bag: leave offsets out")
        return x.shape[0], xp.arange(x.size) // max(x.shape[1], 1)
    if x.ndim != 1 or offsets is None:
        raise ValueError(f"embedding_bag: expected input (N, L), or (M,) with offsets (N,), got {x.shape}")
    starts = as_tensor(offsets if is_array(offsets) or isinstance(offsets, Tensor) else x.backend.asarray(offsets))
    if starts.ndim != 1 or starts.dtype.kind not in "iu" or starts.shape[0] < include_last:
        raise ValueError(f"embedding_bag: offsets must be whole numbers (N,), got {starts.dtype}{starts.shape}")
    if starts.backend.on_host and starts.size:
        places = starts.data
        if int(places[0]) != 0 or bool((places[1:] < places[:-1]).any()) or int(places[-1]) > x.shape[0]:
            raise ValueError(f"embedding_bag: offsets must rise from 0 to at most {x.shape[0]}, got {places.tolist()}")
    begin = starts.data[:-1] if include_last else starts.data
    return begin.shape[0], xp.searchsorted(begin, xp.arange(x.shape[0]), side="right") - 1


def _sample_weights(weights: TensorLike, x: Tensor, mode: str) -> Tensor:
    t = as_tensor(weights)
    if mode != "sum":
        raise ValueError(f"embedding_bag: per_sample_weights are for mode='sum', got mode={mode!r}")
    if t.shape != x.shape:
        raise ValueError(f"embedding_bag: per_sample_weights must have the input's shape {x.shape}, got {t.shape}")
    return t.reshape(x.size)
