"""Attention, in which every query gets a mean of the values weighted by its similarity to the keys; rotary positions.

``docs/attention.md`` has the derivations.
"""

from __future__ import annotations

import math

from xpnet_backends import Array, Namespace, pairwise_sum
from xpnet_backends import matmul as product

from ._shared import Result, chosen, unbroadcast, widened


@widened
def scaled_dot_product_attention(
    xp: Namespace,
    query: Array,
    key: Array,
    value: Array,
    mask: Array | None = None,
    keep: Array | None = None,
    *,
    causal: bool = False,
    scale: float | None = None,
    p: float = 0.0,
) -> Result:
    """``y = D V``, ``D = A · keep / (1 − p)``, ``A = softmax(s Q Kᵀ + mask)``;  outputs y and D.

    query (..., L, E), key (..., S, E), value (..., S, V) -> y (..., L, V), D (..., L, S).  Leading axes broadcast.
    A query whose keys are all hidden gets zeros.

    ``dV = Dᵀ dy``, ``dA = (dy Vᵀ + dD) · keep / (1 − p)``, ``dS = A (dA − Σ dA A)``, ``dQ = s dS K``, ``dK = s dSᵀ Q``,
    ``dmask = dS``; dD is the gradient of the second output.  Source: Vaswani et al. 2017, arXiv:1706.03762, eq. 1.

    Parameters
    ----------
    mask : (..., L, S), boolean (True where a query may attend) or floating (added to the scores).
    keep : the dropout mask (..., L, S); without it D is A.
    causal : hide key j from query i < j.
    scale : s; 1/√E by default.
    p : the dropout probability.
    """
    scale = 1.0 / math.sqrt(max(query.shape[-1], 1)) if scale is None else scale
    scaled = query * scale
    a = _softmax_of_visible(xp, product(scaled, xp.swapaxes(key, -1, -2)), mask, causal)  # (..., L, S)
    rescale = 1.0 / (1.0 - p) if p < 1.0 else 0.0
    dropped = a if keep is None else chosen(xp, keep, a) * rescale
    mask_shape = None if mask is None else mask.shape

    def backward(
        dys: tuple[Array | None, Array | None], needs: tuple[bool, ...] = (True, True, True, False, False)
    ) -> tuple[Array | None, ...]:
        dy, da = dys
        dv = None
        if needs[2] and dy is not None:
            dv = unbroadcast(product(xp.swapaxes(dropped, -1, -2), dy), value.shape)
        if not (needs[0] or needs[1] or any(needs[3:])):
            return None, None, dv, None, None
        if dy is not None:
            through_value = unbroadcast(product(dy, xp.swapaxes(value, -1, -2)), a.shape)
            da = through_value if da is None else through_value + da
        da = da if keep is None else chosen(xp, keep, da) * rescale
        ds = a * (da - pairwise_sum(da * a, -1, keepdims=True))
        dq = unbroadcast(product(ds, key) * scale, query.shape) if needs[0] else None
        dk = unbroadcast(product(xp.swapaxes(ds, -1, -2), scaled), key.shape) if needs[1] else None
        dmask = unbroadcast(ds, mask_shape) if mask_shape is not None and needs[3] else None
        return dq, dk, dv, dmask, None

    return (product(dropped, value), dropped), backward


def _softmax_of_visible(xp: Namespace, scores: Array, mask: Array | None, causal: bool) -> Array:
    """Softmax along the last axis, with weight 0 for hidden keys.  A row without visible keys is all zeros."""
    if mask is not None:
        scores = xp.where(mask, scores, -math.inf) if mask.dtype == bool else scores + mask
    if causal:
        length, keys = scores.shape[-2:]
        scores = xp.where(xp.arange(length)[:, None] >= xp.arange(keys), scores, -math.inf)
    if scores.shape[-1] == 0:
        return scores
    peak = scores.max(axis=-1, keepdims=True)
    a = xp.exp(scores - xp.where(peak > -math.inf, peak, 0.0))  # avoids −∞ − (−∞) = NaN if all keys are hidden
    total = pairwise_sum(a, -1, keepdims=True)
    a /= xp.where(total > 0, total, 1.0)
    return a


@widened
def rotary(xp: Namespace, x: Array, cos: Array, sin: Array, *, interleaved: bool = True) -> Result:
    """``y = (u cos − v sin, u sin + v cos)`` for each pair (u, v) of features, rotated by an angle.

    x (..., T, E), cos, sin (..., T, E/2) -> y (..., T, E).  Pairs are neighbours (2i, 2i+1), or (i, i + E/2) unless
    ``interleaved``.  ``dx = (du cos + dv sin, dv cos − du sin)``: dy = (du, dv) rotated back.
    Source: Su et al. 2021, arXiv:2104.09864, eq. 34.
    """

    def backward(dy: Array, needs: tuple[bool, ...] = (True, False, False)) -> tuple[Array | None, ...]:
        return _turn(xp, dy, cos, -sin, interleaved) if needs[0] else None, None, None

    return _turn(xp, x, cos, sin, interleaved), backward


def _turn(xp: Namespace, x: Array, cos: Array, sin: Array, interleaved: bool) -> Array:
    half = x.shape[-1] // 2
    u, v = (x[..., 0::2], x[..., 1::2]) if interleaved else (x[..., :half], x[..., half:])
    return xp.stack([u * cos - v * sin, u * sin + v * cos], axis=-1 if interleaved else -2).reshape(x.shape)
