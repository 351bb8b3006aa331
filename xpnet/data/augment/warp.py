"""Geometric warps: rotation, shift, zoom, shear, and elastic deformation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from xpnet_backends import Array, Namespace, backend_of, matmul

from .base import Draw, ImageTransform, check_positive, working_dtype

Range = tuple[float, float]


def bilinear(xp: Namespace, x: Array, row: Array, column: Array, *, fill: float = 0.0) -> Array:
    """Bilinear interpolation: the four pixels around each position, weighted by distance.

    x (N, C, H, W), row and column (N, P, Q) in pixels, with (0, 0) the centre of the first pixel -> (N, C, P, Q).
    Pixels outside the image have the value ``fill``.
    """
    n, c, h, w = x.shape
    planes = xp.full((c, n, h + 3, w + 3), fill, dtype=x.dtype)  # a border of one pixel before, two after
    planes[:, :, 1 : h + 1, 1 : w + 1] = xp.moveaxis(x, 1, 0)
    planes = planes.reshape(c, -1)
    row, column = xp.clip(row, -1.0, h) + 1.0, xp.clip(column, -1.0, w) + 1.0
    top, left = xp.floor(row), xp.floor(column)
    down, right = (row - top).astype(x.dtype), (column - left).astype(x.dtype)
    image = xp.arange(n)[:, None, None]
    place = (image * (h + 3) + top.astype("int64")) * (w + 3) + left.astype("int64")  # (N, P, Q)

    def along(place: Array) -> Array:
        """Interpolate between a pixel and its right neighbour, (C, N, P, Q)."""
        return _between(xp, xp.take(planes, place, axis=1), xp.take(planes, place + 1, axis=1), right)

    y = _between(xp, along(place), along(place + (w + 3)), down)
    return xp.ascontiguousarray(xp.moveaxis(y, 0, 1))


def _between(xp: Namespace, a: Array, b: Array, weight: Array) -> Array:
    """``a + weight · (b − a)``; exactly a where the weight is 0, even if b is NaN or infinite."""
    b -= a
    b *= weight
    b += a
    return xp.where(weight == 0, a, b)


def _range(name: str, what: str, value: float | Sequence[float]) -> Range:
    """The range of an amount: a number a is −a..a, a pair gives the ends."""
    if not isinstance(value, Sequence):
        if not 0.0 <= value < math.inf:
            raise ValueError(f"{name}: {what} as a single number must be >= 0, got {value!r}")
        return -value, value
    if len(value) != 2 or not -math.inf < value[0] <= value[1] < math.inf:
        raise ValueError(f"{name}: {what} must be a number or a range (low, high), got {value!r}")
    return value[0], value[1]


@dataclass(frozen=True)
class RandomAffine(ImageTransform):
    """Rotate, shear, zoom and shift about the centre, with bilinear interpolation.

    Every amount is uniform in its range.  The matrix is torchvision's.

    Parameters
    ----------
    degrees : rotation, a number for ±, or (low, high); positive angles are clockwise.
    translate : (a, b) shifts by at most the share a of the width and b of the height, in whole pixels.
    scale : the range (low, high) of the zoom.
    shear : degrees, as a number for ±, (low, high), or four numbers: a range for x and one for y.
    fill : value of pixels from outside the image.
    """

    degrees: float | Sequence[float]
    translate: tuple[float, float] | None = None
    scale: tuple[float, float] | None = None
    shear: float | Sequence[float] | None = None
    fill: float = 0.0

    needs_float: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _range("RandomAffine", "degrees", self.degrees)
        self._shear()
        if self.translate is not None and not (
            len(self.translate) == 2 and all(0.0 <= share <= 1.0 for share in self.translate)
        ):
            raise ValueError(f"RandomAffine: translate must be two shares in 0..1, got {self.translate!r}")
        if self.scale is not None and not (len(self.scale) == 2 and 0.0 < self.scale[0] <= self.scale[1] < math.inf):
            raise ValueError(f"RandomAffine: scale must be a range (low, high) above 0, got {self.scale!r}")

    def _shear(self) -> tuple[Range, Range]:
        if self.shear is None:
            return (0.0, 0.0), (0.0, 0.0)
        if isinstance(self.shear, Sequence) and len(self.shear) == 4:
            parts = self.shear[:2], self.shear[2:]
            return _range("RandomAffine", "shear in x", parts[0]), _range("RandomAffine", "shear in y", parts[1])
        return _range("RandomAffine", "shear", self.shear), (0.0, 0.0)

    def apply(self, x: Array, draw: Draw) -> Array:
        xp = backend_of(x).xp
        h, w = x.shape[2:]
        dtype = working_dtype(x)
        a, b, c, d, right, down = self.parameters(xp, draw, h, w, dtype)
        i = xp.arange(h).astype(dtype)[:, None] - 0.5 * (h - 1) - down  # from the centre, (N, H, 1)
        j = xp.arange(w).astype(dtype) - 0.5 * (w - 1) - right  # (N, 1, W)
        column, row = a * j + b * i + 0.5 * (w - 1), c * j + d * i + 0.5 * (h - 1)
        return bilinear(xp, x, row, column, fill=self.fill)

    def parameters(self, xp: Namespace, draw: Draw, height: int, width: int, dtype: Any) -> tuple[Array, ...]:
        """``a b c d`` of the matrix from the result's pixels (x, y) to the image's, and the shift right and down.

        With angle θ, shears s and t, zoom z:  a = (cos θ − tan s · sin(θ−t)/cos t)/z,
        b = (sin θ + tan s · cos(θ−t)/cos t)/z,  c = −sin(θ−t)/(z cos t),  d = cos(θ−t)/(z cos t).  Each (N, 1, 1).
        """
        (sx, sy), u = self._shear(), draw.uniform("affine", 6).astype(dtype)[:, :, None, None]

        def between(k: int, ends: Range) -> Array:
            return ends[0] + (ends[1] - ends[0]) * u[:, k]

        angle, s, t = (
            between(k, ends) * (math.pi / 180.0)
            for k, ends in ((0, _range("RandomAffine", "degrees", self.degrees)), (1, sx), (2, sy))
        )
        zoom = between(3, self.scale or (1.0, 1.0))
        most_x, most_y = self.translate or (0.0, 0.0)
        right = xp.rint(between(4, (-most_x * width, most_x * width)))
        down = xp.rint(between(5, (-most_y * height, most_y * height)))
        along, across = xp.cos(angle - t) / xp.cos(t), xp.sin(angle - t) / xp.cos(t)
        a, b = xp.cos(angle) - xp.tan(s) * across, xp.sin(angle) + xp.tan(s) * along
        return a / zoom, b / zoom, -across / zoom, along / zoom, right, down


@dataclass(frozen=True)
class ElasticDeformation(ImageTransform):
    """Displace every pixel by ``alpha · (G_sigma ∗ u)``, u uniform in [−1, 1), with bilinear interpolation.

    Each sample and direction has its own field, smoothed by a Gaussian of ``sigma`` pixels.  The defaults are suitable
    for handwritten digits of 28x28 pixels.
    Source: Simard, Steinkraus, Platt, "Best practices for convolutional neural networks applied to visual document
    analysis", ICDAR 2003.
    """

    alpha: float = 34.0
    sigma: float = 4.0
    fill: float = 0.0

    needs_float: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_positive("ElasticDeformation", "sigma", self.sigma)
        if not 0.0 <= self.alpha < math.inf:
            raise ValueError(f"ElasticDeformation: alpha must be a number of pixels >= 0, got {self.alpha!r}")

    def apply(self, x: Array, draw: Draw) -> Array:
        xp = backend_of(x).xp
        h, w = x.shape[2:]
        dtype = working_dtype(x)
        field = 2.0 * draw.uniform("field", 2, h, w).astype(dtype, copy=False) - 1.0  # (N, 2, H, W)
        # One product per sample, not one for the batch, because BLAS rounds differently for matrices with more rows.
        across = matmul(field, gaussian_matrix(xp, w, self.sigma, dtype))
        offset = self.alpha * matmul(gaussian_matrix(xp, h, self.sigma, dtype), across)
        row = xp.arange(h).astype(dtype)[:, None] + offset[:, 0]
        column = xp.arange(w).astype(dtype) + offset[:, 1]
        return bilinear(xp, x, row, column, fill=self.fill)


def gaussian_matrix(xp: Namespace, length: int, sigma: float, dtype: Any) -> Array:
    """Convolution with a Gaussian as a symmetric matrix (length, length): weights up to 4σ away, zero beyond the ends.

    The kernel sums to 1, except where it is cut off at the ends.
    """
    radius = int(4.0 * sigma + 0.5)
    total = math.fsum(math.exp(-0.5 * (k / sigma) ** 2) for k in range(-radius, radius + 1))
    distance = xp.arange(length)[:, None] - xp.arange(length)
    weights = xp.exp(distance.astype(dtype) ** 2 * (-0.5 / sigma**2)) * (1.0 / total)
    return xp.where(xp.abs(distance) <= radius, weights, 0.0).astype(dtype, copy=False)
