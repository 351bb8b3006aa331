"""Activation functions."""

from __future__ import annotations

from xpnet import ops
from xpnet.nn.functional.checks import floating
from xpnet.tensor import Tensor, TensorLike, apply


def relu(x: TensorLike) -> Tensor:
    """``max(x, 0)``.

    >>> from xpnet import tensor
    >>> relu(tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    return apply(ops.relu, floating("relu", x))


def leaky_relu(x: TensorLike, negative_slope: float = 0.01) -> Tensor:
    """``x`` where x > 0, else ``negative_slope · x``."""
    return apply(ops.leaky_relu, floating("leaky_relu", x), negative_slope=negative_slope)


def elu(x: TensorLike, alpha: float = 1.0) -> Tensor:
    """``x`` where x > 0, else ``α (eˣ − 1)``."""
    return apply(ops.elu, floating("elu", x), alpha=alpha)


def gelu(x: TensorLike, approximate: str = "none") -> Tensor:
    """``x Φ(x)``.  ``approximate`` is "none" or "tanh"."""
    return apply(ops.gelu, floating("gelu", x), approximate=approximate)


def sigmoid(x: TensorLike) -> Tensor:
    """``1 / (1 + e⁻ˣ)``."""
    return apply(ops.sigmoid, floating("sigmoid", x))


def tanh(x: TensorLike) -> Tensor:
    """``tanh x``."""
    return apply(ops.tanh, floating("tanh", x))


def softmax(x: TensorLike, dim: int = -1) -> Tensor:
    """``eˣⁱ / Σⱼ eˣʲ`` along ``dim``.

    >>> from xpnet import tensor
    >>> softmax(tensor([[1.0, 1.0]]), dim=1)
    tensor([[0.5, 0.5]])
    """
    return apply(ops.softmax, floating("softmax", x), axis=dim)


def log_softmax(x: TensorLike, dim: int = -1) -> Tensor:
    """``xᵢ − ln Σⱼ eˣʲ`` along ``dim``."""
    return apply(ops.log_softmax, floating("log_softmax", x), axis=dim)


def logsigmoid(x: TensorLike) -> Tensor:
    """``ln σ(x)``."""
    return apply(ops.logsigmoid, floating("logsigmoid", x))


def softplus(x: TensorLike, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """``ln(1 + e^βx) / β``, and x itself where ``βx > threshold``."""
    if beta == 0:
        raise ValueError("softplus: beta must not be 0")
    return apply(ops.softplus, floating("softplus", x), beta=beta, threshold=threshold)


def softsign(x: TensorLike) -> Tensor:
    """``x / (1 + |x|)``."""
    return apply(ops.softsign, floating("softsign", x))


def tanhshrink(x: TensorLike) -> Tensor:
    """``x − tanh x``."""
    return apply(ops.tanhshrink, floating("tanhshrink", x))


def silu(x: TensorLike) -> Tensor:
    """``x σ(x)``, also called swish."""
    return apply(ops.silu, floating("silu", x))


def mish(x: TensorLike) -> Tensor:
    """``x tanh ln(1 + eˣ)``."""
    return apply(ops.mish, floating("mish", x))


def celu(x: TensorLike, alpha: float = 1.0) -> Tensor:
    """``x`` where x > 0, else ``α (e^(x/α) − 1)``."""
    if alpha == 0:
        raise ValueError("celu: alpha must not be 0")
    return apply(ops.celu, floating("celu", x), alpha=alpha)


def selu(x: TensorLike) -> Tensor:
    """``λ elu(x, α)`` with λ = 1.0507… and α = 1.6733…, which preserve mean 0 and variance 1."""
    return apply(ops.selu, floating("selu", x))


def glu(x: TensorLike, dim: int = -1) -> Tensor:
    """``a σ(b)``, where a and b are the halves of x along ``dim``."""
    x = floating("glu", x)
    if not -x.ndim <= dim < x.ndim or x.shape[dim] % 2:
        raise ValueError(f"glu: dim {dim} must be an axis of even length, got input of shape {x.shape}")
    return apply(ops.glu, x, axis=dim)


def softmin(x: TensorLike, dim: int = -1) -> Tensor:
    """``e⁻ˣⁱ / Σⱼ e⁻ˣʲ`` along ``dim``."""
    return softmax(-floating("softmin", x), dim)
