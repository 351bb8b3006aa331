"""Pooling layers.  ``stride`` is the kernel size by default."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xpnet.nn import functional as F
from xpnet.nn.functional.sizes import Size
from xpnet.nn.module import Module
from xpnet.tensor import Tensor, TensorLike


class _Pool(Module):
    def __init__(self, kernel_size: Size, stride: Size | None, padding: Size, ceil_mode: bool) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.ceil_mode = padding, ceil_mode

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class _MaxPool(_Pool):
    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        dilation: Size = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode)
        self.dilation, self.return_indices = dilation, return_indices

    def _options(self) -> tuple[Any, ...]:
        return self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices


class MaxPool2d(_MaxPool):
    """The largest value of each window.  x (N, C, H, W) -> y (N, C, P, Q).

    ``P = ⌊(H + 2·padding − dilation (K − 1) − 1) / stride⌋ + 1``; with ``ceil_mode`` rounded up.

    Parameters
    ----------
    kernel_size : K, one number or (height, width), as are the next three.
    stride : the kernel size by default.
    padding : the width of a border of −∞.
    dilation : the distance of the window's elements.
    return_indices : also return the indices of the maxima, ``h·W + w``.
    ceil_mode : include a last, partial window.

    >>> import xpnet
    >>> MaxPool2d(2)(xpnet.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])).item()
    4.0
    """

    def forward(self, x: TensorLike) -> Any:
        return F.max_pool2d(x, *self._options())


class MaxPool1d(_MaxPool):
    """The largest value of each window.  x (N, C, T) -> y (N, C, P).

    Parameters
    ----------
    kernel_size, stride, padding, dilation, return_indices, ceil_mode : as in ``MaxPool2d``.
    """

    def forward(self, x: TensorLike) -> Any:
        return F.max_pool1d(x, *self._options())


class AvgPool2d(_Pool):
    """The mean of each window.  x (N, C, H, W) -> y (N, C, P, Q).

    ``P = ⌊(H + 2·padding − K) / stride⌋ + 1``; with ``ceil_mode`` rounded up.

    Parameters
    ----------
    kernel_size, stride, ceil_mode : as in ``MaxPool2d``.
    padding : the width of a border of zeros.
    count_include_pad : count the border as elements.
    divisor_override : replaces the number of elements.
    """

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode)
        self.count_include_pad, self.divisor_override = count_include_pad, divisor_override

    def forward(self, x: TensorLike) -> Tensor:
        options = self.ceil_mode, self.count_include_pad, self.divisor_override
        return F.avg_pool2d(x, self.kernel_size, self.stride, self.padding, *options)


class AvgPool1d(_Pool):
    """The mean of each window.  x (N, C, T) -> y (N, C, P).

    Parameters
    ----------
    kernel_size, stride, padding, ceil_mode, count_include_pad : as in ``AvgPool2d``.
    """

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode)
        self.count_include_pad = count_include_pad

    def forward(self, x: TensorLike) -> Tensor:
        return F.avg_pool1d(x, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)


class AdaptiveAvgPool2d(Module):
    """The mean over windows ``⌊pH/P⌋ .. ⌈(p + 1)H/P⌉``.  x (N, C, H, W) -> y (N, C, P, Q).

    (P, Q) is ``output_size``; None keeps a length.
    """

    def __init__(self, output_size: int | Sequence[int | None]) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, x: TensorLike) -> Tensor:
        return F.adaptive_avg_pool2d(x, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveMaxPool2d(Module):
    """The largest value of windows ``⌊pH/P⌋ .. ⌈(p + 1)H/P⌉``.  x (N, C, H, W) -> y (N, C, P, Q).

    (P, Q) is ``output_size``; None keeps a length.
    """

    def __init__(self, output_size: int | Sequence[int | None], return_indices: bool = False) -> None:
        super().__init__()
        self.output_size, self.return_indices = output_size, return_indices

    def forward(self, x: TensorLike) -> Any:
        return F.adaptive_max_pool2d(x, self.output_size, self.return_indices)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(Module):
    """The mean over windows that give an output of length ``output_size``.  x (N, C, T)."""

    def __init__(self, output_size: int) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, x: TensorLike) -> Tensor:
        return F.adaptive_avg_pool1d(x, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveMaxPool1d(Module):
    """The largest value of windows that give an output of length ``output_size``.  x (N, C, T)."""

    def __init__(self, output_size: int, return_indices: bool = False) -> None:
        super().__init__()
        self.output_size, self.return_indices = output_size, return_indices

    def forward(self, x: TensorLike) -> Any:
        return F.adaptive_max_pool1d(x, self.output_size, self.return_indices)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"
