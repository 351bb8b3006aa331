"""Small steps that several families of ops share."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

from xpnet_backends import Array, Backward, Namespace, backend_of, is_array

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


def chosen(xp: Namespace, keep: Array, x: Any) -> Any:
    """``x`` where ``keep``, else 0, also where x is infinite or NaN: there a product by the mask would be NaN."""
    if _known_finite(xp, keep, x):
        return x * keep
    return xp.where(keep, x, 0.0)


def with_sign_of(xp: Namespace, x: Array, dy: Any) -> Any:
    """``sign(x) dy``, and 0 where x is 0 or NaN, also where dy is infinite."""
    if _known_finite(xp, x, x, dy):
        return dy * xp.sign(x)
    return xp.where(x > 0, dy, xp.where(x < 0, -dy, 0.0))


def weighted(xp: Namespace, w: Any, x: Any) -> Any:
    """``w x``, and 0 where w is 0 whatever x is: what has no weight takes no part, not even as NaN or infinity."""
    if _known_finite(xp, w, x):
        return w * x
    return w * xp.where(w == 0, 0.0, x)


def _known_finite(xp: Namespace, like: Any, *values: Any) -> bool:
    """Whether all values are finite, as far as looking is free: never on a device, where it is a synchronisation.

    On a CPU a look and a product take a tenth of the time of ``where`` with a mask whose branches cannot be predicted.
    """
    return is_array(like) and backend_of(like).on_host and all(xp.isfinite(x).all() for x in values)


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
