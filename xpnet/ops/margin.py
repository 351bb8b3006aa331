"""Margin losses: loss and gradient are zero if the margin is kept.

If a loss just reaches its margin, the slope is PyTorch's.  Labels ±1 and class indices are constant.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from xpnet_backends import Array, Namespace, pairwise_sum

from ._shared import Reduction, Result, reduce_loss, weighted, widened


@widened
def hinge_embedding_loss(
    xp: Namespace, x: Array, target: Array, *, margin: float = 1.0, reduction: Reduction = "mean"
) -> Result:
    """``L = x`` for target 1, ``max(0, margin − x)`` for −1; x is a distance.  Shapes are equal.

    ``dx = dL`` for 1;  for −1 ``dx = −dL`` where ``x <= margin``, else 0.
    """
    gap = margin - x
    like, unlike = target != -1, target != 1
    each = xp.where(like, x, 0.0) + xp.where(unlike, xp.maximum(gap, 0), 0.0)  # a distance of NaN gives NaN
    loss, spread = reduce_loss(xp, each, reduction)

    def backward(dy: Array, needs: tuple[bool, ...] = (True, False)) -> tuple[Array | None, ...]:
        dloss = spread(dy)
        return (xp.where(like, dloss, 0.0) - xp.where(unlike & (gap >= 0), dloss, 0.0) if needs[0] else None), None

    return loss, backward


@widened
def margin_ranking_loss(
    xp: Namespace, x1: Array, x2: Array, target: Array, *, margin: float = 0.0, reduction: Reduction = "mean"
) -> Result:
    """``L = max(0, margin − t (x₁ − x₂))``: x₁ should exceed x₂ for target 1, and x₂ exceed x₁ for −1.

    ``dx₁ = −t dL`` where ``t (x₁ − x₂) <= margin``, else 0;  ``dx₂ = −dx₁``.  All shapes are equal.
    """
    gap = margin - target * (x1 - x2)
    loss, spread = reduce_loss(xp, xp.maximum(gap, 0), reduction)

    def backward(dy: Array, needs: tuple[bool, ...] = (True, True, False)) -> tuple[Array | None, ...]:
        dx2 = target * xp.where(gap >= 0, spread(dy), 0.0)
        return -dx2 if needs[0] else None, dx2 if needs[1] else None, None

    return loss, backward


@widened
def multi_margin_loss(
    xp: Namespace,
    x: Array,
    target: Array,
    weight: Array | None = None,
    *,
    p: int = 1,
    margin: float = 1.0,
    reduction: Reduction = "mean",
) -> Result:
    """``L = w_t Σ_{c ≠ t} max(0, margin − x_t + x_c)ᵖ / C``, the multi-class hinge loss.

    x (N, C) or (C,), target (N,) or () of class indices.  ``dx_c = w_t p max(0, …)ᵖ⁻¹ dL / C``, ``dx_t = −Σ dx_c``.  A
    target that is not a class gives NaN (Weston & Watkins 1999).

    Parameters
    ----------
    p : the exponent, 1 or 2.
    margin : the margin.
    reduction : "mean", "sum" or "none".
    """
    classes = x.shape[-1]
    hot = xp.arange(classes) == xp.expand_dims(target, -1)
    right = xp.where(hot.any(axis=-1), xp.where(hot, x, 0.0).sum(axis=-1), math.nan)
    gap = xp.where(hot, 0.0, xp.maximum(margin + x - xp.expand_dims(right, -1), 0))
    scale = 1.0 / classes
    if weight is not None:
        scale = scale * xp.where(hot, weight, 0.0).sum(axis=-1, keepdims=True)
    each = scale * (gap if p == 1 else gap * gap)
    loss, spread = reduce_loss(xp, pairwise_sum(each, -1), reduction)

    def backward(dy: Array, needs: tuple[bool, ...] = (True, False, False)) -> tuple[Array | None, ...]:
        if not needs[0]:
            return None, None, None
        slope = scale * (xp.sign(gap) if p == 1 else 2.0 * gap)
        dx = xp.where(hot, -pairwise_sum(slope, -1, keepdims=True), slope)
        dloss = spread(dy)
        return weighted(xp, dx, xp.expand_dims(dloss, -1) if dloss.ndim else dloss), None, None

    return loss, backward


@widened
def cosine_embedding_loss(
    xp: Namespace, x1: Array, x2: Array, target: Array, *, margin: float = 0.0, reduction: Reduction = "mean"
) -> Result:
    """``L = 1 − cos(x₁, x₂)`` for target 1, ``max(0, cos − margin)`` for −1.  x (N, D) or (D,), target (N,) or ().

    ``cos = x₁·x₂ / √(s₁ s₂)``, ``s = x·x + 10⁻¹²``;  ``dcos = −dL`` for 1, dL for −1 where ``cos >= margin``, else 0;
    ``dx₁ = (x₂ / √(s₁ s₂) − cos x₁ / s₁) dcos``, ``dx₂ = (x₁ / √(s₁ s₂) − cos x₂ / s₂) dcos``.
    """
    s1, s2 = (pairwise_sum(x * x, -1) + 1e-12 for x in (x1, x2))
    norm = xp.sqrt(s1 * s2)
    cos = pairwise_sum(x1 * x2, -1) / norm
    like, unlike = target == 1, target == -1
    each = xp.where(like, 1.0 - cos, xp.where(unlike, xp.maximum(cos - margin, 0), 0.0))
    loss, spread = reduce_loss(xp, each, reduction)

    def backward(dy: Array, needs: tuple[bool, ...] = (True, True, False)) -> tuple[Array | None, ...]:
        dloss = spread(dy)
        dcos = xp.where(unlike & (cos >= margin), dloss, xp.where(like, -dloss, 0.0))

        def toward(x: Array, other: Array, s: Array) -> Array:
            slope = xp.expand_dims(1.0 / norm, -1) * other - xp.expand_dims(cos / s, -1) * x
            return weighted(xp, xp.expand_dims(dcos, -1), slope)

        return toward(x1, x2, s1) if needs[0] else None, toward(x2, x1, s2) if needs[1] else None, None

    return loss, backward


@widened
def triplet_margin_loss(
    xp: Namespace,
    anchor: Array,
    positive: Array,
    negative: Array,
    *,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: Reduction = "mean",
) -> Result:
    """``L = max(0, margin + d(a, p) − d(a, n))``, ``d(x, z) = ‖x − z + ε‖ₚ`` over the last axis.

    anchor, positive, negative (..., D) -> (...,).  ``da = toward − away``, ``dp = −toward``, ``dn = away``: dL times
    the slopes ``∂‖v‖ₚ/∂v = sign(v) (|v| / ‖v‖ₚ)ᵖ⁻¹`` of the two distances, 0 where the margin is kept.
    Source: Balntas et al. 2016, doi:10.5244/C.30.119.

    Parameters
    ----------
    margin : the margin.
    p : the exponent of the norm.
    eps : ε.
    swap : use ``min(d(a, n), d(p, n))`` as the second distance; equal distances share the gradient.
    reduction : "mean", "sum" or "none".
    """
    near, near_slope = _distance(xp, anchor - positive + eps, p)
    far, far_slope = _distance(xp, anchor - negative + eps, p)
    share = None  # the share of the second distance's gradient that goes to d(a, n)
    if swap:
        other, other_slope = _distance(xp, positive - negative + eps, p)
        share = 0.5 * (1.0 + xp.sign(other - far))
        far = xp.minimum(far, other)
    gap = margin + near - far
    loss, spread = reduce_loss(xp, xp.maximum(gap, 0), reduction)

    def backward(dy: Array, needs: tuple[bool, ...] = (True, True, True)) -> tuple[Array | None, ...]:
        dgap = xp.expand_dims(xp.where(gap >= 0, spread(dy), 0.0), -1)
        toward = weighted(xp, dgap, near_slope())
        away, swapped = weighted(xp, dgap, far_slope()), None
        if share is not None:
            part = xp.expand_dims(share, -1)
            away, swapped = weighted(xp, part, away), weighted(xp, 1.0 - part, weighted(xp, dgap, other_slope()))
        da = toward - away if needs[0] else None
        dp = (-toward if swapped is None else -toward - swapped) if needs[1] else None
        dn = (away if swapped is None else away + swapped) if needs[2] else None
        return da, dp, dn

    return loss, backward


def _distance(xp: Namespace, v: Array, p: float) -> tuple[Array, Callable[[], Array]]:
    """``‖v‖ₚ = (Σ |v|ᵖ)^(1/p)``;  slope ``sign(v) (|v| / ‖v‖)ᵖ⁻¹``, 0 for v = 0.  For p = ∞ equal maxima share it."""
    z = xp.abs(v)
    if p == math.inf:
        norm = z.max(axis=-1)
    elif p == 1:
        norm = pairwise_sum(z, -1)
    elif p == 2:
        norm = xp.sqrt(pairwise_sum(z * z, -1))
    else:
        norm = pairwise_sum(z**p, -1) ** (1.0 / p)

    def slope() -> Array:
        wide = xp.expand_dims(norm, -1)
        if p == math.inf:
            largest = xp.sign(v) * (z == wide)
            return largest / xp.maximum(xp.abs(largest).sum(axis=-1, keepdims=True), 1)
        ratio = z / xp.where(wide == 0, 1.0, wide)
        return xp.sign(v) * xp.where(z == 0, 0.0, xp.where(z == 0, 1.0, ratio) ** (p - 1.0))

    return norm, slope
