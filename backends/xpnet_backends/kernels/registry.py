"""The registry of kernels: the only place that lists which ops have one.

The tape looks up each op by name.  ``xpnet_backends.matmul`` looks up ``"gemm"``, the matrix product that all ops use.
``"batch_norm+"`` is a kernel that may defer its work to the next op, and ``"batch_norm+relu"`` is the fused kernel of
two ops (see ``xpnet.tape.fusion``).  A kernel returns None to decline; the op, or the backend's own product, then runs.
``benchmarks/kernels.py`` times each kernel against its op.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import warnings
from types import ModuleType
from typing import Any

import numpy as np

from ..base import Array, Kernel, Namespace
from ..deferred import Deferred
from .cpu.machinery.blas import TINY_PRODUCT


@functools.cache
def load(module: str) -> ModuleType | None:
    """A module of compiled kernels; None if numba (the extra ``fast``) is not installed or not usable."""
    if importlib.util.find_spec("numba") is None:
        return None
    try:
        return importlib.import_module(f".cpu.{module}", __package__)
    except ImportError as error:  # e.g. a numba that is older than this NumPy
        message = f"xpnet runs without its compiled kernels, because numba cannot be used here: {error}"
        warnings.warn(message, RuntimeWarning, stacklevel=2)
        return None


def compiled_later(module: str, name: str) -> Kernel:
    """A kernel whose module is imported, and thereby compiled, at the first call.

    It declines every dtype except float32, and everything if numba is not usable.
    """

    def kernel(xp: Namespace, x: Array, *arrays: Any, **options: Any) -> Any:
        if x.dtype != "float32" or not aligned(x) or (kernels := load(module)) is None:
            return None
        return getattr(kernels, name)(xp, x, *arrays, **options)

    return kernel


def aligned(x: Array | Deferred) -> bool:
    """Whether the memory of ``x`` is aligned for vector loads."""
    return isinstance(x, Deferred) or bool(x.flags.aligned)


def gemm(xp: Namespace, a: Array, b: Array) -> Array | None:
    """``a · b`` in float32.  Declines batches, and products so small that a BLAS runs them on one thread.

    a (M, K), b (K, N), in any memory order -> (M, N).
    """
    if a.ndim != 2 or b.ndim != 2 or a.size * b.shape[1] <= TINY_PRODUCT or not a.dtype == b.dtype == np.float32:
        return None
    if not (a.flags.aligned and b.flags.aligned) or (kernels := load("gemm")) is None:
        return None
    return kernels.product(a, b)


CPU: dict[str, Kernel] = {
    "avg_pool2d": compiled_later("pool", "avg_pool2d"),
    "batch_norm": compiled_later("norm", "batch_norm"),
    "batch_norm+": compiled_later("norm", "batch_norm_deferred"),
    "batch_norm+add": compiled_later("norm", "batch_norm_add"),
    "batch_norm+add+relu": compiled_later("norm", "batch_norm_add_relu"),
    "batch_norm+relu": compiled_later("norm", "batch_norm_relu"),
    "conv2d": compiled_later("conv", "conv2d"),
    "cross_entropy": compiled_later("softmax", "cross_entropy"),
    "elu": compiled_later("activation", "elu"),
    "gelu": compiled_later("activation", "gelu"),
    "gemm": gemm,
    "gru": compiled_later("recurrent", "gru"),
    "layer_norm": compiled_later("softmax", "layer_norm"),
    "leaky_relu": compiled_later("activation", "leaky_relu"),
    "log_softmax": compiled_later("softmax", "log_softmax"),
    "lstm": compiled_later("recurrent", "lstm"),
    "max_pool2d": compiled_later("pool", "max_pool2d"),
    "relu": compiled_later("activation", "relu"),
    "sigmoid": compiled_later("activation", "sigmoid_"),
    "silu": compiled_later("activation", "silu"),
    "softmax": compiled_later("softmax", "softmax"),
}
"""Kernels for the NumPy backend."""

CUDA: dict[str, Kernel] = {}
"""Kernels for the CuPy backend."""
