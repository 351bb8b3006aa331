"""Padding and resizing layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from xpnet.nn import functional as F
from xpnet.nn.functional.sizes import Size
from xpnet.nn.module import Module
from xpnet.tensor import Tensor, TensorLike


class _Pad(Module):
    """``padding`` is one number for all sides, or (left, right) or (left, right, top, bottom)."""

    _mode: ClassVar[str] = "constant"
    _sides: ClassVar[int] = 4

    def __init__(self, padding: int | Sequence[int]) -> None:
        super().__init__()
        self.padding = (padding,) * self._sides if isinstance(padding, int) else tuple(padding)
        if len(self.padding) != self._sides:
            raise ValueError(f"{type(self).__name__}: padding must be one or {self._sides} numbers, got {padding!r}")
        self.value = 0.0

    def forward(self, x: TensorLike) -> Tensor:
        return F.pad(x, self.padding, self._mode, self.value)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad2d(_Pad):
    """A border of zeros."""


class ConstantPad2d(_Pad):
    """A border of ``value``."""

    def __init__(self, padding: int | Sequence[int], value: float) -> None:
        super().__init__(padding)
        self.value = value


class ConstantPad1d(ConstantPad2d):
    """A border of ``value`` on both ends of sequences."""

    _sides = 2


class ReflectionPad2d(_Pad):
    """A border that mirrors the image without repeating the edge."""

    _mode = "reflect"


class ReflectionPad1d(_Pad):
    """A border that mirrors the sequence without repeating the edge."""

    _mode, _sides = "reflect", 2


class ReplicationPad2d(_Pad):
    """A border that repeats the edge."""

    _mode = "replicate"


class ReplicationPad1d(_Pad):
    """A border that repeats the ends."""

    _mode, _sides = "replicate", 2


class CircularPad2d(_Pad):
    """A border taken from the opposite side."""

    _mode = "circular"


class CircularPad1d(_Pad):
    """A border taken from the opposite end."""

    _mode, _sides = "circular", 2


class Upsample(Module):
    """Resize images.  See ``functional.interpolate``.

    Parameters
    ----------
    size : (P, Q), or one number.
    scale_factor : an alternative to ``size``.
    mode : "nearest" or "bilinear".
    align_corners : map the corner pixels onto each other.
    """

    def __init__(
        self,
        size: Size | None = None,
        scale_factor: float | Sequence[float] | None = None,
        mode: str = "nearest",
        align_corners: bool = False,
    ) -> None:
        super().__init__()
        self.size, self.scale_factor, self.mode, self.align_corners = size, scale_factor, mode, align_corners

    def forward(self, x: TensorLike) -> Tensor:
        return F.interpolate(x, self.size, self.scale_factor, self.mode, self.align_corners)

    def extra_repr(self) -> str:
        what = f"size={self.size}" if self.size is not None else f"scale_factor={self.scale_factor}"
        return f"{what}, mode={self.mode!r}"
