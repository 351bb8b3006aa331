"""Neural networks from scratch on plain arrays: the same code on NumPy and CuPy."""

from xpnet_backends import BackendError, available_backends, get_backend, use
from xpnet_backends.random import state as _random_state

from . import nn, ops, optim
from ._version import __version__
from .gradcheck import gradcheck
from .serialization import CheckpointError, load, save
from .tensor import (
    Tensor,
    apply,
    concatenate,
    is_grad_enabled,
    maximum,
    minimum,
    no_grad,
    stack,
    tensor,
    where,
)
from .tensor import placed_tensor as as_tensor

manual_seed = _random_state.manual_seed

__all__ = [
    "BackendError", "CheckpointError", "Tensor", "__version__", "apply", "as_tensor", "available_backends",
    "concatenate", "get_backend", "gradcheck", "is_grad_enabled", "load", "manual_seed", "maximum", "minimum", "nn",
    "no_grad", "ops", "optim", "save", "stack", "tensor", "use", "where",
]  # fmt: skip
