"""Activation functions: what makes a network more than one linear map."""

from __future__ import annotations

import math

from xpnet_backends import Array, Namespace

from ._shared import Result
from .special import erf


def relu(xp: Namespace, x: Array) -> Result:
    """``y = max(x, 0)``, with slope 0 at the kink x = 0."""
    y = xp.maximum(x, 0)

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        return (dy * (y > 0),)

    return y, backward


def leaky_relu(xp: Namespace, x: Array, *, negative_slope: float = 0.01) -> Result:
    """``y = x`` where x > 0, else ``a x`` (Maas, Hannun, Ng 2013)."""
    positive = x > 0

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        return (xp.where(positive, dy, negative_slope * dy),)

    return xp.where(positive, x, negative_slope * x), backward


def elu(xp: Namespace, x: Array, *, alpha: float = 1.0) -> Result:
    """``y = x`` where x > 0, else ``α (eˣ − 1)``, slope ``α eˣ`` there (Clevert et al. 2015, arXiv:1511.07289)."""
    positive = x > 0
    below = xp.minimum(x, 0)  # exp cannot overflow: below <= 0

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        return (xp.where(positive, dy, dy * alpha * xp.exp(below)),)

    return xp.where(positive, x, alpha * xp.expm1(below)), backward


def gelu(xp: Namespace, x: Array, *, approximate: str = "none") -> Result:
    """``y = x Φ(x)``, Φ the normal distribution function (Hendrycks & Gimpel 2016, arXiv:1606.08415).

    ``approximate="none"``: ``Φ = ½ (1 + erf(x/√2))``;  "tanh": ``Φ ≈ ½ (1 + tanh u)``, ``u = √(2/π)(x + 0.044715 x³)``.
    """
    if approximate == "tanh":
        return _gelu_tanh(xp, x)
    if approximate != "none":
        raise ValueError(f"approximate must be 'none' or 'tanh', got {approximate!r}")
    cdf = 0.5 * (1.0 + erf(xp, x * math.sqrt(0.5)))

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        density = xp.exp(-0.5 * x * x) * (1.0 / math.sqrt(2.0 * math.pi))  # Φ'
        return (dy * (cdf + x * density),)

    return x * cdf, backward


def _gelu_tanh(xp: Namespace, x: Array) -> Result:
    c = math.sqrt(2.0 / math.pi)
    t = xp.tanh(c * (x + 0.044715 * x * x * x))

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        du = c * (1.0 + 3.0 * 0.044715 * x * x)
        return (dy * (0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * du),)

    return 0.5 * x * (1.0 + t), backward


def sigmoid(xp: Namespace, x: Array) -> Result:
    """``y = 1 / (1 + e⁻ˣ)``;  ``dy/dx = y (1 − y)``."""
    z = xp.exp(-xp.abs(x))  # cannot overflow: -|x| <= 0
    y = xp.where(x >= 0, 1.0, z) / (1.0 + z)

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        return (dy * y * (1.0 - y),)

    return y, backward


def tanh(xp: Namespace, x: Array) -> Result:
    """``y = tanh x``;  ``dy/dx = 1 − y²``."""
    y = xp.tanh(x)

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        return (dy * (1.0 - y * y),)

    return y, backward


def softmax(xp: Namespace, x: Array, *, axis: int = -1) -> Result:
    """``yᵢ = eˣⁱ / Σⱼ eˣʲ``;  ``dx = y (dy − Σ dy y)``.  Shifted by the largest x, so that nothing overflows."""
    y = xp.exp(x - x.max(axis=axis, keepdims=True))
    y /= y.sum(axis=axis, keepdims=True)

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        return (y * (dy - (dy * y).sum(axis=axis, keepdims=True)),)

    return y, backward


def log_softmax(xp: Namespace, x: Array, *, axis: int = -1) -> Result:
    """``yᵢ = xᵢ − ln Σⱼ eˣʲ``;  ``dx = dy − eʸ Σ dy``."""
    shifted = x - x.max(axis=axis, keepdims=True)
    y = shifted - xp.log(xp.exp(shifted).sum(axis=axis, keepdims=True))

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        return (dy - xp.exp(y) * dy.sum(axis=axis, keepdims=True),)

    return y, backward
