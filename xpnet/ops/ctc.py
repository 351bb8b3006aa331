"""Connectionist temporal classification: labels without known positions in time.  ``docs/ctc.md`` has the derivation.

The L = 2S + 1 states are the labels of the target with a blank before, between and after them.  Arrays over states have
two extra columns of −∞, before the first state (α) or after the last (β), because no path comes from there.
"""

from __future__ import annotations

import math

from xpnet_backends import Array, Namespace, sum_rows

from ._shared import Reduction, Result, reduce_loss, widened


@widened
def ctc_loss(
    xp: Namespace,
    log_p: Array,
    targets: Array,
    input_lengths: Array,
    target_lengths: Array,
    *,
    blank: int = 0,
    reduction: Reduction = "mean",
    zero_infinity: bool = False,
) -> Result:
    """``L = −ln Σ_π Π_t p_t(π_t)`` over all paths π that become the target once repeats, then blanks, are dropped.

    log_p (T, N, C) log-probabilities, targets (N, S) of class indices, both lengths (N,).  α_t(l) is the
    log-probability of all partial paths that end in state l at time t, and β_t(l) that of all continuations;
    ``dlog_p_t(c) = −dL Σ_{l: label c} exp(α_t(l) + β_t(l) + L)`` (Graves et al. 2006, doi:10.1145/1143844.1143891).
    A target that does not fit into its input has an infinite loss and NaN gradients.

    Parameters
    ----------
    blank : the class of the blank.
    reduction : "mean" (divides each loss by its target's length first), "sum" or "none".
    zero_infinity : replace infinite losses and their gradients by 0.
    """
    n = xp.arange(targets.shape[0])
    states, skip = _states(xp, targets, target_lengths, blank)
    place = (n.reshape(-1, 1), states)
    emission = log_p[(slice(None), *place)]  # (T, N, L)
    alpha = _alphas(xp, emission, skip, input_lengths)
    last = 2 * target_lengths  # the final blank; the final label comes before it
    nll = -xp.logaddexp(alpha[-1, n, last + 2], alpha[-1, n, last + 1])
    impossible = nll == math.inf
    scale = 1.0 / xp.maximum(target_lengths, 1).astype(nll.dtype) if reduction == "mean" else 1.0
    loss, spread = reduce_loss(xp, scale * (xp.where(impossible, 0.0, nll) if zero_infinity else nll), reduction)
    shape = log_p.shape

    def backward(dy: Array, needs: tuple[bool, ...] = (True, False, False, False, False)) -> tuple[Array | None, ...]:
        if not needs[0]:
            return (None,) * 5
        dnll = xp.where(impossible, 0.0 if zero_infinity else math.nan, scale * spread(dy)).reshape(-1, 1)
        total = xp.where(impossible, 0.0, nll).reshape(-1, 1)  # −∞ + ∞ would be NaN
        column, end = xp.arange(states.shape[1] + 2), last.reshape(-1, 1)
        beta = xp.where((column == end) | (column == end - 1), 0.0, -math.inf).astype(nll.dtype)
        gradients: list[Array] = [nll] * shape[0]
        for t in reversed(range(shape[0])):
            inside = (t < input_lengths).reshape(-1, 1)
            posterior = xp.exp(alpha[t + 1, :, 2:] + beta[:, :-2] + total)
            gradients[t] = xp.where(inside, -dnll * posterior, 0.0)
            beta[:, :-2] = xp.where(inside, _beta_before(xp, beta, emission[t], skip), beta[:, :-2])
        of_states = xp.stack(gradients, axis=-1)  # (N, L, T): a label has several states
        classes = (n.reshape(-1, 1) * shape[2] + states).reshape(-1)
        dx = sum_rows(of_states.reshape(-1, shape[0]), classes, shape[1] * shape[2])
        return dx.T.reshape(shape), None, None, None, None

    return loss, backward


def _states(xp: Namespace, targets: Array, target_lengths: Array, blank: int) -> tuple[Array, Array]:
    """Labels with blanks (N, L), and whether a state may follow the state two before it: neither blank nor repeat."""
    n, s = targets.shape
    states = xp.full((n, 2 * s + 1), blank, dtype=targets.dtype)
    states[:, 1::2] = xp.where(xp.arange(s) < target_lengths.reshape(-1, 1), targets, blank)
    skip = xp.zeros(states.shape, dtype=bool)
    skip[:, 2:] = (states[:, 2:] != blank) & (states[:, 2:] != states[:, :-2])
    return states, skip


def _alphas(xp: Namespace, emission: Array, skip: Array, input_lengths: Array) -> Array:
    """``α_t(l) = e_t(l) + ln(e^α(l) + e^α(l−1) + [skip] e^α(l−2))``, all α of the time before.  (T + 1, N, 2 + L).

    It starts at the first blank before time 0, and stays constant after the end of an input.
    """
    time, n, length = emission.shape
    alpha = xp.full((time + 1, n, length + 2), -math.inf, dtype=emission.dtype)
    alpha[0, :, 2] = 0.0
    for t in range(time):
        a = alpha[t]
        jump = xp.where(skip, a[:, :-2], -math.inf)
        new = emission[t] + xp.logaddexp(xp.logaddexp(a[:, 2:], a[:, 1:-1]), jump)
        alpha[t + 1, :, 2:] = xp.where((t < input_lengths).reshape(-1, 1), new, a[:, 2:])
    return alpha


def _beta_before(xp: Namespace, beta: Array, emission: Array, skip: Array) -> Array:
    """``β_{t−1}(l) = ln(e^b(l) + e^b(l+1) + [skip] e^b(l+2))`` with ``b = e_t + β_t``."""
    b, jump = beta.copy(), beta.copy()  # after the last state both stay −∞
    b[:, :-2] += emission
    jump[:, :-2] = xp.where(skip, b[:, :-2], -math.inf)
    return xp.logaddexp(xp.logaddexp(b[:, :-2], b[:, 1:-1]), jump[:, 2:])
