"""Conversions between memory orders (channels-last images, C-contiguous parameters), and sums over all pixels."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....base import Array
from ....memory import empty
from .compiler import LONG, compiled, read, write
from .thread_pool import in_threads
from .tile import LANES

BLOCK = 128  # rows


def channels_last(x: Array) -> Array:
    """(N, C, ...) as contiguous (N, ..., C); a view if the memory already has that order."""
    turned: Array = np.moveaxis(x, 1, -1)
    if turned.flags.c_contiguous or x.ndim != 4:
        return np.ascontiguousarray(turned)
    found = empty(turned.shape)
    in_threads(lambda i, j: _turn_images(x[i:j], found[i:j]), len(x), 8 * x.size)
    return found


@compiled(read(4), write(4))
def _turn_images(x: Array, found: Array) -> None:
    """Transpose a few pixels of a row at a time, so that source and destination stay in the cache."""
    count, channels, height, width = x.shape
    for n in range(count):
        for h in range(height):
            for start in range(0, width, LANES):
                for c in range(channels):
                    for w in range(start, min(start + LANES, width)):
                        found[n, h, w, c] = x[n, c, h, w]


def usual_order(dw: Array, kernel: Any) -> Array:
    """(K, L·C, O) or any other split of the leading axes -> (O, C, K, L)."""
    taps, out = kernel[0] * kernel[1], dw.shape[-1]
    rows = dw.reshape(taps, -1, out)
    found = np.empty((out, rows.shape[1], taps), np.float32)
    in_threads(lambda i, j: _turn(rows, found, i, j), -(-out // LANES), 8 * dw.size)
    return found.reshape(out, rows.shape[1], *kernel)


@compiled(read(3, "C"), write(3), LONG, LONG)
def _turn(rows: Array, found: Array, first: int, last: int) -> None:
    """Transpose in blocks of outputs, so that source and destination stay in the cache."""
    taps, channels, out = rows.shape
    for block in range(first, last):
        for c in range(channels):
            for i in range(taps):
                for o in range(block * LANES, min((block + 1) * LANES, out)):
                    found[o, c, i] = rows[i, c, o]


def column_sums(rows: Array) -> Any:
    """``Σ_n rows[n, :]``, (C,).  NumPy is slow for few columns."""
    rows = np.ascontiguousarray(rows)

    def part(first: int, last: int) -> Array:
        total = np.zeros(rows.shape[1])
        _add(rows[first:last], total)
        return total

    return np.sum(in_threads(part, len(rows), 8 * rows.size), axis=0).astype(np.float32)


@compiled(read(2, "C"), write(1, dtype="float64"))
def _add(rows: Array, total: Array) -> None:
    """Sum blocks in float32, and the block sums in float64."""
    some = np.empty(rows.shape[1], np.float32)
    for start in range(0, rows.shape[0], BLOCK):
        some[:] = 0.0
        for n in range(start, min(start + BLOCK, rows.shape[0])):
            for c in range(rows.shape[1]):
                some[c] += rows[n, c]
        for c in range(rows.shape[1]):
            total[c] += some[c]
