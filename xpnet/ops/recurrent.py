"""Recurrent layers: one op for a whole sequence, one layer and one direction.

Shapes: x (T, N, I), h0 and c0 (N, H) -> y (T, N, H) and the last state (N, H).  With G gates the weights are those of
PyTorch: weight_ih (G·H, I), weight_hh (G·H, H), biases (G·H,).  ``docs/recurrent.md`` has the derivations.

In the formulas W, b are weight_ih, bias_ih, and U, b' are weight_hh, bias_hh.  h', c' are the states before a step.
``dh`` is dy of the step plus dh' of the next step.  Σ is over steps and batch.

``lengths`` (N,) are the lengths of the sequences.  After the end of a sequence its state stays constant and y is zero.
``reverse`` starts at the last step; the state of a shorter sequence stays constant until its own last step.

The product with x and the gradients of x, the weights and the biases are computed for all steps at once.  The gates'
derivatives ("slopes") depend on the forward only; they too are computed for all steps at once, and the loop of the
backward multiplies them by dh and dc.  Gates are (G, T, N, H), so each gate of a step is contiguous; their gradients
are (T, N, G·H), as the rows of the weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xpnet_backends import Array, Namespace, pairwise_sum
from xpnet_backends import matmul as product

from ._shared import Result, widened


@widened
def rnn(
    xp: Namespace,
    x: Array,
    h0: Array,
    weight_ih: Array,
    weight_hh: Array,
    bias_ih: Array | None = None,
    bias_hh: Array | None = None,
    lengths: Array | None = None,
    *,
    nonlinearity: str = "tanh",
    reverse: bool = False,
) -> Result:
    """``h = φ(z)``, ``z = W x + b + U h' + b'``, where h' is the previous state and φ is "tanh" or "relu".

    ``dz = dh φ'(z)``, φ' = 1 − h², or 1 where h > 0;  ``dh' = Uᵀ dz``, ``dx = Wᵀ dz``;
    ``dW = Σ dz xᵀ``, ``dU = Σ dz h'ᵀ``, ``db = Σ dz``, ``db' = db``.  Source: Elman 1990, Cognitive Science 14.
    """
    mask = _steps_that_count(xp, x.shape[0], lengths)
    x = _seen(xp, x, mask)
    driven = _affine(_rows(x), weight_ih.T, _sum_of(bias_ih, bias_hh))  # W x + b + b' of all steps
    driven = driven.reshape(*x.shape[:2], h0.shape[1])
    order, before, after = _states(xp, h0, x.shape[0], reverse)
    for t in order:
        z = driven[t] + product(before[t], weight_hh.T)
        h = xp.tanh(z) if nonlinearity == "tanh" else xp.maximum(z, 0)
        after[t] = _while_running(xp, mask, t, h, before[t])

    def backward(dys: tuple[Array | None, ...], needs: Sequence[bool] = (True,) * 6) -> tuple[Array | None, ...]:
        dy, dh = _outputs_gradient(xp, dys[0], mask), _or_zeros(xp, dys[1], h0)
        slope = 1.0 - after * after if nonlinearity == "tanh" else None
        dz = xp.empty(after.shape, dtype=after.dtype)
        for t in reversed(order):
            dh = dh if dy is None else dh + dy[t]
            through = xp.where(after[t] <= 0, 0.0, dh) if slope is None else dh * slope[t]
            dz[t] = _while_running(xp, mask, t, through, 0.0)
            dh = _while_running(xp, mask, t, product(dz[t], weight_hh), dh)
        dx = product(_rows(dz), weight_ih).reshape(x.shape) if needs[0] else None
        dw = _weight_gradient(dz, x) if needs[2] else None
        du = _weight_gradient(dz, before) if needs[3] else None
        db = None if bias_ih is None or bias_hh is None else _bias_gradient(dz)
        return dx, dh, dw, du, db, db

    return (_outputs(xp, after, mask), after[order[-1]].copy()), backward


@widened
def lstm(
    xp: Namespace,
    x: Array,
    h0: Array,
    c0: Array,
    weight_ih: Array,
    weight_hh: Array,
    bias_ih: Array | None = None,
    bias_hh: Array | None = None,
    lengths: Array | None = None,
    *,
    reverse: bool = False,
) -> Result:
    """``c = f c' + i g``,  ``h = o tanh c``, gates ``(i, f, g, o) = (σ, σ, tanh, σ)(z)``, ``z = W x + b + U h' + b'``.

    c' and h' are the previous states (Hochreiter & Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735, with the forget
    gate f of Gers et al. 2000).

    ``dc += dh o (1 − tanh² c)``;
    ``dz_i = dc g (i − i²)``, ``dz_f = dc c' (f − f²)``, ``dz_g = dc i (1 − g²)``, ``dz_o = dh tanh c (o − o²)``;
    ``dc' = dc f``, ``dh' = Uᵀ dz``, ``dx = Wᵀ dz``;
    ``dW = Σ dz xᵀ``, ``dU = Σ dz h'ᵀ``, ``db = Σ dz``, ``db' = db``.
    """
    mask = _steps_that_count(xp, x.shape[0], lengths)
    x = _seen(xp, x, mask)
    driven = _affine(_rows(x), _by_gate(weight_ih, 4), _by_gate(_sum_of(bias_ih, bias_hh), 4))
    driven = driven.reshape(4, *x.shape[:2], h0.shape[1])  # W x + b + b' of all steps
    recurrent = _by_gate(weight_hh, 4)
    order, before, after = _states(xp, h0, x.shape[0], reverse)
    _, cell_before, cell_after = _states(xp, c0, x.shape[0], reverse)
    gates = xp.empty((4, *after.shape), dtype=x.dtype)
    for t in order:
        z = driven[:, t] + product(before[t], recurrent)  # (4, N, H)
        gates[:, t] = _sigmoid(xp, z)  # one call for all, then the third gate, which is a tanh
        gates[2, t] = xp.tanh(z[2])
        i, f, g, o = gates[:, t]
        c = f * cell_before[t] + i * g
        h = o * xp.tanh(c)
        after[t] = _while_running(xp, mask, t, h, before[t])
        cell_after[t] = _while_running(xp, mask, t, c, cell_before[t])

    def backward(dys: tuple[Array | None, ...], needs: Sequence[bool] = (True,) * 7) -> tuple[Array | None, ...]:
        dy = _outputs_gradient(xp, dys[0], mask)
        dh, dc = _or_zeros(xp, dys[1], h0), _or_zeros(xp, dys[2], h0)
        i, f, g, o = gates
        squashed = xp.tanh(cell_after)
        c_slope = o * (1.0 - squashed * squashed)  # ∂h/∂c, because tanh' = 1 − tanh²
        i_slope = g * (i - i * i)  # ∂c/∂z_i, because σ' = σ − σ²
        f_slope = cell_before * (f - f * f)  # ∂c/∂z_f
        g_slope = i * (1.0 - g * g)  # ∂c/∂z_g
        o_slope = squashed * (o - o * o)  # ∂h/∂z_o
        dz = xp.empty((*x.shape[:2], weight_hh.shape[0]), dtype=x.dtype)
        for t in reversed(order):
            dh = dh if dy is None else dh + dy[t]
            dc_t = dc + dh * c_slope[t]
            dz_i, dz_f, dz_g = dc_t * i_slope[t], dc_t * f_slope[t], dc_t * g_slope[t]
            dz_o = dh * o_slope[t]
            dz[t] = _while_running(xp, mask, t, xp.concatenate([dz_i, dz_f, dz_g, dz_o], axis=1), 0.0)
            dc = _while_running(xp, mask, t, dc_t * f[t], dc)
            dh = _while_running(xp, mask, t, product(dz[t], weight_hh), dh)
        dx = product(_rows(dz), weight_ih).reshape(x.shape) if needs[0] else None
        dw = _weight_gradient(dz, x) if needs[3] else None
        du = _weight_gradient(dz, before) if needs[4] else None
        db = None if bias_ih is None or bias_hh is None else _bias_gradient(dz)
        return dx, dh, dc, dw, du, db, db

    return (_outputs(xp, after, mask), after[order[-1]].copy(), cell_after[order[-1]].copy()), backward


@widened
def gru(
    xp: Namespace,
    x: Array,
    h0: Array,
    weight_ih: Array,
    weight_hh: Array,
    bias_ih: Array | None = None,
    bias_hh: Array | None = None,
    lengths: Array | None = None,
    *,
    reverse: bool = False,
) -> Result:
    """``h = (1 − z) n + z h'``,  ``(r, z) = σ(W x + b + U h' + b')``,  ``n = tanh(W_n x + b_n + r q)``,
    ``q = U_n h' + b'_n``;  h' is the previous state (Cho et al. 2014, arXiv:1406.1078; as in PyTorch, r multiplies the
    product).

    With a_r, a_z, a_n for the arguments of σ, σ, tanh, and a = (a_r, a_z, a_n), u = (a_r, a_z, q):
    ``da_n = dh (1 − z)(1 − n²)``, ``dq = da_n r``, ``da_r = dq q (1 − r)``, ``da_z = dh (h' − n)(z − z²)``;
    ``dh' = dh z + Uᵀ du``, ``dx = Wᵀ da``;  ``dW = Σ da xᵀ``, ``dU = Σ du h'ᵀ``, ``db = Σ da``, ``db' = Σ du``.
    """
    if bias_ih is None or bias_hh is None:  # both or none
        bias_ih = bias_hh = None
    mask = _steps_that_count(xp, x.shape[0], lengths)
    x = _seen(xp, x, mask)
    driven = _affine(_rows(x), _by_gate(weight_ih, 3), _by_gate(bias_ih, 3))
    driven = driven.reshape(3, *x.shape[:2], h0.shape[1])  # W x + b of all steps
    recurrent, bias = _by_gate(weight_hh, 3), _by_gate(bias_hh, 3)
    order, before, after = _states(xp, h0, x.shape[0], reverse)
    gates, q = xp.empty((3, *after.shape), dtype=x.dtype), xp.empty(after.shape, dtype=x.dtype)
    for t in order:
        inner = _affine(before[t], recurrent, bias)  # U h' + b', (3, N, H)
        gates[:2, t] = _sigmoid(xp, driven[:2, t] + inner[:2])
        q[t] = inner[2]
        gates[2, t] = xp.tanh(driven[2, t] + gates[0, t] * q[t])
        _, z, n = gates[:, t]
        h = n + z * (before[t] - n)  # (1 − z) n + z h'
        after[t] = _while_running(xp, mask, t, h, before[t])

    def backward(dys: tuple[Array | None, ...], needs: Sequence[bool] = (True,) * 6) -> tuple[Array | None, ...]:
        dy, dh = _outputs_gradient(xp, dys[0], mask), _or_zeros(xp, dys[1], h0)
        r, z, n = gates
        n_slope = (1.0 - z) * (1.0 - n * n)  # ∂h/∂a_n, because tanh' = 1 − tanh²
        q_slope = n_slope * r  # ∂h/∂q
        r_slope = q_slope * q * (1.0 - r)  # ∂h/∂a_r, because σ' = σ (1 − σ)
        z_slope = (before - n) * (z - z * z)  # ∂h/∂a_z
        shape = *x.shape[:2], weight_hh.shape[0]
        da, du = xp.empty(shape, dtype=x.dtype), xp.empty(shape, dtype=x.dtype)
        for t in reversed(order):
            dh = dh if dy is None else dh + dy[t]
            da_n, dq = dh * n_slope[t], dh * q_slope[t]
            da_r, da_z = dh * r_slope[t], dh * z_slope[t]
            da[t] = _while_running(xp, mask, t, xp.concatenate([da_r, da_z, da_n], axis=1), 0.0)
            du[t] = _while_running(xp, mask, t, xp.concatenate([da_r, da_z, dq], axis=1), 0.0)
            dh = _while_running(xp, mask, t, dh * z[t] + product(du[t], weight_hh), dh)
        dx = product(_rows(da), weight_ih).reshape(x.shape) if needs[0] else None
        of_input = _weight_gradient(da, x) if needs[2] else None
        of_state = _weight_gradient(du, before) if needs[3] else None
        if bias_ih is None:
            return dx, dh, of_input, of_state, None, None
        return dx, dh, of_input, of_state, _bias_gradient(da), _bias_gradient(du)

    return (_outputs(xp, after, mask), after[order[-1]].copy()), backward


# -- shared parts ----------------------------------------------------------------------------------------------------


def _steps_that_count(xp: Namespace, steps: int, lengths: Array | None) -> Array | None:
    """(T, N, 1), True before the end of each sequence; None if all steps count."""
    return None if lengths is None else (xp.arange(steps)[:, None] < lengths)[:, :, None]


def _while_running(xp: Namespace, mask: Array | None, t: int, value: Array, otherwise: Any) -> Array:
    """``value`` for sequences that run at step t, ``otherwise`` for those that have ended, even if ``value`` is NaN."""
    return value if mask is None else xp.where(mask[t], value, otherwise)


def _states(xp: Namespace, first: Array, steps: int, reverse: bool) -> tuple[Any, Array, Array]:
    """The order of the steps, and the states before and after each step, as views of one array (T + 1, N, H)."""
    states = xp.empty((steps + 1, *first.shape), dtype=first.dtype)
    states[steps if reverse else 0] = first
    if reverse:
        return range(steps)[::-1], states[1:], states[:-1]
    return range(steps), states[:-1], states[1:]


def _sum_of(a: Array | None, b: Array | None) -> Array | None:
    return None if a is None or b is None else a + b


def _seen(xp: Namespace, x: Array, mask: Array | None) -> Array:
    """A copy of x, zero beyond the ends, so that padding has no effect and x may change."""
    return x.copy() if mask is None else xp.where(mask, x, 0.0)


def _by_gate(weight: Any, gates: int) -> Any:
    """The right factor of each gate's product, or each gate's bias.  (G·H, K) -> (G, K, H);  (G·H,) -> (G, 1, H)."""
    if weight is None:
        return None
    rows = weight.reshape(gates, weight.shape[0] // gates, weight.shape[1] if weight.ndim == 2 else 1)
    return rows.transpose(0, 2, 1)


def _affine(x: Array, weight: Array, bias: Array | None) -> Array:
    """``x weight + bias``, of one matrix or one for each gate."""
    return product(x, weight) if bias is None else product(x, weight) + bias


def _sigmoid(xp: Namespace, z: Array) -> Array:
    """``σ(z) = ½ + ½ tanh(z/2)``, which cannot overflow."""
    return 0.5 + 0.5 * xp.tanh(0.5 * z)


def _rows(x: Array) -> Array:
    """(T, N, K) -> (T·N, K)."""
    return x.reshape(x.shape[0] * x.shape[1], x.shape[2])


def _outputs(xp: Namespace, after: Array, mask: Array | None) -> Array:
    return after if mask is None else xp.where(mask, after, 0.0)


def _outputs_gradient(xp: Namespace, dy: Array | None, mask: Array | None) -> Array | None:
    return dy if dy is None or mask is None else xp.where(mask, dy, 0.0)


def _or_zeros(xp: Namespace, gradient: Array | None, like: Array) -> Array:
    return xp.zeros(like.shape, dtype=like.dtype) if gradient is None else gradient


def _weight_gradient(dz: Array, x: Array) -> Array:
    """``Σ dz xᵀ`` over steps and batch."""
    return product(_rows(dz).T, _rows(x))


def _bias_gradient(dz: Array) -> Array:
    """``Σ dz`` over steps and batch."""
    return pairwise_sum(_rows(dz), 0)
