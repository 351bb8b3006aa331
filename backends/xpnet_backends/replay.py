"""Recorded work for users: any function of arrays on a device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import random
from .base import Backend, R
from .select import get_backend


def capture(function: Callable[[], R], *, backend: str | Backend | None = None) -> Callable[[], R]:
    """A callable that repeats the device work of ``function()`` without running Python (a CUDA graph on CuPy).

    ``function`` takes no arguments.  It reads arrays that keep their place in memory; write new values into them with
    ``x[...] = values``.  It is called once to record its device calls, which are not executed then.  Each replay
    returns the arrays of that call with new values in them, so copy what you want to keep.  Host numbers are frozen,
    except the random step.  Run the function a few times first, so that nothing is created or compiled during the
    recording.  On NumPy the result is ``function`` itself.

    Raises: ``CaptureError`` if the function reads a number from the device, synchronises, or transfers data.

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
    """Ignored, because nobody asks for the streams."""
