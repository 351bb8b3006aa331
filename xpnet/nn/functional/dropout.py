"""Dropout."""

from __future__ import annotations

from xpnet import ops
from xpnet.nn.functional.checks import check_probability, floating
from xpnet.tensor import Tensor, TensorLike, apply
from xpnet_backends.random import state


def dropout(x: TensorLike, p: float = 0.5, training: bool = True, *, path: str = "dropout") -> Tensor:
    """Zero with probability ``p``, else ``x / (1 − p)``; the identity unless ``training``.

    What is dropped is zero on purpose even if it was infinite or NaN, and so is its gradient.
    ``path`` names the random stream: two consumers of one path in one step still get different masks.
    """
    t = floating("dropout", x)
    check_probability("dropout: p", p)
    if not training or p == 0.0:
        return t
    keep = state.next(path).mask(t.backend, t.shape, p=1.0 - p)
    return apply(ops.dropout, t, keep, p=p)


def _channel_dropout(name: str, x: TensorLike, p: float, training: bool, path: str, ndim: int) -> Tensor:
    t = floating(name, x)
    check_probability(f"{name}: p", p)
    if t.ndim not in (ndim, ndim + 1):
        raise ValueError(f"expected input of {ndim} or {ndim + 1} axes, got shape {t.shape}")
    if not training or p == 0.0:
        return t
    channels = (*t.shape[: 1 - ndim], *(1,) * (ndim - 1))
    return apply(ops.dropout, t, state.next(path).mask(t.backend, channels, p=1.0 - p), p=p)


def dropout1d(x: TensorLike, p: float = 0.5, training: bool = True, *, path: str = "dropout") -> Tensor:
    """Whole channels zero with probability ``p``.  x (N, C, T) or (C, T)."""
    return _channel_dropout("dropout1d", x, p, training, path, 2)


def dropout2d(x: TensorLike, p: float = 0.5, training: bool = True, *, path: str = "dropout") -> Tensor:
    """Whole channels zero with probability ``p`` (Tompson et al. 2014, arXiv:1411.4280).  x (N, C, H, W), (C, H, W)."""
    return _channel_dropout("dropout2d", x, p, training, path, 3)
