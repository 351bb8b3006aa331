"""Pooling: the largest or mean value of each window of each channel.  x (N, C, H, W) -> y (N, C, P, Q)."""

from __future__ import annotations

import math
from typing import Any

from xpnet_backends import Array, Backward, Namespace, pairwise_sum, sum_rows

from ._shared import Result, chosen, widened
from .conv import Padding, Pair, crop2d, output_length, pad2d, windows
from .resample import separable2d

MANY_TAPS = 1024  # summing more elements one after the other would lose digits


def _taps(shape: tuple[int, ...], kernel: Pair, stride: Pair, dilation: Pair = (1, 1)) -> list[tuple[slice, ...]]:
    """For each position in the window, the slices that select this element of all windows: (N, C, P, Q)."""
    axes = []
    for i in (0, 1):
        count = output_length(shape[i + 2], kernel[i], stride[i], (0, 0), dilation[i])
        starts = range(0, kernel[i] * dilation[i], dilation[i])
        axes.append([slice(start, start + stride[i] * (count - 1) + 1, stride[i]) for start in starts])
    return [(slice(None), slice(None), rows, columns) for rows in axes[0] for columns in axes[1]]


@widened
def max_pool2d(
    xp: Namespace,
    x: Array,
    *,
    kernel: Pair,
    stride: Pair,
    padding: Padding = ((0, 0), (0, 0)),
    dilation: Pair = (1, 1),
) -> Result:
    """``y = max x̄`` over each window, where x̄ is x with a border of −∞.

    ``dx = Σ dy`` over the windows whose maximum is the element.  The first of equal elements counts, or the last NaN.

    Parameters
    ----------
    kernel, stride, dilation : for height and width.
    padding : the border, ((top, bottom), (left, right)).
    """
    y, _, backward = _max_pool2d(xp, x, kernel, stride, padding, dilation)
    return y, backward


@widened
def max_pool2d_with_indices(
    xp: Namespace,
    x: Array,
    *,
    kernel: Pair,
    stride: Pair,
    padding: Padding = ((0, 0), (0, 0)),
    dilation: Pair = (1, 1),
) -> Result:
    """``y = max x̄`` over each window, and its index ``h·W + w`` in the channel, as in PyTorch.

    If a dilated window contains only the border, y is −∞ and the index −1.
    ``dx = Σ dy`` over the windows whose maximum is the element.  The indices have no gradient.

    Parameters
    ----------
    kernel, stride, padding, dilation : as in ``max_pool2d``.
    """
    y, best, values_backward = _max_pool2d(xp, x, kernel, stride, padding, dilation)
    p, q = y.shape[2:]
    rows = xp.arange(p).reshape(p, 1) * stride[0] - padding[0][0] + best // kernel[1] * dilation[0]
    columns = xp.arange(q) * stride[1] - padding[1][0] + best % kernel[1] * dilation[1]

    def backward(dys: tuple[Array | None, ...], needs: tuple[bool, ...] = (True,)) -> tuple[Array | None]:
        return (None,) if dys[0] is None else values_backward(dys[0])

    return (y, xp.where(best < 0, -1, rows * x.shape[3] + columns)), backward


def _max_pool2d(
    xp: Namespace, x: Array, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair
) -> tuple[Array, Array, Backward]:
    """The values, the position in the window that each comes from, and the backward."""
    padded = pad2d(xp, x, padding, -math.inf)
    shape, taps = padded.shape, _taps(padded.shape, kernel, stride, dilation)
    image = pad2d(xp, xp.ones((1, 1, *x.shape[2:]), dtype=bool), padding, False)  # False in the border
    y, met = padded[taps[0]], image[taps[0]]
    best = xp.where(met, 0, -1).astype("int32") + xp.zeros(y.shape, dtype="int32")  # −1: the border only
    for i, tap in enumerate(taps[1:], start=1):
        other, inside = padded[tap], image[tap]
        best = xp.where((other > y) | (other != other) | (inside & ~met), i, best)  # the border never wins
        y, met = xp.maximum(y, other), met | inside

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        dx = xp.zeros(shape, dtype=dy.dtype)
        for i, tap in enumerate(taps):
            dx[tap] += chosen(xp, best == i, dy)  # windows may overlap
        return (crop2d(dx, padding),)

    return y if len(taps) > 1 else y.copy(), best, backward


@widened
def avg_pool2d(
    xp: Namespace,
    x: Array,
    *,
    kernel: Pair,
    stride: Pair,
    padding: Padding = ((0, 0), (0, 0)),
    counted: Padding | None = None,
    divisor: int | None = None,
) -> Result:
    """``y = Σ x̄ / count`` over each window, where x̄ is x with a border of zeros.

    ``dx = Σ dy / count`` over the windows that contain the element.

    Parameters
    ----------
    kernel, stride : for height and width.
    padding : the border, ((top, bottom), (left, right)).
    counted : the part of the border that counts as elements; none by default.
    divisor : replaces the count.
    """
    counted = ((0, 0), (0, 0)) if counted is None else counted
    padded = pad2d(xp, x, padding)
    shape, taps = padded.shape, _taps(padded.shape, kernel, stride)
    count: Any = divisor
    if divisor is None:
        inside = _between(xp, x, counted, padding)
        count = _window_sums(xp, inside, kernel, stride)  # (1, 1, P, Q)
    y = _window_sums(xp, padded, kernel, stride) / count

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        share = dy / count
        dx = xp.zeros(shape, dtype=dy.dtype)
        for tap in taps:
            dx[tap] += share  # windows may overlap
        return (crop2d(dx, padding),)

    return y, backward


def _window_sums(xp: Namespace, x: Array, kernel: Pair, stride: Pair) -> Array:
    """``Σ x`` over each window: element by element, or over a view of all windows if they are large."""
    if math.prod(kernel) > MANY_TAPS:
        return pairwise_sum(windows(xp, x, kernel, stride, (1, 1)), (2, 3))
    return sum(x[tap] for tap in _taps(x.shape, kernel, stride))


def _between(xp: Namespace, x: Array, counted: Padding, padding: Padding) -> Array:
    """Ones for elements that count, zeros in the rest of the border: (1, 1, H + padding, W + padding)."""
    ones = xp.ones((1, 1, *(x.shape[i + 2] + sum(counted[i]) for i in (0, 1))), dtype=x.dtype)
    rest = tuple((padding[i][0] - counted[i][0], padding[i][1] - counted[i][1]) for i in (0, 1))
    return pad2d(xp, ones, rest)  # type: ignore[arg-type]


@widened
def adaptive_avg_pool2d(xp: Namespace, x: Array, *, size: Pair) -> Result:
    """``y = A x Bᵀ``, the mean over P x Q windows; window p goes from ``⌊pH/P⌋`` to ``⌈(p+1)H/P⌉``.

    Row p of A (P, H) is 1/n at the n rows of window p, and B (Q, W) likewise for columns;  ``dx = Aᵀ dy B``.  NaN or
    infinity outside a window does not affect its mean.
    """
    return separable2d(
        xp, x, rows=_shares(xp, x.shape[2], size[0], x.dtype), columns=_shares(xp, x.shape[3], size[1], x.dtype)
    )


def bounds(length: int, count: int) -> list[tuple[int, int]]:
    """Start and end (exclusive) of each of ``count`` windows over ``length``."""
    return [(i * length // count, -(-(i + 1) * length // count)) for i in range(count)]


def _shares(xp: Namespace, length: int, count: int, dtype: Any) -> Array:
    """Row i is 1/n at the n elements of window i."""
    ends = bounds(length, count)
    where = xp.arange(length)
    rows = [((where >= low) & (where < high)).astype(dtype) / (high - low) for low, high in ends]
    return xp.stack(rows)


@widened
def adaptive_max_pool2d(xp: Namespace, x: Array, *, size: Pair) -> Result:
    """``y = max x`` over P x Q windows that cover the image, as in ``adaptive_avg_pool2d``.

    ``dx = Σ dy`` over the windows whose maximum is the element.  The first of equal elements counts.  The second output
    is its index ``h·W + w``.
    """
    n, c, height, width = x.shape
    rows, columns = bounds(height, size[0]), bounds(width, size[1])
    values, places = [], []
    for top, bottom in rows:
        for left, right in columns:
            part = x[:, :, top:bottom, left:right].reshape(n, c, (bottom - top) * (right - left))
            best = part.argmax(axis=2)
            values.append(xp.take_along_axis(part, best[:, :, None], axis=2)[:, :, 0])
            places.append((top + best // (right - left)) * width + left + best % (right - left))
    y, index = (xp.stack(parts, axis=2).reshape(n, c, *size) for parts in (values, places))
    x_shape = x.shape

    def backward(dys: tuple[Array | None, ...], needs: tuple[bool, ...] = (True,)) -> tuple[Array | None]:
        dy = dys[0]
        if dy is None:
            return (None,)
        channel = xp.arange(n * c).reshape(n, c, 1, 1) * (height * width)
        dx = sum_rows(dy.reshape(-1, 1), (channel + index).reshape(-1), n * c * height * width)  # windows may overlap
        return (dx.reshape(x_shape),)

    return (y, index), backward
