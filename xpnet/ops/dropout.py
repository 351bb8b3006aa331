"""Dropout.  The mask is an argument, so that the op is deterministic and its backward can be checked."""

from __future__ import annotations

from xpnet_backends import Array, Namespace

from ._shared import Result, chosen


def dropout(xp: Namespace, x: Array, keep: Array, *, p: float) -> Result:
    """``y = x / (1 − p)`` where kept, else 0, so that E[y] = x;  ``dx = dy / (1 − p)`` where kept, else 0.

    ``keep`` (bool, broadcasts to the shape of x) is True with probability 1 − p (Srivastava et al., JMLR 15, 2014; with
    this "inverted dropout" evaluation needs no scaling).  Dropped elements are 0 even if x or dy is infinite or NaN,
    which a product with the mask would turn into NaN.
    """
    scale = 1.0 / (1.0 - p) if p < 1.0 else 0.0

    def backward(dy: Array, needs: tuple[bool, ...] = (True, False)) -> tuple[Array | None, ...]:
        return chosen(xp, keep, dy) * scale, None

    return chosen(xp, keep, x) * scale, backward
