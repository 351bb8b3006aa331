"""Activation functions in one pass over memory each way.  NumPy needs 3 to 100 passes.

Each function is one loop over the elements in memory order, whatever that order is.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...base import Array, Backward, Namespace
from ...memory import empty_like
from .machinery.compiler import FLOAT, LONG, compiled, read, write
from .machinery.functions import exp, expm1, normal, sigmoid
from .machinery.thread_pool import in_threads

Result = tuple[Array, Backward] | None
RELU, LEAKY_RELU, ELU, GELU, SIGMOID, SILU = range(6)
COST = 24  # the cost of an element, in multiplications
DENSITY = np.float32(1.0 / math.sqrt(2.0 * math.pi))
HALF, ONE, NOUGHT = np.float32(0.5), np.float32(1.0), np.float32(0.0)


def relu(xp: Namespace, x: Array) -> Result:
    """``y = max(x, 0)``."""
    return _elementwise(RELU, x)


def leaky_relu(xp: Namespace, x: Array, *, negative_slope: float = 0.01) -> Result:
    """``y = x`` where x > 0, else ``a x``."""
    return _elementwise(LEAKY_RELU, x, negative_slope)


def elu(xp: Namespace, x: Array, *, alpha: float = 1.0) -> Result:
    """``y = x`` where x > 0, else ``α (eˣ − 1)``."""
    return _elementwise(ELU, x, alpha)


def gelu(xp: Namespace, x: Array, *, approximate: str = "none") -> Result:
    """``y = x Φ(x)``.  Declines the tanh approximation, for which the op is fast enough."""
    return _elementwise(GELU, x) if approximate == "none" else None


def sigmoid_(xp: Namespace, x: Array) -> Result:
    """``y = 1 / (1 + e⁻ˣ)``."""
    return _elementwise(SIGMOID, x)


def silu(xp: Namespace, x: Array) -> Result:
    """``y = x σ(x)``."""
    return _elementwise(SILU, x)


def _elementwise(kind: int, x: Array, parameter: float = 0.0) -> Result:
    y = empty_like(x)
    given, found = _line(x, y), y.ravel("K")
    in_threads(lambda i, j: _forward(kind, parameter, given[i:j], found[i:j]), x.size, x.size * COST)

    kept = found if kind in (RELU, SIGMOID) else given  # y is enough for these two, so x may change

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        dx = empty_like(y)
        slopes, result = _line(dy, y), dx.ravel("K")
        work = lambda i, j: _backward(kind, parameter, kept[i:j], slopes[i:j], result[i:j])  # noqa: E731
        in_threads(work, y.size, y.size * COST)
        return (dx,)

    return y, backward


def _line(x: Array, like: Array) -> Any:
    """The elements of x in the memory order of ``like``; a view if the orders are equal."""
    if x.strides != like.strides:
        copy = empty_like(like)
        copy[...] = x
        x = copy
    return x.ravel("K")


@compiled(LONG, FLOAT, read(1, "C"), write(1))
def _forward(kind: int, a: Any, x: Array, y: Array) -> None:
    if kind == RELU:
        for i in range(x.size):
            y[i] = NOUGHT if x[i] <= NOUGHT else x[i]  # NaN stays
    elif kind == LEAKY_RELU:
        for i in range(x.size):
            y[i] = x[i] if x[i] > NOUGHT else a * x[i]
    elif kind == ELU:
        for i in range(x.size):
            y[i] = x[i] if x[i] > NOUGHT else a * expm1(NOUGHT if x[i] > NOUGHT else x[i])
    elif kind == GELU:
        for i in range(x.size):
            y[i] = x[i] * normal(x[i], exp(-HALF * x[i] * x[i]))
    elif kind == SIGMOID:
        for i in range(x.size):
            y[i] = sigmoid(x[i])
    elif kind == SILU:
        for i in range(x.size):
            y[i] = x[i] * sigmoid(x[i])


@compiled(LONG, FLOAT, read(1, "C"), read(1, "C"), write(1))
def _backward(kind: int, a: Any, x: Array, dy: Array, dx: Array) -> None:
    """RELU and SIGMOID get y in place of x."""
    if kind == RELU:
        for i in range(x.size):
            dx[i] = NOUGHT if x[i] <= NOUGHT else dy[i]  # not dy times 0: dy may be infinite
    elif kind == LEAKY_RELU:
        for i in range(x.size):
            dx[i] = dy[i] * (ONE if x[i] > NOUGHT else a)
    elif kind == ELU:
        for i in range(x.size):
            dx[i] = dy[i] * (ONE if x[i] > NOUGHT else a * exp(x[i]))
    elif kind == GELU:
        for i in range(x.size):
            e = exp(-HALF * x[i] * x[i])
            dx[i] = dy[i] * (normal(x[i], e) + x[i] * DENSITY * e)
    elif kind == SIGMOID:
        for i in range(x.size):
            dx[i] = dy[i] * (x[i] * (ONE - x[i]))
    elif kind == SILU:
        for i in range(x.size):
            s = sigmoid(x[i])
            dx[i] = dy[i] * (s * (ONE + x[i] * (ONE - s)))
