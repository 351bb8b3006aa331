"""Convolution layers."""

from __future__ import annotations

import math
from typing import Any

from xpnet.nn import functional as F
from xpnet.nn import init
from xpnet.nn.functional.sizes import Pair, Size, pair, single
from xpnet.nn.module import Module, Parameter, new_parameter
from xpnet.tensor import Tensor, TensorLike
from xpnet_backends import Backend

_PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class _Conv(Module):
    """Base of the convolutions: parameters, initial values, repr."""

    bias: Parameter | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        window: tuple[int, ...],
        shape: tuple[int, ...],
        groups: int,
        bias: bool,
        padding_mode: str,
        backend: str | Backend | None,
        dtype: Any,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        for what, value in (("in_channels", in_channels), ("out_channels", out_channels), ("groups", groups)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name}: {what} must be a positive whole number, got {value!r}")
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                f"{name}: groups={groups} must divide in_channels={in_channels}, out_channels={out_channels}"
            )
        if padding_mode not in _PADDING_MODES:
            raise ValueError(f"{name}: padding_mode must be one of {', '.join(_PADDING_MODES)}, got {padding_mode!r}")
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.padding_mode = padding_mode
        self.weight = new_parameter((*shape, *window), backend, dtype)
        self.register_parameter("bias", new_parameter((out_channels,), backend, dtype) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Uniform in ±1/√fan_in, as in PyTorch."""
        bound = 1.0 / math.sqrt(math.prod(self.weight.shape[1:]))
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def extra_repr(self) -> str:
        rest = ", ".join(f"{name}={getattr(self, name)!r}" for name in ("kernel_size", "stride", "padding"))
        return f"{self.in_channels}, {self.out_channels}, {rest}"


class Conv2d(_Conv):
    """Convolution of images: ``y[n,o,p,q] = b[o] + Σ_ckl W[o,c,k,l] x[n, c, p·s + k·d, q·s + l·d]``.

    x (N, C, H, W) -> y (N, O, P, Q), weight (O, C/groups, K, L), bias (O,);
    ``P = ⌊(H + 2·padding − dilation (K − 1) − 1) / stride⌋ + 1``.

    Parameters
    ----------
    in_channels, out_channels : C and O.
    kernel_size : (K, L), or one number for both, as for the next three.
    stride : s, the distance of the windows.
    padding : the width of the border, "same" (keeps the size) or "valid" (no border).
    dilation : d, the distance of the kernel's elements.
    groups : the number of groups of channels; each group of outputs sees one group of inputs.
    bias : whether there is a bias.
    padding_mode : the border: "zeros", "reflect", "replicate" or "circular".
    backend, dtype : of the parameters.

    >>> import xpnet
    >>> layer = Conv2d(3, 8, kernel_size=3, padding="same")
    >>> layer(xpnet.tensor([[[[0.5] * 6] * 6] * 3])).shape
    (1, 8, 6, 6)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size | str = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        *,
        backend: str | Backend | None = None,
        dtype: Any = None,
    ) -> None:
        kernel = pair("Conv2d: kernel_size", kernel_size, 1)
        shape = out_channels, in_channels // max(groups, 1)
        super().__init__(in_channels, out_channels, kernel, shape, groups, bias, padding_mode, backend, dtype)
        self.kernel_size = kernel
        self.stride, self.dilation = pair("Conv2d: stride", stride, 1), pair("Conv2d: dilation", dilation, 1)
        self.padding = padding if isinstance(padding, str) else pair("Conv2d: padding", padding)

    def forward(self, x: TensorLike) -> Tensor:
        padding: Any = self.padding
        if self.padding_mode != "zeros":
            x, padding = F.pad(x, self._border(), self.padding_mode), 0
        return F.conv2d(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)

    def _border(self) -> list[int]:
        if self.padding == "valid":
            return [0, 0, 0, 0]
        if self.padding == "same":
            total = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=True)]
            return [total[1] // 2, total[1] - total[1] // 2, total[0] // 2, total[0] - total[0] // 2]
        return [self.padding[1], self.padding[1], self.padding[0], self.padding[0]]  # type: ignore[list-item]


class Conv1d(_Conv):
    """Convolution of sequences.  x (N, C, T) -> y (N, O, P), weight (O, C/groups, K), bias (O,).

    Parameters
    ----------
    in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode : as in ``Conv2d``.
    backend, dtype : of the parameters.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size | str = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        *,
        backend: str | Backend | None = None,
        dtype: Any = None,
    ) -> None:
        kernel = single("Conv1d: kernel_size", kernel_size, 1)
        shape = out_channels, in_channels // max(groups, 1)
        super().__init__(in_channels, out_channels, (kernel,), shape, groups, bias, padding_mode, backend, dtype)
        self.kernel_size = (kernel,)
        self.stride = (single("Conv1d: stride", stride, 1),)
        self.dilation = (single("Conv1d: dilation", dilation, 1),)
        self.padding = padding if isinstance(padding, str) else (single("Conv1d: padding", padding),)

    def forward(self, x: TensorLike) -> Tensor:
        padding: Any = self.padding
        if self.padding_mode != "zeros":
            total = self.dilation[0] * (self.kernel_size[0] - 1)
            both = {"same": [total // 2, total - total // 2], "valid": [0, 0]}
            border = both[self.padding] if isinstance(self.padding, str) else [self.padding[0]] * 2
            x, padding = F.pad(x, border, self.padding_mode), 0
        return F.conv1d(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class ConvTranspose2d(_Conv):
    """The transpose of a convolution, which enlarges images.

    x (N, C, H, W) -> y (N, O, P, Q), weight (C, O/groups, K, L);
    ``P = (H − 1) stride − 2·padding + dilation (K − 1) + output_padding + 1``.

    Parameters
    ----------
    in_channels, out_channels, kernel_size, stride, groups, bias, dilation : as in ``Conv2d``.
    padding : the width of the border that is cut off.
    output_padding : added to the size at the lower and right border.
    backend, dtype : of the parameters.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        output_padding: Size = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Size = 1,
        *,
        backend: str | Backend | None = None,
        dtype: Any = None,
    ) -> None:
        kernel = pair("ConvTranspose2d: kernel_size", kernel_size, 1)
        shape = in_channels, out_channels // max(groups, 1)
        super().__init__(in_channels, out_channels, kernel, shape, groups, bias, "zeros", backend, dtype)
        self.kernel_size: Pair = kernel
        self.stride = pair("ConvTranspose2d: stride", stride, 1)
        self.padding = pair("ConvTranspose2d: padding", padding)
        self.output_padding = pair("ConvTranspose2d: output_padding", output_padding)
        self.dilation = pair("ConvTranspose2d: dilation", dilation, 1)

    def forward(self, x: TensorLike) -> Tensor:
        return F.conv_transpose2d(
            x, self.weight, self.bias, self.stride, self.padding, self.output_padding, self.groups, self.dilation
        )
