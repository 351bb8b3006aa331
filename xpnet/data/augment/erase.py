"""Transforms that erase parts of an image."""

from __future__ import annotations

import math
from dataclasses import dataclass

from xpnet_backends import Array, backend_of

from .base import Draw, ImageTransform, box_mask, check_floating, check_probability

ATTEMPTS = 10


@dataclass(frozen=True)
class RandomErasing(ImageTransform):
    """With probability ``p`` a box of random position, area and shape is filled with ``value``, or with "random" noise.

    ``scale`` is the area of the box relative to the image, ``ratio`` its height divided by its width, with a uniform
    logarithm.  The first of ten boxes that fits is used; if none fits, nothing is erased.
    Source: Zhong, Zheng, Kang, Li, Yang, "Random erasing data augmentation", AAAI 2020, arXiv:1708.04896, algorithm 1.
    """

    p: float = 0.5
    scale: tuple[float, float] = (0.02, 0.33)
    ratio: tuple[float, float] = (0.3, 3.3)
    value: float | str = 0.0

    def __post_init__(self) -> None:
        check_probability("RandomErasing", self.p)
        if not (len(self.scale) == 2 and 0.0 <= self.scale[0] <= self.scale[1] <= 1.0):
            raise ValueError(f"RandomErasing: scale must be a range (low, high) in 0..1, got {self.scale!r}")
        if not (len(self.ratio) == 2 and 0.0 < self.ratio[0] <= self.ratio[1] < math.inf):
            raise ValueError(f"RandomErasing: ratio must be a range (low, high) above 0, got {self.ratio!r}")
        if isinstance(self.value, str) and self.value != "random":
            raise ValueError(f"RandomErasing: value must be a number or 'random', got {self.value!r}")

    def apply(self, x: Array, draw: Draw) -> Array:
        xp = backend_of(x).xp
        if self.value == "random":
            check_floating("RandomErasing(value='random')", x)
            cover = draw.normal("value", *x.shape[1:]).astype(x.dtype, copy=False)
        else:
            cover = xp.full((1, 1, 1, 1), self.value, dtype=x.dtype)
        return xp.where(box_mask(xp, x.shape, *self._boxes(x, draw)) & draw.chosen(self.p), cover, x)

    def _boxes(self, x: Array, draw: Draw) -> tuple[Array, Array, Array, Array]:
        """Top, left, bottom, right of each sample's box, (N,)."""
        xp = backend_of(x).xp
        h, w = x.shape[2:]
        u = draw.uniform("box", 2 * ATTEMPTS + 2)
        low, high = math.log(self.ratio[0]), math.log(self.ratio[1])
        area = (h * w) * (self.scale[0] + (self.scale[1] - self.scale[0]) * u[:, :ATTEMPTS])  # (N, 10)
        ratio = xp.exp(low + (high - low) * u[:, ATTEMPTS : 2 * ATTEMPTS])
        heights, widths = xp.rint(xp.sqrt(area * ratio)), xp.rint(xp.sqrt(area / ratio))
        fits = (heights < h) & (widths < w)
        first = fits.argmax(axis=1)[:, None]  # if none fits, the first, which is made empty
        fits, height, width = (xp.take_along_axis(a, first, axis=1)[:, 0] for a in (fits, heights, widths))
        height, width = height * fits, width * fits
        top, left = xp.floor(u[:, -2] * (h + 1 - height)), xp.floor(u[:, -1] * (w + 1 - width))
        return top, left, top + height, left + width


@dataclass(frozen=True)
class Cutout(ImageTransform):
    """A square of ``length`` pixels around a random pixel is filled with ``value``; it is clipped at the border.

    Source: DeVries, Taylor, "Improved regularization of convolutional neural networks with cutout", arXiv:1708.04552.
    """

    length: int
    value: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.length, int) or self.length < 0:
            raise ValueError(f"Cutout: length must be a whole number of pixels >= 0, got {self.length!r}")

    def apply(self, x: Array, draw: Draw) -> Array:
        xp = backend_of(x).xp
        u = draw.uniform("centre", 2)
        top, left = (xp.floor(u[:, i] * x.shape[2 + i]) - self.length // 2 for i in (0, 1))
        mask = box_mask(xp, x.shape, top, left, top + self.length, left + self.length)
        return xp.where(mask, xp.full((1, 1, 1, 1), self.value, dtype=x.dtype), x)
