"""Loss functions.  ``reduction`` is "mean", "sum" or "none".

The formulas are those of one element: p is the prediction and t the target.  dL is the gradient of the element's loss:
``dy`` for "sum" and "none", ``dy / n`` for "mean".  ``docs/losses-and-activations.md`` has the derivations.
"""

from __future__ import annotations

import math
from typing import Any

from xpnet_backends import Array, Namespace, pairwise_sum

from ._shared import Reduction, Result, reduce_loss, weighted, widened, with_sign_of
from .activation import log_softmax


@widened
def mse_loss(xp: Namespace, prediction: Array, target: Array, *, reduction: Reduction = "mean") -> Result:
    """``L = (p − t)²``;  ``dp = 2 (p − t) dL``, ``dt = −dp``.  Shapes are equal."""
    difference = prediction - target
    loss, spread = reduce_loss(xp, difference * difference, reduction)

    def backward(dy: Array, needs: tuple[bool, ...] = (True, True)) -> tuple[Array | None, ...]:
        dp = 2.0 * difference * spread(dy)
        return dp if needs[0] else None, -dp if needs[1] else None

    return loss, backward


@widened
def l1_loss(xp: Namespace, prediction: Array, target: Array, *, reduction: Reduction = "mean") -> Result:
    """``L = |p − t|``;  ``dp = sign(p − t) dL``, ``dt = −dp``, 0 at the kink.  Shapes are equal."""
    difference = prediction - target
    loss, spread = reduce_loss(xp, xp.abs(difference), reduction)

    def backward(dy: Array, needs: tuple[bool, ...] = (True, True)) -> tuple[Array | None, ...]:
        dp = with_sign_of(xp, difference, spread(dy))
        return dp if needs[0] else None, -dp if needs[1] else None

    return loss, backward


@widened
def huber_loss(
    xp: Namespace, prediction: Array, target: Array, *, delta: float = 1.0, reduction: Reduction = "mean"
) -> Result:
    """``L = ½ d²`` where |d| <= δ, else ``δ (|d| − ½ δ)``, d = p − t: ``c (d − ½ c)``, where c is d limited to ±δ.

    ``dp = c dL``, ``dt = −dp``.  Shapes are equal (Huber 1964, doi:10.1214/aoms/1177703732).
    """
    difference = prediction - target
    limited = xp.clip(difference, -delta, delta)
    loss, spread = reduce_loss(xp, limited * (difference - 0.5 * limited), reduction)

    def backward(dy: Array, needs: tuple[bool, ...] = (True, True)) -> tuple[Array | None, ...]:
        dp = limited * spread(dy)
        return dp if needs[0] else None, -dp if needs[1] else None

    return loss, backward


@widened
def smooth_l1_loss(
    xp: Namespace, prediction: Array, target: Array, *, beta: float = 1.0, reduction: Reduction = "mean"
) -> Result:
    """``L = ½ d² / β`` where |d| < β, else ``|d| − ½ β``, d = p − t: ``c (d − ½ β c)``, where c is d/β limited to ±1.

    ``dp = c dL``, ``dt = −dp``.  This is Huber's loss divided by β, and ``l1_loss`` for β = 0.  Shapes are equal.
    """
    if beta == 0:
        return l1_loss(xp, prediction, target, reduction=reduction)
    difference = prediction - target
    slope = xp.clip(difference, -beta, beta) / beta
    loss, spread = reduce_loss(xp, slope * (difference - (0.5 * beta) * slope), reduction)

    def backward(dy: Array, needs: tuple[bool, ...] = (True, True)) -> tuple[Array | None, ...]:
        dp = slope * spread(dy)
        return dp if needs[0] else None, -dp if needs[1] else None

    return loss, backward


@widened
def binary_cross_entropy_with_logits(
    xp: Namespace,
    x: Array,
    target: Array,
    weight: Array | None = None,
    pos_weight: Array | None = None,
    *,
    reduction: Reduction = "mean",
) -> Result:
    """``L = −w [q t ln σ(x) + (1 − t) ln(1 − σ(x))]``, t in [0, 1], q the weight of positives.

    Computed with ``−ln σ(x) = ln(1 + e⁻ˣ)`` and ``−ln(1 − σ(x)) = ln(1 + eˣ)``, so that nothing overflows.
    ``dx = w [(1 − t) − (1 − t + q t) (1 − σ(x))] dL``,  ``dt = w [q ln(1 + e⁻ˣ) − ln(1 + eˣ)] dL``.
    x and target have the same shape.  The weights broadcast to it and are constant.  Elements of weight 0 have no
    effect, even if they are NaN or infinite.
    """
    z = xp.exp(-xp.abs(x))
    log1p = xp.log1p(z)
    cost, cost_of_not = log1p + xp.maximum(-x, 0), log1p + xp.maximum(x, 0)  # for t = 1 and t = 0
    positive = target if pos_weight is None else pos_weight * target
    each = weighted(xp, positive, cost) + weighted(xp, 1.0 - target, cost_of_not)
    loss, spread = reduce_loss(xp, each if weight is None else weighted(xp, weight, each), reduction)

    def backward(dy: Array, needs: tuple[bool, ...] = (True, True, False, False)) -> tuple[Array | None, ...]:
        def scaled(slope: Array) -> Array:
            return (slope if weight is None else weighted(xp, weight, slope)) * spread(dy)

        negative, rest = 1.0 - target, xp.where(x >= 0, z, 1.0) / (1.0 + z)  # 1 − σ(x)
        dx = scaled(negative - (negative + positive) * rest) if needs[0] else None
        q = 1.0 if pos_weight is None else pos_weight
        return dx, scaled(q * cost - cost_of_not) if needs[1] else None, None, None

    return loss, backward


@widened
def nll_loss(
    xp: Namespace,
    log_p: Array,
    target: Array,
    weight: Array | None = None,
    *,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
) -> Result:
    """``L = −w_t log_p_t``, where t is the target class;  ``dlog_p_t = −w_t dL``, 0 for the other classes.

    log_p (N, C, ...) log-probabilities, target (N, ...) of class indices.  "mean" divides by the sum of the targets'
    weights.  A target that is neither a class nor ``ignore_index`` gives NaN.
    """
    axis = min(log_p.ndim - 1, 1)
    q, norm = index_targets(xp, log_p, target, weight, ignore_index, axis)
    loss, spread = reduce_loss(xp, -pairwise_sum(weighted(xp, q, log_p), axis), reduction, norm)

    def backward(dy: Array, needs: tuple[bool, ...] = (True, False, False)) -> tuple[Array | None, ...]:
        return weighted(xp, -q, with_class_axis(xp, spread(dy), axis)) if needs[0] else None, None, None

    return loss, backward


@widened
def cross_entropy(
    xp: Namespace,
    logits: Array,
    target: Array,
    weight: Array | None = None,
    *,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
) -> Result:
    """``L = −Σ_c w_c q_c ln p_c``,  ``p = softmax(logits)``;  ``dlogits = (p Σ_c w_c q_c − w q) dL``.

    logits (N, C, ...); target (N, ...) of class indices, or of the logits' shape with the probabilities q;
    ``dtarget = −(1 − ε) w ln p dL`` for probabilities.  Smoothing mixes q with the uniform distribution:
    ``q ← (1 − ε) q + ε/C`` (Szegedy et al. 2016, arXiv:1512.00567).  "mean" divides by the sum of the targets' weights,
    or by N for probabilities.  The weights are constant.

    Parameters
    ----------
    ignore_index : a target that does not count; any other target that is not a class gives NaN.
    label_smoothing : ε.
    reduction : "mean", "sum" or "none".
    """
    axis = min(logits.ndim - 1, 1)
    log_p, _ = log_softmax(xp, logits, axis=axis)
    w = 1.0 if weight is None else _per_class(weight, logits.ndim, axis)
    keep = 1.0 - label_smoothing
    if target.dtype.kind == "f":
        norm: Any = math.prod(n for i, n in enumerate(logits.shape) if i != axis)
        wq = w * (keep * target + label_smoothing / logits.shape[axis])
    else:
        wq, norm = index_targets(xp, logits, target, weight, ignore_index, axis)
        if label_smoothing:
            counted = with_class_axis(xp, target != ignore_index, axis)
            wq = keep * wq + label_smoothing / logits.shape[axis] * (w * counted).astype(logits.dtype)
    loss, spread = reduce_loss(xp, -pairwise_sum(weighted(xp, wq, log_p), axis), reduction, norm)

    def backward(dy: Array, needs: tuple[bool, ...] = (True, False, False)) -> tuple[Array | None, ...]:
        dloss = with_class_axis(xp, spread(dy), axis)
        dz = None
        if needs[0]:  # a row of weight 0 has no gradient, even if the mean is NaN
            total = pairwise_sum(wq, axis, keepdims=True)
            dz = weighted(xp, weighted(xp, total, xp.exp(log_p)) - wq, dloss)
        dq = -(w * keep) * log_p * dloss if needs[1] else None
        return dz, dq, None

    return loss, backward


def index_targets(
    xp: Namespace, logits: Array, target: Array, weight: Array | None, ignore_index: int, axis: int
) -> tuple[Array, Array]:
    """Weighted one-hot rows of class indices (zero if ignored, NaN if not a class), and their total weight."""
    classes = xp.arange(logits.shape[axis]).reshape(_class_shape(logits.ndim, axis, -1))
    hot = classes == with_class_axis(xp, target, axis)
    q = hot.astype(logits.dtype)
    if weight is not None:
        q = q * _per_class(weight, logits.ndim, axis)
    ignored = target == ignore_index
    no_class = ~(hot.any(axis=axis) | ignored)
    q = xp.where(with_class_axis(xp, no_class, axis), math.nan, xp.where(with_class_axis(xp, ignored, axis), 0.0, q))
    norm = pairwise_sum(q)
    return q, xp.where(norm == 0, math.nan, norm)  # an empty mean is NaN, as in PyTorch


def _class_shape(ndim: int, axis: int, length: int) -> tuple[int, ...]:
    return tuple(length if i == axis else 1 for i in range(ndim))


def _per_class(weight: Array, ndim: int, axis: int) -> Array:
    return weight.reshape(_class_shape(ndim, axis, -1))


def with_class_axis(xp: Namespace, x: Any, axis: int) -> Any:
    """Room for the class axis in an array without one; a single number stays as it is."""
    return xp.expand_dims(x, axis) if getattr(x, "ndim", 0) or axis == 0 else x
