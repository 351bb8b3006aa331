"""A result whose work is not done yet, so that the op that follows may take it over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .base import Array


@dataclass(slots=True)
class Deferred:
    """What a kernel gives in place of an array where the next op may join it into one reading of memory.

    A kernel that can defer is registered as ``"name+"``, and what joins it as ``"name+next"``.  The joint kernel is
    called as ``kernel(xp, deferred, *others, **options)`` with what the next op has besides, and returns the result of
    both, an array or again a ``Deferred``, and a backward that gives the gradients of the first op's inputs and of the
    others.  Its reference is the composition of the two ops, with which it must agree to the last bit.

    Attributes
    ----------
    shape, dtype : those of the array to come.
    run : does the work; may be called again, and gives the same bits.
    kept : what a joint kernel needs of it.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    run: Callable[[], Array]
    kept: Any = None
