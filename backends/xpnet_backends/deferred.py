"""A result that is not computed yet, so that the next op can fuse with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .base import Array


@dataclass(slots=True)
class Deferred:
    """A kernel returns this instead of an array, so that the next op can fuse with it into one pass over memory.

    A kernel that can defer is registered as ``"name+"``, and the fused kernel as ``"name+next"``.  The fused kernel is
    called as ``kernel(xp, deferred, *others, **options)``, where the others are the remaining arguments of the next op.
    It returns the result of both ops (an array, or again a ``Deferred``) and a backward.  The backward returns the
    gradients of the first op's inputs and of the others.  The result must equal that of the two ops bit for bit.

    Attributes
    ----------
    shape, dtype : shape and dtype of the array that ``run`` will return.
    run : computes the array; it may be called again and then returns the same bits.
    kept : what a fused kernel needs from the first op.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    run: Callable[[], Array]
    kept: Any = None
