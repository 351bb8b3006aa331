"""Kernels for the NumPy backend.  ``benchmarks/kernels.py`` times each against its op."""

from __future__ import annotations

from ..base import Kernel
from .compiled import compiled_later

KERNELS: dict[str, Kernel] = {
    "avg_pool2d": compiled_later("pool", "avg_pool2d"),
    "batch_norm": compiled_later("norm", "batch_norm"),
    "conv2d": compiled_later("conv", "conv2d"),
    "cross_entropy": compiled_later("rows", "cross_entropy"),
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
