"""Convolution.  Shapes: x (N, C, H, W), weight (O, C/groups, K, L), y (N, O, P, Q).

As usual in deep learning, convolution means cross-correlation: the kernel is not flipped.  ``docs/convolution.md`` has
the derivations.
"""

from __future__ import annotations

import math
from typing import TypeAlias

from xpnet_backends import Array, Namespace, pairwise_sum
from xpnet_backends import matmul as product

from ._shared import Result, sum_dtype

Pair: TypeAlias = tuple[int, int]
Padding: TypeAlias = tuple[Pair, Pair]  # (top, bottom), (left, right)


def output_length(length: int, kernel: int, stride: int, padding: Pair, dilation: int) -> int:
    """``P = ⌊(H + padding − dilation (K − 1) − 1) / stride⌋ + 1``, the number of windows along an axis."""
    return (length + sum(padding) - dilation * (kernel - 1) - 1) // stride + 1


def pad2d(xp: Namespace, x: Array, padding: Padding, value: float = 0.0) -> Array:
    """``x`` with a border of ``value``; x itself if there is no border."""
    if padding == ((0, 0), (0, 0)):
        return x
    return xp.pad(x, ((0, 0), (0, 0), *padding), constant_values=value)


def crop2d(x: Array, padding: Padding) -> Array:
    """Remove the border that ``pad2d`` added."""
    (top, bottom), (left, right) = padding
    return x[:, :, top : x.shape[2] - bottom, left : x.shape[3] - right]


def windows(xp: Namespace, x: Array, kernel: Pair, stride: Pair, dilation: Pair) -> Array:
    """All windows of the kernel, as a view.  x (N, C, H, W) -> (N, C, K, L, P, Q)."""
    n, c, height, width = x.shape
    p = output_length(height, kernel[0], stride[0], (0, 0), dilation[0])
    q = output_length(width, kernel[1], stride[1], (0, 0), dilation[1])
    sn, sc, sh, sw = x.strides
    strides = (sn, sc, sh * dilation[0], sw * dilation[1], sh * stride[0], sw * stride[1])
    return xp.lib.stride_tricks.as_strided(x, (n, c, *kernel, p, q), strides)


def add_windows(xp: Namespace, dwindows: Array, shape: tuple[int, ...], stride: Pair, dilation: Pair) -> Array:
    """The transpose of ``windows``: every element gets the sum over all windows that contain it."""
    dx = xp.zeros(shape, dtype=sum_dtype(dwindows.dtype))
    kernel_height, kernel_width, p, q = dwindows.shape[2:]
    for k in range(kernel_height):
        for j in range(kernel_width):
            top, left = k * dilation[0], j * dilation[1]
            rows = slice(top, top + stride[0] * (p - 1) + 1, stride[0])
            columns = slice(left, left + stride[1] * (q - 1) + 1, stride[1])
            dx[:, :, rows, columns] += dwindows[:, :, k, j]
    return dx.astype(dwindows.dtype, copy=False)


def conv2d(
    xp: Namespace,
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: Pair = (1, 1),
    padding: Padding = ((0, 0), (0, 0)),
    dilation: Pair = (1, 1),
    groups: int = 1,
) -> Result:
    """``y[n,o,p,q] = b[o] + Σ_ckl W[o,c,k,l] x̄[n, c, p·s + k·d, q·s + l·d]``, where x̄ is x with a border of zeros.

    As a matrix product: the windows of an image are the columns of a matrix (C·K·L, P·Q), and ``y = W · columns``.
    ``dW = Σ_n dy · columnsᵀ``,  ``dcolumns = Wᵀ · dy``,  ``dx = Σ dcolumns`` over the windows that contain the element,
    ``db = Σ_npq dy``.

    Parameters
    ----------
    stride : s, for height and width.
    padding : the border, ((top, bottom), (left, right)).
    dilation : d, the distance of the kernel's elements.
    groups : the number of groups of channels; each group of outputs sees one group of inputs.
    """
    n, out, kernel = x.shape[0], weight.shape[0], weight.shape[2:]
    padded = pad2d(xp, x, padding)
    shape = padded.shape
    w = weight.reshape(groups, out // groups, -1)  # (G, O/G, C/G·K·L)

    def columns() -> tuple[Array, Pair]:
        """(N, G, C/G·K·L, P·Q).  Computed again in the backward, because it is K·L times as large as x."""
        seen = windows(xp, padded, kernel, stride, dilation)
        length = seen.shape[1] // groups * math.prod(kernel)
        return seen.reshape(n, groups, length, math.prod(seen.shape[4:])), seen.shape[4:]

    matrix, size = columns()
    y = product(w, matrix).reshape(n, out, *size)  # (G, O/G, CKL) @ (N, G, CKL, PQ)
    if bias is not None:
        y += bias.reshape(1, out, 1, 1)

    def backward(dy: Array, needs: tuple[bool, ...] = (True, True, True)) -> tuple[Array | None, ...]:
        flat = dy.reshape(n, groups, out // groups, math.prod(size))  # (N, G, O/G, P·Q)
        dx = dw = None
        if needs[1]:
            dw = pairwise_sum(product(flat, xp.swapaxes(columns()[0], -1, -2)), 0).reshape(weight.shape)
        if needs[0]:
            dcolumns = product(xp.swapaxes(w, -1, -2), flat)  # (N, G, C/G·K·L, P·Q)
            dx = add_windows(xp, dcolumns.reshape(n, shape[1], *kernel, *size), shape, stride, dilation)
            dx = crop2d(dx, padding)
        db = pairwise_sum(dy, (0, 2, 3)) if bias is not None and needs[2] else None
        return dx, dw, db

    return y, backward


def conv_transpose2d(
    xp: Namespace,
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    output_padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
) -> Result:
    """``y[n,o,p,q] = b[o] + Σ W[c,o,k,l] x[n,c,h,w]`` for ``h·s + k·d = p``, ``w·s + l·d = q``, cropped by the padding.

    The transpose of ``conv2d`` in x.  x (N, C, H, W), weight (C, O/groups, K, L) -> y (N, O, P, Q) with
    ``P = (H − 1)s − 2·padding + d (K − 1) + output_padding + 1``.  With the windows of dy as columns, as in ``conv2d``,
    ``dx = W · columns``,  ``dW = Σ_n x · columnsᵀ``,  ``db = Σ_npq dy``.

    Parameters
    ----------
    stride, dilation : s and d, for height and width.
    padding : the width of the border that is cut off.
    output_padding : added to the size at the lower and right border.
    groups : the number of groups of channels.
    """
    n, channels, height, width = x.shape
    per_group, kernel = weight.shape[1], weight.shape[2:]
    out = per_group * groups
    lengths = (height, width)
    full = tuple((lengths[i] - 1) * stride[i] + dilation[i] * (kernel[i] - 1) + 1 + output_padding[i] for i in (0, 1))
    border = ((padding[0], padding[0]), (padding[1], padding[1]))
    w = weight.reshape(groups, weight.shape[0] // groups, per_group * math.prod(kernel))  # (G, C/G, O/G·K·L)
    flat = x.reshape(n, groups, channels // groups, height * width)  # (N, G, C/G, H·W)
    spread = product(xp.swapaxes(w, -1, -2), flat).reshape(n, out, *kernel, height, width)
    y = crop2d(add_windows(xp, spread, (n, out, *full), stride, dilation), border)
    if bias is not None:
        y = y + bias.reshape(1, out, 1, 1)

    def backward(dy: Array, needs: tuple[bool, ...] = (True, True, True)) -> tuple[Array | None, ...]:
        seen = windows(xp, pad2d(xp, dy, border), kernel, stride, dilation)[..., :height, :width]
        matrix = seen.reshape(n, groups, w.shape[2], height * width)  # (N, G, O/G·K·L, H·W)
        dx = product(w, matrix).reshape(x.shape) if needs[0] else None
        dw = pairwise_sum(product(flat, xp.swapaxes(matrix, -1, -2)), 0).reshape(weight.shape) if needs[1] else None
        db = pairwise_sum(dy, (0, 2, 3)) if bias is not None and needs[2] else None
        return dx, dw, db

    return y, backward
