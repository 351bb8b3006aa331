"""Images at another size, or with a border made of themselves."""

from __future__ import annotations

from typing import Any

from xpnet_backends import Array, Namespace
from xpnet_backends import matmul as product

from ._shared import Result, sum_dtype


def separable2d(xp: Namespace, x: Array, *, rows: Array, columns: Array) -> Result:
    """``y = A x Bᵀ`` for every channel;  ``dx = Aᵀ dy B``.  x (N, C, H, W), A (P, H), B (Q, W) -> y (N, C, P, Q)."""

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        return (product(rows.T, product(dy, columns)),)

    return product(rows, product(x, columns.T)), backward


def nearest_matrix(xp: Namespace, length: int, size: int, dtype: Any, *, ratio: float) -> Array:
    """Row p picks element ``⌊p · ratio⌋``; the ratio is H/P, or one over the factor asked for.  (P, H)."""
    picked = xp.minimum(xp.floor(xp.arange(size) * ratio), length - 1)
    return (picked[:, None] == xp.arange(length)).astype(dtype)


def linear_matrix(xp: Namespace, length: int, size: int, dtype: Any, *, ratio: float, align_corners: bool) -> Array:
    """Row p weights the two elements around position u: ``1 − |u − h|`` where that is positive.  (P, H).

    ``u = p (H − 1)/(P − 1)`` where the corners are aligned, else ``(p + ½) ratio − ½``: pixel centres.
    """
    wide = sum_dtype(dtype)  # float16 has no room for a position and its fraction
    p = xp.arange(size).astype(wide)
    u = p * ((length - 1) / max(size - 1, 1)) if align_corners else (p + 0.5) * ratio - 0.5
    distance = xp.abs(xp.clip(u, 0, length - 1)[:, None] - xp.arange(length).astype(wide))
    return xp.maximum(1.0 - distance, 0.0).astype(dtype, copy=False)


def pad(xp: Namespace, x: Array, *, widths: tuple[tuple[int, int], ...], mode: str, value: float = 0.0) -> Result:
    """``y = x`` inside a border of ``value`` ("constant"), or of the mirrored, repeated or opposite elements of x.

    ``widths`` has a pair for each axis; ``mode`` is "constant", "reflect", "replicate" or "circular".
    ``dx = Σ dy`` over the places where the element appears.
    """
    shape = x.shape
    if mode == "constant":
        inner = tuple(slice(low, low + n) for (low, _), n in zip(widths, shape, strict=True))
        return xp.pad(x, widths, constant_values=value), lambda dy, needs=(True,): (dy[inner],)
    sources = [
        (axis, _source(xp, xp.arange(-low, n + high), n, mode))
        for axis, ((low, high), n) in enumerate(zip(widths, shape, strict=True))
        if low or high
    ]
    y = x
    for axis, source in sources:
        y = xp.take(y, source, axis=axis)

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        for axis, source in reversed(sources):
            picks = (source[:, None] == xp.arange(shape[axis])).astype(dy.dtype)  # (padded, original)
            dy = xp.moveaxis(product(xp.moveaxis(dy, axis, -1), picks), -1, axis)
        return (dy,)

    return y, backward


def _source(xp: Namespace, i: Array, n: int, mode: str) -> Array:
    """Which of ``n`` elements stands at place ``i``, counted from the first element, before the border."""
    if mode == "replicate":
        return xp.clip(i, 0, n - 1)
    if mode == "circular":
        return i % n
    return n - 1 - xp.abs(n - 1 - xp.abs(i))  # reflect: the edge itself is not repeated
