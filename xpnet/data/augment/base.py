"""The base of all transforms: random numbers per sample, and argument checks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from xpnet_backends import Array, backend_of
from xpnet_backends.random import RowStream, Stream


@dataclass(frozen=True, eq=False)
class Draw:
    """The random numbers of the samples ``index`` (N,) of a dataset in one epoch, for the consumer ``path``.

    Each draw has a name.  The same name always gives the same numbers; different names give independent numbers.
    """

    seed: int
    epoch: int
    index: Array
    path: str = "data.augment"

    def at(self, name: str | int) -> Draw:
        """The random numbers of the same samples for a part of the consumer."""
        return replace(self, path=f"{self.path}.{name}")

    def rows(self, name: str) -> RowStream:
        """The random stream of a name."""
        return Stream(self.seed, f"{self.path}.{name}", self.epoch).rows(self.index)

    def uniform(self, name: str, *shape: int, dtype: str = "float32") -> Array:
        """Uniform in [0, 1), (N, *shape); the same bits on every backend."""
        return self.rows(name).uniform(shape, dtype)

    def normal(self, name: str, *shape: int, dtype: str = "float32") -> Array:
        """Standard normal, (N, *shape)."""
        return self.rows(name).normal(shape, dtype)

    def chosen(self, p: float) -> Array:
        """True with probability ``p``, (N, 1, 1, 1)."""
        return (self.uniform("chosen") < p)[:, None, None, None]


class Transform(ABC):
    """A random change of a batch: a function of the batch and of a ``Draw``."""

    @abstractmethod
    def __call__(self, x: Array, draw: Draw) -> Array:
        """X (N, ...) -> a new array; ``x`` is not changed."""


class ImageTransform(Transform):
    """A transform of images (N, C, H, W).  ``needs_float`` is true if it computes with the values."""

    needs_float: ClassVar[bool] = False

    def __call__(self, x: Array, draw: Draw) -> Array:
        name = type(self).__name__
        check_images(name, x, draw.index)
        if self.needs_float:
            check_floating(name, x)
        return self.apply(x, draw.at(name))

    @abstractmethod
    def apply(self, x: Array, draw: Draw) -> Array:
        """Like ``__call__``, with checked arguments."""


def check_images(name: str, x: Array, index: Array) -> None:
    """Raises: ``ValueError`` unless x is (N, C, H, W) with pixels, and ``index`` has N numbers."""
    backend_of(x, index)
    if x.ndim != 4 or 0 in x.shape[1:]:
        hint = ": images without a channel axis get one by x[:, None]" if x.ndim == 3 else ""
        raise ValueError(f"{name} needs images (N, C, H, W), got shape {tuple(x.shape)}{hint}")
    if index.shape != (len(x),):
        raise ValueError(f"{name}: the draw is for {tuple(index.shape)} samples, but there are {len(x)} images")


def check_floating(name: str, x: Array) -> None:
    """Raises: ``TypeError`` for integers."""
    if x.dtype.kind != "f":
        raise TypeError(f"{name} needs floating-point images, got {x.dtype}: put xpnet.data.to_float before it")


def check_probability(name: str, p: float) -> None:
    """Raises: ``ValueError`` outside 0..1."""
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"{name}: p is a probability and must lie in 0..1, got {p!r}")


def check_positive(name: str, what: str, value: float) -> None:
    """Raises: ``ValueError`` unless ``value`` is a positive, finite number."""
    if not 0.0 < value < float("inf"):
        raise ValueError(f"{name}: {what} must be a positive number, got {value!r}")


def working_dtype(x: Array) -> Any:
    """The dtype of positions and weights: float64 for float64 images, else float32."""
    return "float64" if x.dtype == "float64" else "float32"


def box_mask(xp: Any, shape: tuple[int, ...], top: Array, left: Array, bottom: Array, right: Array) -> Array:
    """True in rows top ≤ i < bottom, columns left ≤ j < right.  Corners (N,) -> (N, 1, H, W)."""
    i, j = xp.arange(shape[-2]), xp.arange(shape[-1])
    rows = (i >= top[:, None]) & (i < bottom[:, None])  # (N, H)
    columns = (j >= left[:, None]) & (j < right[:, None])  # (N, W)
    return rows[:, None, :, None] & columns[:, None, None, :]
