"""Pooling of channels-last images: it compares or adds whole vectors of channels."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...base import Array, Backward, Namespace
from ...memory import empty
from .machinery.compiler import DOUBLE, PAIR, compiled, read, write
from .machinery.memory_order import channels_last
from .machinery.thread_pool import in_threads

Pair = tuple[int, int]
COST = 16  # the cost of an element, in multiplications
MOST = 1024  # elements of a window that are summed one after the other


def max_pool2d(
    xp: Namespace, x: Array, *, kernel: Pair, stride: Pair, padding: Any = ((0, 0), (0, 0)), dilation: Pair = (1, 1)
) -> tuple[Array, Backward] | None:
    """In float32.  The result is in channels-last memory order."""
    if 0 in x.shape or kernel[0] * kernel[1] > 255:
        return None
    images = channels_last(x)
    shape = images.shape  # so that the backward does not keep x
    y = empty((len(x), *_size(x, kernel, stride, padding, dilation), x.shape[1]))
    best = np.empty(y.shape, np.uint8)  # which element of the window
    start, work = (padding[0][0], padding[1][0]), y.size * kernel[0] * kernel[1] * COST
    options = kernel, stride, start, dilation
    in_threads(lambda i, j: _largest(images[i:j], y[i:j], best[i:j], *options), len(y), work)

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        slopes, dx = channels_last(dy), np.zeros(shape, np.float32)
        in_threads(lambda i, j: _to_largest(slopes[i:j], best[i:j], dx[i:j], *options), len(y), work)
        return (dx.transpose(0, 3, 1, 2),)

    return y.transpose(0, 3, 1, 2), backward


def avg_pool2d(
    xp: Namespace,
    x: Array,
    *,
    kernel: Pair,
    stride: Pair,
    padding: Any = ((0, 0), (0, 0)),
    counted: Any = None,
    divisor: int | None = None,
) -> tuple[Array, Backward] | None:
    """In float32, without padding.  The result is in channels-last memory order."""
    if 0 in x.shape or padding != ((0, 0), (0, 0)) or kernel[0] * kernel[1] > MOST:
        return None
    images = channels_last(x)
    shape = images.shape  # so that the backward does not keep x
    y = empty((len(x), *_size(x, kernel, stride, padding, (1, 1)), x.shape[1]))
    share, work = 1.0 / (divisor or kernel[0] * kernel[1]), y.size * kernel[0] * kernel[1] * COST
    in_threads(lambda i, j: _mean(images[i:j], y[i:j], kernel, stride, share), len(y), work)

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        slopes, dx = channels_last(dy), np.zeros(shape, np.float32)
        in_threads(lambda i, j: _to_all(slopes[i:j], dx[i:j], kernel, stride, share), len(y), work)
        return (dx.transpose(0, 3, 1, 2),)

    return y.transpose(0, 3, 1, 2), backward


def _size(x: Array, kernel: Pair, stride: Pair, padding: Any, dilation: Pair) -> list[int]:
    reach = [dilation[i] * (kernel[i] - 1) + 1 for i in (0, 1)]
    return [(x.shape[i + 2] + sum(padding[i]) - reach[i]) // stride[i] + 1 for i in (0, 1)]


@compiled(read(4, "C"), write(4), write(4, dtype="uint8"), PAIR, PAIR, PAIR, PAIR)
def _largest(x: Array, y: Array, best: Array, kernel: Pair, stride: Pair, start: Pair, dilation: Pair) -> None:
    """The first of the largest values.  NaN counts as larger than any number."""
    count, rows, columns, channels = y.shape
    for n in range(count):
        for p in range(rows):
            for q in range(columns):
                tap, met = 0, False
                for k in range(kernel[0]):
                    h = p * stride[0] + k * dilation[0] - start[0]
                    for j in range(kernel[1]):
                        w = q * stride[1] + j * dilation[1] - start[1]
                        if 0 <= h < x.shape[1] and 0 <= w < x.shape[2]:
                            if met:
                                for c in range(channels):
                                    value, most = x[n, h, w, c], y[n, p, q, c]
                                    larger = (value > most) | (value != value)
                                    y[n, p, q, c] = value if larger else most
                                    best[n, p, q, c] = np.uint8(tap) if larger else best[n, p, q, c]
                            else:
                                for c in range(channels):
                                    y[n, p, q, c] = x[n, h, w, c]
                                    best[n, p, q, c] = np.uint8(tap)
                                met = True
                        tap += 1
                if not met:  # the whole window lies in the padding
                    for c in range(channels):
                        y[n, p, q, c] = -np.inf
                        best[n, p, q, c] = 255


@compiled(read(4, "C"), read(4, "C", "uint8"), write(4), PAIR, PAIR, PAIR, PAIR)
def _to_largest(dy: Array, best: Array, dx: Array, kernel: Pair, stride: Pair, start: Pair, dilation: Pair) -> None:
    count, rows, columns, channels = dy.shape
    for n in range(count):
        for p in range(rows):
            for q in range(columns):
                tap = 0
                for k in range(kernel[0]):
                    h = p * stride[0] + k * dilation[0] - start[0]
                    for j in range(kernel[1]):
                        w = q * stride[1] + j * dilation[1] - start[1]
                        if 0 <= h < dx.shape[1] and 0 <= w < dx.shape[2]:
                            for c in range(channels):
                                dx[n, h, w, c] += dy[n, p, q, c] if best[n, p, q, c] == tap else np.float32(0.0)
                        tap += 1


@compiled(read(4, "C"), write(4), PAIR, PAIR, DOUBLE)
def _mean(x: Array, y: Array, kernel: Pair, stride: Pair, share: float) -> None:
    count, rows, columns, channels = y.shape
    for n in range(count):
        for p in range(rows):
            for q in range(columns):
                for c in range(channels):
                    y[n, p, q, c] = 0.0
                for h in range(p * stride[0], p * stride[0] + kernel[0]):
                    for w in range(q * stride[1], q * stride[1] + kernel[1]):
                        for c in range(channels):
                            y[n, p, q, c] += x[n, h, w, c]
                for c in range(channels):
                    y[n, p, q, c] *= np.float32(share)


@compiled(read(4, "C"), write(4), PAIR, PAIR, DOUBLE)
def _to_all(dy: Array, dx: Array, kernel: Pair, stride: Pair, share: float) -> None:
    count, rows, columns, channels = dy.shape
    for n in range(count):
        for p in range(rows):
            for q in range(columns):
                for h in range(p * stride[0], p * stride[0] + kernel[0]):
                    for w in range(q * stride[1], q * stride[1] + kernel[1]):
                        for c in range(channels):
                            dx[n, h, w, c] += dy[n, p, q, c] * np.float32(share)
