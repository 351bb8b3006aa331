"""Transforms of pixel values: brightness, contrast, saturation, hue, noise."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from xpnet_backends import Array, Namespace, backend_of, pairwise_mean
from xpnet_backends.random import Stream

from .base import Draw, ImageTransform

Amount = float | Sequence[float]
Change = Callable[[Namespace, Array, Array], Array]


def _blend(xp: Namespace, x: Array, other: Array | float, ratio: Array) -> Array:
    """``ratio · x + (1 − ratio) · other``, clipped to 0..1."""
    return xp.clip(ratio * x + (1.0 - ratio) * other, 0.0, 1.0)


def grayscale(x: Array) -> Array:
    """``0.2989 R + 0.587 G + 0.114 B`` (ITU-R BT.601); a single channel as it is.  (N, C, H, W) -> (N, 1, H, W)."""
    return x if x.shape[1] == 1 else 0.2989 * x[:, :1] + 0.587 * x[:, 1:2] + 0.114 * x[:, 2:]


def adjust_brightness(xp: Namespace, x: Array, factor: Array) -> Array:
    """Blend with black.  x (N, C, H, W) in 0..1, factor (N, 1, 1, 1) >= 0."""
    return xp.clip(factor * x, 0.0, 1.0)


def adjust_contrast(xp: Namespace, x: Array, factor: Array) -> Array:
    """Blend with the mean of the grey image."""
    return _blend(xp, x, pairwise_mean(grayscale(x), (1, 2, 3), keepdims=True), factor)


def adjust_saturation(xp: Namespace, x: Array, factor: Array) -> Array:
    """Blend with the grey image."""
    return x if x.shape[1] == 1 else _blend(xp, x, grayscale(x), factor)


def adjust_hue(xp: Namespace, x: Array, factor: Array) -> Array:
    """Rotate the hue by ``factor`` of the full circle, −0.5..0.5; saturation and value are unchanged."""
    if x.shape[1] == 1:
        return x
    hue, saturation, value = rgb_to_hsv(xp, x)
    return hsv_to_rgb(xp, (hue + factor) % 1.0, saturation, value)


def rgb_to_hsv(xp: Namespace, x: Array) -> tuple[Array, Array, Array]:
    """Smith (1978).  x (N, 3, H, W) in 0..1 -> hue in 0..1, saturation, value, each (N, 1, H, W)."""
    r, g, b = x[:, :1], x[:, 1:2], x[:, 2:]
    value, low = x.max(axis=1, keepdims=True), x.min(axis=1, keepdims=True)
    spread = value - low
    divisor = xp.where(spread == 0.0, 1.0, spread)  # grey has no hue: 0
    sixths = xp.where(
        value == r,
        (g - b) / divisor,
        xp.where(value == g, 2.0 + (b - r) / divisor, 4.0 + (r - g) / divisor),
    )
    return (sixths / 6.0) % 1.0, spread / xp.where(value == 0.0, 1.0, value), value


def hsv_to_rgb(xp: Namespace, hue: Array, saturation: Array, value: Array) -> Array:
    """From HSV: ``v − v s · clip(min(k, 4 − k), 0, 1)`` with ``k = (n + 6 hue) mod 6``, n = 5, 3, 1 for r, g, b."""
    chroma = value * saturation
    channels = []
    for n in (5.0, 3.0, 1.0):
        k = (n + 6.0 * hue) % 6.0
        channels.append(value - chroma * xp.clip(xp.minimum(k, 4.0 - k), 0.0, 1.0))
    return xp.clip(xp.concatenate(channels, axis=1), 0.0, 1.0)


CHANGES: dict[str, Change] = {
    "brightness": adjust_brightness,
    "contrast": adjust_contrast,
    "saturation": adjust_saturation,
    "hue": adjust_hue,
}


def _range(what: str, amount: Amount) -> tuple[float, float]:
    """The range of an amount: a number is around 1 (around 0 for the hue), a pair gives the ends."""
    centre, lowest, highest = (0.0, -0.5, 0.5) if what == "hue" else (1.0, 0.0, math.inf)
    if not isinstance(amount, Sequence):
        if not 0.0 <= amount < math.inf:
            raise ValueError(f"ColorJitter: {what} as a single number must be >= 0, got {amount!r}")
        low, high = centre - amount, centre + amount
        low = low if what == "hue" else max(low, 0.0)
    else:
        low, high = amount if len(amount) == 2 else (math.nan, math.nan)
    if not lowest <= low <= high <= highest or high == math.inf:
        limits = "in -0.5..0.5" if what == "hue" else ">= 0"
        raise ValueError(f"ColorJitter: {what} must be a number or a range (low, high) {limits}, got {amount!r}")
    return low, high


@dataclass(frozen=True)
class ColorJitter(ImageTransform):
    """Brightness, contrast, saturation and hue, each by a uniform amount; images in 0..1 of one channel or three.

    A number a is a factor in max(0, 1 − a)..1 + a, and for the hue a rotation in −a..a; (low, high) is the range
    itself. The four changes have a new random order in every epoch.  The saturation and hue of grey images are
    unchanged.  The formulas are torchvision's.
    """

    brightness: Amount = 0.0
    contrast: Amount = 0.0
    saturation: Amount = 0.0
    hue: Amount = 0.0

    needs_float: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self._ranges()

    def _ranges(self) -> dict[str, tuple[float, float]]:
        """The changes that have an effect, with their ranges."""
        ranges = {what: _range(what, getattr(self, what)) for what in CHANGES}
        neutral = dict.fromkeys(CHANGES, (1.0, 1.0)) | {"hue": (0.0, 0.0)}
        return {what: ends for what, ends in ranges.items() if ends != neutral[what]}

    def apply(self, x: Array, draw: Draw) -> Array:
        if x.shape[1] not in (1, 3):
            raise ValueError(f"ColorJitter needs images of one channel or three (RGB), got {x.shape[1]} channels")
        xp = backend_of(x).xp
        ranges, names = self._ranges(), list(CHANGES)
        u = draw.uniform("amounts", len(names)).astype(x.dtype, copy=False)[:, :, None, None, None]
        order = Stream(draw.seed, f"{draw.path}.order", draw.epoch).generator().permutation(len(names))
        for k in order.tolist():
            if names[k] in ranges:
                low, high = ranges[names[k]]
                x = CHANGES[names[k]](xp, x, low + (high - low) * u[:, k])
        return x


@dataclass(frozen=True)
class GaussianNoise(ImageTransform):
    """``x + mean + sigma · z``, z standard normal; clipped to 0..1 unless ``clip`` is False."""

    mean: float = 0.0
    sigma: float = 0.1
    clip: bool = True

    needs_float: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0.0 <= self.sigma < math.inf:
            raise ValueError(f"GaussianNoise: sigma must be a number >= 0, got {self.sigma!r}")

    def apply(self, x: Array, draw: Draw) -> Array:
        z = draw.normal("noise", *x.shape[1:]).astype(x.dtype, copy=False)
        y = x + (self.mean + self.sigma * z)
        return backend_of(x).xp.clip(y, 0.0, 1.0) if self.clip else y
