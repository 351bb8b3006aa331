"""Batch normalisation of channels-last rows, in blocks that stay in the cache.

Mean and variance of the batch take one pass over memory.  Each block gives its mean and its sum of squares about that
mean.  The formula of Chan, Golub and LeVeque 1979 (eq. 1.5) combines two blocks.  It is accurate even if the mean is
much larger than the standard deviation::

    M = M₁ + M₂ + δ² n₁ n₂ / (n₁ + n₂),    δ = μ₂ − μ₁
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...base import Array, Backward, Namespace
from ...deferred import Deferred
from ...memory import empty
from .machinery.compiler import BOOL, compiled, inlined, read, write
from .machinery.memory_order import channels_last
from .machinery.thread_pool import in_threads

BLOCK = 4096  # elements: 16 kB, a part of the L1 cache
NOUGHT = np.float32(0.0)
ROWS = 128  # at most, per block: these are summed in float32, the blocks in float64
COST = 32  # the cost of an element, in multiplications; most of it is the memory access
Moments = tuple[int, Array, Array]  # count, means, sums of squares about them


def batch_norm(
    xp: Namespace, x: Array, weight: Array | None, bias: Array | None, *, eps: float = 1e-5
) -> tuple[tuple[Array, Array, Array], Backward] | None:
    """In float32.  The result is in channels-last memory order."""
    found = batch_norm_deferred(xp, x, weight, bias, eps=eps)
    if found is None:
        return None
    (y, mean, variance), backward = found
    return (y.run(), mean, variance), backward


@dataclass(slots=True)
class Line:
    """A batch norm with known statistics: one linear function for each channel, not evaluated yet.

    ``gradients(dy, needs, y)`` returns dx, dw, db.  If y is given, dy counts only where y > 0.
    """

    rows: Array
    middle: Array
    slope: Array
    shift: Array
    shape: tuple[int, ...]
    gradients: Callable[..., tuple[Array | None, ...]]

    def draw(self, other: Array | None = None, positive: bool = False) -> Array:
        """``y``, or ``y + other``, or ``max(·, 0)`` of either, as rows."""
        y, rows, count = empty(self.rows.shape), self.rows, len(self.rows)
        lines = self.middle, self.slope, self.shift
        if other is None:
            part = lambda i, j: _line(rows[i:j], *lines, y[i:j], positive)  # noqa: E731
        else:
            part = lambda i, j: _line_plus(rows[i:j], *lines, other[i:j], y[i:j], positive)  # noqa: E731
        in_threads(part, count, rows.size * COST)
        return y


def batch_norm_deferred(
    xp: Namespace, x: Array, weight: Array | None, bias: Array | None, *, eps: float = 1e-5
) -> tuple[tuple[Deferred, Array, Array], Backward] | None:
    """Compute mean and variance now; the result is deferred, so that the next op can fuse with it."""
    if x.size == 0:
        return None
    shape, rows = x.shape, _rows(x)
    count, channels = rows.shape
    _, mean, squares = functools.reduce(_joined, in_threads(lambda i, j: _moments(rows[i:j]), count, rows.size * COST))
    if not np.isfinite(squares).all():
        return None  # the reference op handles infinities and NaN
    variance = squares / count
    scale = 1.0 / np.sqrt(variance + eps)
    w = np.ones(channels) if weight is None else weight
    middle = mean.astype(np.float32)
    rest = middle - mean  # x − μ = (x − middle) + rest is accurate even for a large mean
    slope = (scale * w).astype(np.float32)
    shift = (rest * scale * w + (0.0 if bias is None else bias)).astype(np.float32)

    def gradients(
        dy: Array, needs: tuple[bool, ...], y: Array | None = None
    ) -> tuple[Array | None, Array | None, Array | None]:
        given, masked = (dy, False) if y is None else (y, True)
        slopes = lambda i, j: _slopes(rows[i:j], dy[i:j], given[i:j], masked, middle)  # noqa: E731
        total, along = np.sum(in_threads(slopes, count, rows.size * COST), axis=0)
        along = along + rest * total
        dx: Array = None
        if needs[0]:  # dx = w/σ (dy − mean(dy) − x̂ mean(dy x̂)),  x̂ = (x − μ)/σ
            dx = empty(rows.shape)
            tilt = along * scale * scale / count
            b, c = tilt.astype(np.float32), (total / count + rest * tilt).astype(np.float32)

            def plane(i: int, j: int) -> None:
                _plane(rows[i:j], dy[i:j], given[i:j], masked, middle, slope, b, c, dx[i:j])

            in_threads(plane, count, rows.size * COST)
            dx = channels_first(dx, shape)
        dw = (along * scale).astype(np.float32) if weight is not None and needs[1] else None
        db = total.astype(np.float32) if bias is not None and needs[2] else None
        return dx, dw, db

    def backward(
        dys: tuple[Array | None, ...], needs: tuple[bool, ...] = (True, True, True)
    ) -> tuple[Array | None, ...]:
        return (None, None, None) if dys[0] is None else gradients(_rows(dys[0]), needs)

    line = Line(rows, middle, slope, shift, shape, gradients)
    y = Deferred(shape, x.dtype, lambda: channels_first(line.draw(), shape), line)
    return (y, mean.astype(np.float32), variance.astype(np.float32)), backward


def batch_norm_relu(xp: Namespace, first: Deferred) -> tuple[Array, Backward]:
    """``max(batch_norm(x), 0)`` in one pass over memory."""
    line: Line = first.kept
    y = line.draw(positive=True)

    def backward(dy: Array, needs: tuple[bool, ...]) -> tuple[Array | None, ...]:
        return line.gradients(_rows(dy), tuple(needs), y)

    return channels_first(y, line.shape), backward


def batch_norm_add(xp: Namespace, first: Deferred, other: Array) -> tuple[Deferred, Backward] | None:
    """``batch_norm(x) + other``, deferred again, because a ReLU often follows."""
    line: Line = first.kept
    if other.shape != line.shape or not other.flags.aligned:
        return None
    kept = line, _rows(other)
    y = Deferred(first.shape, first.dtype, lambda: channels_first(line.draw(kept[1]), line.shape), kept)

    def backward(dy: Array, needs: tuple[bool, ...]) -> tuple[Array | None, ...]:
        return *line.gradients(_rows(dy), tuple(needs[:3])), dy if needs[3] else None

    return y, backward


def batch_norm_add_relu(xp: Namespace, first: Deferred) -> tuple[Array, Backward]:
    """``max(batch_norm(x) + other, 0)`` in one pass over memory: the end of a residual block."""
    line, other = first.kept
    y = line.draw(other, positive=True)

    def backward(dy: Array, needs: tuple[bool, ...]) -> tuple[Array | None, ...]:
        rows = _rows(dy)
        passed: Array = None
        if needs[3]:
            passed = empty(rows.shape)
            in_threads(lambda i, j: _where_positive(rows[i:j], y[i:j], passed[i:j]), len(rows), rows.size * COST)
            passed = channels_first(passed, line.shape)
        return *line.gradients(rows, tuple(needs[:3]), y), passed

    return channels_first(y, line.shape), backward


def _rows(x: Array) -> Array:
    """(N, C, ...) as rows of C channels; a view if the memory is channels-last."""
    return channels_last(x).reshape(-1, x.shape[1])


def channels_first(rows: Array, shape: tuple[int, ...]) -> Array:
    """The rows as (N, C, ...), without a copy."""
    return np.moveaxis(rows.reshape(shape[0], *shape[2:], shape[1]), -1, 1)


def _moments(rows: Array) -> Moments:
    mean, squares = np.zeros(rows.shape[1]), np.zeros(rows.shape[1])
    _gather(rows, mean, squares)
    return len(rows), mean, squares


def _joined(first: Moments, second: Moments) -> Moments:
    count = first[0] + second[0]
    apart = second[1] - first[1]
    share = second[0] / count
    return count, first[1] + apart * share, first[2] + second[2] + apart * apart * (first[0] * share)


def _slopes(rows: Array, dy: Array, y: Array, masked: bool, middle: Array) -> Array:
    """``Σ dy`` and ``Σ dy (x − μ)``, (2, C)."""
    sums = np.zeros((2, rows.shape[1]))
    _gather_slopes(rows, dy, y, masked, middle, sums)
    return sums


@compiled(read(2, "C"), write(1, dtype="float64"), write(1, dtype="float64"))
def _gather(x: Array, mean: Array, squares: Array) -> None:
    count, channels = x.shape
    step = max(1, min(ROWS, BLOCK // channels))
    middle, total, square = np.empty((3, channels), np.float32)
    for start in range(0, count, step):
        stop = min(start + step, count)
        number, share = stop - start, (stop - start) / stop
        middle[:] = 0.0
        total[:] = 0.0
        square[:] = 0.0
        for i in range(start, stop):
            for c in range(channels):
                middle[c] += x[i, c]
        for c in range(channels):
            middle[c] /= number
        for i in range(start, stop):
            for c in range(channels):
                d = x[i, c] - middle[c]
                total[c] += d
                square[c] += d * d
        for c in range(channels):  # the middle equals the mean of the block except for rounding
            error = total[c] / number
            apart = middle[c] + error - mean[c]
            mean[c] += apart * share
            squares[c] += square[c] - error * total[c] + apart * apart * start * share


@inlined
def _slope_where(dy: Any, y: Any, masked: Any) -> Any:
    """dy, and 0 where the ReLU was 0."""
    return NOUGHT if masked and y <= NOUGHT else dy


@compiled(read(2, "C"), read(2, "C"), read(2, "C"), BOOL, read(1, "C"), write(2, dtype="float64"))
def _gather_slopes(x: Array, dy: Array, y: Array, masked: bool, middle: Array, sums: Array) -> None:
    count, channels = x.shape
    step = max(1, min(ROWS, BLOCK // channels))
    total, along = np.empty(channels, np.float32), np.empty(channels, np.float32)
    for start in range(0, count, step):
        total[:] = 0.0
        along[:] = 0.0
        for i in range(start, min(start + step, count)):
            for c in range(channels):
                d = _slope_where(dy[i, c], y[i, c], masked)
                total[c] += d
                along[c] += d * (x[i, c] - middle[c])
        for c in range(channels):
            sums[0, c] += total[c]
            sums[1, c] += along[c]


@inlined
def _on_line(x: Any, middle: Any, slope: Any, shift: Any) -> Any:
    """``slope (x − middle) + shift``, with the same bits in every fused kernel."""
    return (x - middle) * slope + shift


@compiled(read(2, "C"), read(1, "C"), read(1, "C"), read(1, "C"), write(2), BOOL)
def _line(x: Array, middle: Array, slope: Array, shift: Array, y: Array, positive: bool) -> None:
    for i in range(x.shape[0]):
        for c in range(x.shape[1]):
            value = _on_line(x[i, c], middle[c], slope[c], shift[c])
            y[i, c] = NOUGHT if positive and value <= NOUGHT else value  # NaN stays


@compiled(read(2, "C"), read(1, "C"), read(1, "C"), read(1, "C"), read(2, "C"), write(2), BOOL)
def _line_plus(x: Array, middle: Array, slope: Array, shift: Array, other: Array, y: Array, positive: bool) -> None:
    for i in range(x.shape[0]):
        for c in range(x.shape[1]):
            value = _on_line(x[i, c], middle[c], slope[c], shift[c]) + other[i, c]
            y[i, c] = NOUGHT if positive and value <= NOUGHT else value


@compiled(read(2, "C"), read(2, "C"), write(2))
def _where_positive(dy: Array, y: Array, dx: Array) -> None:
    for i in range(dy.shape[0]):
        for c in range(dy.shape[1]):
            dx[i, c] = NOUGHT if y[i, c] <= NOUGHT else dy[i, c]


@compiled(
    read(2, "C"), read(2, "C"), read(2, "C"), BOOL, read(1, "C"), read(1, "C"), read(1, "C"), read(1, "C"), write(2)
)
def _plane(x: Array, dy: Array, y: Array, masked: bool, middle: Array, a: Array, b: Array, c: Array, dx: Array) -> None:
    """``dx = a (dy − c − b (x − middle))``."""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            d = _slope_where(dy[i, j], y[i, j], masked)
            dx[i, j] = a[j] * ((d - c[j]) - b[j] * (x[i, j] - middle[j]))
