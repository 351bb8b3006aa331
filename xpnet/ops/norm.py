"""Normalisation: zero mean and unit variance over some axes, then a learned scale and shift.

All share one derivative.  With ``x̂ = (x − μ) / σ`` and ``σ = √(v + ε)``, where μ and v are the mean and variance,
``dx = (dx̂ − mean(dx̂) − x̂ mean(dx̂ x̂)) / σ``.  The two means are the effects of x through μ and σ.  The code calls
1/σ ``scale``.  ``docs/normalisation.md`` has the derivation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from xpnet_backends import Array, Namespace, pairwise_mean

from ._shared import Result, unbroadcast, widened


def _standardise(
    xp: Namespace, x: Array, axes: tuple[int, ...], eps: float
) -> tuple[Array, Array, Array, Callable[[Array], Array]]:
    """``x̂``, the mean and the biased variance over ``axes``, and a function that turns ``dx̂`` into ``dx``."""
    mean = pairwise_mean(x, axes, keepdims=True)
    centred = x - mean
    error = pairwise_mean(centred, axes, keepdims=True)  # rounding error: it would make x̂ of a constant nonzero
    mean, centred = mean + error, centred - error
    variance = pairwise_mean(centred * centred, axes, keepdims=True)
    scale = 1.0 / xp.sqrt(variance + eps)
    x_hat = centred * scale

    def backward(d_hat: Array) -> Array:
        along = pairwise_mean(d_hat * x_hat, axes, keepdims=True)
        return scale * (d_hat - pairwise_mean(d_hat, axes, keepdims=True) - x_hat * along)

    return x_hat, mean, variance, backward


def _affine(x_hat: Array, weight: Array | None, bias: Array | None) -> Array:
    """``y = w x̂ + b``; weight and bias may be None.  The shapes broadcast."""
    y = x_hat if weight is None else x_hat * weight
    return y if bias is None else y + bias


def _affine_backward(
    dy: Array, x_hat: Array, weight: Array | None, bias: Array | None, needs: tuple[bool, ...]
) -> tuple[Any, Any, Any]:
    """``dx̂ = w dy``, ``dw = Σ dy x̂``, ``db = Σ dy``, in the shapes of the parameters."""
    d_hat = dy if weight is None else dy * weight
    dw = unbroadcast(dy * x_hat, weight.shape) if weight is not None and needs[0] else None
    db = unbroadcast(dy, bias.shape) if bias is not None and needs[1] else None
    return d_hat, dw, db


def _per_channel(parameter: Array | None, ndim: int) -> Any:
    """(C,) as (1, C, 1, ...)."""
    return None if parameter is None else parameter.reshape(1, -1, *(1,) * (ndim - 2))


def _flat(gradient: Array | None) -> Array | None:
    return None if gradient is None else gradient.reshape(-1)


@widened
def batch_norm(xp: Namespace, x: Array, weight: Array | None, bias: Array | None, *, eps: float = 1e-5) -> Result:
    """``y = w x̂ + b``, ``x̂ = (x − μ) / σ``: in training, with the mean and variance of each channel over the batch.

    x (N, C, ...), weight, bias (C,) -> y, and the batch's mean and biased variance (C,) for the running statistics.
    ``dx = (dx̂ − mean(dx̂) − x̂ mean(dx̂ x̂)) / σ``, ``dx̂ = w dy``, ``dw = Σ dy x̂``, ``db = Σ dy``.
    Source: Ioffe & Szegedy 2015, arXiv:1502.03167.
    """
    axes = (0, *range(2, x.ndim))
    w, b = _per_channel(weight, x.ndim), _per_channel(bias, x.ndim)
    x_hat, mean, variance, standardise_backward = _standardise(xp, x, axes, eps)

    def backward(dys: tuple[Array | None, ...], needs: tuple[bool, ...] = (True,) * 3) -> tuple[Array | None, ...]:
        if dys[0] is None:
            return None, None, None
        d_hat, dw, db = _affine_backward(dys[0], x_hat, w, b, needs[1:])
        return standardise_backward(d_hat) if needs[0] else None, _flat(dw), _flat(db)

    return (_affine(x_hat, w, b), mean.reshape(-1), variance.reshape(-1)), backward


@widened
def batch_norm_inference(
    xp: Namespace,
    x: Array,
    mean: Array,
    variance: Array,
    weight: Array | None,
    bias: Array | None,
    *,
    eps: float = 1e-5,
) -> Result:
    """``y = w x̂ + b``, ``x̂ = (x − μ) / √(v + ε)``, with fixed statistics, for evaluation.

    x (N, C, ...), all others (C,).  ``dx = w dy / √(v + ε)``, ``dw = Σ dy x̂``, ``db = Σ dy``.
    """
    w, b = _per_channel(weight, x.ndim), _per_channel(bias, x.ndim)
    scale = 1.0 / xp.sqrt(_per_channel(variance, x.ndim) + eps)
    x_hat = (x - _per_channel(mean, x.ndim)) * scale

    def backward(dy: Array, needs: tuple[bool, ...] = (True,) * 5) -> tuple[Array | None, ...]:
        d_hat, dw, db = _affine_backward(dy, x_hat, w, b, needs[3:])
        return d_hat * scale if needs[0] else None, None, None, _flat(dw), _flat(db)

    return _affine(x_hat, w, b), backward


@widened
def layer_norm(
    xp: Namespace, x: Array, weight: Array | None, bias: Array | None, *, dims: int = 1, eps: float = 1e-5
) -> Result:
    """``y = w x̂ + b``, ``x̂ = (x − μ) / σ``, with the mean and variance of each sample over its last ``dims`` axes.

    Weight and bias have the shape of these axes.  ``dx = (dx̂ − mean(dx̂) − x̂ mean(dx̂ x̂)) / σ``, ``dx̂ = w dy``,
    ``dw = Σ dy x̂``, ``db = Σ dy``.  Source: Ba, Kiros, Hinton 2016, arXiv:1607.06450.
    """
    axes = tuple(range(x.ndim - dims, x.ndim))
    x_hat, _, _, standardise_backward = _standardise(xp, x, axes, eps)

    def backward(dy: Array, needs: tuple[bool, ...] = (True,) * 3) -> tuple[Array | None, ...]:
        d_hat, dw, db = _affine_backward(dy, x_hat, weight, bias, needs[1:])
        return standardise_backward(d_hat) if needs[0] else None, dw, db

    return _affine(x_hat, weight, bias), backward


@widened
def group_norm(
    xp: Namespace, x: Array, weight: Array | None, bias: Array | None, *, groups: int, eps: float = 1e-5
) -> Result:
    """``y = w x̂ + b``, ``x̂ = (x − μ) / σ``, with the mean and variance of each sample over each group of channels.

    x (N, C, ...), weight, bias (C,).  ``dx = (dx̂ − mean(dx̂) − x̂ mean(dx̂ x̂)) / σ``, ``dx̂ = w dy``,
    ``dw = Σ dy x̂``, ``db = Σ dy``.  With one channel per group this is instance normalisation.
    Source: Wu & He 2018, arXiv:1803.08494.
    """
    shape = x.shape
    w, b = _per_channel(weight, x.ndim), _per_channel(bias, x.ndim)
    grouped = x.reshape(shape[0], groups, math.prod(shape[1:]) // groups)
    grouped_hat, _, _, standardise_backward = _standardise(xp, grouped, (2,), eps)
    x_hat = grouped_hat.reshape(shape)

    def backward(dy: Array, needs: tuple[bool, ...] = (True,) * 3) -> tuple[Array | None, ...]:
        d_hat, dw, db = _affine_backward(dy, x_hat, w, b, needs[1:])
        dx = standardise_backward(d_hat.reshape(grouped_hat.shape)).reshape(shape) if needs[0] else None
        return dx, _flat(dw), _flat(db)

    return _affine(x_hat, w, b), backward


@widened
def rms_norm(xp: Namespace, x: Array, weight: Array | None, *, dims: int = 1, eps: float = 1e-6) -> Result:
    """``y = w x̂``, ``x̂ = x / r``,  ``r = √(mean(x²) + ε)`` over the last ``dims`` axes, whose shape the weight has.

    ``dx = (dx̂ − x̂ mean(dx̂ x̂)) / r``, ``dx̂ = w dy``, ``dw = Σ dy x̂``.
    Source: Zhang & Sennrich 2019, arXiv:1910.07467, eq. 4.
    """
    axes = tuple(range(x.ndim - dims, x.ndim))
    scale = 1.0 / xp.sqrt(pairwise_mean(x * x, axes, keepdims=True) + eps)
    x_hat = x * scale

    def backward(dy: Array, needs: tuple[bool, ...] = (True, True)) -> tuple[Array | None, ...]:
        d_hat, dw, _ = _affine_backward(dy, x_hat, weight, None, (*needs[1:], False))
        dx = scale * (d_hat - x_hat * pairwise_mean(d_hat * x_hat, axes, keepdims=True)) if needs[0] else None
        return dx, dw

    return _affine(x_hat, weight, None), backward
