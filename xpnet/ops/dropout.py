"""Dropout.  The mask is an argument: the op itself is a plain function, and its backward can be checked."""

from __future__ import annotations

from xpnet_backends import Array, Namespace

from ._shared import Result


def dropout(xp: Namespace, x: Array, keep: Array, *, p: float) -> Result:
    """``y = x · keep / (1 − p)``, so that E[y] = x;  ``dx = dy · keep / (1 − p)``.

    ``keep`` (bool, of a shape that broadcasts to x's) is True with probability 1 − p (Srivastava et al., JMLR 15,
    2014; the division at training time is "inverted dropout", which leaves evaluation alone).
    """
    scale = 1.0 / (1.0 - p) if p < 1.0 else 0.0

    def backward(dy: Array, needs: tuple[bool, ...] = (True, False)) -> tuple[Array | None, ...]:
        return dy * keep * scale, None

    return x * keep * scale, backward
