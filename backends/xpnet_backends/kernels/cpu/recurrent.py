"""LSTM and GRU.  The sequences of a batch are independent, so each thread runs some of them through all steps.

In each step, register tiles multiply the states by the recurrent weights.  The rest are simple loops over rows of H
numbers, which the compiler vectorises.  Letters and formulas are those of ``xpnet/ops/recurrent.py``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...base import Array, Backward, Namespace
from .gemm import PANEL, product
from .machinery.compiler import BOOL, LONG, compiled, read, write
from .machinery.functions import sigmoid, tanh
from .machinery.memory_order import column_sums
from .machinery.thread_pool import in_threads
from .machinery.tile import ROWS, tile


def lstm(
    xp: Namespace, x: Array, h0: Array, c0: Array, weight_ih: Array, weight_hh: Array, bias_ih: Array | None = None,
    bias_hh: Array | None = None, lengths: Array | None = None, *, reverse: bool = False,
) -> tuple[tuple[Array, Array, Array], Backward] | None:  # fmt: skip
    """In float32."""
    if 0 in x.shape or h0.size == 0 or not _fit(x, h0, weight_ih, weight_hh):
        return None
    shape = steps, n, _ = x.shape
    hidden = h0.shape[1]
    ends, rows, weight = _prepared(x, lengths, weight_ih, None if bias_ih is None else bias_ih + bias_hh)
    gates = product(rows, weight.T).reshape(steps, n, 4 * hidden)  # the contribution of x, then the gates i, f, g, o
    h, before, after = _states(h0, steps, reverse)
    c, _, cell_after = _states(c0, steps, reverse)
    u, work = panels(weight_hh.T), steps * n * 4 * hidden * hidden
    in_threads(lambda i, j: _lstm(gates, u, h, c, ends, reverse, i, j), n, work)

    def backward(dys: Any, needs: Any = (True,) * 7) -> tuple[Array | None, ...]:
        dy, dh, dc = _output_slopes(dys[0], after), _own(dys[1], before[0]), _own(dys[2], before[0])
        dz = np.empty((steps * n + ROWS, 4 * hidden), np.float32)  # a tile reads beyond the last row
        back = panels(weight_hh)
        in_threads(lambda i, j: _lstm_back(gates, back, c, dy, ends, dh, dc, dz, reverse, i, j), n, work)
        dz = dz[: steps * n]
        dx = product(dz, weight_ih).reshape(shape) if needs[0] else None
        dw, db = _weight_slopes(rows, dz, bias_ih is not None)
        du = product(dz.T, before.reshape(-1, hidden)) if needs[4] else None
        return dx, dh, dc, dw, du, db, db

    last = 0 if reverse else steps - 1
    return (_ended(after, ends, lengths), after[last].copy(), cell_after[last].copy()), backward


def gru(
    xp: Namespace, x: Array, h0: Array, weight_ih: Array, weight_hh: Array, bias_ih: Array | None = None,
    bias_hh: Array | None = None, lengths: Array | None = None, *, reverse: bool = False,
) -> tuple[tuple[Array, Array], Backward] | None:  # fmt: skip
    """In float32."""
    if 0 in x.shape or h0.size == 0 or not _fit(x, h0, weight_ih, weight_hh):
        return None
    shape = steps, n, _ = x.shape
    hidden = h0.shape[1]
    bias, inner = None, np.zeros(hidden, np.float32)
    if bias_ih is not None and bias_hh is not None:
        bias, inner = bias_ih.copy(), bias_hh[2 * hidden :]
        bias[: 2 * hidden] += bias_hh[: 2 * hidden]
    ends, rows, weight = _prepared(x, lengths, weight_ih, bias)
    gates = product(rows, weight.T).reshape(steps, n, 3 * hidden)  # the contribution of x, then the gates r, z, n
    q = np.empty((steps, n, hidden), np.float32)
    h, before, after = _states(h0, steps, reverse)
    u, u_inner = panels(weight_hh[: 2 * hidden].T), panels(weight_hh[2 * hidden :].T)
    work = steps * n * 3 * hidden * hidden
    in_threads(lambda i, j: _gru(gates, q, u, u_inner, inner, h, ends, reverse, i, j), n, work)

    def backward(dys: Any, needs: Any = (True,) * 6) -> tuple[Array | None, ...]:
        dy, dh = _output_slopes(dys[0], after), _own(dys[1], before[0])
        dz = np.empty((steps * n + ROWS, 4 * hidden), np.float32)  # of q, a_r, a_z, a_n
        back = panels(np.roll(weight_hh, hidden, axis=0))  # U_n, U_r, U_z
        in_threads(lambda i, j: _gru_back(gates, q, back, h, dy, ends, dh, dz, reverse, i, j), n, work)
        of_state, of_input = dz[: steps * n, : 3 * hidden], dz[: steps * n, hidden:]
        dx = product(of_input, weight_ih).reshape(shape) if needs[0] else None
        dw, db = _weight_slopes(rows, of_input, bias is not None)
        du = np.roll(product(of_state.T, before.reshape(-1, hidden)), -hidden, axis=0) if needs[3] else None
        if db is None:
            return dx, dh, dw, du, None, None
        inner_db = column_sums(of_state[:, :hidden])
        return dx, dh, dw, du, db, np.concatenate([db[: 2 * hidden], inner_db])

    last = 0 if reverse else steps - 1
    return (_ended(after, ends, lengths), after[last].copy()), backward


def panels(matrix: Array) -> Array:
    """(K, N) as column panels for tiles: (N / panel, K, panel), the last one padded with zeros."""
    found = np.zeros((-(-matrix.shape[1] // PANEL), matrix.shape[0], PANEL), np.float32)
    for panel, start in zip(found, range(0, matrix.shape[1], PANEL), strict=True):
        columns = matrix[:, start : start + PANEL]
        panel[:, : columns.shape[1]] = columns
    return found


def _fit(x: Array, h0: Array, weight_ih: Array, weight_hh: Array) -> bool:
    """Whether the shapes of input, state and weights match.  If not, the op raises the error."""
    rows, hidden = weight_hh.shape
    return bool(x.shape[2] == weight_ih.shape[1] and h0.shape[1] == hidden and len(weight_ih) == rows)


def _prepared(x: Array, lengths: Array | None, weight: Array, bias: Array | None) -> tuple[Array, Array, Array]:
    """Lengths of the sequences; rows of x, zero beyond the ends, with a column of ones for a bias; the weight."""
    steps, n, features = x.shape
    ends = np.full(n, steps) if lengths is None else np.asarray(lengths, np.int64)
    seen = x if lengths is None else np.where((np.arange(steps)[:, None] < ends)[:, :, None], x, np.float32(0.0))
    rows = seen.reshape(-1, features)
    if bias is None:
        return ends, rows, weight
    ones = np.ones((len(rows), 1), np.float32)
    return ends, np.concatenate([rows, ones], axis=1), np.concatenate([weight, bias[:, None]], axis=1)


def _states(first: Array, steps: int, reverse: bool) -> tuple[Array, Array, Array]:
    """All states (T + 1, N, H), followed by memory that tiles may read, and the states before and after each step."""
    n, hidden = first.shape
    whole = np.zeros(((steps + 1) * n + ROWS, hidden), np.float32)
    states = whole[: (steps + 1) * n].reshape(steps + 1, n, hidden)
    states[steps if reverse else 0] = first
    before, after = (states[1:], states[:-1]) if reverse else (states[:-1], states[1:])
    return states, before, after


def _ended(after: Array, ends: Array, lengths: Array | None) -> Array:
    """The outputs: zero beyond the ends."""
    if lengths is None:
        return after
    return np.where((np.arange(len(after))[:, None] < ends)[:, :, None], after, np.float32(0.0))


def _output_slopes(dy: Array | None, after: Array) -> Array:
    return np.zeros(after.shape, np.float32) if dy is None else np.ascontiguousarray(dy)


def _own(gradient: Array | None, like: Array) -> Array:
    return np.zeros(like.shape, np.float32) if gradient is None else np.array(gradient, order="C")


def _weight_slopes(rows: Array, dz: Array, bias: bool) -> tuple[Array, Array | None]:
    """``dW = dzᵀ x`` and ``db = Σ dz``, the latter through the column of ones."""
    both = product(dz.T, rows)
    if not bias:
        return both, None
    return np.ascontiguousarray(both[:, :-1]), both[:, -1].copy()


@compiled(LONG, LONG, LONG, LONG, read(3, "C"), LONG, LONG, LONG, LONG)
def _product(a: int, a_row: int, c: int, c_row: int, b: Array, columns: int, first: int, last: int, add: int) -> None:
    """Rows ``first`` to ``last`` of ``C (+)= A · B``; a and c are addresses, b holds panels."""
    panels, length, panel = b.shape
    for p in range(panels):
        right, used = b.ctypes.data + 4 * p * length * panel, min(panel, columns - p * panel)
        for n in range(first, last, ROWS):
            here, there = a + 4 * n * a_row, c + 4 * (n * c_row + p * panel)
            tile(panel, here, a_row, 1, 0, right, panel, 0, 1, length, there, c_row, min(ROWS, last - n), used, add)


@compiled(write(3), read(3, "C"), write(3), write(3), read(1, "C", "int64"), BOOL, LONG, LONG)
def _lstm(gates: Array, u: Array, h: Array, c: Array, ends: Array, reverse: bool, first: int, last: int) -> None:
    """All steps of sequences ``first`` to ``last``."""
    steps, _, hidden = gates.shape[0], gates.shape[1], h.shape[2]
    for step in range(steps):
        t, earlier, later = (steps - 1 - step, steps - step, steps - 1 - step) if reverse else (step, step, step + 1)
        _product(h[earlier].ctypes.data, hidden, gates[t].ctypes.data, 4 * hidden, u, 4 * hidden, first, last, 1)
        for n in range(first, last):
            if_, g, o = gates[t, n, : 2 * hidden], gates[t, n, 2 * hidden : 3 * hidden], gates[t, n, 3 * hidden :]
            for j in range(2 * hidden):
                if_[j] = sigmoid(if_[j])
            for j in range(hidden):
                g[j] = tanh(g[j])
            for j in range(hidden):
                o[j] = sigmoid(o[j])
            i, f = if_[:hidden], if_[hidden:]
            cell, output, old = c[later, n], h[later, n], c[earlier, n]
            if t < ends[n]:
                for j in range(hidden):
                    cell[j] = f[j] * old[j] + i[j] * g[j]
                for j in range(hidden):
                    output[j] = o[j] * tanh(cell[j])
            else:  # the sequence has ended: its state stays constant
                for j in range(hidden):
                    cell[j] = old[j]
                for j in range(hidden):
                    output[j] = h[earlier, n, j]


@compiled(
    read(3, "C"), read(3, "C"), read(3, "C"), read(3, "C"), read(1, "C", "int64"), write(2), write(2), write(2), BOOL,
    LONG, LONG,
)  # fmt: skip
def _lstm_back(
    gates: Array, back: Array, c: Array, dy: Array, ends: Array, dh: Array, dc: Array, dz: Array, reverse: bool,
    first: int, last: int,
) -> None:  # fmt: skip
    """``dz`` (T·N, 4H) of sequences ``first`` to ``last``; dh and dc become the gradients of the initial state."""
    (steps, count), hidden = gates.shape[:2], dh.shape[1]
    squashed = np.empty(hidden, np.float32)
    found = np.empty((last - first, hidden), np.float32)
    for step in range(steps - 1, -1, -1):
        t, earlier, later = (steps - 1 - step, steps - step, steps - 1 - step) if reverse else (step, step, step + 1)
        for n in range(first, last):
            d, slope, of_cell, z = dz[t * count + n], dh[n], dc[n], gates[t, n]
            if t >= ends[n]:
                for j in range(4 * hidden):
                    d[j] = 0.0
                continue
            i, f, g, o = z[:hidden], z[hidden : 2 * hidden], z[2 * hidden : 3 * hidden], z[3 * hidden :]
            d_i, d_f, d_g, d_o = d[:hidden], d[hidden : 2 * hidden], d[2 * hidden : 3 * hidden], d[3 * hidden :]
            cell, old = c[later, n], c[earlier, n]
            for j in range(hidden):
                slope[j] += dy[t, n, j]
            for j in range(hidden):
                squashed[j] = tanh(cell[j])
            for j in range(hidden):
                of_cell[j] += slope[j] * o[j] * (1 - squashed[j] * squashed[j])
            for j in range(hidden):
                d_i[j] = of_cell[j] * g[j] * (i[j] - i[j] * i[j])
            for j in range(hidden):
                d_f[j] = of_cell[j] * old[j] * (f[j] - f[j] * f[j])
            for j in range(hidden):
                d_g[j] = of_cell[j] * i[j] * (1 - g[j] * g[j])
            for j in range(hidden):
                d_o[j] = slope[j] * squashed[j] * (o[j] - o[j] * o[j])
            for j in range(hidden):
                of_cell[j] *= f[j]
        a = dz.ctypes.data + 4 * t * count * 4 * hidden
        c_start = found.ctypes.data - 4 * first * hidden
        _product(a, 4 * hidden, c_start, hidden, back, hidden, first, last, 0)
        for n in range(first, last):
            if t < ends[n]:
                for j in range(hidden):
                    dh[n, j] = found[n - first, j]


@compiled(
    write(3), write(3), read(3, "C"), read(3, "C"), read(1), write(3), read(1, "C", "int64"), BOOL, LONG, LONG
)  # fmt: skip
def _gru(
    gates: Array, q: Array, u: Array, u_inner: Array, inner: Array, h: Array, ends: Array, reverse: bool,
    first: int, last: int,
) -> None:  # fmt: skip
    """All steps of sequences ``first`` to ``last``."""
    steps, hidden = gates.shape[0], h.shape[2]
    for step in range(steps):
        t, earlier, later = (steps - 1 - step, steps - step, steps - 1 - step) if reverse else (step, step, step + 1)
        for n in range(first, last):
            for j in range(hidden):
                q[t, n, j] = inner[j]
        a = h[earlier].ctypes.data
        _product(a, hidden, gates[t].ctypes.data, 3 * hidden, u, 2 * hidden, first, last, 1)
        _product(a, hidden, q[t].ctypes.data, hidden, u_inner, hidden, first, last, 1)
        for n in range(first, last):
            rz, new = gates[t, n, : 2 * hidden], gates[t, n, 2 * hidden :]
            old, output, state = h[earlier, n], h[later, n], q[t, n]
            for j in range(2 * hidden):
                rz[j] = sigmoid(rz[j])
            r, z = rz[:hidden], rz[hidden:]
            for j in range(hidden):
                new[j] += r[j] * state[j]
            for j in range(hidden):
                new[j] = tanh(new[j])
            if t < ends[n]:
                for j in range(hidden):
                    output[j] = new[j] + (old[j] - new[j]) * z[j]
            else:  # the sequence has ended: its state stays constant
                for j in range(hidden):
                    output[j] = old[j]


@compiled(
    read(3, "C"), read(3, "C"), read(3, "C"), read(3, "C"), read(3, "C"), read(1, "C", "int64"), write(2), write(2),
    BOOL, LONG, LONG,
)  # fmt: skip
def _gru_back(
    gates: Array, q: Array, back: Array, h: Array, dy: Array, ends: Array, dh: Array, dz: Array, reverse: bool,
    first: int, last: int,
) -> None:  # fmt: skip
    """``dz`` (T·N, 4H) of q, a_r, a_z, a_n, of sequences ``first`` to ``last``; dh becomes that of the first state."""
    (steps, count), hidden = gates.shape[:2], dh.shape[1]
    for step in range(steps - 1, -1, -1):
        t, earlier = (steps - 1 - step, steps - step) if reverse else (step, step)
        for n in range(first, last):
            d, slope, gate = dz[t * count + n], dh[n], gates[t, n]
            if t >= ends[n]:
                for j in range(4 * hidden):
                    d[j] = 0.0
                continue
            r, z, new = gate[:hidden], gate[hidden : 2 * hidden], gate[2 * hidden :]
            d_q, d_r, d_z, d_n = d[:hidden], d[hidden : 2 * hidden], d[2 * hidden : 3 * hidden], d[3 * hidden :]
            old, inner = h[earlier, n], q[t, n]
            for j in range(hidden):
                slope[j] += dy[t, n, j]
            for j in range(hidden):
                d_n[j] = slope[j] * (1 - z[j]) * (1 - new[j] * new[j])
            for j in range(hidden):
                d_z[j] = slope[j] * (old[j] - new[j]) * (z[j] - z[j] * z[j])
            for j in range(hidden):
                d_q[j] = d_n[j] * r[j]
            for j in range(hidden):
                d_r[j] = d_q[j] * inner[j] * (1 - r[j])
            for j in range(hidden):
                slope[j] *= z[j]
        a = dz.ctypes.data + 4 * t * count * 4 * hidden
        _product(a, 4 * hidden, dh.ctypes.data, hidden, back, hidden, first, last, 1)
