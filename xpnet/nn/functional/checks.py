"""What the functions check before the mathematics starts."""

from __future__ import annotations

from typing import Any

from xpnet.tensor import Tensor, TensorLike, as_tensor
from xpnet_backends import is_array


def check_probability(name: str, p: float) -> float:
    """``p`` if it lies in 0..1.  Raises: ``ValueError``."""
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"{name} must be a probability between 0 and 1, got {p!r}")
    return p


def check_reduction(reduction: str) -> str:
    """``reduction`` if it is known.  Raises: ``ValueError``."""
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"reduction must be 'mean', 'sum' or 'none', got {reduction!r}")
    return reduction


def floating(name: str, x: TensorLike) -> Tensor:
    """``x`` as a tensor.  Raises: ``TypeError`` unless it is floating-point."""
    t = as_tensor(x)
    if t.dtype.kind != "f":
        raise TypeError(f"{name}: expected floating-point input, got {t.dtype}: convert it, e.g. x.astype('float32')")
    return t


def constant(x: TensorLike | None, like: Tensor) -> Any:
    """Constants of a loss: an array of the input's backend; lists and numbers are brought there."""
    if x is None or isinstance(x, Tensor):
        return x
    return x if is_array(x) else like.backend.asarray(x)
