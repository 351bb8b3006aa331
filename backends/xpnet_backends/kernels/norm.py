"""Batch normalisation over rows of channels: the numbers of a channel are read in blocks that stay in the cache.

Mean and variance of the batch come in one reading: each block gives its own mean and sum of squares about it, and
blocks are joined by the formula of Chan, Golub and LeVeque 1979 (eq. 1.5), which loses no digits where the mean is
large against the deviation::

    M = M₁ + M₂ + δ² n₁ n₂ / (n₁ + n₂),    δ = μ₂ − μ₁
"""

from __future__ import annotations

import functools

import numpy as np

from ..base import Array, Backward, Namespace
from ..memory import empty
from .machine import compiled, read, write
from .order import channels_last
from .workers import in_threads

BLOCK = 4096  # numbers: 16 kB, a part of a core's first cache
ROWS = 128  # of a block at most: so many numbers of a channel are added in float32, blocks in float64
COST = 32  # multiplications that an element is worth: reading it from memory takes longer than they do
Moments = tuple[int, Array, Array]  # count, means, sums of squares about them


def batch_norm(
    xp: Namespace, x: Array, weight: Array | None, bias: Array | None, *, eps: float = 1e-5
) -> tuple[tuple[Array, Array, Array], Backward] | None:
    """In float32.  The result's memory is channels-last."""
    if x.size == 0:
        return None
    shape, rows = x.shape, _rows(x)
    count, channels = rows.shape
    _, mean, squares = functools.reduce(_joined, in_threads(lambda i, j: _moments(rows[i:j]), count, rows.size * COST))
    variance = squares / count
    scale = 1.0 / np.sqrt(variance + eps)
    w = np.ones(channels) if weight is None else weight
    y = empty(rows.shape)
    middle = mean.astype(np.float32)
    rest = middle - mean  # x − μ = (x − middle) + rest: a large mean costs no digits
    slope = (scale * w).astype(np.float32)
    shift = (rest * scale * w + (0.0 if bias is None else bias)).astype(np.float32)
    in_threads(lambda i, j: _line(rows[i:j], middle, slope, shift, y[i:j]), count, rows.size * COST)

    def backward(
        dys: tuple[Array | None, ...], needs: tuple[bool, ...] = (True, True, True)
    ) -> tuple[Array | None, ...]:
        if dys[0] is None:
            return None, None, None
        dy = _rows(dys[0])
        dx: Array = None
        sums = in_threads(lambda i, j: _slopes(rows[i:j], dy[i:j], middle), count, rows.size * COST)
        total, along = np.sum(sums, axis=0)
        along = along + rest * total
        if needs[0]:  # dx = w/σ (dy − mean(dy) − x̂ mean(dy x̂)),  x̂ = (x − μ)/σ
            dx = empty(rows.shape)
            tilt = along * scale * scale / count
            b, c = tilt.astype(np.float32), (total / count + rest * tilt).astype(np.float32)
            in_threads(lambda i, j: _plane(rows[i:j], dy[i:j], middle, slope, b, c, dx[i:j]), count, rows.size * COST)
            dx = channels_first(dx, shape)
        dw = (along * scale).astype(np.float32) if weight is not None and needs[1] else None
        db = total.astype(np.float32) if bias is not None and needs[2] else None
        return dx, dw, db

    statistics = mean.astype(np.float32), variance.astype(np.float32)
    return (channels_first(y, shape), *statistics), backward


def _rows(x: Array) -> Array:
    """(N, C, ...) as rows of C numbers; a view where the memory is in that order."""
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


def _slopes(rows: Array, dy: Array, middle: Array) -> Array:
    """``Σ dy`` and ``Σ dy (x − μ)``, (2, C)."""
    sums = np.zeros((2, rows.shape[1]))
    _gather_slopes(rows, dy, middle, sums)
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
        for c in range(channels):  # the middle is the block's mean but for rounding
            error = total[c] / number
            apart = middle[c] + error - mean[c]
            mean[c] += apart * share
            squares[c] += square[c] - error * total[c] + apart * apart * start * share


@compiled(read(2, "C"), read(2, "C"), read(1, "C"), write(2, dtype="float64"))
def _gather_slopes(x: Array, dy: Array, middle: Array, sums: Array) -> None:
    count, channels = x.shape
    step = max(1, min(ROWS, BLOCK // channels))
    total, along = np.empty(channels, np.float32), np.empty(channels, np.float32)
    for start in range(0, count, step):
        total[:] = 0.0
        along[:] = 0.0
        for i in range(start, min(start + step, count)):
            for c in range(channels):
                total[c] += dy[i, c]
                along[c] += dy[i, c] * (x[i, c] - middle[c])
        for c in range(channels):
            sums[0, c] += total[c]
            sums[1, c] += along[c]


@compiled(read(2, "C"), read(1, "C"), read(1, "C"), read(1, "C"), write(2))
def _line(x: Array, middle: Array, slope: Array, shift: Array, y: Array) -> None:
    """``y = slope (x − middle) + shift``."""
    for i in range(x.shape[0]):
        for c in range(x.shape[1]):
            y[i, c] = (x[i, c] - middle[c]) * slope[c] + shift[c]


@compiled(read(2, "C"), read(2, "C"), read(1, "C"), read(1, "C"), read(1, "C"), read(1, "C"), write(2))
def _plane(x: Array, dy: Array, middle: Array, a: Array, b: Array, c: Array, dx: Array) -> None:
    """``dx = a (dy − c − b (x − middle))``."""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            dx[i, j] = a[j] * ((dy[i, j] - c[j]) - b[j] * (x[i, j] - middle[j]))
