"""Negative log-likelihood losses of probabilities, or of the parameters of a distribution."""

from __future__ import annotations

import math

from xpnet_backends import Array, Namespace, pairwise_sum

from ._shared import Reduction, Result, reduce_loss, unbroadcast, weighted, widened
from .activation import log_softmax
from .loss import index_targets, with_class_axis


@widened
def binary_cross_entropy(
    xp: Namespace, p: Array, target: Array, weight: Array | None = None, *, reduction: Reduction = "mean"
) -> Result:
    """``L = −w [t ln p + (1 − t) ln(1 − p)]``, with logarithms limited to at least −100, so that L stays finite.

    ``dp = w (p − t) / (p (1 − p)) dL``, with a denominator of at least 10⁻¹²;  ``dt = w [ln(1 − p) − ln p] dL``.
    p and target have the same shape.  The weight broadcasts to it and is constant.
    """
    log_p, log_q = _log_from(xp, p), _log_from(xp, 1.0 - p)
    each = -(target * log_p + (1.0 - target) * log_q)
    loss, spread = reduce_loss(xp, each if weight is None else weighted(xp, weight, each), reduction)

    def backward(dy: Array, needs: tuple[bool, ...] = (True, True, False)) -> tuple[Array | None, ...]:
        def scaled(slope: Array) -> Array:
            return (slope if weight is None else weighted(xp, weight, slope)) * spread(dy)

        dp = scaled((p - target) / xp.maximum(p * (1.0 - p), 1e-12)) if needs[0] else None
        return dp, scaled(log_q - log_p) if needs[1] else None, None

    return loss, backward


def _log_from(xp: Namespace, p: Array) -> Array:
    """``max(ln p, −100)``."""
    return xp.where(p == 0, -100.0, xp.maximum(xp.log(xp.where(p == 0, 1.0, p)), -100.0))


@widened
def kl_div(
    xp: Namespace, log_p: Array, target: Array, *, reduction: Reduction = "mean", log_target: bool = False
) -> Result:
    """``L = t (ln t − log_p)``, 0 for t = 0; the target is t, or ``ln t`` if ``log_target``.  Shapes are equal.

    ``dlog_p = −t dL``;  ``dt = (ln t + 1 − log_p) dL`` (−∞ at t = 0), times t for a target of ``ln t``.
    """
    t = xp.exp(target) if log_target else target
    log_t = xp.where(t == 0, 0.0, target) if log_target else xp.log(xp.where(t == 0, 1.0, t))
    batch = (log_p.shape[0] or math.nan) if reduction == "batchmean" and log_p.ndim else None
    each = t * (log_t - xp.where(t == 0, 0.0, log_p))
    loss, spread = reduce_loss(xp, each, "mean" if reduction == "batchmean" else reduction, batch)

    def backward(dy: Array, needs: tuple[bool, ...] = (True, True)) -> tuple[Array | None, ...]:
        dloss = spread(dy)
        dt = None
        if needs[1]:
            slope = log_t + 1.0 - log_p
            dt = dloss * (weighted(xp, t, slope) if log_target else xp.where(t == 0, -math.inf, slope))
        return weighted(xp, -t, dloss) if needs[0] else None, dt

    return loss, backward


@widened
def gaussian_nll_loss(
    xp: Namespace,
    mean: Array,
    target: Array,
    variance: Array,
    *,
    full: bool = False,
    eps: float = 1e-6,
    reduction: Reduction = "mean",
) -> Result:
    """``L = ½ [ln v + (m − t)² / v]``, plus ``½ ln 2π`` if ``full``; v is the variance, limited to at least ε.

    ``dm = (m − t) / v dL``, ``dt = −dm``, ``dv = ½ [1/v − (m − t)² / v²] dL``, also where v was limited to ε, as in
    PyTorch.  mean and target have the same shape, to which the variance broadcasts (Nix & Weigend 1994).

    Parameters
    ----------
    full : add the constant term.
    eps : ε.
    reduction : "mean", "sum" or "none".
    """
    v = xp.maximum(variance, eps)
    difference = mean - target
    each = 0.5 * (xp.log(v) + difference * difference / v)
    loss, spread = reduce_loss(xp, each + 0.5 * math.log(2.0 * math.pi) if full else each, reduction)

    def backward(dy: Array, needs: tuple[bool, ...] = (True, True, True)) -> tuple[Array | None, ...]:
        dloss, z = spread(dy), difference / v
        dm, dv = z * dloss, None
        if needs[2]:
            dv = unbroadcast(0.5 * (1.0 / v - z * z) * dloss, v.shape)
        return dm if needs[0] else None, -dm if needs[1] else None, dv

    return loss, backward


@widened
def poisson_nll_loss(
    xp: Namespace,
    x: Array,
    target: Array,
    *,
    log_input: bool = True,
    full: bool = False,
    eps: float = 1e-8,
    reduction: Reduction = "mean",
) -> Result:
    """``L = λ − t ln λ``; x is ``ln λ``, or λ itself unless ``log_input`` (then ``ln(λ + ε)``).  Shapes are equal.

    ``full`` adds ``ln t!`` by Stirling's formula, ``t ln t − t + ½ ln 2πt``, where t > 1.
    ``dx = (λ − t) dL``, or ``(1 − t / (λ + ε)) dL``;  ``dt = −ln λ dL``, plus ``(ln t + 1/2t) dL`` from that formula.

    Parameters
    ----------
    log_input : whether x is the logarithm of the rate λ.
    full : add Stirling's term.
    eps : ε, added to λ inside the logarithm.
    reduction : "mean", "sum" or "none".
    """
    rate = xp.exp(x) if log_input else x
    log_rate = x if log_input else xp.log(x + eps)
    each = rate - weighted(xp, target, log_rate)
    large = target > 1
    t = xp.where(large, target, 1.0) if full else None
    if t is not None:
        each = each + xp.where(large, t * xp.log(t) - t + 0.5 * xp.log((2.0 * math.pi) * t), 0.0)
    loss, spread = reduce_loss(xp, each, reduction)

    def backward(dy: Array, needs: tuple[bool, ...] = (True, True)) -> tuple[Array | None, ...]:
        dloss = spread(dy)
        dx = dloss * (rate - target if log_input else 1.0 - target / (rate + eps)) if needs[0] else None
        dt = None
        if needs[1]:
            stirling = 0.0 if t is None else xp.where(large, xp.log(t) + 0.5 / t, 0.0)
            dt = dloss * (stirling - log_rate)
        return dx, dt

    return loss, backward


@widened
def sigmoid_focal_loss(
    xp: Namespace,
    x: Array,
    target: Array,
    *,
    alpha: float = 0.25,
    gamma: float = 2.0,
    reduction: Reduction = "none",
) -> Result:
    """``L = a mᵞ C``, the cross-entropy C of p = σ(x) against t, scaled down where the miss m is small.

    ``m = p (1 − t) + (1 − p) t``;  ``a = α t + (1 − α)(1 − t)``, 1 for a negative α.  All shapes are equal.
    ``dx = a [mᵞ (p − t) + γ mᵞ⁻¹ C (1 − 2t) p (1 − p)] dL``;
    ``dt = [(2α − 1) mᵞ C + a (γ mᵞ⁻¹ C (1 − 2p) − mᵞ x)] dL``.  Source: Lin et al. 2017, arXiv:1708.02002, eq. 5.

    Parameters
    ----------
    alpha : α, the weight of positives; negative for no weights.
    gamma : γ, how strongly easy examples are scaled down.
    reduction : "mean", "sum" or "none".
    """
    z = xp.exp(-xp.abs(x))
    p, q = (xp.where(x >= 0, one, other) / (1.0 + z) for one, other in ((1.0, z), (z, 1.0)))
    log1p = xp.log1p(z)
    cross = weighted(xp, target, log1p + xp.maximum(-x, 0)) + weighted(xp, 1.0 - target, log1p + xp.maximum(x, 0))
    miss = p * (1.0 - target) + q * target
    power, slope = _focus(xp, miss, gamma)
    a = 1.0 if alpha < 0 else alpha * target + (1.0 - alpha) * (1.0 - target)
    loss, spread = reduce_loss(xp, weighted(xp, a * power, cross), reduction)

    def backward(dy: Array, needs: tuple[bool, ...] = (True, True)) -> tuple[Array | None, ...]:
        dloss, dx, dt = spread(dy), None, None
        if needs[0]:
            dx = dloss * a * (power * (p - target) + weighted(xp, slope * (1.0 - 2.0 * target) * p * q, cross))
        if needs[1]:
            da = 0.0 if alpha < 0 else 2.0 * alpha - 1.0
            dt = dloss * (da * power * cross + a * (slope * cross * (q - p) - power * x))
        return dx, dt

    return loss, backward


@widened
def focal_loss(
    xp: Namespace,
    logits: Array,
    target: Array,
    weight: Array | None = None,
    *,
    gamma: float = 2.0,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
) -> Result:
    """``L = −w_t mᵞ ln p_t``, ``m = 1 − p_t``,  ``p = softmax(logits)``: cross-entropy for γ = 0, with the same mean.

    logits (N, C, ...), target (N, ...) of class indices.  ``∂L/∂ln p_t = −w_t [mᵞ − γ mᵞ⁻¹ p_t ln p_t]``;
    ``dlogits_c = (δ_ct − p_c) ∂L/∂ln p_t dL`` (Lin et al. 2017, arXiv:1708.02002, eq. 4).  The weights are constant.

    Parameters
    ----------
    gamma : γ, how strongly easy examples are scaled down.
    ignore_index : a target that does not count.
    reduction : "mean", "sum" or "none".
    """
    axis = min(logits.ndim - 1, 1)
    log_p, _ = log_softmax(xp, logits, axis=axis)
    wq, norm = index_targets(xp, logits, target, weight, ignore_index, axis)
    hot = wq != 0  # includes NaN, which marks a target that is not a class
    w = pairwise_sum(wq, axis, keepdims=True)
    log_pt = pairwise_sum(xp.where(hot, log_p, 0.0), axis, keepdims=True)
    power, slope = _focus(xp, -xp.expm1(log_pt), gamma)
    loss, spread = reduce_loss(xp, pairwise_sum(-w * power * log_pt, axis), reduction, norm)

    def backward(dy: Array, needs: tuple[bool, ...] = (True, False, False)) -> tuple[Array | None, ...]:
        if not needs[0]:
            return None, None, None
        dlog_pt = xp.where(
            w == 0, 0.0, -w * (power - slope * xp.exp(log_pt) * log_pt) * with_class_axis(xp, spread(dy), axis)
        )
        return xp.where(hot, dlog_pt, 0.0) - weighted(xp, dlog_pt, xp.exp(log_p)), None, None

    return loss, backward


def _focus(xp: Namespace, miss: Array, gamma: float) -> tuple[Array, Array]:
    """``mᵞ`` and its slope ``γ mᵞ⁻¹``.  The slope is 0 at m = 0, because there it is multiplied by a smaller factor."""
    safe = xp.where(miss > 0, miss, 1.0)
    return miss**gamma, xp.where(miss > 0, gamma * safe ** (gamma - 1.0), 0.0)
