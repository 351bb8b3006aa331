"""Piecewise-linear activation functions."""

from __future__ import annotations

from xpnet import ops
from xpnet.nn.functional.checks import floating
from xpnet.tensor import Tensor, TensorLike, apply


def hardtanh(x: TensorLike, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """``min(max(x, min_val), max_val)``."""
    if min_val > max_val:
        raise ValueError(f"hardtanh: min_val {min_val} must not exceed max_val {max_val}")
    return apply(ops.hardtanh, floating("hardtanh", x), low=min_val, high=max_val)


def relu6(x: TensorLike) -> Tensor:
    """``min(max(x, 0), 6)``."""
    return apply(ops.hardtanh, floating("relu6", x), low=0.0, high=6.0)


def hardsigmoid(x: TensorLike) -> Tensor:
    """``min(max(x + 3, 0), 6) / 6``."""
    return apply(ops.hardsigmoid, floating("hardsigmoid", x))


def hardswish(x: TensorLike) -> Tensor:
    """``x hardsigmoid(x)``."""
    return apply(ops.hardswish, floating("hardswish", x))


def hardshrink(x: TensorLike, lambd: float = 0.5) -> Tensor:
    """``x`` where |x| > ``lambd``, else 0."""
    return apply(ops.hardshrink, floating("hardshrink", x), lambd=lambd)


def softshrink(x: TensorLike, lambd: float = 0.5) -> Tensor:
    """``x − λ`` where x > λ, ``x + λ`` where x < −λ, else 0."""
    if not lambd >= 0:
        raise ValueError(f"softshrink: lambd must be at least 0, got {lambd!r}")
    return apply(ops.softshrink, floating("softshrink", x), lambd=lambd)


def threshold(x: TensorLike, threshold: float, value: float) -> Tensor:
    """``x`` where x > ``threshold``, else ``value``."""
    return apply(ops.threshold, floating("threshold", x), threshold=threshold, value=value)


def prelu(x: TensorLike, weight: TensorLike) -> Tensor:
    """``x`` where x > 0, else ``weight · x``.  x (N, C, ...), weight (C,), or (1,) for all channels."""
    x, weight = floating("prelu", x), floating("prelu", weight)
    channels = x.shape[1] if x.ndim > 1 else 1
    if weight.shape not in ((1,), (channels,)):
        raise ValueError(
            f"prelu: input {x.shape} has {channels} channels (axis 1) and needs a weight of shape (1,) or "
            f"({channels},), got {weight.shape}"
        )
    return apply(ops.prelu, x, weight)
