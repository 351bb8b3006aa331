"""Softmax, cross-entropy and layer normalisation, row by row: a row stays in the cache for all of its passes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...base import Array, Backward, Namespace
from ...memory import empty
from .machinery.compiler import BOOL, FLOAT, compiled, read, write
from .machinery.functions import exp
from .machinery.thread_pool import in_threads

WRONG = -1.0
COST = 24  # the cost of an element, in multiplications
BLOCK = 1024  # terms of a row that are summed in float32; the block sums are summed in float64
ROWS = 128  # the same for a column

# Loops over a block use unsigned indices, because numba checks signed ones for counting from the end.


def softmax(xp: Namespace, x: Array, *, axis: int = -1) -> tuple[Array, Backward] | None:
    """``yᵢ = eˣⁱ / Σⱼ eˣʲ`` along the last axis."""
    return _softmax(x, axis, log=False)


def log_softmax(xp: Namespace, x: Array, *, axis: int = -1) -> tuple[Array, Backward] | None:
    """``yᵢ = xᵢ − ln Σⱼ eˣʲ`` along the last axis."""
    return _softmax(x, axis, log=True)


def cross_entropy(
    xp: Namespace,
    logits: Array,
    target: Array,
    weight: Array | None = None,
    *,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> tuple[Array, Backward] | None:
    """The mean loss of class indices, without weights or smoothing, and without one-hot arrays.

    ``L = mean(ln Σ e^z − z_t)``;  ``dz = (p − onehot(t)) / N``.
    """
    if weight is not None or label_smoothing or reduction != "mean" or logits.ndim != 2 or target.dtype != np.int64:
        return None
    if logits.size == 0 or 0 <= ignore_index < logits.shape[1] or not target.flags.aligned:
        return None
    rows, found = np.ascontiguousarray(logits), np.empty(1)
    p = np.empty(rows.shape, np.float32)
    _cross_entropy(rows, target, p, found)
    if found[0] == WRONG:  # the reference op handles ignored and wrong labels
        return None

    def backward(dy: Array, needs: tuple[bool, ...] = (True, False, False)) -> tuple[Array | None, ...]:
        dz = np.empty(p.shape, np.float32)
        _cross_entropy_back(p, target, float(dy) / len(p), dz)
        return dz, None, None

    return found.astype(np.float32)[0], backward


def _softmax(x: Array, axis: int, *, log: bool) -> tuple[Array, Backward] | None:
    if x.size == 0 or x.ndim == 0 or axis not in (-1, x.ndim - 1):
        return None
    shape, rows = x.shape, _rows(x, x.shape[-1])
    y, top = empty(rows.shape), rows.max(axis=1)
    in_threads(lambda i, j: _shares(rows[i:j], top[i:j], y[i:j], log), len(y), y.size * COST)

    def backward(dy: Array, needs: tuple[bool, ...] = (True,)) -> tuple[Array]:  # keeps only y, so x may change
        slopes, dx = _rows(dy, shape[-1]), empty(y.shape)
        in_threads(lambda i, j: _shares_back(y[i:j], slopes[i:j], dx[i:j], log), len(y), y.size * COST)
        return (dx.reshape(shape),)

    return y.reshape(shape), backward


def layer_norm(
    xp: Namespace, x: Array, weight: Array | None, bias: Array | None, *, dims: int = 1, eps: float = 1e-5
) -> tuple[Array, Backward] | None:
    """Each sample by the mean and variance of its last ``dims`` axes."""
    if x.size == 0:
        return None
    size = math.prod(x.shape[x.ndim - dims :])
    rows = _rows(x, size)
    w = np.ones(size, np.float32) if weight is None else np.ascontiguousarray(weight).reshape(-1)
    b = np.zeros(size, np.float32) if bias is None else np.ascontiguousarray(bias).reshape(-1)
    y, statistics = empty(rows.shape), np.empty((len(rows), 3), np.float32)
    in_threads(lambda i, j: _norm(rows[i:j], w, b, eps, y[i:j], statistics[i:j]), len(rows), x.size * COST)

    def backward(dy: Array, needs: tuple[bool, ...] = (True, True, True)) -> tuple[Array | None, ...]:
        slopes, dx = _rows(dy, size), empty(rows.shape)

        def part(first: int, last: int) -> Array:
            sums = np.zeros((2, size))
            some = slice(first, last)
            _norm_back(rows[some], statistics[some], w, slopes[some], dx[some], sums)
            return sums

        dw, db = np.sum(in_threads(part, len(rows), x.size * COST), axis=0).astype(np.float32)
        return (
            dx.reshape(x.shape) if needs[0] else None,
            dw.reshape(weight.shape) if weight is not None and needs[1] else None,
            db.reshape(bias.shape) if bias is not None and needs[2] else None,
        )

    return y.reshape(x.shape), backward


def _rows(x: Array, size: int) -> Any:
    return np.ascontiguousarray(x).reshape(-1, size)


@compiled(read(2, "C"), read(1, "C"), write(2), BOOL)
def _shares(x: Array, top: Array, y: Array, log: bool) -> None:
    for n in range(x.shape[0]):
        row, found, most, total = x[n], y[n], top[n], np.float64(0.0)
        for j in range(x.shape[1]):
            found[j] = row[j] - most
        for start in range(0, x.shape[1], BLOCK):
            some = np.float32(0.0)
            for j in range(np.uint64(start), np.uint64(min(start + BLOCK, x.shape[1]))):
                some += exp(found[j])  # cannot overflow
            total += some
        if log:
            least = np.float32(math.log(total))
            for j in range(x.shape[1]):
                found[j] -= least
        else:
            share = np.float32(1.0 / total)
            for j in range(x.shape[1]):
                found[j] = exp(found[j]) * share


@compiled(read(2, "C"), read(2, "C"), write(2), BOOL)
def _shares_back(y: Array, dy: Array, dx: Array, log: bool) -> None:
    """``dx = y (dy − Σ dy y)``, or ``dy − eʸ Σ dy``."""
    for n in range(y.shape[0]):
        row, slope, found, double = y[n], dy[n], dx[n], np.float64(0.0)
        for start in range(0, y.shape[1], BLOCK):
            some, stop = np.float32(0.0), min(start + BLOCK, y.shape[1])
            if log:
                for j in range(np.uint64(start), np.uint64(stop)):
                    some += slope[j]
            else:
                for j in range(np.uint64(start), np.uint64(stop)):
                    some += slope[j] * row[j]
            double += some
        total = np.float32(double)
        if log:
            for j in range(y.shape[1]):
                found[j] = slope[j] - exp(row[j]) * total
        else:
            for j in range(y.shape[1]):
                found[j] = row[j] * (slope[j] - total)


@compiled(read(2, "C"), read(1, "C"), read(1, "C"), FLOAT, write(2), write(2))
def _norm(x: Array, weight: Array, bias: Array, eps: Any, y: Array, statistics: Array) -> None:
    """``y = w x̂ + b``.  Also saves a middle, its distance to the mean, and 1/σ: this is accurate for a large mean."""
    count = x.shape[1]
    for n in range(x.shape[0]):
        row, found = x[n], y[n]
        total, lacking, variance = np.float64(0.0), np.float64(0.0), np.float64(0.0)
        for start in range(0, count, BLOCK):
            some = np.float32(0.0)
            for j in range(np.uint64(start), np.uint64(min(start + BLOCK, count))):
                some += row[j]
            total += some
        middle = np.float32(total / count)
        for again in range(2):
            lacking, squares = np.float64(0.0), np.float64(0.0)
            for start in range(0, count, BLOCK):
                some, square = np.float32(0.0), np.float32(0.0)
                for j in range(np.uint64(start), np.uint64(min(start + BLOCK, count))):
                    d = row[j] - middle
                    found[j] = d
                    some += d
                    square += d * d
                lacking += some
                squares += square
            lacking /= count
            variance = squares / count - lacking * lacking
            if again or not lacking * lacking > variance + eps:
                break
            middle = row[0]  # rounding the mean was more than the numbers differ: any of them is closer to the others
        rest, scale = np.float32(lacking), np.float32(1.0 / math.sqrt(max(variance, 0.0) + eps))
        for j in range(x.shape[1]):
            found[j] = (found[j] - rest) * scale * weight[j] + bias[j]
        statistics[n, 0], statistics[n, 1], statistics[n, 2] = middle, rest, scale


@compiled(read(2, "C"), read(2, "C"), read(1, "C"), read(2, "C"), write(2), write(2, dtype="float64"))
def _norm_back(x: Array, statistics: Array, weight: Array, dy: Array, dx: Array, sums: Array) -> None:
    """``dx = (dx̂ − mean(dx̂) − x̂ mean(dx̂ x̂)) / σ``,  ``dx̂ = w dy``.  Adds ``Σ dy x̂`` and ``Σ dy`` to ``sums``."""
    count = x.shape[1]
    hat, dw, db = np.empty(count, np.float32), np.empty(count, np.float32), np.empty(count, np.float32)
    for first in range(0, x.shape[0], ROWS):
        dw[:] = 0.0
        db[:] = 0.0
        for n in range(first, min(first + ROWS, x.shape[0])):
            row, slope, found = x[n], dy[n], dx[n]
            middle, rest, scale = statistics[n, 0], statistics[n, 1], statistics[n, 2]
            total, product = np.float64(0.0), np.float64(0.0)
            for j in range(count):
                hat[j] = row[j] - middle  # two loops, so that the compiler cannot merge the two differences
            for j in range(count):
                hat[j] = (hat[j] - rest) * scale
            for start in range(0, count, BLOCK):
                some, along = np.float32(0.0), np.float32(0.0)
                for j in range(np.uint64(start), np.uint64(min(start + BLOCK, count))):
                    along += slope[j] * weight[j] * hat[j]
                    some += slope[j] * weight[j]
                total += some
                product += along
            mean, tilt = np.float32(total / count), np.float32(product / count)
            for j in range(count):
                dw[j] += slope[j] * hat[j]
            for j in range(count):
                db[j] += slope[j]
            for j in range(count):
                found[j] = (slope[j] * weight[j] - mean - hat[j] * tilt) * scale
        for j in range(count):
            sums[0, j] += dw[j]
            sums[1, j] += db[j]


@compiled(read(2, "C"), read(1, dtype="int64"), write(2), write(1, dtype="float64"))
def _cross_entropy(z: Array, target: Array, p: Array, loss: Array) -> None:
    """The loss, and p for its derivative.  A wrong label sets the loss to −1, which no true loss can be."""
    loss[0] = 0.0
    for n in range(z.shape[0]):
        row, share, label = z[n], p[n], target[n]
        if label < 0 or label >= z.shape[1]:
            loss[0] = WRONG
            return
        top, double = row[0], np.float64(0.0)
        for j in range(z.shape[1]):
            top = row[j] if row[j] > top else top
        for start in range(0, z.shape[1], BLOCK):
            some = np.float32(0.0)
            for j in range(np.uint64(start), np.uint64(min(start + BLOCK, z.shape[1]))):
                share[j] = exp(row[j] - top)
                some += share[j]
            double += some
        total = np.float32(double)
        for j in range(z.shape[1]):
            share[j] /= total
        picked = np.float64(row[label]) - np.float64(top)  # exact, because both were float32
        loss[0] += (math.log(np.float64(total)) - picked) / z.shape[0]


@compiled(read(2, "C"), read(1, dtype="int64"), FLOAT, write(2))
def _cross_entropy_back(p: Array, target: Array, share: Any, dz: Array) -> None:
    for n in range(p.shape[0]):
        row, found = p[n], dz[n]
        for j in range(p.shape[1]):
            found[j] = row[j]
        found[target[n]] -= np.float32(1.0)
        for j in range(p.shape[1]):
            found[j] = np.float32(0.0) if found[j] == 0 else found[j] * share  # share may be infinite
