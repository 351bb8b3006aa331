"""Flips and crops, which move pixels without changing their values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xpnet_backends import Array, Namespace, backend_of

from .base import Draw, ImageTransform, check_probability


@dataclass(frozen=True)
class RandomHorizontalFlip(ImageTransform):
    """Flip left and right with probability ``p``."""

    p: float = 0.5

    def __post_init__(self) -> None:
        check_probability("RandomHorizontalFlip", self.p)

    def apply(self, x: Array, draw: Draw) -> Array:
        return backend_of(x).xp.where(draw.chosen(self.p), x[..., ::-1], x)


@dataclass(frozen=True)
class RandomVerticalFlip(ImageTransform):
    """Flip top and bottom with probability ``p``."""

    p: float = 0.5

    def __post_init__(self) -> None:
        check_probability("RandomVerticalFlip", self.p)

    def apply(self, x: Array, draw: Draw) -> Array:
        return backend_of(x).xp.where(draw.chosen(self.p), x[..., ::-1, :], x)


@dataclass(frozen=True)
class RandomCrop(ImageTransform):
    """A random crop of the padded image.  x (N, C, H, W) -> (N, C, P, Q).

    Parameters
    ----------
    size : (height, width) of the crop, or one number; None keeps the image's size: a random shift by up to ``padding``.
    padding : pixels added on each side.
    padding_mode : "constant" pads with ``fill``; "edge", "reflect" and "symmetric" repeat or mirror the image.
    """

    size: int | tuple[int, int] | None = None
    padding: int = 0
    fill: float = 0
    padding_mode: str = "constant"

    MODES: ClassVar[tuple[str, ...]] = ("constant", "edge", "reflect", "symmetric")

    def __post_init__(self) -> None:
        if self.padding_mode not in self.MODES:
            known = ", ".join(map(repr, self.MODES))
            raise ValueError(f"RandomCrop: padding_mode must be one of {known}, got {self.padding_mode!r}")
        sizes = () if self.size is None else self.size if isinstance(self.size, tuple) else (self.size,)
        if len(sizes) > 2 or not all(isinstance(n, int) and n > 0 for n in sizes):
            raise ValueError(f"RandomCrop: size must be a positive whole number, or two (H, W), got {self.size!r}")
        if not isinstance(self.padding, int) or self.padding < 0:
            raise ValueError(f"RandomCrop: padding must be a whole number of pixels >= 0, got {self.padding!r}")

    def apply(self, x: Array, draw: Draw) -> Array:
        xp = backend_of(x).xp
        p, q = self._size(x)
        padded = self._padded(xp, x)
        n, c, h, w = padded.shape
        u = draw.uniform("corner", 2)
        top, left = (u[:, 0] * (h - p + 1)).astype("int64"), (u[:, 1] * (w - q + 1)).astype("int64")
        first = (xp.arange(n) * (c * h) + top) * w + left  # index of each crop's first pixel
        channel, row = xp.arange(c)[:, None, None], xp.arange(p)[:, None]
        beyond = (channel * h + row) * w + xp.arange(q)  # offset of each pixel from there: (C, P, Q)
        return xp.take(padded.reshape(-1), first[:, None, None, None] + beyond)

    def _size(self, x: Array) -> tuple[int, int]:
        height, width = x.shape[2:]
        if self.size is None:
            return height, width
        p, q = self.size if isinstance(self.size, tuple) else (self.size, self.size)
        border = 2 * self.padding
        if p > height + border or q > width + border:
            with_border = f" with padding {self.padding}" if border else ""
            raise ValueError(f"RandomCrop: a crop of {p}x{q} is larger than the image of {height}x{width}{with_border}")
        return p, q

    def _padded(self, xp: Namespace, x: Array) -> Array:
        if not self.padding:
            return x
        border = self.padding
        most = {"reflect": min(x.shape[2:]) - 1, "symmetric": min(x.shape[2:])}
        if border > most.get(self.padding_mode, border):
            raise ValueError(
                f"RandomCrop: padding {border} with mode {self.padding_mode!r} mirrors more than the image of "
                f"{x.shape[2]}x{x.shape[3]} has"
            )
        widths = ((0, 0), (0, 0), (border, border), (border, border))
        options = {"constant_values": self.fill} if self.padding_mode == "constant" else {}
        return xp.pad(x, widths, self.padding_mode, **options)
