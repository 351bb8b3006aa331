"""Checks of sizes, and of batches of images and sequences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from xpnet.nn.functional.checks import floating
from xpnet.tensor import Tensor, TensorLike

Size: TypeAlias = int | Sequence[int]
Pair: TypeAlias = tuple[int, int]


def pair(name: str, value: Size, least: int = 0) -> Pair:
    """A size as (height, width).  Raises: ``ValueError`` unless it is one or two integers >= ``least``."""
    both = (value, value) if isinstance(value, int) else tuple(value)
    if len(both) != 2 or not all(isinstance(n, int) and n >= least for n in both):
        raise ValueError(f"{name} must be one or two whole numbers >= {least}, got {value!r}")
    return both


def single(name: str, value: Size, least: int = 0) -> int:
    """A length.  Raises: ``ValueError`` unless it is one integer >= ``least``."""
    numbers = (value,) if isinstance(value, int) else tuple(value)
    length = numbers[0] if len(numbers) == 1 else None
    if not isinstance(length, int) or length < least:
        raise ValueError(f"{name} must be a whole number >= {least}, got {value!r}")
    return length


def images(name: str, x: TensorLike, channels: int | None = None) -> tuple[Tensor, bool]:
    """``x`` as a batch (N, C, H, W), and whether the batch axis was added."""
    t = floating(name, x)
    if t.ndim not in (3, 4):
        raise ValueError(f"expected input of shape (N, C, H, W) or (C, H, W), got {t.shape}")
    if channels is not None and t.shape[-3] != channels:
        raise ValueError(f"expected {channels} input channels, got {t.shape[-3]} in input of shape {t.shape}")
    return (t, False) if t.ndim == 4 else (t.unsqueeze(0), True)


def as_image(function: Callable[[Tensor], Any], name: str, x: TensorLike) -> Any:
    """Run an image function on sequences (N, C, T) or (C, T), as images of height 1."""
    t = floating(name, x)
    if t.ndim not in (2, 3):
        raise ValueError(f"expected input of shape (N, C, T) or (C, T), got {t.shape}")
    y = function(t.unsqueeze(-2))
    return tuple(part.squeeze(-2) for part in y) if isinstance(y, tuple) else y.squeeze(-2)
