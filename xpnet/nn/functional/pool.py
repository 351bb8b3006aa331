"""Pooling of images (N, C, H, W) and sequences (N, C, T)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xpnet import ops
from xpnet.nn.functional.sizes import Pair, Size, as_image, images, pair, single
from xpnet.ops.conv import output_length
from xpnet.tensor import Tensor, TensorLike, apply


def _pool_border(name: str, t: Tensor, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, ceil: bool) -> Any:
    """The padding of both sides; with ``ceil``, enlarged so that a last, partial window fits."""
    border = []
    for i in (0, 1):
        if padding[i] > kernel[i] // 2:
            raise ValueError(f"{name}: padding {padding} must be at most half of the kernel {kernel}")
        length = t.shape[i + 2]
        count = output_length(length, kernel[i], stride[i], (padding[i], padding[i]), dilation[i])
        reach = dilation[i] * (kernel[i] - 1) + 1
        if (
            ceil
            and (count - 1) * stride[i] + reach < length + 2 * padding[i]
            and count * stride[i] < length + padding[i]
        ):
            count += 1  # a window must start inside the image or its left border
        if count < 1:
            raise ValueError(
                f"{name}: the kernel {kernel} is larger than the input {t.shape[2:]} with padding {padding}"
            )
        missing = (count - 1) * stride[i] + reach - length - 2 * padding[i]
        border.append((padding[i], padding[i] + max(missing, 0)))
    return tuple(border)


def max_pool2d(
    x: TensorLike,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest value of each window.

    Parameters
    ----------
    x : (N, C, H, W) -> y (N, C, P, Q), or without N.
    kernel_size : one number or (height, width), as are the next three.
    stride : the kernel size by default.
    padding : the width of a border of −∞.
    dilation : the distance of the window's elements.
    ceil_mode : include a last, partial window.
    return_indices : also return the indices of the maxima, ``h·W + w``.

    >>> from xpnet import tensor
    >>> max_pool2d(tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), 2).item()
    4.0
    """
    t, alone = images("max_pool2d", x)
    kernel, d = pair("max_pool2d: kernel_size", kernel_size, 1), pair("max_pool2d: dilation", dilation, 1)
    s = kernel if stride is None else pair("max_pool2d: stride", stride, 1)
    border = _pool_border("max_pool2d", t, kernel, s, pair("max_pool2d: padding", padding), d, ceil_mode)
    options: dict[str, Any] = {"kernel": kernel, "stride": s, "padding": border, "dilation": d}
    if not return_indices:
        y = apply(ops.max_pool2d, t, **options)
        return y.squeeze(0) if alone else y
    y, places = apply(ops.max_pool2d_with_indices, t, **options)
    return (y.squeeze(0), places.squeeze(0)) if alone else (y, places)


def avg_pool2d(
    x: TensorLike,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window.

    Parameters
    ----------
    x : (N, C, H, W) -> y (N, C, P, Q), or without N.
    kernel_size, stride, ceil_mode : as in ``max_pool2d``.
    padding : the width of a border of zeros.
    count_include_pad : count the border as elements.
    divisor_override : replaces the number of elements.
    """
    t, alone = images("avg_pool2d", x)
    kernel, p = pair("avg_pool2d: kernel_size", kernel_size, 1), pair("avg_pool2d: padding", padding)
    s = kernel if stride is None else pair("avg_pool2d: stride", stride, 1)
    if divisor_override is not None and not divisor_override:
        raise ValueError("avg_pool2d: divisor_override must not be 0")
    border = _pool_border("avg_pool2d", t, kernel, s, p, (1, 1), ceil_mode)
    counted = ((p[0], p[0]), (p[1], p[1])) if count_include_pad else None
    options: dict[str, Any] = {"padding": border, "counted": counted, "divisor": divisor_override}
    y = apply(ops.avg_pool2d, t, kernel=kernel, stride=s, **options)
    return y.squeeze(0) if alone else y


def _output_size(name: str, t: Tensor, size: int | Sequence[int | None]) -> Pair:
    if 0 in t.shape[2:]:
        raise ValueError(f"{name}: there is nothing to pool in images of shape {t.shape[2:]}")
    wanted = (size, size) if isinstance(size, int) else tuple(size)
    if len(wanted) != 2:
        raise ValueError(f"{name}: output_size must be one or two whole numbers, got {size!r}")
    return pair(f"{name}: output_size", [t.shape[i + 2] if n is None else n for i, n in enumerate(wanted)], 1)


def adaptive_avg_pool2d(x: TensorLike, output_size: int | Sequence[int | None]) -> Tensor:
    """The mean over windows ``⌊pH/P⌋ .. ⌈(p + 1)H/P⌉``, where (P, Q) is ``output_size``; None keeps a length."""
    t, alone = images("adaptive_avg_pool2d", x)
    y = apply(ops.adaptive_avg_pool2d, t, size=_output_size("adaptive_avg_pool2d", t, output_size))
    return y.squeeze(0) if alone else y


def adaptive_max_pool2d(x: TensorLike, output_size: int | Sequence[int | None], return_indices: bool = False) -> Any:
    """The largest value of windows ``⌊pH/P⌋ .. ⌈(p + 1)H/P⌉``, where (P, Q) is ``output_size``; None keeps a length."""
    t, alone = images("adaptive_max_pool2d", x)
    y, places = apply(ops.adaptive_max_pool2d, t, size=_output_size("adaptive_max_pool2d", t, output_size))
    y, places = (y.squeeze(0), places.squeeze(0)) if alone else (y, places)
    return (y, places) if return_indices else y


def max_pool1d(
    x: TensorLike,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest value of each window of sequences.

    Parameters
    ----------
    x : (N, C, T) -> y (N, C, P), or without N.
    kernel_size, stride, padding, dilation, ceil_mode, return_indices : as in ``max_pool2d``.
    """
    k, d = single("max_pool1d: kernel_size", kernel_size, 1), single("max_pool1d: dilation", dilation, 1)
    s = k if stride is None else single("max_pool1d: stride", stride, 1)
    p = single("max_pool1d: padding", padding)
    whole = lambda t: max_pool2d(t, (1, k), (1, s), (0, p), (1, d), ceil_mode, return_indices)  # noqa: E731
    return as_image(whole, "max_pool1d", x)


def avg_pool1d(
    x: TensorLike,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window of sequences.

    Parameters
    ----------
    x : (N, C, T) -> y (N, C, P), or without N.
    kernel_size, stride, padding, ceil_mode, count_include_pad : as in ``avg_pool2d``.
    """
    k = single("avg_pool1d: kernel_size", kernel_size, 1)
    s = k if stride is None else single("avg_pool1d: stride", stride, 1)
    p = single("avg_pool1d: padding", padding)
    return as_image(lambda t: avg_pool2d(t, (1, k), (1, s), (0, p), ceil_mode, count_include_pad), "avg_pool1d", x)  # type: ignore[no-any-return]


def adaptive_avg_pool1d(x: TensorLike, output_size: int) -> Tensor:
    """The mean over windows that give an output of length ``output_size``."""
    return as_image(lambda t: adaptive_avg_pool2d(t, (1, output_size)), "adaptive_avg_pool1d", x)  # type: ignore[no-any-return]


def adaptive_max_pool1d(x: TensorLike, output_size: int, return_indices: bool = False) -> Any:
    """The largest value of windows that give an output of length ``output_size``."""
    return as_image(lambda t: adaptive_max_pool2d(t, (1, output_size), return_indices), "adaptive_max_pool1d", x)
