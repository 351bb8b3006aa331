"""Activation functions."""

from __future__ import annotations

from xpnet import ops
from xpnet.nn.functional.checks import floating
from xpnet.tensor import Tensor, TensorLike, apply


def relu(x: TensorLike) -> Tensor:
    """``max(x, 0)``."""
    return apply(ops.relu, floating("relu", x))


def leaky_relu(x: TensorLike, negative_slope: float = 0.01) -> Tensor:
    """``x`` where x > 0, else ``negative_slope · x``."""
    return apply(ops.leaky_relu, floating("leaky_relu", x), negative_slope=negative_slope)


def elu(x: TensorLike, alpha: float = 1.0) -> Tensor:
    """``x`` where x > 0, else ``α (eˣ − 1)``."""
    return apply(ops.elu, floating("elu", x), alpha=alpha)


def gelu(x: TensorLike, approximate: str = "none") -> Tensor:
    """``x Φ(x)``; ``approximate`` is "none" or "tanh"."""
    return apply(ops.gelu, floating("gelu", x), approximate=approximate)


def sigmoid(x: TensorLike) -> Tensor:
    """``1 / (1 + e⁻ˣ)``."""
    return apply(ops.sigmoid, floating("sigmoid", x))


def tanh(x: TensorLike) -> Tensor:
    """``tanh x``."""
    return apply(ops.tanh, floating("tanh", x))


def softmax(x: TensorLike, dim: int = -1) -> Tensor:
    """``eˣⁱ / Σⱼ eˣʲ`` along ``dim``."""
    return apply(ops.softmax, floating("softmax", x), axis=dim)


def log_softmax(x: TensorLike, dim: int = -1) -> Tensor:
    """``xᵢ − ln Σⱼ eˣʲ`` along ``dim``."""
    return apply(ops.log_softmax, floating("log_softmax", x), axis=dim)
