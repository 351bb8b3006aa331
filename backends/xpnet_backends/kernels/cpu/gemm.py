"""A tiled matrix product for use between compiled kernels.  A BLAS would start threads of its own.

The right matrix is packed into column panels, 256 rows at a time, so that a panel stays in the L1 cache while it
multiplies all rows of the left matrix (Goto & van de Geijn 2008, doi:10.1145/1356052.1356053).  Unlike there, the left
matrix is packed only if its rows are not contiguous.
"""

from __future__ import annotations

import numpy as np

from ...base import Array
from .machinery.compiler import LONG, compiled, read, write
from .machinery.thread_pool import in_threads
from .machinery.tile import LANES, ROWS, tile

DEPTH, PANEL = 256, 2 * LANES


def product(a: Array, b: Array) -> Array:
    """``a · b`` in float32.  a (M, K), b (K, N), in any memory order -> (M, N)."""
    (rows, depth), columns = a.shape, b.shape[1]
    if rows < columns and b.strides[0] == 4 and a.strides[1] == 4:  # (bᵀ aᵀ)ᵀ packs less
        return np.ascontiguousarray(product(b.T, a.T).T)
    c = np.empty((rows, columns), np.float32)
    work = rows * depth * columns // 2  # leaves room for the cost of packing
    if rows >= columns:  # split the longer axis among the threads
        in_threads(lambda i, j: _product(a, b, c, ROWS * i, min(ROWS * j, rows), 0, columns), -(-rows // ROWS), work)
    else:
        panels = -(-columns // PANEL)
        in_threads(lambda i, j: _product(a, b, c, 0, rows, PANEL * i, min(PANEL * j, columns)), panels, work)
    return c


@compiled(read(2), LONG, LONG, LONG, write(2))
def _pack(b: Array, k: int, length: int, n: int, panel: Array) -> None:
    """Copy ``length`` rows of b from row k and column n into the panel, padded with zeros."""
    used = min(panel.shape[1], b.shape[1] - n)
    if b.strides[0] == 4:  # a transposed matrix: read along its columns
        for lane in range(used):
            column = b[k : k + length, n + lane]
            for j in range(length):
                panel[j, lane] = column[j]
    else:
        for j in range(length):
            row = b[k + j, n : n + used]
            for lane in range(used):
                panel[j, lane] = row[lane]
    for j in range(length):
        for lane in range(used, panel.shape[1]):
            panel[j, lane] = 0.0


@compiled(read(2), read(2), write(2), LONG, LONG, LONG, LONG)
def _product(a: Array, b: Array, c: Array, top: int, bottom: int, left: int, right: int) -> None:
    """Compute rows ``top`` to ``bottom`` of columns ``left`` to ``right``."""
    depth, columns = b.shape
    if depth == 0:
        c[top:bottom, left:right] = 0.0
    panel = np.empty((DEPTH, PANEL), np.float32)
    number = (bottom - top + ROWS - 1) // ROWS
    # rows at a distance of a multiple of 512 bytes compete for the same cache sets
    far = a.strides[1] != 4 or (a.strides[0] % 512 == 0 and a.strides[0] > 8 * DEPTH)
    packed = np.empty((number, DEPTH, ROWS), np.float32)
    for k in range(0, depth, DEPTH):
        length = min(DEPTH, depth - k)
        for i in range(number):
            m = top + i * ROWS
            if far or m + ROWS > bottom:  # a tile always reads 8 rows
                _pack(a.T, k, length, m, packed[i])
        for n in range(left, right, PANEL):
            _pack(b, k, length, n, panel)
            for i in range(number):
                m = top + i * ROWS
                here, row, step = a.ctypes.data + m * a.strides[0] + k * a.strides[1], a.strides[0] // 4, 1
                if far or m + ROWS > bottom:
                    here, row, step = packed[i].ctypes.data, 1, ROWS
                there, rows, used = c.ctypes.data + 4 * (m * columns + n), min(ROWS, bottom - m), min(PANEL, right - n)
                tile(
                    PANEL, here, row, step, 0, panel.ctypes.data, PANEL, 0, 1, length, there, columns, rows, used, k > 0
                )
