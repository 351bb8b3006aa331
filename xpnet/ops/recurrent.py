"""Recurrent layers: one op for a whole sequence, one layer and one direction.

Shapes: x (T, N, I), h0 and c0 (N, H) -> y (T, N, H) and the last state (N, H).  With G gates the weights are those of
PyTorch: weight_ih (G·H, I), weight_hh (G·H, H), biases (G·H,).  ``docs/recurrent.md`` has the derivations.

In the formulas W, b are weight_ih, bias_ih, and U, b' are weight_hh, bias_hh.  h', c' are the states before a step.
``dh`` is dy of the step plus dh' of the next step.  Σ is over steps and batch.

``lengths`` (N,) are the lengths of the sequences.  After the end of a sequence its state stays constant and y is zero.
``reverse`` starts at the last step; the state of a shorter sequence stays constant until its own last step.

The product with x, the derivatives of the gates, and the gradients of x and the weights are computed for all steps at
once.  In the forward pass gates are (G, T, N, H), so that each gate of a step is contiguous; in the backward pass their
gradients are rows (T·N, G·H).
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
    shape = steps, n, features = x.shape
    mask = _steps_that_count(xp, steps, lengths)
    rows, weight = _with_bias(xp, x, mask, weight_ih, _sum_of(bias_ih, bias_hh))
    driven = product(rows, weight.T).reshape(steps, n, h0.shape[1])
    recurrent = weight_hh.T
    order, before, after = _states(xp, h0, steps, reverse)
    for t in order:
        z = product(before[t], recurrent)
        z += driven[t]
        if nonlinearity == "tanh":
            xp.tanh(z, out=after[t])
        else:
            xp.maximum(z, 0, out=after[t])
        if mask is not None:
            after[t] = xp.where(mask[t], after[t], before[t])

    def backward(dys: tuple[Array | None, ...], needs: Sequence[bool] = (True,) * 6) -> tuple[Array | None, ...]:
        dy, dh = _outputs_gradient(xp, dys[0], mask), _own(xp, dys[1], before[0])
        dz = 1.0 - after * after if nonlinearity == "tanh" else xp.empty(after.shape, dtype=after.dtype)
        for t in reversed(order):
            if dy is not None:
                dh += dy[t]
            through = dz[t] * dh if nonlinearity == "tanh" else xp.where(after[t] <= 0, 0.0, dh)
            dz[t] = _counted(xp, through, mask, t)  # slopes become gradients
            earlier = product(dz[t], weight_hh)
            dh = earlier if mask is None else xp.where(mask[t], earlier, dh)
        dz = _rows(dz)
        dx = product(dz, weight_ih).reshape(shape) if needs[0] else None
        dw, db = _weight_gradients(rows, dz, features)
        du = product(_rows(before).T, dz).T if needs[3] else None
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
    gate f of Gers et al. 2000).  As ``σ(z) = ½ + ½ tanh(z/2)``, one tanh computes all gates, and nothing overflows.

    ``dc += dh o (1 − tanh² c)``;
    ``dz_i = dc g (i − i²)``, ``dz_f = dc c' (f − f²)``, ``dz_g = dc i (1 − g²)``, ``dz_o = dh tanh c (o − o²)``;
    ``dc' = dc f``, ``dh' = Uᵀ dz``, ``dx = Wᵀ dz``;
    ``dW = Σ dz xᵀ``, ``dU = Σ dz h'ᵀ``, ``db = Σ dz``, ``db' = db``.
    """
    shape, hidden = x.shape, h0.shape[1]
    steps, n, features = shape
    mask = _steps_that_count(xp, steps, lengths)
    rows, weight = _with_bias(xp, x, mask, weight_ih, _sum_of(bias_ih, bias_hh))
    factor, scale = _scale_of_gates(xp, x.dtype, (4, n, hidden))
    shift = 1.0 - scale
    gates = product(rows, _by_gate(weight, factor)).reshape(4, steps, n, hidden)  # contributions of x, then gates
    recurrent = _by_gate(weight_hh, factor)
    order, before, after = _states(xp, h0, steps, reverse)
    _, cell_before, cell_after = _states(xp, c0, steps, reverse)
    for t in order:
        z = product(before[t], recurrent)  # (4, N, H)
        z += gates[:, t]
        xp.tanh(z, out=z)
        z *= scale
        z += shift
        gates[:, t] = z
        i, f, g, o = z
        c, h = cell_after[t], after[t]
        xp.multiply(f, cell_before[t], out=c)
        i *= g
        c += i
        xp.tanh(c, out=h)
        h *= o
        if mask is not None:
            after[t] = xp.where(mask[t], h, before[t])
            cell_after[t] = xp.where(mask[t], c, cell_before[t])

    def backward(dys: tuple[Array | None, ...], needs: Sequence[bool] = (True,) * 7) -> tuple[Array | None, ...]:
        dy, dh, dc = _outputs_gradient(xp, dys[0], mask), _own(xp, dys[1], before[0]), _own(xp, dys[2], before[0])
        keep, to_cell, dz = _lstm_slopes(xp, gates, cell_before, cell_after, mask)
        for t in reversed(order):
            if dy is not None:
                dh += dy[t]
            dc += _counted(xp, dh * to_cell[t], mask, t)
            of_cell, of_output = dz[t, :, :3], dz[t, :, 3]
            of_cell *= dc[:, None]  # slopes become gradients
            of_output *= dh
            if mask is not None:
                dz[t] = xp.where(mask[t][:, None], dz[t], 0.0)
            dc *= keep[t]
            earlier = product(dz[t].reshape(n, 4 * hidden), weight_hh)
            dh = earlier if mask is None else xp.where(mask[t], earlier, dh)
        dz = dz.reshape(rows.shape[0], 4 * hidden)
        dx = product(dz, weight_ih).reshape(shape) if needs[0] else None
        dw, db = _weight_gradients(rows, dz, features)
        du = product(_rows(before).T, dz).T if needs[4] else None
        return dx, dh, dc, dw, du, db, db

    return (_outputs(xp, after, mask), after[order[-1]].copy(), cell_after[order[-1]].copy()), backward


def _lstm_slopes(
    xp: Namespace, gates: Array, cell_before: Array, cell_after: Array, mask: Array | None
) -> tuple[Array, Array, Array]:
    """Factors of the chain rule: ∂c/∂c' and ∂h/∂c (T, N, H); ∂c/∂z of i, f, g and ∂h/∂z of o (T, N, 4, H)."""
    i, f, g, o = gates
    squashed = xp.tanh(cell_after)
    slopes = xp.empty((*i.shape[:2], 4, i.shape[2]), dtype=i.dtype)
    slopes[:, :, 0] = (i - i * i) * g  # σ' = σ − σ²
    slopes[:, :, 1] = (f - f * f) * cell_before
    slopes[:, :, 2] = (1.0 - g * g) * i  # tanh' = 1 − tanh²
    slopes[:, :, 3] = (o - o * o) * squashed
    to_cell = (1.0 - squashed * squashed) * o
    return f if mask is None else xp.where(mask, f, 1.0), to_cell, slopes


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
    shape, hidden = x.shape, h0.shape[1]
    steps, batch, features = shape
    mask = _steps_that_count(xp, steps, lengths)
    bias = inner_bias = None
    if bias_ih is not None and bias_hh is not None:
        bias, inner_bias = bias_ih.copy(), bias_hh[2 * hidden :]
        bias[: 2 * hidden] += bias_hh[: 2 * hidden]
    rows, weight = _with_bias(xp, x, mask, weight_ih, bias)
    factor, scale = _scale_of_gates(xp, x.dtype, (3, batch, hidden))
    half = scale[:2]
    gates = product(rows, _by_gate(weight, factor)).reshape(3, steps, batch, hidden)  # contributions of x, then gates
    recurrent = _by_gate(weight_hh, factor)
    q = xp.empty((steps, batch, hidden), dtype=x.dtype)  # U_n h' + b'_n
    order, before, after = _states(xp, h0, steps, reverse)
    for t in order:
        from_state = product(before[t], recurrent)  # (3, N, H)
        rz, n, h = from_state[:2], gates[2, t], after[t]
        rz += gates[:2, t]
        xp.tanh(rz, out=rz)
        rz *= half
        rz += half
        gates[:2, t] = rz
        xp.add(from_state[2], 0.0 if inner_bias is None else inner_bias, out=q[t])
        n += rz[0] * q[t]
        xp.tanh(n, out=n)
        xp.subtract(before[t], n, out=h)
        h *= rz[1]
        h += n
        if mask is not None:
            after[t] = xp.where(mask[t], h, before[t])

    def backward(dys: tuple[Array | None, ...], needs: Sequence[bool] = (True,) * 6) -> tuple[Array | None, ...]:
        dy, dh = _outputs_gradient(xp, dys[0], mask), _own(xp, dys[1], before[0])
        keep, dz = _gru_slopes(xp, gates, q, before, mask)
        rolled = xp.roll(weight_hh, hidden, axis=0)  # U_n, U_r, U_z, in the order of dz
        for t in reversed(order):
            if dy is not None:
                dh += dy[t]
            gradients = dz[t]  # slopes become gradients
            gradients *= dh[:, None]
            if mask is not None:
                dz[t] = xp.where(mask[t][:, None], gradients, 0.0)
            dh *= keep[t]
            dh += product(gradients.reshape(batch, 4 * hidden)[:, : 3 * hidden], rolled)
        dz = dz.reshape(rows.shape[0], 4 * hidden)  # of q, a_r, a_z, a_n
        of_state, of_input = dz[:, : 3 * hidden], dz[:, hidden:]
        dx = product(of_input, weight_ih).reshape(shape) if needs[0] else None
        dw, db = _weight_gradients(rows, of_input, features)
        du = xp.roll(product(_rows(before).T, of_state).T, -hidden, axis=0) if needs[3] else None
        if db is None:
            return dx, dh, dw, du, None, None
        return dx, dh, dw, du, db, xp.concatenate([db[: 2 * hidden], pairwise_sum(dz[:, :hidden], 0)])

    return (_outputs(xp, after, mask), after[order[-1]].copy()), backward


def _gru_slopes(xp: Namespace, gates: Array, q: Array, before: Array, mask: Array | None) -> tuple[Array, Array]:
    """Factors of dh in the chain rule: z (T, N, H), and ∂h/∂ of q, a_r, a_z, a_n (T, N, 4, H)."""
    r, z, n = gates
    slopes = xp.empty((*z.shape[:2], 4, z.shape[2]), dtype=z.dtype)
    to_n = (1.0 - z) * (1.0 - n * n)
    to_q = to_n * r
    slopes[:, :, 0] = to_q
    slopes[:, :, 1] = (1.0 - r) * q * to_q
    slopes[:, :, 2] = (z - z * z) * (before - n)
    slopes[:, :, 3] = to_n
    return z if mask is None else xp.where(mask, z, 1.0), slopes


# -- shared parts ----------------------------------------------------------------------------------------------------


def _steps_that_count(xp: Namespace, steps: int, lengths: Array | None) -> Array | None:
    """(T, N, 1), True before the end of each sequence; None if all steps count."""
    return None if lengths is None else (xp.arange(steps)[:, None] < lengths)[:, :, None]


def _states(xp: Namespace, first: Array, steps: int, reverse: bool) -> tuple[Any, Array, Array]:
    """The order of the steps, and the states before and after each step, as views of one array (T + 1, N, H)."""
    states = xp.empty((steps + 1, *first.shape), dtype=first.dtype)
    states[steps if reverse else 0] = first
    if reverse:
        return range(steps)[::-1], states[1:], states[:-1]
    return range(steps), states[:-1], states[1:]


def _sum_of(a: Array | None, b: Array | None) -> Array | None:
    return None if a is None or b is None else a + b


def _rows(x: Array) -> Array:
    """(T, N, K) -> (T·N, K)."""
    return x.reshape(x.shape[0] * x.shape[1], x.shape[2])


def _with_bias(xp: Namespace, x: Array, mask: Array | None, weight: Array, bias: Array | None) -> tuple[Array, Array]:
    """The rows of x (T·N, I), zero beyond the ends, so that padding has no effect.

    A bias becomes the weight of an extra feature that is always 1.  So neither it nor its gradient needs a pass of its
    own.
    """
    rows = _rows(x if mask is None else xp.where(mask, x, 0.0))
    if bias is None:
        return rows, weight
    ones = xp.ones((rows.shape[0], 1), dtype=x.dtype)
    return xp.concatenate([rows, ones], axis=1), xp.concatenate([weight, bias[:, None]], axis=1)


def _scale_of_gates(xp: Namespace, dtype: Any, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Factors a of ``gate = a tanh(a z) + 1 − a``: ½ for σ, 1 for the third gate, a tanh.  (G, 1, 1), and in full."""
    factor = xp.full((shape[0], 1, 1), 0.5, dtype=dtype)
    factor[2] = 1.0
    return factor, factor + xp.zeros(shape, dtype=dtype)


def _by_gate(weight: Array, factor: Array) -> Array:
    """The right factor of each gate's product, scaled.  weight (G·H, K) -> (G, K, H)."""
    gates = factor.shape[0]
    return (weight.reshape(gates, weight.shape[0] // gates, weight.shape[1]) * factor).transpose(0, 2, 1)


def _counted(xp: Namespace, gradient: Array, mask: Array | None, t: int) -> Array:
    """The gradient of step t, 0 for sequences that have ended, even if it is infinite."""
    return gradient if mask is None else xp.where(mask[t], gradient, 0.0)


def _outputs(xp: Namespace, after: Array, mask: Array | None) -> Array:
    return after if mask is None else xp.where(mask, after, 0.0)


def _outputs_gradient(xp: Namespace, dy: Array | None, mask: Array | None) -> Array | None:
    return dy if dy is None or mask is None else xp.where(mask, dy, 0.0)


def _own(xp: Namespace, gradient: Array | None, like: Array) -> Array:
    """A copy of the gradient of a last state, which may be changed in place."""
    return xp.zeros(like.shape, dtype=like.dtype) if gradient is None else gradient.copy()


def _weight_gradients(rows: Array, dz: Array, features: int) -> tuple[Array, Array | None]:
    """``dW = dzᵀ x`` and ``db = Σ dz``, from the rows and their column of ones, if there is one."""
    both = product(rows.T, dz).T  # as (xᵀ dz)ᵀ, because BLAS reads a slice of dz's columns in place only on the right
    return both[:, :features], both[:, features] if rows.shape[1] > features else None
