"""Small steps that several families of ops share."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

from xpnet_backends import Array, Backward, Namespace

Axis: TypeAlias = int | tuple[int, ...] | None
Result: TypeAlias = tuple[Any, Backward]
Reduction: TypeAlias = str


def unbroadcast(dy: Array, shape: tuple[int, ...]) -> Array:
    """Undo broadcasting: sum ``dy`` over the axes along which an input of this shape was repeated."""
    if dy.shape == shape:
        return dy
    added = dy.ndim - len(shape)
    repeated = tuple(i + added for i, n in enumerate(shape) if n == 1 and dy.shape[i + added] != 1)
    return dy.sum(axis=(*range(added), *repeated)).reshape(shape)


def shape_of(x: Any) -> tuple[int, ...]:
    """The shape of an array, () of a Python number."""
    return getattr(x, "shape", ())


def normal_axes(axis: Axis, ndim: int) -> tuple[int, ...]:
    """``axis`` as a tuple of non-negative axes; None means all of them."""
    if axis is None:
        return tuple(range(ndim))
    axes = axis if isinstance(axis, tuple) else (axis,)
    return tuple(a + ndim if a < 0 else a for a in axes)


def keep_axes(y: Array, shape: tuple[int, ...], axis: Axis) -> Array:
    """Give a reduced array its reduced axes back, with length 1, so that it broadcasts against ``shape``."""
    axes = normal_axes(axis, len(shape))
    return y.reshape(tuple(1 if i in axes else n for i, n in enumerate(shape)))


def with_sign_of(xp: Namespace, x: Array, dy: Array) -> Array:
    """``sign(x) dy``, and 0 where x is 0 or NaN, also where dy is infinite."""
    return xp.where(x > 0, dy, xp.where(x < 0, -dy, 0.0))


def weighted(xp: Namespace, w: Array, x: Array) -> Array:
    """``w x``, and 0 where w is 0 whatever x is: what has no weight takes no part, not even as NaN or infinity."""
    return w * xp.where(w == 0, 0.0, x)


def reduce_loss(
    xp: Namespace, loss: Array, reduction: Reduction, norm: Any = None
) -> tuple[Array, Callable[[Array], Array]]:
    """Sum or average the loss of each element; also how ``dy`` spreads back over them.

    ``norm`` is what "mean" divides by: the number of elements unless it is given.
    """
    if reduction == "none":
        return loss, lambda dy: dy
    if reduction == "sum":
        return loss.sum(), lambda dy: dy
    if reduction == "mean":
        divisor = math.prod(loss.shape) if norm is None else norm
        if norm is None and divisor == 0:
            divisor = math.nan  # the mean of nothing, as in PyTorch
        return loss.sum() / divisor, lambda dy: dy / divisor
    raise ValueError(f"reduction must be 'mean', 'sum' or 'none', got {reduction!r}")
