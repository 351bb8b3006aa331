"""Matrix products."""

from __future__ import annotations

import math

from xpnet_backends import Array, Namespace, pairwise_sum
from xpnet_backends import matmul as product

from ._shared import Result, unbroadcast


def matmul(xp: Namespace, a: Array, b: Array) -> Result:
    """``y = a b``.  a (..., M, K), b (..., K, N) -> y (..., M, N); leading axes broadcast; vectors work as in NumPy.

    ``da = dy bᵀ``, ``db = aᵀ dy``, summed over the axes along which a or b was broadcast.
    """
    a_shape, b_shape = a.shape, b.shape
    if not a_shape or not b_shape or a_shape[-1] != b_shape[max(len(b_shape) - 2, 0)]:
        raise ValueError(f"matmul: inner lengths differ: {tuple(a_shape)} @ {tuple(b_shape)}")
    row = a.reshape(1, -1) if a.ndim == 1 else a  # a vector on the left is a row, one on the right a column
    column = b.reshape(-1, 1) if b.ndim == 1 else b
    y = product(row, column)  # (..., M, N)
    full = y.shape

    def backward(dy: Array, needs: tuple[bool, ...] = (True, True)) -> tuple[Array | None, ...]:
        dy = dy.reshape(full)
        da = unbroadcast(product(dy, xp.swapaxes(column, -1, -2)), row.shape) if needs[0] else None
        db = unbroadcast(product(xp.swapaxes(row, -1, -2), dy), column.shape) if needs[1] else None
        return None if da is None else da.reshape(a_shape), None if db is None else db.reshape(b_shape)

    drop = ((-2,) if a.ndim == 1 else ()) + ((-1,) if b.ndim == 1 else ())
    return (y.squeeze(axis=drop) if drop else y), backward


def linear(xp: Namespace, x: Array, weight: Array, bias: Array | None = None) -> Result:
    """``y = x Wᵀ + b``.  x (..., I), weight (O, I), bias (O,) -> y (..., O).

    ``dx = dy W``, ``dW = dyᵀ x``, ``db = Σ dy``, the sums over all leading axes.
    """
    shape = x.shape
    x = x if x.ndim == 2 else x.reshape(math.prod(shape[:-1]), shape[-1])  # (N, I)
    y = product(x, weight.T)  # (N, O)
    if bias is not None:
        y += bias

    def backward(dy: Array, needs: tuple[bool, ...] = (True, True, True)) -> tuple[Array | None, ...]:
        dy = dy if dy.ndim == 2 else dy.reshape(x.shape[0], weight.shape[0])
        dx = product(dy, weight).reshape(shape) if needs[0] else None
        dw = product(dy.T, x) if needs[1] else None
        db = pairwise_sum(dy, 0) if bias is not None and needs[2] else None
        return dx, dw, db

    return (y if len(shape) == 2 else y.reshape(*shape[:-1], weight.shape[0])), backward
