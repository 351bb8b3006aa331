"""Recorded work for users: any function of arrays on a device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import random
from .base import Backend, R
from .select import get_backend


def capture(function: Callable[[], R], *, backend: str | Backend | None = None) -> Callable[[], R]:
    """A callable that repeats what ``function()`` did on a device, without running Python (a CUDA graph on CuPy).

    ``function`` takes no arguments: it reads arrays that stay where they are, and new values are written into them,
    ``x[...] = values``.  It is run once, on the host only, to write its calls down.  A replay gives back the arrays of
    that one call with new values in them: copy what is to be kept.  Numbers of the host freeze, except the random step.
    Run the function a few times before, so that nothing is made or compiled for the first time while it is recorded.
    On NumPy it is ``function`` itself.

    Raises: ``CaptureError`` where the function reads a number from the device, waits for it, or moves data.

    >>> import numpy as np
    >>> x = np.array([1.0, 2.0])
    >>> double = capture(lambda: 2.0 * x, backend="numpy")
    >>> x[...] = 5.0
    >>> double()
    array([10., 10.])
    """
    chosen = get_backend(backend)
    if chosen.on_host:
        return chosen.capture(function)
    with random.state.from_cells(chosen, _ignore):
        replay = chosen.capture(function)

    def replay_now() -> R:
        random.state.write_cells()
        return replay()

    return replay_now


def _ignore(stream: Any) -> None:
    """Nobody asks for the streams."""
