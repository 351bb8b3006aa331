"""Recurrent layers: one op for a whole sequence, one layer and one direction.

Shapes: x (T, N, I), h0 and c0 (N, H) -> y (T, N, H) and the last state (N, H).  With G gates the weights are those of
PyTorch: weight_ih (G·H, I), weight_hh (G·H, H), biases (G·H,).  The derivations stand in ``docs/recurrent.md``.

``lengths`` (N,) says how many steps of each sequence count: beyond its end the state stands still and y is zero.
``reverse`` starts at the last step; a shorter sequence stands still until its own end comes by.  Inside, gates are
(G, T, N, H), so that each gate of a step is one block of memory; the gradients are (T·N, G·H), so that those of the
weights are one product over all steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xpnet_backends import Array, Namespace
from xpnet_backends import matmul as product

from ._shared import Result


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
    """``h_t = φ(W x_t + b + U h_{t−1} + b')``, φ is "tanh" or "relu" (Elman 1990, doi:10.1207/s15516709cog1402_1)."""
    (steps, n, features), hidden = x.shape, h0.shape[1]
    x, mask = _without_padding(xp, x, lengths)
    flat = x.reshape(steps * n, features)
    driven = product(flat, weight_ih.T).reshape(steps, n, hidden)
    if bias_ih is not None:
        driven += bias_ih + bias_hh
    order, before, after, states = _states(xp, h0, steps, reverse)
    recurrent = weight_hh.T
    for t in order:
        z = driven[t]
        z += product(before[t], recurrent)
        if nonlinearity == "tanh":
            xp.tanh(z, out=after[t])
        else:
            xp.maximum(z, 0, out=after[t])
        if mask is not None:
            after[t] = xp.where(mask[t], after[t], before[t])

    def backward(dys: tuple[Array | None, ...], needs: Sequence[bool] = (True,) * 6) -> tuple[Array | None, ...]:
        dy, dh = _incoming(xp, dys, mask, h0)
        slopes = 1.0 - after * after if nonlinearity == "tanh" else after > 0
        slopes = slopes if mask is None else slopes * mask
        dz = xp.empty((steps, n, hidden), dtype=x.dtype)
        for t in reversed(order):
            if dy is not None:
                dh += dy[t]
            xp.multiply(dh, slopes[t], out=dz[t])
            earlier = product(dz[t], weight_hh)
            dh = earlier if mask is None else xp.where(mask[t], earlier, dh)
        dz = dz.reshape(steps * n, hidden)
        dx = product(dz, weight_ih).reshape(x.shape) if needs[0] else None
        dw = product(dz.T, flat) if needs[2] else None
        du = product(dz.T, before.reshape(steps * n, hidden)) if needs[3] else None
        db = dz.sum(axis=0) if bias_ih is not None else None
        return dx, dh if needs[1] else None, dw, du, db, db

    return (_outputs(xp, after, mask), states[order[-1] + (not reverse)].copy()), backward


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
    """``c = f c' + i g``,  ``h = o tanh c``; gates ``(i, f, g, o) = (σ, σ, tanh, σ)(W x + b + U h' + b')``.

    c' and h' are those of the step before (Hochreiter & Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735; with the
    forget gate f of Gers et al. 2000).  As ``σ(z) = ½ + ½ tanh(z/2)``, all four gates are one
    tanh, and none overflows.
    """
    (steps, n, features), hidden = x.shape, h0.shape[1]
    x, mask = _without_padding(xp, x, lengths)
    flat = x.reshape(steps * n, features)
    scale = xp.full((4, 1, 1), 0.5, dtype=x.dtype)  # gate = a tanh(a z) + 1 − a: a = ½ for σ, 1 for tanh
    scale[2] = 1.0
    shift = 1.0 - scale
    bias = None if bias_ih is None else bias_ih + bias_hh
    gates = _driven(flat, weight_ih, bias, scale).reshape(4, steps, n, hidden)
    recurrent = _by_gate(weight_hh, scale)
    order, before, after, states = _states(xp, h0, steps, reverse)
    _, cell_before, cell_after, cells = _states(xp, c0, steps, reverse)
    squashed = xp.empty((steps, n, hidden), dtype=x.dtype)  # tanh c
    for t in order:
        z = gates[:, t]  # (4, N, H)
        z += product(before[t], recurrent)
        xp.tanh(z, out=z)
        z *= scale
        z += shift
        i, f, g, o = z
        c = cell_after[t]
        xp.multiply(f, cell_before[t], out=c)
        c += i * g
        xp.tanh(c, out=squashed[t])
        xp.multiply(o, squashed[t], out=after[t])
        if mask is not None:
            after[t] = xp.where(mask[t], after[t], before[t])
            cell_after[t] = xp.where(mask[t], c, cell_before[t])

    def backward(dys: tuple[Array | None, ...], needs: Sequence[bool] = (True,) * 7) -> tuple[Array | None, ...]:
        dy, dh = _incoming(xp, dys[:2], mask, h0)
        dc = xp.zeros(c0.shape, dtype=c0.dtype) if dys[2] is None else dys[2].copy()
        keep, to_cell, slopes = _lstm_slopes(xp, gates, squashed, cell_before, mask)
        dz = xp.empty((steps, n, 4, hidden), dtype=x.dtype)
        for t in reversed(order):
            if dy is not None:
                dh += dy[t]
            dc += dh * to_cell[t]
            by_gate = dz[t].transpose(1, 0, 2)  # (4, N, H)
            xp.multiply(slopes[:3, t], dc, out=by_gate[:3])
            xp.multiply(slopes[3, t], dh, out=by_gate[3])
            dc *= keep[t]
            earlier = product(dz[t].reshape(n, 4 * hidden), weight_hh)
            dh = earlier if mask is None else xp.where(mask[t], earlier, dh)
        dz = dz.reshape(steps * n, 4 * hidden)
        dx = product(dz, weight_ih).reshape(x.shape) if needs[0] else None
        dw = product(dz.T, flat) if needs[3] else None
        du = product(dz.T, before.reshape(steps * n, hidden)) if needs[4] else None
        db = dz.sum(axis=0) if bias is not None else None
        return dx, dh if needs[1] else None, dc if needs[2] else None, dw, du, db, db

    last = order[-1] + (not reverse)
    return (_outputs(xp, after, mask), states[last].copy(), cells[last].copy()), backward


def _lstm_slopes(
    xp: Namespace, gates: Array, squashed: Array, cell_before: Array, mask: Array | None
) -> tuple[Array, Array, Array]:
    """What the steps' chain rule multiplies with, for all steps at once: ∂c/∂c', ∂c/∂h, and ∂/∂z of each gate."""
    i, f, g, o = gates
    slopes = xp.empty(gates.shape, dtype=gates.dtype)
    xp.multiply(g, i - i * i, out=slopes[0])  # dc/dz_i
    xp.multiply(cell_before, f - f * f, out=slopes[1])  # dc/dz_f
    xp.multiply(i, 1.0 - g * g, out=slopes[2])  # dc/dz_g
    xp.multiply(squashed, o - o * o, out=slopes[3])  # dh/dz_o
    to_cell = o - o * (squashed * squashed)  # dh/dc
    if mask is None:
        return f, to_cell, slopes
    slopes *= mask
    return xp.where(mask, f, 1.0), to_cell * mask, slopes


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
    """``h = (1 − z) n + z h'``,  ``(r, z) = σ(W x + b + U h' + b')``,  ``n = tanh(W_n x + b_n + r (U_n h' + b'_n))``.

    h' is that of the step before (Cho et al. 2014, arXiv:1406.1078; r outside of the product as in cuDNN).
    """
    (steps, n_batch, features), hidden = x.shape, h0.shape[1]
    x, mask = _without_padding(xp, x, lengths)
    flat = x.reshape(steps * n_batch, features)
    scale = xp.full((3, 1, 1), 0.5, dtype=x.dtype)  # σ(z) = ½ + ½ tanh(z/2)
    scale[2] = 1.0
    bias = inner_bias = None
    if bias_ih is not None and bias_hh is not None:
        bias = bias_ih.copy()
        bias[: 2 * hidden] += bias_hh[: 2 * hidden]
        inner_bias = bias_hh[2 * hidden :]
    gates = _driven(flat, weight_ih, bias, scale).reshape(3, steps, n_batch, hidden)
    recurrent = _by_gate(weight_hh, scale)
    inner = xp.empty((steps, n_batch, hidden), dtype=x.dtype)  # U_n h' + b'_n
    order, before, after, states = _states(xp, h0, steps, reverse)
    for t in order:
        from_state = product(before[t], recurrent)  # (3, N, H)
        rz = gates[:2, t]
        rz += from_state[:2]
        xp.tanh(rz, out=rz)
        rz *= 0.5
        rz += 0.5
        xp.add(from_state[2], 0.0 if inner_bias is None else inner_bias, out=inner[t])
        r, z, n = gates[:, t]
        n += r * inner[t]
        xp.tanh(n, out=n)
        h = after[t]
        xp.subtract(before[t], n, out=h)
        h *= z
        h += n
        if mask is not None:
            after[t] = xp.where(mask[t], h, before[t])

    def backward(dys: tuple[Array | None, ...], needs: Sequence[bool] = (True,) * 6) -> tuple[Array | None, ...]:
        dy, dh = _incoming(xp, dys, mask, h0)
        keep, slopes = _gru_slopes(xp, gates, inner, before, mask)
        rolled = xp.roll(weight_hh, hidden, axis=0)  # U_n, U_r, U_z: the order of the first three slopes
        dz = xp.empty((steps, n_batch, 4, hidden), dtype=x.dtype)
        for t in reversed(order):
            if dy is not None:
                dh += dy[t]
            xp.multiply(slopes[:, t], dh, out=dz[t].transpose(1, 0, 2))
            dh *= keep[t]
            dh += product(dz[t].reshape(n_batch, 4 * hidden)[:, : 3 * hidden], rolled)
        dz = dz.reshape(steps * n_batch, 4 * hidden)
        from_h, from_x = dz[:, : 3 * hidden], dz[:, hidden:]
        dx = product(from_x, weight_ih).reshape(x.shape) if needs[0] else None
        dw = product(from_x.T, flat) if needs[2] else None
        du = product(from_h.T, before.reshape(steps * n_batch, hidden)) if needs[3] else None
        db = dz.sum(axis=0) if bias is not None else None
        return (
            dx, dh, dw, None if du is None else xp.roll(du, -hidden, axis=0),
            None if db is None else db[hidden:], None if db is None else xp.roll(db[: 3 * hidden], -hidden),
        )  # fmt: skip

    return (_outputs(xp, after, mask), states[order[-1] + (not reverse)].copy()), backward


def _gru_slopes(xp: Namespace, gates: Array, inner: Array, before: Array, mask: Array | None) -> tuple[Array, Array]:
    """What the steps' chain rule multiplies dh with, for all steps at once: z, and ∂h/∂ of inner, z_r, z_z, z_n."""
    r, z, n = gates
    slopes = xp.empty((4, *z.shape), dtype=z.dtype)
    xp.multiply(1.0 - z, 1.0 - n * n, out=slopes[3])
    xp.multiply(slopes[3], r, out=slopes[0])
    xp.multiply(slopes[0] * inner, 1.0 - r, out=slopes[1])
    xp.multiply(before - n, z - z * z, out=slopes[2])
    if mask is None:
        return z, slopes
    slopes *= mask
    return xp.where(mask, z, 1.0), slopes


# -- what the three share --------------------------------------------------------------------------------------------


def _without_padding(xp: Namespace, x: Array, lengths: Array | None) -> tuple[Array, Array | None]:
    """X with zeros beyond each end, so that what is there never counts; and which steps count, (T, N, 1)."""
    if lengths is None:
        return x, None
    mask = (xp.arange(x.shape[0])[:, None] < lengths)[:, :, None]
    return xp.where(mask, x, 0.0), mask


def _states(xp: Namespace, first: Array, steps: int, reverse: bool) -> tuple[Any, Array, Array, Array]:
    """The order of the steps, and the states before and after each, views of one (T + 1, N, H), with the first set."""
    states = xp.empty((steps + 1, *first.shape), dtype=first.dtype)
    states[steps if reverse else 0] = first
    if reverse:
        return range(steps)[::-1], states[1:], states[:-1], states
    return range(steps), states[:-1], states[1:], states


def _by_gate(weight: Array, scale: Array) -> Array:
    """Weight (G·H, K), scale (G, 1, 1) -> (G, K, H), scaled: the right side of a product for each gate."""
    gates = scale.shape[0]
    return (weight.reshape(gates, weight.shape[0] // gates, weight.shape[1]) * scale).transpose(0, 2, 1)


def _driven(flat: Array, weight: Array, bias: Array | None, scale: Array) -> Array:
    """What x gives to the gates, for all steps in one product.  flat (T·N, I) -> (G, T·N, H)."""
    gates = product(flat, _by_gate(weight, scale))
    if bias is not None:
        gates += bias.reshape(scale.shape[0], 1, gates.shape[2]) * scale
    return gates


def _outputs(xp: Namespace, after: Array, mask: Array | None) -> Array:
    return after if mask is None else xp.where(mask, after, 0.0)


def _incoming(xp: Namespace, dys: Sequence[Array | None], mask: Array | None, h0: Array) -> tuple[Array | None, Array]:
    """Dy with nothing beyond the ends, and the gradient of the last state, ours to change."""
    dy, dh = dys
    dh = xp.zeros(h0.shape, dtype=h0.dtype) if dh is None else dh.copy()
    return (dy if dy is None or mask is None else xp.where(mask, dy, 0.0)), dh
