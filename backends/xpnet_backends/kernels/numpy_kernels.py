"""Kernels for the NumPy backend.  ``benchmarks/kernels.py`` times each against its op."""

from __future__ import annotations

import numpy as np

from ..base import Array, Backward, Kernel, Namespace
from .compiled import compiled_later


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
    """The mean over class numbers, without weights or smoothing: picks from rows where the op builds one-hot tables.

    ``L = mean(ln Σ e^z − z_t)``;  ``dz = (p − onehot(t)) / N``.
    """
    if weight is not None or label_smoothing or reduction != "mean" or logits.ndim != 2 or target.dtype.kind == "f":
        return None
    n, classes = logits.shape
    if n == 0 or 0 <= ignore_index < classes or target.min() < 0 or target.max() >= classes:
        return None  # ignored or wrong labels are the op's business
    picked = np.arange(n), target
    shifted = logits - logits.max(axis=1, keepdims=True)
    p = np.exp(shifted)
    total = p.sum(axis=1)
    loss = (np.log(total) - shifted[picked]).mean()
    p /= total[:, None]

    def backward(dy: Array, needs: tuple[bool, ...] = (True, False, False)) -> tuple[Array | None, ...]:
        share = dy / n
        dz = p * share
        dz[picked] -= share
        return dz, None, None

    return loss, backward


KERNELS: dict[str, Kernel] = {
    "avg_pool2d": compiled_later("pool", "avg_pool2d"),
    "batch_norm": compiled_later("norm", "batch_norm"),
    "conv2d": compiled_later("conv", "conv2d"),
    "cross_entropy": cross_entropy,
    "elu": compiled_later("activation", "elu"),
    "gelu": compiled_later("activation", "gelu"),
    "gru": compiled_later("recurrent", "gru"),
    "layer_norm": compiled_later("rows", "layer_norm"),
    "leaky_relu": compiled_later("activation", "leaky_relu"),
    "log_softmax": compiled_later("rows", "log_softmax"),
    "lstm": compiled_later("recurrent", "lstm"),
    "max_pool2d": compiled_later("pool", "max_pool2d"),
    "relu": compiled_later("activation", "relu"),
    "sigmoid": compiled_later("activation", "sigmoid_"),
    "silu": compiled_later("activation", "silu"),
    "softmax": compiled_later("rows", "softmax"),
}
