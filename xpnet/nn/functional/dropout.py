"""Dropout."""

from __future__ import annotations

from xpnet import ops
from xpnet.nn.functional.checks import check_probability, floating
from xpnet.tensor import Tensor, TensorLike, apply
from xpnet_backends.random import state


def dropout(x: TensorLike, p: float = 0.5, training: bool = True, *, path: str = "dropout") -> Tensor:
    """Zero with probability ``p``, else ``x / (1 − p)``; the identity unless ``training``.

    Dropped elements and their gradients are zero even if x is infinite or NaN.

    Parameters
    ----------
    x : the input.
    p : the probability of zero.
    training : whether to drop elements.
    path : the name of the random stream.  Two calls with one path in one step still get different masks.

    >>> from xpnet import manual_seed, tensor
    >>> manual_seed(0)
    >>> sorted({*dropout(tensor([1.0] * 100), p=0.5).tolist()})
    [0.0, 2.0]
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
    """Zero whole channels with probability ``p``.  x (N, C, T) or (C, T).

    Parameters
    ----------
    x, p, training, path : as in ``dropout``.
    """
    return _channel_dropout("dropout1d", x, p, training, path, 2)


def dropout2d(x: TensorLike, p: float = 0.5, training: bool = True, *, path: str = "dropout") -> Tensor:
    """Zero whole channels with probability ``p`` (Tompson et al. 2014, arXiv:1411.4280).  x (N, C, H, W) or (C, H, W).

    Parameters
    ----------
    x, p, training, path : as in ``dropout``.
    """
    return _channel_dropout("dropout2d", x, p, training, path, 3)
