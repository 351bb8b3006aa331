"""Reductions over one axis, several, or all.  ``axis`` and ``keepdims`` are as in NumPy."""

from __future__ import annotations

import math

from xpnet_backends import Array, Namespace, pairwise_mean, pairwise_sum

from ._shared import Axis, Result, chosen, keep_axes, normal_axes, widened


def reduce_sum(xp: Namespace, x: Array, *, axis: Axis = None, keepdims: bool = False) -> Result:
    """``y = Σ x``;  ``dy/dx = 1`` for every addend."""
    shape = x.shape

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        return (xp.broadcast_to(keep_axes(dy, shape, axis), shape),)

    return pairwise_sum(x, axis, keepdims), backward


@widened
def reduce_mean(xp: Namespace, x: Array, *, axis: Axis = None, keepdims: bool = False) -> Result:
    """``y = Σ x / n``;  ``dy/dx = 1/n`` for every addend."""
    y, shape = pairwise_mean(x, axis, keepdims), x.shape
    n = math.prod(shape[i] for i in normal_axes(axis, x.ndim))

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        return (xp.broadcast_to(keep_axes(dy / n, shape, axis), shape),)

    return y, backward


def reduce_max(xp: Namespace, x: Array, *, axis: Axis = None, keepdims: bool = False) -> Result:
    """``y = max x``;  ``dy/dx = 1/k`` for each of k equal maxima, else 0, as in PyTorch's ``amax``.  NaN wins."""
    return _reduce_extreme(xp, x, x.max(axis=axis, keepdims=keepdims), axis)


def reduce_min(xp: Namespace, x: Array, *, axis: Axis = None, keepdims: bool = False) -> Result:
    """``y = min x``;  ``dy/dx = 1/k`` for each of k equal minima, else 0, as in PyTorch's ``amin``.  NaN wins."""
    return _reduce_extreme(xp, x, x.min(axis=axis, keepdims=keepdims), axis)


def _reduce_extreme(xp: Namespace, x: Array, y: Array, axis: Axis) -> Result:
    shape = x.shape
    winners = (x == keep_axes(y, shape, axis)) | (x != x)

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        share = keep_axes(dy, shape, axis) / winners.sum(axis=axis, keepdims=True).astype(dy.dtype)
        return (chosen(xp, winners, share),)

    return y, backward


@widened
def logsumexp(xp: Namespace, x: Array, *, axis: Axis = None, keepdims: bool = False) -> Result:
    """``y = ln Σ eˣ``;  ``dy/dx = eˣ⁻ʸ`` (the softmax).  x is shifted by its maximum, so that nothing overflows."""
    top = x.max(axis=axis, keepdims=True)
    top = xp.where(xp.isfinite(top), top, 0.0)  # all −inf: ln Σ e^−inf is −inf, not NaN
    total = pairwise_sum(xp.exp(x - top), axis, keepdims=True)
    y = xp.where(total == 0, -math.inf, xp.log(xp.where(total == 0, 1.0, total)) + top)

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        return (xp.exp(x - y) * keep_axes(dy, x.shape, axis),)

    return (y if keepdims else y.reshape(x.sum(axis=axis).shape)), backward
