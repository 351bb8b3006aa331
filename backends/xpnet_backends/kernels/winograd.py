"""Convolution of 3x3 kernels by Winograd's minimal filtering F(4x4, 3x3).

Cook's and Toom's method: the product of two polynomials is known from its values at enough points.  Four outputs of a
kernel of three taps need six points (0, 1, −1, 2, −2, ∞) and so six multiplications instead of twelve; in two
dimensions 36 instead of 144.  With the matrices below, for a tile d (6, 6), a kernel g (3, 3), an output Y (4, 4)::

    Y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A

Summed over channels, the ⊙ becomes 36 matrix products.  Every transform is linear, so that its derivative is its
transpose.  In float32 the result differs from the direct sum by some 1e-6 of its size.  Source: Lavin and Gray 2015,
arXiv:1509.09308.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..base import Array, Backward, Namespace
from .workers import over_parts

G = [[1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6], [1 / 24, 1 / 12, 1 / 6], [1 / 24, -1 / 12, 1 / 6], [0, 0, 1]]  # fmt: skip  # noqa: E501
BT = [[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0], [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1]]  # fmt: skip  # noqa: E501
AT = [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]

# the two-dimensional transforms as single matrices: vec(B^T d B) = (B^T x B^T) vec(d); (36, 9), (36, 36), (16, 36)
KERNEL, TILE, OUTPUT = (np.kron(m, m).astype(np.float32) for m in map(np.array, (G, BT, AT)))
CACHE = 1 << 20  # bytes of transformed tiles that a piece may hold


def conv2d(
    xp: Namespace,
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: tuple[int, int] = (1, 1),
    padding: Any = ((0, 0), (0, 0)),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
) -> tuple[Array, Backward] | None:
    """3x3 in float32, stride 1, at least 64 channels in and out: fewer gain nothing, and are declined."""
    out, channels, *kernel = weight.shape
    usual = kernel == [3, 3] and stride == dilation == (1, 1) and groups == 1 and max(map(max, padding)) <= 2
    if not usual or x.dtype != np.float32 or min(out, channels) < 64 or x.size == 0:
        return None
    size = tuple(x.shape[i + 2] + sum(padding[i]) - 2 for i in (0, 1))
    y = correlate(x, _transformed(weight), padding, size)
    if bias is not None:
        y += bias.reshape(1, out, 1, 1)

    def backward(dy: Array, needs: tuple[bool, ...] = (True, True, True)) -> tuple[Array | None, ...]:
        dx = dw = None
        if needs[0]:  # each input element meets the kernel turned by half a turn
            turned = weight[:, :, ::-1, ::-1].transpose(1, 0, 2, 3)
            rest: Any = tuple((2 - low, 2 - high) for low, high in padding)
            dx = correlate(dy, _transformed(turned), rest, x.shape[2:])
        if needs[1]:
            dw = _weight_gradient(x, dy, padding)
        db = dy.sum(axis=(0, 2, 3)) if bias is not None and needs[2] else None
        return dx, dw, db

    return y, backward


def correlate(x: Array, u: Array, padding: Any, size: Any) -> Array:
    """Tiles, 36 products, outputs.  x (N, C, H, W), transformed kernels (36, O, C) -> (N, O, P, Q)."""
    out = u.shape[1]
    padded, rows, columns = _padded(x, padding, size)
    y = np.empty((len(x), out, 4 * rows, 4 * columns), x.dtype)

    def piece(start: int, stop: int) -> None:
        products = np.matmul(u, _tiles(padded[start:stop], rows, columns))  # (36, O, tiles)
        outputs = np.dot(OUTPUT, products.reshape(36, -1)).reshape(4, 4, out, stop - start, rows, columns)
        target = y[start:stop].reshape(stop - start, out, rows, 4, columns, 4)
        target[...] = outputs.transpose(3, 2, 4, 0, 5, 1)

    over_parts(piece, len(x), _images(max(x.shape[1], out), rows * columns))
    return y if y.shape[2:] == tuple(size) else np.ascontiguousarray(y[:, :, : size[0], : size[1]])


def _weight_gradient(x: Array, dy: Array, padding: Any) -> Array:
    """``dU = (A dY Aᵀ) Vᵀ``, summed over all tiles, then ``dg = Gᵀ dU G``."""
    channels, out = x.shape[1], dy.shape[1]
    padded, rows, columns = _padded(x, padding, dy.shape[2:])
    full = np.zeros((len(x), out, 4 * rows, 4 * columns), x.dtype)
    full[:, :, : dy.shape[2], : dy.shape[3]] = dy

    def piece(start: int, stop: int) -> Array:
        tiled = full[start:stop].reshape(stop - start, out, rows, 4, columns, 4).transpose(3, 5, 1, 0, 2, 4)
        spread = np.dot(OUTPUT.T, tiled.reshape(16, -1)).reshape(36, out, -1)
        return np.matmul(spread, _tiles(padded[start:stop], rows, columns).transpose(0, 2, 1))  # (36, O, C)

    du = sum(over_parts(piece, len(x), _images(max(channels, out), rows * columns)))
    dg = np.dot(KERNEL.T, du.reshape(36, -1)).reshape(3, 3, out, channels)
    return np.ascontiguousarray(dg.transpose(2, 3, 0, 1))


def _transformed(weight: Array) -> Array:
    """``G g Gᵀ`` of every kernel.  (O, C, 3, 3) -> (36, O, C)."""
    out, channels = weight.shape[:2]
    return np.dot(KERNEL, weight.transpose(2, 3, 0, 1).reshape(9, -1)).reshape(36, out, channels)


def _tiles(padded: Array, rows: int, columns: int) -> Array:
    """``Bᵀ d B`` of every tile; neighbours overlap by two.  (N, C, 4R + 2, 4S + 2) -> (36, C, N·R·S)."""
    n, c, _, _ = padded.shape
    sn, sc, sh, sw = padded.strides
    seen = np.lib.stride_tricks.as_strided(padded, (6, 6, c, n, rows, columns), (sh, sw, sc, sn, 4 * sh, 4 * sw))
    return np.dot(TILE, seen.reshape(36, -1)).reshape(36, c, n * rows * columns)


def _padded(x: Array, padding: Any, size: Any) -> tuple[Array, int, int]:
    """The border, and zeros up to whole tiles.  Also the rows and columns of tiles."""
    n, c, height, width = x.shape
    rows, columns = -(-size[0] // 4), -(-size[1] // 4)
    padded = np.zeros((n, c, 4 * rows + 2, 4 * columns + 2), x.dtype)
    top, left = padding[0][0], padding[1][0]
    padded[:, :, top : top + height, left : left + width] = x
    return padded, rows, columns


def _images(channels: int, tiles: int) -> int:
    return max(1, CACHE // (4 * 36 * channels * tiles))
