"""Convolution of 3x3 kernels by Winograd's minimal filtering F(4x4, 3x3).

The Toom-Cook method: enough values of a product of two polynomials determine the product.  Four outputs of a kernel
with three taps need six points (0, 1, −1, 2, −2, ∞), hence six multiplications instead of twelve; in two dimensions 36
instead of 144.  For a tile d (6, 6), a kernel g (3, 3), an output Y (4, 4)::

    Y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A

With the sum over channels, ⊙ becomes 36 matrix products of the tiles (T, C) with the kernels (C, O).  Every transform
is linear, so its derivative is its transpose.  In float32 the result differs from the direct sum by about 1e-6 of its
size.  A NaN or an infinity would spread to all windows of its tile.  So both functions report one, and the caller
computes the direct sum instead.  Source: Lavin and Gray 2015, arXiv:1509.09308, section 4.
"""

from __future__ import annotations

import functools

import numpy as np

from ...base import Array
from ...memory import empty
from .gemm import product
from .machinery.compiler import LONG, PAIR, compiled, read, write
from .machinery.memory_order import usual_order
from .machinery.thread_pool import cores, in_threads
from .machinery.tile import LANES, ROWS, combination, tile

Pair = tuple[int, int]
G = [[1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6], [1 / 24, 1 / 12, 1 / 6], [1 / 24, -1 / 12, 1 / 6], [0, 0, 1]]  # fmt: skip  # noqa: E501
BT = [[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0], [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1]]  # fmt: skip  # noqa: E501
AT = [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]
values, outputs, slopes = combination(BT), combination(AT), combination([*zip(*AT, strict=True)])
KERNEL = np.kron(np.array(G), np.array(G)).astype(np.float32)  # vec(G g Gᵀ) = (G ⊗ G) vec(g); (36, 9)
POINTS = 36
PIECE = 1 << 16  # elements of the transformed tiles: 256 kB, a part of the L2 cache
CORNERS = (0, 5, 30, 35)  # the points (0, 0), (0, ∞), (∞, 0), (∞, ∞): each element of a tile contributes to one of them
ONE = 7  # the point (1, 1): Aᵀ adds its value to all 16 outputs, and therefore also the bias


def correlate(x: Array, weight: Array, bias: Array | None, y: Array, start: Pair) -> bool:
    """``conv.correlate`` for 3x3 kernels and stride 1.  Returns whether x is finite.

    x (N, H, W, C), weight (O, C, 3, 3), y (N, P, Q, O).
    """
    out, channels = weight.shape[:2]
    panel = LANES if out <= LANES else 2 * LANES
    u = empty((POINTS, -(-out // panel), channels, panel))
    in_threads(lambda i, j: _kernels(weight, KERNEL, u, i, j), channels, u.size)
    tiles, block = _blocks(y.shape, channels, out)
    b = np.zeros(out, np.float32) if bias is None else bias

    def part(first: int, last: int) -> bool:
        finite = np.ones(1, np.uint8)
        _correlate(x, u, b, y, start, block, first, last, finite)
        return bool(finite[0])

    return all(in_threads(part, -(-tiles // block), y.size * channels * 2))


def weight_gradient(x: Array, dy: Array, start: Pair) -> Array | None:
    """``dU = Vᵀ (A dY Aᵀ)``, summed over all tiles, then ``dg = Gᵀ dU G``; None if it is not finite."""
    channels, out = x.shape[3], dy.shape[3]
    tiles, block = _blocks(dy.shape, channels, out)

    def part(first: int, last: int) -> Array:
        du = np.zeros((POINTS, channels, out), np.float32)
        _weight_gradient(x, dy, du, start, block, first, last)
        return du

    du = functools.reduce(np.add, in_threads(part, -(-tiles // block), dy.size * channels * 2))
    if not np.isfinite(du).all():
        return None
    return usual_order(product(KERNEL.T, du.reshape(POINTS, -1)).reshape(9, channels, out), (3, 3))


def _blocks(shape: tuple[int, ...], channels: int, out: int) -> Pair:
    """The number of tiles, and the tiles per block: as much memory as the transformed kernels need, at least 256 kB."""
    tiles = shape[0] * -(-shape[1] // 4) * -(-shape[2] // 4)
    block = max(PIECE, POINTS * channels * out) // (POINTS * (channels + out))
    return tiles, min(-(-tiles // (ROWS * cores())), max(1, block // ROWS)) * ROWS


@compiled(read(4), read(2, "C"), write(4), LONG, LONG)
def _kernels(weight: Array, transform: Array, u: Array, first: int, last: int) -> None:
    """``G g Gᵀ`` of channels ``first`` to ``last``, in panels.  (O, C, 3, 3) -> (36, O / panel, C, panel)."""
    out, (_, blocks, _, panel) = weight.shape[0], u.shape
    g = np.zeros((9, panel), np.float32)
    for block in range(blocks):
        for c in range(first, last):
            for lane in range(panel):
                o = block * panel + lane
                for i in range(9):
                    g[i, lane] = weight[o, c, i // 3, i % 3] if o < out else np.float32(0.0)
            for e in range(POINTS):
                found = u[e, block, c]
                for lane in range(panel):
                    found[lane] = 0.0
                for i in range(9):
                    factor = transform[e, i]
                    for lane in range(panel):
                        found[lane] += factor * g[i, lane]


@compiled(read(4), LONG, LONG, LONG, write(3))
def _window(x: Array, n: int, top: int, left: int, window: Array) -> None:
    """Copy a part of an image, zero-padded."""
    for i in range(window.shape[0]):
        for j in range(window.shape[1]):
            if 0 <= top + i < x.shape[1] and 0 <= left + j < x.shape[2]:
                for c in range(window.shape[2]):
                    window[i, j, c] = x[n, top + i, left + j, c]
            else:
                window[i, j] = 0.0


@compiled(read(4), PAIR, PAIR, LONG, LONG, write(3))
def _to_values(x: Array, start: Pair, grid: Pair, first: int, last: int, v: Array) -> None:
    """``Bᵀ d B`` of tiles ``first`` to ``last``; neighbouring tiles overlap by two pixels.  v (36, T, C)."""
    _, height, width, channels = x.shape
    window, half = np.empty((6, 6, channels), np.float32), np.empty((6, 6, LANES), np.float32)
    for number in range(first, last):
        t, n, place = number - first, number // (grid[0] * grid[1]), number % (grid[0] * grid[1])
        top, left = place // grid[1] * 4 - start[0], place % grid[1] * 4 - start[1]
        a = x.ctypes.data + n * x.strides[0] + top * x.strides[1] + left * x.strides[2]
        row, column = x.strides[1], x.strides[2]
        if top < 0 or left < 0 or top + 6 > height or left + 6 > width or x.strides[3] != 4:
            _window(x, n, top, left, window)
            a, row, column = window.ctypes.data, window.strides[0], window.strides[1]
        for c in range(0, channels, LANES):
            for j in range(6):
                values(a + 4 * c + j * column, row // 4, half[:, j].ctypes.data, 6 * LANES, channels - c)
            for i in range(6):
                values(half[i].ctypes.data, LANES, v[6 * i, t, c:].ctypes.data, v.strides[0] // 4, channels - c)


@compiled(read(4), PAIR, LONG, LONG, write(3))
def _to_slopes(dy: Array, grid: Pair, first: int, last: int, w: Array) -> None:
    """``A dY Aᵀ`` of tiles ``first`` to ``last``.  w (36, T, O)."""
    _, height, width, out = dy.shape
    window, half = np.empty((4, 4, out), np.float32), np.empty((6, 4, LANES), np.float32)
    for number in range(first, last):
        t, n, place = number - first, number // (grid[0] * grid[1]), number % (grid[0] * grid[1])
        top, left = place // grid[1] * 4, place % grid[1] * 4
        a = dy.ctypes.data + n * dy.strides[0] + top * dy.strides[1] + left * dy.strides[2]
        row, column = dy.strides[1], dy.strides[2]
        if top + 4 > height or left + 4 > width or dy.strides[3] != 4:
            _window(dy, n, top, left, window)
            a, row, column = window.ctypes.data, window.strides[0], window.strides[1]
        for c in range(0, out, LANES):
            for j in range(4):
                slopes(a + 4 * c + j * column, row // 4, half[:, j].ctypes.data, 4 * LANES, out - c)
            for i in range(6):
                slopes(half[i].ctypes.data, LANES, w[6 * i, t, c:].ctypes.data, w.strides[0] // 4, out - c)


@compiled(read(3, "C"), PAIR, LONG, LONG, write(4, "A"))
def _to_images(m: Array, grid: Pair, first: int, last: int, y: Array) -> None:
    """``Aᵀ m A`` of tiles ``first`` to ``last``, cropped to the image.  m (36, T, O)."""
    _, height, width, out = y.shape
    half, whole = np.empty((4, 6, LANES), np.float32), np.empty((4, 4, LANES), np.float32)
    for number in range(first, last):
        t, n, place = number - first, number // (grid[0] * grid[1]), number % (grid[0] * grid[1])
        top, left = place // grid[1] * 4, place % grid[1] * 4
        inside = top + 4 <= height and left + 4 <= width
        for o in range(0, out, LANES):
            for j in range(6):
                outputs(
                    m[j, t, o:].ctypes.data,
                    6 * m.strides[0] // 4,
                    half[:, j].ctypes.data,
                    6 * LANES,
                    out - o,
                )
            for i in range(4):
                if inside:
                    outputs(half[i].ctypes.data, LANES, y[n, top + i, left, o:].ctypes.data, y.strides[2] // 4, out - o)
                else:
                    outputs(half[i].ctypes.data, LANES, whole[i].ctypes.data, LANES, out - o)
            if not inside:
                for i in range(min(4, height - top)):
                    for j in range(min(4, width - left)):
                        for c in range(min(LANES, out - o)):
                            y[n, top + i, left + j, o + c] = whole[i, j, c]


@compiled(read(4), read(4, "C"), read(1), write(4, "A"), PAIR, LONG, LONG, LONG, write(1, dtype="uint8"))
def _correlate(
    x: Array, u: Array, bias: Array, y: Array, start: Pair, block: int, first: int, last: int, finite: Array
) -> None:
    """Compute blocks ``first`` to ``last`` of ``block`` tiles.  If x is not finite, sets ``finite`` to 0 and stops."""
    channels, (count, height, width, out) = x.shape[3], y.shape
    grid = ((height + 3) // 4, (width + 3) // 4)
    _, panels, _, panel = u.shape
    line = block + 1  # the stride is no power of two, else all 36 values compete for the same cache sets
    v = np.zeros((POINTS, line, channels), np.float32)
    m = np.empty((POINTS, line, out), np.float32)
    for unit in range(first, last):
        begin, end = unit * block, min((unit + 1) * block, count * grid[0] * grid[1])
        _to_values(x, start, grid, begin, end, v)
        nothing = np.float32(0.0)
        for e in CORNERS:
            point = v[e].reshape(line * channels)
            for i in range((end - begin) * channels):
                nothing += point[i] * np.float32(0.0)  # NaN where it is not finite
        if nothing != np.float32(0.0):
            finite[0] = 0
            return
        for t in range(end - begin):
            for o in range(out):
                m[ONE, t, o] = bias[o]
        for e in range(POINTS):
            for p in range(panels):
                b, columns = u.ctypes.data + 4 * (e * panels + p) * channels * panel, min(panel, out - p * panel)
                for t in range(0, end - begin, ROWS):
                    a = v.ctypes.data + 4 * (e * line + t) * channels
                    c = m.ctypes.data + 4 * ((e * line + t) * out + p * panel)
                    tile(panel, a, channels, 1, 0, b, panel, 0, 1, channels, c, out, ROWS, columns, e == ONE)
        _to_images(m, grid, begin, end, y)


@compiled(read(4), read(4), write(3), PAIR, LONG, LONG, LONG)
def _weight_gradient(x: Array, dy: Array, du: Array, start: Pair, block: int, first: int, last: int) -> None:
    """Add the contribution of blocks ``first`` to ``last`` to dU (36, C, O)."""
    channels, (count, height, width, out) = x.shape[3], dy.shape
    grid = ((height + 3) // 4, (width + 3) // 4)
    panel = LANES if out <= LANES else 2 * LANES
    line = block + 1
    v = np.zeros((POINTS, line, channels), np.float32)
    w = np.zeros(POINTS * line * out + panel, np.float32)  # a tile reads beyond the end of the last row
    s = w[: POINTS * line * out].reshape(POINTS, line, out)
    for unit in range(first, last):
        begin, end = unit * block, min((unit + 1) * block, count * grid[0] * grid[1])
        _to_values(x, start, grid, begin, end, v)
        _to_slopes(dy, grid, begin, end, s)
        for e in range(POINTS):
            for m in range(0, channels, ROWS):
                a, rows = v.ctypes.data + 4 * (e * line * channels + m), min(ROWS, channels - m)
                for o in range(0, out, panel):
                    b, columns = w.ctypes.data + 4 * (e * line * out + o), min(panel, out - o)
                    c = du.ctypes.data + 4 * ((e * channels + m) * out + o)
                    tile(panel, a, 1, channels, 0, b, out, 0, 1, end - begin, c, out, rows, columns, 1)
