"""Convolution of images (N, C, H, W) and sequences (N, C, T)."""

from __future__ import annotations

from typing import Any

from xpnet import ops
from xpnet.nn.functional.sizes import Pair, Size, as_image, images, pair, single
from xpnet.ops.conv import output_length
from xpnet.tensor import Tensor, TensorLike, apply


def conv2d(
    x: TensorLike,
    weight: TensorLike,
    bias: TensorLike | None = None,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Tensor:
    """``y[n,o,p,q] = b[o] + Σ_ckl W[o,c,k,l] x[n, c, p·s + k·d, q·s + l·d]``.

    ``P = ⌊(H + 2·padding − dilation (K − 1) − 1) / stride⌋ + 1``.

    Parameters
    ----------
    x : (N, C, H, W) -> y (N, O, P, Q), or without N.
    weight, bias : (O, C/groups, K, L) and (O,).
    stride : s, one number or (height, width).
    padding : the width of the zero border, "valid" (no border) or "same" (keeps the size; needs stride 1).
    dilation : d, the distance of the kernel's elements.
    groups : the number of groups of channels; each group of outputs sees one group of inputs.

    >>> from xpnet import tensor
    >>> conv2d(tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), tensor([[[[1.0, 1.0], [1.0, 1.0]]]])).item()
    10.0
    """
    _check_axes("conv2d", weight, "(O, C/groups, K, L)")
    t, alone = images("conv2d", x, weight.shape[1] * groups)
    _check_weight("conv2d", t, weight.shape[0], groups, weight)
    kernel = (weight.shape[2], weight.shape[3])
    s, d = pair("conv2d: stride", stride, 1), pair("conv2d: dilation", dilation, 1)
    border = _border("conv2d", padding, kernel, s, d)
    for i, axis in enumerate(("height", "width")):
        if kernel[i] < 1:
            raise ValueError(f"conv2d: the kernel must be at least 1 x 1, got {axis} {kernel[i]}")
        if output_length(t.shape[i + 2], kernel[i], s[i], border[i], d[i]) < 1:
            raise ValueError(
                f"conv2d: {axis} {t.shape[i + 2]} with padding {border[i]} is smaller than the kernel "
                f"({kernel[i]}, dilation {d[i]})"
            )
    y = apply(ops.conv2d, t, weight, bias, stride=s, padding=border, dilation=d, groups=groups)
    return y.squeeze(0) if alone else y


def _check_axes(name: str, weight: TensorLike, expected: str) -> None:
    if len(weight.shape) != expected.count(",") + 1:
        raise ValueError(f"{name}: weight must have shape {expected}, got {tuple(weight.shape)}")


def _check_weight(name: str, x: Tensor, out: int, groups: int, weight: TensorLike) -> None:
    if groups < 1 or x.shape[1] % groups or out % groups:
        raise ValueError(f"{name}: groups={groups} must divide {x.shape[1]} input and {out} output channels")
    if x.dtype != weight.dtype:
        raise TypeError(f"{name}: input is {x.dtype}, weight {weight.dtype}: convert one of them, e.g. x.astype(...)")


def _border(name: str, padding: Size | str, kernel: Pair, stride: Pair, dilation: Pair) -> tuple[Pair, Pair]:
    if padding == "same":
        if stride != (1, 1):
            raise ValueError(f"{name}: padding='same' needs stride 1, got {stride}")
        totals = [dilation[i] * (kernel[i] - 1) for i in (0, 1)]
        return (totals[0] // 2, totals[0] - totals[0] // 2), (totals[1] // 2, totals[1] - totals[1] // 2)
    if isinstance(padding, str) and padding != "valid":
        raise ValueError(f"{name}: padding must be whole numbers, 'same' or 'valid', got {padding!r}")
    height, width = pair(f"{name}: padding", 0 if isinstance(padding, str) else padding)
    return (height, height), (width, width)


def conv1d(
    x: TensorLike,
    weight: TensorLike,
    bias: TensorLike | None = None,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Tensor:
    """Convolution of sequences.  x (N, C, T), weight (O, C/groups, K), bias (O,) -> y (N, O, P).

    Parameters
    ----------
    x, weight, bias : the arrays.
    stride, padding, dilation, groups : as in ``conv2d``.
    """
    _check_axes("conv1d", weight, "(O, C/groups, K)")
    s, d = single("conv1d: stride", stride, 1), single("conv1d: dilation", dilation, 1)
    border = padding if isinstance(padding, str) else (0, single("conv1d: padding", padding))
    kernel = weight.reshape(weight.shape[0], weight.shape[1], 1, weight.shape[2])
    return as_image(lambda t: conv2d(t, kernel, bias, (1, s), border, (1, d), groups), "conv1d", x)  # type: ignore[no-any-return]


def conv_transpose2d(
    x: TensorLike,
    weight: TensorLike,
    bias: TensorLike | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Tensor:
    """The transpose of ``conv2d``, which enlarges images.

    Parameters
    ----------
    x : (N, C, H, W) -> y (N, O, P, Q), or without N.
    weight, bias : (C, O/groups, K, L) and (O,).
    stride, dilation, groups : as in ``conv2d``.
    padding : the width of the border that is cut off.
    output_padding : added to the size at the lower and right border.
    """
    _check_axes("conv_transpose2d", weight, "(C, O/groups, K, L)")
    t, alone = images("conv_transpose2d", x, weight.shape[0])
    _check_weight("conv_transpose2d", t, weight.shape[1] * groups, groups, weight)
    s, d = pair("conv_transpose2d: stride", stride, 1), pair("conv_transpose2d: dilation", dilation, 1)
    p, extra = pair("conv_transpose2d: padding", padding), pair("conv_transpose2d: output_padding", output_padding)
    if any(extra[i] >= max(s[i], d[i]) for i in (0, 1)):
        raise ValueError(f"conv_transpose2d: output_padding {extra} must be smaller than stride {s} or dilation {d}")
    for i, axis in enumerate(("height", "width")):
        kernel, length = weight.shape[i + 2], t.shape[i + 2]
        size = (length - 1) * s[i] - 2 * p[i] + d[i] * (kernel - 1) + extra[i] + 1
        if size < 1 or kernel < 1 or length < 1:
            raise ValueError(
                f"conv_transpose2d: {axis} {length}, kernel {kernel}, stride {s[i]}, dilation {d[i]}, padding {p[i]}"
                f" and output_padding {extra[i]} would give {size}: at least 1 is needed, so pad less"
            )
    options: dict[str, Any] = {"stride": s, "padding": p, "output_padding": extra, "dilation": d, "groups": groups}
    y = apply(ops.conv_transpose2d, t, weight, bias, **options)
    return y.squeeze(0) if alone else y
