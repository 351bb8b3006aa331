"""Mixing of two samples and their targets.

The partner of a sample is drawn from the whole dataset, as the papers define it, and not from the batch.  So the mixed
sample is also a function of (seed, epoch, index) only.  The cost is fetching and augmenting a second batch.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

from xpnet.data.transforms import one_hot
from xpnet_backends import Array, backend_of

from .base import Draw, box_mask, check_floating, check_images, check_positive, check_probability


class Mix(ABC):
    """Mixes each sample with another sample of the dataset; targets become probabilities (N, num_classes).

    With probability 1 − ``p`` a sample is not mixed.  ``F.cross_entropy`` accepts such targets.
    """

    p: float
    num_classes: int | None

    @abstractmethod
    def inputs(self, x: Array, other: Array, share: Array, draw: Draw) -> tuple[Array, Array]:
        """The mixed inputs, and the actual share of ``x`` in them, (N,)."""

    @abstractmethod
    def share(self, draw: Draw) -> Array:
        """The share of each sample in its mixture, in 0..1, (N,), float64."""

    def partners(self, draw: Draw, samples: int) -> Array:
        """The partner of each sample, in a dataset of ``samples``.  (N,), int64."""
        return (draw.uniform("partner", dtype="float64") * samples).astype("int64")

    def __call__(self, x: Array, targets: Array, other: Array, other_targets: Array, draw: Draw) -> tuple[Array, Array]:
        """X and other (N, C, H, W); targets (N,) of class numbers, or (N, ...) of probabilities or values."""
        name, xp = type(self).__name__, backend_of(x, other, draw.index).xp
        check_images(name, x, draw.index)
        if x.shape != other.shape:
            raise ValueError(f"{name}: the partners have shape {tuple(other.shape)}, the images {tuple(x.shape)}")
        share = xp.where(draw.uniform("chosen") < self.p, self.share(draw), 1.0)
        y, share = self.inputs(x, other, share, draw)
        first, second = self._soft(targets), self._soft(other_targets)
        weight = share.astype(first.dtype).reshape((-1,) + (1,) * (first.ndim - 1))
        return y, _mixed(first, second, weight)

    def _soft(self, targets: Array) -> Array:
        if targets.dtype.kind == "f":
            return targets
        if self.num_classes is None:
            raise ValueError(f"{type(self).__name__} needs num_classes to mix class numbers, as in num_classes=10")
        return one_hot(targets, self.num_classes)


def _mixed(x: Array, other: Array, weight: Array) -> Array:
    """``w x + (1 − w) x'``; exactly x where w is 1, even if x' is NaN or infinite."""
    return backend_of(x).xp.where(weight == 1.0, x, weight * x + (1.0 - weight) * other)


def _check(mix: Mix, alpha: float) -> None:
    name = type(mix).__name__
    check_positive(name, "alpha", alpha)
    check_probability(name, mix.p)
    if mix.num_classes is not None and (not isinstance(mix.num_classes, int) or mix.num_classes < 1):
        raise ValueError(f"{name}: num_classes must be a positive whole number, got {mix.num_classes!r}")


def symmetric_beta(draw: Draw, alpha: float) -> Array:
    """Beta(α, α) in one step, (N,), float64: ``½ + ½ sign(c) √(q c² / (1 − q + q c²))``.

    c = cos 2πv, ``q = 1 − u^(1/α)``, u and v uniform.  This is Bailey's polar method for Student's t (Mathematics of
    Computation 62, 1994, 779) in the relation between t with 2α degrees of freedom and Beta(α, α).
    """
    xp = backend_of(draw.index).xp
    u = draw.uniform("beta", 2, dtype="float64")
    c = xp.cos(2.0 * math.pi * u[:, 1])
    power = (1.0 - u[:, 0]) ** (1.0 / alpha)
    reach = (1.0 - power) * c * c
    return 0.5 + 0.5 * xp.sign(c) * xp.sqrt(reach / (power + reach))


@dataclass(frozen=True)
class _ByBeta(Mix):
    """The share of each sample is drawn from Beta(``alpha``, ``alpha``)."""

    num_classes: int | None = None
    alpha: float = 1.0
    p: float = 1.0

    def __post_init__(self) -> None:
        _check(self, self.alpha)

    def share(self, draw: Draw) -> Array:
        return symmetric_beta(draw, self.alpha)


@dataclass(frozen=True)
class MixUp(_ByBeta):
    """``λ x + (1 − λ) x'``, and the same for the targets, with λ from Beta(``alpha``, ``alpha``) for each sample.

    Source: Zhang, Cisse, Dauphin, Lopez-Paz, "mixup: beyond empirical risk minimization", ICLR 2018, arXiv:1710.09412.
    """

    def inputs(self, x: Array, other: Array, share: Array, draw: Draw) -> tuple[Array, Array]:
        check_floating("MixUp", x)
        weight = share.astype(x.dtype)[:, None, None, None]
        return _mixed(x, other, weight), share


@dataclass(frozen=True)
class CutMix(_ByBeta):
    """Paste a box of the partner; targets by area.  The box has area 1 − λ, with λ from Beta(``alpha``, ``alpha``).

    The centre of the box is a random pixel.  The box is clipped at the border, and the targets use its clipped area.
    Source: Yun et al., "CutMix: regularization strategy to train strong classifiers with localizable features",
    ICCV 2019, arXiv:1905.04899.
    """

    def inputs(self, x: Array, other: Array, share: Array, draw: Draw) -> tuple[Array, Array]:
        xp = backend_of(x).xp
        h, w = x.shape[2:]
        u = draw.uniform("centre", 2)
        half = 0.5 * xp.sqrt(1.0 - share)
        row, column = xp.floor(u[:, 0] * h), xp.floor(u[:, 1] * w)
        tall, wide = xp.floor(half * h), xp.floor(half * w)
        top, bottom = xp.maximum(row - tall, 0), xp.minimum(row + tall, h)
        left, right = xp.maximum(column - wide, 0), xp.minimum(column + wide, w)
        y = xp.where(box_mask(xp, x.shape, top, left, bottom, right), other, x)
        return y, 1.0 - (bottom - top) * (right - left) * (1.0 / (h * w))
