"""Combinations of transforms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from xpnet_backends import Array, backend_of

from .base import Draw, Transform, check_images, check_probability

AnyTransform: TypeAlias = "Transform | Callable[[Array], Array]"
Step: TypeAlias = AnyTransform  # the old name


def run(step: AnyTransform, x: Array, draw: Draw) -> Array:
    """Call a transform with the draw, and any other function, like ``Normalize(...)``, with the batch only."""
    return step(x, draw) if isinstance(step, Transform) else step(x)


def _steps(name: str, steps: Sequence[AnyTransform]) -> tuple[AnyTransform, ...]:
    if callable(steps):
        raise TypeError(f"{name} takes a list of transforms, got {steps!r}: put it into [ ]")
    for step in steps:
        if not callable(step):
            raise TypeError(f"{name}: {step!r} is no transform: it cannot be called")
    return tuple(steps)


@dataclass(frozen=True)
class Compose(Transform):
    """Apply transforms one after the other; each has its own random numbers, by its position in the list.

    The list may contain functions of the batch only: ``Compose([RandomCrop(padding=4), to_float, Normalize(...)])``.
    """

    transforms: Sequence[AnyTransform]

    def __post_init__(self) -> None:
        object.__setattr__(self, "transforms", _steps("Compose", self.transforms))

    def __call__(self, x: Array, draw: Draw) -> Array:
        for i, step in enumerate(self.transforms):
            x = run(step, x, draw.at(i))
        return x


@dataclass(frozen=True)
class RandomApply(Transform):
    """Apply a list of transforms to each sample with probability ``p``; other samples are unchanged."""

    transforms: Sequence[AnyTransform]
    p: float = 0.5

    def __post_init__(self) -> None:
        object.__setattr__(self, "transforms", _steps("RandomApply", self.transforms))
        check_probability("RandomApply", self.p)

    def __call__(self, x: Array, draw: Draw) -> Array:
        check_images("RandomApply", x, draw.index)
        y = Compose(self.transforms)(x, draw)
        if (y.shape, y.dtype) != (x.shape, x.dtype):
            raise ValueError(
                f"RandomApply: its transforms turned {x.dtype}{tuple(x.shape)} into {y.dtype}{tuple(y.shape)}; "
                "samples with and without them would not fit into one batch"
            )
        return backend_of(x).xp.where(draw.chosen(self.p), y, x)
