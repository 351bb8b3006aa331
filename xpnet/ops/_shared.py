"""Helpers that several families of ops share."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np

from xpnet_backends import Array, Backward, Namespace, backend_of, is_array, pairwise_sum

Axis: TypeAlias = int | tuple[int, ...] | None
Result: TypeAlias = tuple[Any, Backward]
Reduction: TypeAlias = str
Op = TypeVar("Op", bound=Callable[..., Any])


def widened(op: Op) -> Op:
    """Compute float16 inputs in float32 and round the results, because sums and squares easily overflow float16.

    GPUs compute half precision in the same way.  Other dtypes are not changed.
    """

    @functools.wraps(op)
    def run(xp: Namespace, *arrays: Any, **options: Any) -> Any:
        if not any(_is_half(a) for a in arrays):
            return op(xp, *arrays, **options)
        y, wide_backward = op(xp, *[_single(a) for a in arrays], **options)

        def backward(dy: Any, *needs: Any) -> tuple[Any, ...]:
            wide = tuple(_single(part) for part in dy) if isinstance(dy, tuple) else _single(dy)
            return tuple(_half(gradient) for gradient in wide_backward(wide, *needs))

        return (tuple(_half(part) for part in y) if isinstance(y, tuple) else _half(y)), backward

    return cast(Op, run)


def sum_dtype(dtype: Any) -> Any:
    """The dtype in which numbers of ``dtype`` are summed: float32 for float16, else their own."""
    return "float32" if dtype == "float16" else dtype


def _is_half(x: Any) -> bool:
    return hasattr(x, "dtype") and x.dtype.char == "e"


def _single(x: Any) -> Any:
    return x.astype("float32") if _is_half(x) else x


def _half(x: Any) -> Any:
    if not hasattr(x, "dtype") or x.dtype.char != "f":
        return x
    with np.errstate(over="ignore"):  # overflow gives infinity, as on a GPU, and may concern an output that is not used
        return x.astype("float16")


def unbroadcast(dy: Array, shape: tuple[int, ...]) -> Array:
    """Undo broadcasting: sum ``dy`` over the axes along which an input of this shape was broadcast."""
    if dy.shape == shape:
        return dy
    added = dy.ndim - len(shape)
    repeated = tuple(i + added for i, n in enumerate(shape) if n == 1 and dy.shape[i + added] != 1)
    return pairwise_sum(dy, (*range(added), *repeated)).reshape(shape)


def shape_of(x: Any) -> tuple[int, ...]:
    """The shape of an array; () for a Python number."""
    return getattr(x, "shape", ())


def normal_axes(axis: Axis, ndim: int) -> tuple[int, ...]:
    """``axis`` as a tuple of non-negative axes; None means all axes."""
    if axis is None:
        return tuple(range(ndim))
    axes = axis if isinstance(axis, tuple) else (axis,)
    return tuple(a + ndim if a < 0 else a for a in axes)


def keep_axes(y: Array, shape: tuple[int, ...], axis: Axis) -> Array:
    """Insert the reduced axes again, with length 1, so that the array broadcasts against ``shape``."""
    axes = normal_axes(axis, len(shape))
    return y.reshape(tuple(1 if i in axes else n for i, n in enumerate(shape)))


def chosen(xp: Namespace, keep: Array, x: Any) -> Any:
    """``x`` where ``keep``, else 0, even for infinite x or NaN, which a product with the mask would turn into NaN."""
    if _known_finite(xp, keep, x):
        return x * keep
    return xp.where(keep, x, 0.0)


def with_sign_of(xp: Namespace, x: Array, dy: Any) -> Any:
    """``sign(x) dy``, and 0 where x is 0 or NaN, even if dy is infinite."""
    if _known_finite(xp, x, x, dy):
        return dy * xp.sign(x)
    return xp.where(x > 0, dy, xp.where(x < 0, -dy, 0.0))


def weighted(xp: Namespace, w: Any, x: Any) -> Any:
    """``w x``, and 0 where w is 0, even if x is NaN or infinite: an element without weight must have no effect."""
    if _known_finite(xp, w, x):
        return w * x
    return w * xp.where(w == 0, 0.0, x)


def _known_finite(xp: Namespace, like: Any, *values: Any) -> bool:
    """Whether all values are finite.  False on a GPU, because reading the answer would force a synchronisation.

    On a CPU this check and a product take a tenth of the time of ``where`` with a mask of unpredictable branches.
    """
    return is_array(like) and backend_of(like).on_host and all(xp.isfinite(x).all() for x in values)


def reduce_loss(
    xp: Namespace, loss: Array, reduction: Reduction, norm: Any = None
) -> tuple[Array, Callable[[Array], Array]]:
    """Sum or average the losses of the elements.  Also returns a function that distributes ``dy`` over the elements.

    ``norm`` is the divisor of "mean"; by default the number of elements.
    """
    if reduction == "none":
        return loss, lambda dy: dy
    if reduction == "sum":
        return pairwise_sum(loss), lambda dy: dy
    if reduction == "mean":
        divisor = math.prod(loss.shape) if norm is None else norm
        if norm is None and divisor == 0:
            divisor = math.nan  # an empty mean is NaN, as in PyTorch
        return pairwise_sum(loss) / divisor, lambda dy: dy / divisor
    raise ValueError(f"reduction must be 'mean', 'sum' or 'none', got {reduction!r}")
