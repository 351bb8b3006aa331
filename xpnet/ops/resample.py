"""Resizing and padding of images."""

from __future__ import annotations

import math
from typing import Any

from xpnet_backends import Array, Namespace, backend_of
from xpnet_backends import matmul as product

from ._shared import Result, sum_dtype


def separable2d(xp: Namespace, x: Array, *, rows: Array, columns: Array) -> Result:
    """``y = A x Bᵀ`` for every channel;  ``dx = Aᵀ dy B``.  x (N, C, H, W), A (P, H), B (Q, W) -> y (N, C, P, Q).

    Elements of weight 0 in A or B have no effect, even if they are NaN or infinite.
    """

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        return (weigh_rows(xp, rows.T, weigh_columns(xp, dy, columns.T)),)

    return weigh_rows(xp, rows, weigh_columns(xp, x, columns)), backward


def weigh_rows(xp: Namespace, weights: Array, x: Array) -> Array:
    """``A x``, where 0 times NaN or infinity is 0.  A (P, H), x (..., H, W) -> (..., P, W)."""
    finite = xp.isfinite(x)
    if backend_of(x).on_host and finite.all():
        return product(weights, x)
    y = product(weights, xp.where(finite, x, 0.0))
    sign = xp.where(x == math.inf, 1.0, xp.where(x == -math.inf, -1.0, 0.0)).astype(x.dtype)
    met = product((weights != 0).astype(x.dtype), (~finite).astype(x.dtype))  # how many are not finite
    balance = product(xp.sign(weights), sign)  # +∞ terms minus −∞ terms: the sum is ±∞ if all agree, else NaN
    infinite = xp.where(balance == met, math.inf, xp.where(balance == -met, -math.inf, math.nan))
    return xp.where(met == 0, y, infinite).astype(x.dtype)


def weigh_columns(xp: Namespace, x: Array, weights: Array) -> Array:
    """``x Bᵀ``, where 0 times NaN or infinity is 0.  x (..., H, W), B (Q, W) -> (..., H, Q)."""
    return xp.swapaxes(weigh_rows(xp, weights, xp.swapaxes(x, -1, -2)), -1, -2)


def nearest_matrix(xp: Namespace, length: int, size: int, dtype: Any, *, ratio: float) -> Array:
    """Row p selects element ``⌊p · ratio⌋``.  The ratio is H/P, or 1 divided by the scale factor.  (P, H)."""
    picked = xp.minimum(xp.floor(xp.arange(size) * ratio), length - 1)
    return (picked[:, None] == xp.arange(length)).astype(dtype)


def linear_matrix(xp: Namespace, length: int, size: int, dtype: Any, *, ratio: float, align_corners: bool) -> Array:
    """Row p weights the two elements around position u by ``1 − |u − h|``.  (P, H).

    ``u = p (H − 1)/(P − 1)`` if the corners are aligned, else ``(p + ½) ratio − ½`` (pixel centres).
    """
    wide = sum_dtype(dtype)  # float16 is too coarse for fractional positions
    p = xp.arange(size).astype(wide)
    u = p * ((length - 1) / max(size - 1, 1)) if align_corners else (p + 0.5) * ratio - 0.5
    distance = xp.abs(xp.clip(u, 0, length - 1)[:, None] - xp.arange(length).astype(wide))
    return xp.maximum(1.0 - distance, 0.0).astype(dtype, copy=False)


def pad(xp: Namespace, x: Array, *, widths: tuple[tuple[int, int], ...], mode: str, value: float = 0.0) -> Result:
    """``y = x`` inside a border of ``value`` ("constant"), or of mirrored, repeated or wrapped elements of x.

    ``dx = Σ dy`` over the positions at which the element appears.

    Parameters
    ----------
    widths : a pair (before, after) for each axis.
    mode : "constant", "reflect", "replicate" or "circular".
    value : the value of a constant border.
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
            picks = (source == xp.arange(shape[axis])[:, None]).astype(dy.dtype)  # (original, padded)
            last = xp.moveaxis(dy, axis, -1)
            summed = weigh_columns(xp, last.reshape(math.prod(last.shape[:-1]), last.shape[-1]), picks)
            dy = xp.moveaxis(summed.reshape(*last.shape[:-1], shape[axis]), -1, axis)
        return (dy,)

    return y, backward


def _source(xp: Namespace, i: Array, n: int, mode: str) -> Array:
    """Which of ``n`` elements is at position ``i`` of the padded axis; i is negative before the first element."""
    if mode == "replicate":
        return xp.clip(i, 0, n - 1)
    if mode == "circular":
        return i % n
    return n - 1 - xp.abs(n - 1 - xp.abs(i))  # reflect: the edge itself is not repeated
