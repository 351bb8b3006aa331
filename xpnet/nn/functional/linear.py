"""Linear maps, flattening and one-hot encoding."""

from __future__ import annotations

import math

from xpnet import ops
from xpnet.nn.functional.checks import check_labels, floating
from xpnet.tensor import Tensor, TensorLike, apply, as_tensor


def linear(x: TensorLike, weight: TensorLike, bias: TensorLike | None = None) -> Tensor:
    """``y = x Wᵀ + b``.  x (..., I), weight (O, I), bias (O,) -> y (..., O).

    >>> from xpnet import tensor
    >>> linear(tensor([[1.0, 2.0]]), tensor([[3.0, 4.0]]), tensor([0.5]))
    tensor([[11.5]])
    """
    x = floating("linear", x)
    if len(weight.shape) != 2:
        raise ValueError(f"linear: weight must have shape (O, I), got {tuple(weight.shape)} beside input {x.shape}")
    if x.ndim == 0 or x.shape[-1] != weight.shape[1]:
        raise ValueError(f"expected input of shape (..., {weight.shape[1]}), got {x.shape}{_flatten_hint(x, weight)}")
    return apply(ops.linear, x, weight, bias)


def _flatten_hint(x: Tensor, weight: TensorLike) -> str:
    fits = x.ndim > 2 and math.prod(x.shape[1:]) == weight.shape[1]
    return ": put nn.Flatten() in front" if fits else ""


def flatten(x: TensorLike, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Merge axes ``start_dim`` to ``end_dim`` into one."""
    t = as_tensor(x)
    start, end = start_dim % max(t.ndim, 1), end_dim % max(t.ndim, 1)
    if start > end:
        raise ValueError(f"flatten: start_dim {start_dim} is after end_dim {end_dim} for shape {t.shape}")
    return t.reshape(*t.shape[:start], math.prod(t.shape[start : end + 1]), *t.shape[end + 1 :])


def one_hot(labels: TensorLike, num_classes: int = -1) -> Tensor:
    """One-hot vectors in float32.  labels (N, ...) -> (N, ..., num_classes).

    With ``num_classes=-1`` the largest label gives the number, which forces a synchronisation on a GPU.

    >>> one_hot([0, 2]).tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    labels = as_tensor(labels)
    if num_classes == -1:
        if labels.dtype.kind not in "iu" or not labels.size:
            raise ValueError(f"one_hot: num_classes is needed for labels {labels.dtype}{labels.shape}")
        num_classes = int(labels.data.max()) + 1
    check_labels("one_hot", labels, num_classes)
    classes = labels.backend.xp.arange(num_classes)
    return Tensor((labels.data[..., None] == classes).astype("float32"))
