"""Convolution without im2col copies, for images in channels-last memory order.

In this order the L pixels of C channels that one row of a kernel covers are contiguous, and the next window begins
``stride`` pixels later.  So a row of outputs is a matrix product whose left rows overlap::

    y[p, q, :] = Σ_k  x̄[p·s + k, q·s : q·s + L, :] (L·C numbers)  ·  W[k] (L·C, O)

Images are processed in pieces that fit into the cache.  Each piece is first copied into a zero-padded buffer, from any
memory order.  The gradient of the input is again a convolution: one for each of the s·s phases of its pixels if the
stride is s.  The gradient of the weights is the product of the same rows with dy.
Source of the method: Georganas et al. 2018, arXiv:1808.05567.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from ...base import Array, Backward, Namespace
from ...memory import empty
from . import winograd
from .gemm import product
from .machinery.compiler import LONG, PAIR, compiled, read, write
from .machinery.memory_order import column_sums, usual_order
from .machinery.thread_pool import in_threads
from .machinery.tile import LANES, ROWS, tile

Pair = tuple[int, int]
TERMS = 512  # of a weight's gradient that are added one after the other
PIECE = 1 << 16  # elements of a padded piece: 256 kB, a part of the L2 cache


def conv2d(
    xp: Namespace,
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: Pair = (1, 1),
    padding: Any = ((0, 0), (0, 0)),
    dilation: Pair = (1, 1),
    groups: int = 1,
) -> tuple[Array, Backward] | None:
    """In float32, one group, no dilation.  The result has shape (N, O, P, Q) in channels-last memory order."""
    if groups != 1 or dilation != (1, 1) or 0 in x.shape or x.shape[1] != weight.shape[1]:
        return None
    kernel = weight.shape[2:]
    size = [(x.shape[i + 2] + sum(padding[i]) - kernel[i]) // stride[i] + 1 for i in (0, 1)]
    start = padding[0][0], padding[1][0]
    images = x.transpose(0, 2, 3, 1)
    y = empty((len(x), *size, len(weight)))
    correlate(images, weight, bias, y, stride, start)

    def backward(dy: Array, needs: tuple[bool, ...] = (True, True, True)) -> tuple[Array | None, ...]:
        dx = dw = db = None
        slopes = dy.transpose(0, 2, 3, 1)
        if needs[0]:
            dx = empty(images.shape)
            input_gradient(slopes, weight, dx, stride, start)
            dx = dx.transpose(0, 3, 1, 2)
        if needs[1]:
            dw = weight_gradient(images, slopes, kernel, stride, start)
        if bias is not None and needs[2]:
            db = column_sums(slopes.reshape(-1, len(weight)))
        return dx, dw, db

    return y.transpose(0, 3, 1, 2), backward


def correlate(x: Array, weight: Array, bias: Array | None, y: Array, stride: Pair, start: Pair) -> None:
    """``y[n,p,q] = b + Σ_kl W[:,:,k,l] x[n, p·s + k − start₀, q·s + l − start₁]``.  x (N, H, W, C), y (N, P, Q, O)."""
    out, channels, height, width = weight.shape
    if _few_products((height, width), stride, channels, y) and winograd.correlate(x, weight, bias, y, start):
        return
    vectors = -(-out // LANES)
    panel = LANES if vectors == 1 or (vectors % 2 and vectors < 6) else 2 * LANES  # columns of a tile
    packed = empty((-(-out // panel), height, width * channels, panel))
    in_threads(lambda i, j: pack(weight[i * panel : j * panel], packed[i:j]), len(packed), packed.size)
    pitch = (y.shape[2] - 1) * stride[1] + width  # pixels of a bordered row
    together = ROWS if len(x) >= ROWS and y.shape[2] % ROWS else 1
    rows = _rows(y, stride[0], height, pitch * channels * together)
    pieces = -(-len(x) // together) * -(-y.shape[1] // rows)
    b = np.zeros(out, np.float32) if bias is None else bias

    def part(first: int, last: int) -> None:
        _correlate(x, packed, b, y, (height, width), stride, start, (together, rows), first, last)

    in_threads(part, pieces, y.size * channels * height * width)


def input_gradient(dy: Array, weight: Array, dx: Array, stride: Pair, start: Pair) -> None:
    """``dx[h] = Σ dy[p] W[i]`` over all p, i with ``p·s + i − start = h``, for each phase: h = s·u + phase.

    The taps of a phase are i = i₀, i₀ + s, ...  For these, dx is a stride-1 correlation of dy with the flipped kernel.
    """
    if dy.shape[1:3] == (1, 1):  # one window per image: a matrix product, cropped to the image
        _, _, height, width = weight.shape
        seen = product(dy[:, 0, 0], weight.transpose(0, 2, 3, 1).reshape(len(weight), -1))
        parts = [slice(max(0, start[i]), start[i] + dx.shape[i + 1]) for i in (0, 1)]
        inside = seen.reshape(len(dy), height, width, -1)[:, parts[0], parts[1]]
        dx[...] = 0.0
        dx[:, max(0, -start[0]) :, max(0, -start[1]) :][:, : inside.shape[1], : inside.shape[2]] = inside
        return
    for row in range(stride[0]):
        for column in range(stride[1]):
            target = dx[:, row :: stride[0], column :: stride[1]]
            taps, begin = zip(*map(_phase, (row, column), weight.shape[2:], stride, start), strict=True)
            kernel = weight[:, :, taps[0], taps[1]][:, :, ::-1, ::-1].transpose(1, 0, 2, 3)
            if 0 in kernel.shape:
                target[...] = 0.0
            elif target.size:
                correlate(dy, kernel, None, target, (1, 1), begin)


def _phase(phase: int, kernel: int, stride: int, start: int) -> tuple[slice, int]:
    """The taps of a phase, and the start of the flipped kernel."""
    first = (phase + start) % stride
    taps = range(first, kernel, stride)
    return slice(first, kernel, stride), len(taps) - 1 - (phase + start - first) // stride


def weight_gradient(x: Array, dy: Array, kernel: Any, stride: Pair, start: Pair) -> Array:
    """``dW[o,c,k,l] = Σ_npq dy[n,p,q,o] x[n, p·s + k − start₀, q·s + l − start₁, c]``."""
    channels, out = x.shape[3], dy.shape[3]
    if _few_products(kernel, stride, channels, dy):
        found = winograd.weight_gradient(x, dy, start)
        if found is not None:
            return found
    if dy.shape[1] * dy.shape[2] <= 16:
        return _of_windows(x, dy, kernel, stride, start)
    row = ((dy.shape[2] - 1) * stride[1] + kernel[1]) * channels
    rows = _rows(dy, stride[0], kernel[0], row)
    image = ((rows - 1) * stride[0] + kernel[0]) * row
    together = max(1, channels * kernel[0] * kernel[1] * out // 8 // image) if rows == dy.shape[1] else 1
    pieces = -(-len(x) // together) * -(-dy.shape[1] // rows)

    blocks, work = kernel[0] * -(-kernel[1] * channels // ROWS), dy.size * channels * kernel[0] * kernel[1]
    shape = kernel[0], kernel[1] * channels, out
    if math.prod(shape) > x.size:  # more weights than pixels: split the weights among the threads
        dw = np.zeros(shape, np.float32)

        def some_weights(first: int, last: int) -> None:
            _weight_gradient(x, dy, dw, kernel, stride, start, (together, rows), (0, pieces), first, last)

        in_threads(some_weights, blocks, work)
    else:

        def some_pieces(first: int, last: int) -> Array:
            dw = np.zeros(shape, np.float32)
            _weight_gradient(x, dy, dw, kernel, stride, start, (together, rows), (first, last), 0, blocks)
            return dw

        dw = functools.reduce(np.add, in_threads(some_pieces, pieces, work))
    return usual_order(dw, kernel)


def _of_windows(x: Array, dy: Array, kernel: Any, stride: Pair, start: Pair) -> Array:
    """``dW = windowsᵀ dy`` with copied windows, which is cheap for tiny images."""
    n, p, q, out = dy.shape
    rows, columns = ((size - 1) * stride[i] + kernel[i] for i, size in enumerate((p, q)))
    piece = np.zeros((n, rows, columns, x.shape[3]), np.float32)
    seen = x[:, : max(0, rows - start[0]), : max(0, columns - start[1])]
    piece[:, start[0] : start[0] + x.shape[1], start[1] : start[1] + x.shape[2]] = seen
    sn, sh, sw, sc = piece.strides
    strides = (sn, sh * stride[0], sw * stride[1], sh, sw, sc)
    windows = np.lib.stride_tricks.as_strided(piece, (n, p, q, *kernel, x.shape[3]), strides)
    dw = product(windows.reshape(n * p * q, -1).T, dy.reshape(n * p * q, out))
    return usual_order(dw, kernel)


def _few_products(kernel: Any, stride: Pair, channels: int, y: Array) -> bool:
    """Whether Winograd's method is faster: 3x3, stride 1, not too few channels or tiles."""
    tiles = len(y) * -(-y.shape[1] // 4) * -(-y.shape[2] // 4)
    many = min(channels, y.shape[3]) >= 16 and min(y.shape[1:3]) >= 3 and tiles >= max(channels, y.shape[3]) // 4
    return tuple(kernel) == (3, 3) and stride == (1, 1) and many


def _rows(y: Array, stride: int, kernel: int, row: int) -> int:
    """The number of output rows of a piece that fits into the cache."""
    return int(min(y.shape[1], max(1, (PIECE // row - kernel) // stride + 1)))


@compiled(read(4), write(4))
def pack(weight: Array, packed: Array) -> None:
    """(O, C, K, L) in any memory order -> column panels (O / panel, K, L·C, panel), the last one padded with zeros."""
    out, channels, height, width = weight.shape
    blocks, _, _, panel = packed.shape
    for block in range(blocks):
        columns = min(panel, out - block * panel)
        for c in range(channels):
            for k in range(height):
                for j in range(width):
                    for lane in range(columns):
                        packed[block, k, j * channels + c, lane] = weight[block * panel + lane, c, k, j]
                    packed[block, k, j * channels + c, columns:] = 0.0


@compiled(write(1), read(3), LONG, LONG, LONG, LONG)
def _border(piece: Array, image: Array, rows: int, pitch: int, top: int, left: int) -> None:
    """The rows of an image from ``−top`` on, zero-padded, as (rows, pitch, C)."""
    height, width, channels = image.shape
    for r in range(rows):
        h, line = r - top, r * pitch * channels
        if h < 0 or h >= height:
            piece[line : line + pitch * channels] = 0.0
            continue
        first, last = max(0, left), max(0, min(pitch, width + left))
        piece[line : line + min(first, pitch) * channels] = 0.0
        piece[line + last * channels : line + pitch * channels] = 0.0
        for s in range(first, last):
            pixel = piece[line + s * channels : line + (s + 1) * channels]
            for c in range(channels):
                pixel[c] = image[h, s - left, c]


@compiled(read(4), read(4, "C"), read(1), write(4, "A"), PAIR, PAIR, PAIR, PAIR, LONG, LONG)
def _correlate(
    x: Array, packed: Array, bias: Array, y: Array, kernel: Pair, stride: Pair, start: Pair, sizes: Pair,
    first: int, last: int,
) -> None:  # fmt: skip
    """Compute pieces ``first`` to ``last``, each of ``sizes[0]`` images and ``sizes[1]`` output rows."""
    channels = x.shape[3]
    count, height, width, out = y.shape
    together, rows = sizes
    parts = (height + rows - 1) // rows
    pitch = (width - 1) * stride[1] + kernel[1]
    blocks, _, length, panel = packed.shape
    line = pitch * channels
    image = ((rows - 1) * stride[0] + kernel[0]) * line
    piece = np.zeros(together * image + ROWS * (stride[1] * channels + length), np.float32)
    step, a_row, c_row = ROWS, stride[1] * channels, y.strides[2] // 4
    if together > 1:  # the rows of a tile are the same pixel of several images
        step, a_row, c_row = 1, image, y.strides[0] // 4
    for unit in range(first, last):
        begin, top = unit // parts * together, unit % parts * rows
        number, end = min(together, count - begin), min(top + rows, height)
        for n in range(begin, begin + number):
            lines = (end - top - 1) * stride[0] + kernel[0]
            _border(piece[(n - begin) * image :], x[n], lines, pitch, start[0] - top * stride[0], start[1])
            for p in range(top, end):
                for q in range(width):
                    for o in range(out):
                        y[n, p, q, o] = bias[o]
        for block in range(blocks):
            b = packed.ctypes.data + 4 * block * kernel[0] * length * panel
            columns = min(panel, out - block * panel)
            for p in range(top, end):
                a = piece.ctypes.data + 4 * (p - top) * stride[0] * line
                c = y.ctypes.data + begin * y.strides[0] + p * y.strides[1] + 4 * block * panel
                for q in range(0, width, step):
                    used = number if together > 1 else min(step, width - q)
                    here, there = a + 4 * q * stride[1] * channels, c + q * y.strides[2]
                    tile(
                        panel, here, a_row, 1, line, b, panel, length * panel, kernel[0], length,
                        there, c_row, used, columns, 1,
                    )  # fmt: skip


@compiled(read(4), read(4), write(3), PAIR, PAIR, PAIR, PAIR, PAIR, LONG, LONG)
def _weight_gradient(
    x: Array, dy: Array, dw: Array, kernel: Pair, stride: Pair, start: Pair, sizes: Pair, pieces: Pair,
    first: int, last: int,
) -> None:  # fmt: skip
    """Add the contribution of these pieces to blocks ``first`` to ``last``, of up to 8 rows, of dw (K, L·C, O)."""
    channels = x.shape[3]
    count, height, width, out = dy.shape
    together, rows = sizes
    parts = (height + rows - 1) // rows
    pitch = (width - 1) * stride[1] + kernel[1]
    length = kernel[1] * channels
    panel = LANES if out <= LANES else 2 * LANES
    line = pitch * channels
    image, slope = ((rows - 1) * stride[0] + kernel[0]) * line, rows * width * out
    piece = np.zeros(together * image + ROWS, np.float32)
    slopes = np.zeros(together * slope + panel, np.float32)
    across = (length + ROWS - 1) // ROWS
    some = max(1, TERMS // width)  # rows
    for unit in range(pieces[0], pieces[1]):
        begin, top = unit // parts * together, unit % parts * rows
        number, high = min(together, count - begin), min(rows, height - top)
        for n in range(number):
            lines = (high - 1) * stride[0] + kernel[0]
            _border(piece[n * image :], x[begin + n], lines, pitch, start[0] - top * stride[0], start[1])
            _border(slopes[n * slope :], dy[begin + n], high, width, -top, 0)
        for block in range(first, last):
            k, m = block // across, block % across * ROWS
            used = min(ROWS, length - m)
            for o in range(0, out, panel):
                c, columns = dw.ctypes.data + 4 * ((k * length + m) * out + o), min(panel, out - o)
                for n in range(number):
                    a = piece.ctypes.data + 4 * (n * image + k * line + m)
                    b = slopes.ctypes.data + 4 * (n * slope + o)
                    for p in range(0, high, some):
                        for q in range(0, width, TERMS):
                            tile(
                                panel, a + 4 * (p * stride[0] * line + q * stride[1] * channels), 1,
                                stride[1] * channels, stride[0] * line, b + 4 * (p * width + q) * out, out,
                                width * out, min(some, high - p), min(TERMS, width - q), c, out, used, columns, 1,
                            )  # fmt: skip
