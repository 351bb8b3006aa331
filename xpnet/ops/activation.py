"""Activation functions, which make a network nonlinear.

All are elementwise except the softmax functions and ``glu``.  y has the shape of x, except for ``glu``.
``docs/losses-and-activations.md`` has the derivations.
"""

from __future__ import annotations

import math

from xpnet_backends import Array, Namespace, pairwise_sum

from ._shared import Result, chosen, widened
from .special import erfc


def relu(xp: Namespace, x: Array) -> Result:
    """``y = max(x, 0)``;  ``dx = dy`` where x > 0, else 0, also at the kink.  NaN stays NaN, and dy passes there."""
    y = xp.maximum(x, 0)

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        return (chosen(xp, ~(y <= 0), dy),)  # not y > 0, which is False for NaN

    return y, backward


def leaky_relu(xp: Namespace, x: Array, *, negative_slope: float = 0.01) -> Result:
    """``y = x`` where x > 0, else ``a x``;  ``dy/dx = 1`` where x > 0, else a (Maas, Hannun, Ng 2013)."""
    positive = x > 0

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        return (xp.where(positive, dy, negative_slope * dy),)

    return xp.where(positive, x, negative_slope * x), backward


@widened
def elu(xp: Namespace, x: Array, *, alpha: float = 1.0) -> Result:
    """``y = x`` where x > 0, else ``α (eˣ − 1)``;  ``dy/dx = 1`` where x > 0, else ``α eˣ``.

    Clevert et al. 2015, arXiv:1511.07289.
    """
    positive = x > 0
    below = xp.minimum(x, 0)  # exp cannot overflow: below <= 0

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        return (xp.where(positive, dy, dy * alpha * xp.exp(below)),)

    return xp.where(x >= 0, x, alpha * xp.expm1(below)), backward  # so that −0 stays −0


@widened
def gelu(xp: Namespace, x: Array, *, approximate: str = "none") -> Result:
    """``y = x Φ(x)``, ``Φ = ½ erfc(−x/√2)``;  ``dy/dx = Φ + x Φ'``, ``Φ' = e^(−x²/2) / √(2π)``.

    Φ is the normal distribution function.  ``approximate="tanh"`` uses ``Φ ≈ ½ (1 + t)``, ``t = tanh u``,
    ``u = √(2/π) (x + 0.044715 x³)``;  ``dy/dx = ½ (1 + t) + ½ x (1 − t²) du/dx`` for "tanh" (Hendrycks & Gimpel 2016,
    arXiv:1606.08415).
    """
    if approximate == "tanh":
        return _gelu_tanh(xp, x)
    if approximate != "none":
        raise ValueError(f"approximate must be 'none' or 'tanh', got {approximate!r}")
    cdf = 0.5 * erfc(xp, x * -math.sqrt(0.5))

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        density = xp.exp(-0.5 * x * x) * (1.0 / math.sqrt(2.0 * math.pi))  # Φ'
        return (dy * (cdf + x * density),)

    return x * cdf, backward


def _gelu_tanh(xp: Namespace, x: Array) -> Result:
    c = math.sqrt(2.0 / math.pi)
    t = xp.tanh(c * (x + 0.044715 * x * x * x))

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        near = xp.clip(x, -30.0, 30.0)  # beyond ±30, t² = 1 and x² may overflow
        du = c * (1.0 + 3.0 * 0.044715 * near * near)
        return (dy * (0.5 * (1.0 + t) + 0.5 * near * (1.0 - t * t) * du),)

    return 0.5 * x * (1.0 + t), backward


@widened
def sigmoid(xp: Namespace, x: Array) -> Result:
    """``y = 1 / (1 + e⁻ˣ)``;  ``dy/dx = y (1 − y)``."""
    z = xp.exp(-xp.abs(x))  # cannot overflow: -|x| <= 0
    y = xp.where(x >= 0, 1.0, z) / (1.0 + z)

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        return (dy * y * (1.0 - y),)

    return y, backward


@widened
def tanh(xp: Namespace, x: Array) -> Result:
    """``y = tanh x``;  ``dy/dx = 1 − y²``."""
    y = xp.tanh(x)

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        return (dy * (1.0 - y * y),)

    return y, backward


@widened
def softmax(xp: Namespace, x: Array, *, axis: int = -1) -> Result:
    """``yᵢ = eˣⁱ / Σⱼ eˣʲ``;  ``dx = y (dy − Σ dy y)``, the sums along ``axis``.

    x is shifted by its maximum, so that nothing overflows.
    """
    y = xp.exp(x - x.max(axis=axis, keepdims=True))
    y /= pairwise_sum(y, axis, keepdims=True)

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        return (y * (dy - pairwise_sum(dy * y, axis, keepdims=True)),)

    return y, backward


@widened
def log_softmax(xp: Namespace, x: Array, *, axis: int = -1) -> Result:
    """``yᵢ = xᵢ − ln Σⱼ eˣʲ``;  ``dx = dy − eʸ Σ dy``, the sums along ``axis``."""
    shifted = x - x.max(axis=axis, keepdims=True)
    y = shifted - xp.log(pairwise_sum(xp.exp(shifted), axis, keepdims=True))

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        return (dy - xp.exp(y) * pairwise_sum(dy, axis, keepdims=True),)

    return y, backward


@widened
def logsigmoid(xp: Namespace, x: Array) -> Result:
    """``y = ln σ(x)``, as ``min(x, 0) − ln(1 + e^−|x|)``;  ``dy/dx = 1 − σ(x)``."""
    z = xp.exp(-xp.abs(x))  # cannot overflow: -|x| <= 0

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        return (dy * xp.where(x >= 0, z, 1.0) / (1.0 + z),)

    return xp.minimum(x, 0) - xp.log1p(z), backward


@widened
def softplus(xp: Namespace, x: Array, *, beta: float = 1.0, threshold: float = 20.0) -> Result:
    """``y = ln(1 + e^βx) / β``, and x itself where ``βx > threshold``;  ``dy/dx = σ(βx)``, and 1 there."""
    u = beta * x
    z = xp.exp(-xp.abs(u))  # cannot overflow: -|u| <= 0
    linear = u > threshold

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        return (xp.where(linear, dy, dy * xp.where(u >= 0, 1.0, z) / (1.0 + z)),)

    return xp.where(linear, x, (xp.maximum(u, 0) + xp.log1p(z)) / beta), backward


@widened
def softsign(xp: Namespace, x: Array) -> Result:
    """``y = x / (1 + |x|)``;  ``dy/dx = 1 / (1 + |x|)²``."""
    r = 1.0 / (1.0 + xp.abs(x))

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        return (dy * r * r,)

    return x * r, backward


@widened
def tanhshrink(xp: Namespace, x: Array) -> Result:
    """``y = x − tanh x``;  ``dy/dx = tanh² x``."""
    t = xp.tanh(x)

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        return (dy * t * t,)

    return x - t, backward


@widened
def silu(xp: Namespace, x: Array) -> Result:
    """``y = x σ(x)``, also called swish;  ``dy/dx = σ (1 + x (1 − σ))`` (Elfwing et al. 2017, arXiv:1702.03118)."""
    s, _ = sigmoid(xp, x)

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        return (dy * (s * (1.0 + x * (1.0 - s))),)

    return x * s, backward


@widened
def mish(xp: Namespace, x: Array) -> Result:
    """``y = x t``, ``t = tanh ln(1 + eˣ)``;  ``dy/dx = t + x (1 − t²) σ(x)`` (Misra 2019, arXiv:1908.08681).

    With ``w = eˣ``: ``t = ((1 + w)² − 1) / ((1 + w)² + 1) = (w² + 2w) / (w² + 2w + 2)``.
    """
    z = xp.exp(-xp.abs(x))  # cannot overflow: -|x| <= 0
    above, below = 1.0 + 2.0 * z, z * (z + 2.0)  # w² + 2w, divided by w² where x >= 0
    t = xp.where(x >= 0, above / (above + 2.0 * z * z), below / (below + 2.0))

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        s = xp.where(x >= 0, 1.0, z) / (1.0 + z)
        return (dy * (t + x * (1.0 - t * t) * s),)

    return x * t, backward


@widened
def celu(xp: Namespace, x: Array, *, alpha: float = 1.0) -> Result:
    """``y = x`` where x > 0, else ``α (e^(x/α) − 1)``;  ``dy/dx = 1`` where x > 0, else ``e^(x/α)``.

    Barron 2017, arXiv:1704.07483.
    """
    positive = x > 0
    below = xp.minimum(x, 0) / alpha

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        return (xp.where(positive, dy, dy * xp.exp(below)),)

    return xp.where(x >= 0, x, alpha * xp.expm1(below)), backward


_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


@widened
def selu(xp: Namespace, x: Array) -> Result:
    """``y = λ x`` where x > 0, else ``λ α (eˣ − 1)``;  ``dy/dx = λ`` where x > 0, else ``λ α eˣ``.

    λ and α keep mean 0 and variance 1 (Klambauer et al. 2017, arXiv:1706.02515).
    """
    y, elu_backward = elu(xp, x, alpha=_SELU_ALPHA)

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        return (_SELU_SCALE * elu_backward(dy)[0],)

    return _SELU_SCALE * y, backward


@widened
def glu(xp: Namespace, x: Array, *, axis: int = -1) -> Result:
    """``y = a σ(b)``, a and b the halves of x along ``axis``;  ``da = dy σ``, ``db = dy a σ (1 − σ)``.

    x (..., 2D, ...) -> y (..., D, ...).  The gated linear unit (Dauphin et al. 2016, arXiv:1612.08083).
    """
    a, b = xp.split(x, 2, axis=axis)
    s, _ = sigmoid(xp, b)

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:
        da = dy * s
        return (xp.concatenate((da, da * a * (1.0 - s)), axis=axis),)

    return a * s, backward
