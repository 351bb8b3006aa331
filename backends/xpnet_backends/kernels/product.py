"""A matrix product of tiles, for what stands between compiled kernels: a BLAS would bring threads of its own.

The right side is packed into panels of columns, 256 rows of it at a time, so that a panel stays in the first cache
while the rows of the left side pass (Goto & van de Geijn 2008, doi:10.1145/1356052.1356053, without their packing of
the left side where its rows are contiguous).
"""

from __future__ import annotations

import numpy as np

from ..base import Array
from .machine import LONG, compiled, read, write
from .tile import LANES, ROWS, tile
from .workers import in_threads

DEPTH, PANEL = 256, 2 * LANES


def product(a: Array, b: Array) -> Array:
    """``a · b`` in float32.  a (M, K), b (K, N), in any memory order -> (M, N)."""
    (rows, depth), columns = a.shape, b.shape[1]
    c = np.empty((rows, columns), np.float32)
    work = rows * depth * columns
    if rows >= columns:  # each thread takes rows, or columns: of what there are more
        in_threads(lambda i, j: _product(a, b, c, ROWS * i, min(ROWS * j, rows), 0, columns), -(-rows // ROWS), work)
    else:
        panels = -(-columns // PANEL)
        in_threads(lambda i, j: _product(a, b, c, 0, rows, PANEL * i, min(PANEL * j, columns)), panels, work)
    return c


@compiled(read(2), read(2), write(2), LONG, LONG, LONG, LONG)
def _product(a: Array, b: Array, c: Array, top: int, bottom: int, left: int, right: int) -> None:
    """Rows ``top`` to ``bottom`` of columns ``left`` to ``right``."""
    depth, columns = b.shape
    if depth == 0:
        c[top:bottom, left:right] = 0.0
    panel = np.empty((DEPTH, PANEL), np.float32)
    number = (bottom - top + ROWS - 1) // ROWS
    far = a.strides[1] != 4 or a.strides[0] > 4 * 2 * DEPTH  # rows so far apart fall into the same lines of the cache
    packed = np.empty((number, DEPTH, ROWS), np.float32)
    for k in range(0, depth, DEPTH):
        length = min(DEPTH, depth - k)
        for i in range(number):
            m = top + i * ROWS
            if far or m + ROWS > bottom:  # a tile reads 8 rows, also where there are fewer
                for j in range(length):
                    for r in range(ROWS):
                        packed[i, j, r] = a[m + r, k + j] if m + r < bottom else np.float32(0.0)
        for n in range(left, right, PANEL):
            used = min(PANEL, right - n)
            for j in range(length):
                for lane in range(used):
                    panel[j, lane] = b[k + j, n + lane]
                for lane in range(used, PANEL):
                    panel[j, lane] = 0.0
            for i in range(number):
                m = top + i * ROWS
                here, row, step = a.ctypes.data + m * a.strides[0] + k * a.strides[1], a.strides[0] // 4, 1
                if far or m + ROWS > bottom:
                    here, row, step = packed[i].ctypes.data, 1, ROWS
                there = c.ctypes.data + 4 * (m * columns + n)
                rows = min(ROWS, bottom - m)
                tile(
                    PANEL, here, row, step, 0, panel.ctypes.data, PANEL, 0, 1, length, there, columns, rows, used, k > 0
                )
