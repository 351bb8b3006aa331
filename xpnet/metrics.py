"""How good a prediction is.  Arrays of either backend in, an array of the same backend out: nothing is read here."""

from __future__ import annotations

from typing import Any

from xpnet.tensor import Tensor, TensorLike
from xpnet_backends import Array, backend_of


def _raw(x: TensorLike) -> Array:
    return x.data if isinstance(x, Tensor) else x


def accuracy(output: TensorLike, target: TensorLike) -> Array:
    """The share of samples whose largest output is the target's class.  output (N, C), target (N,) or (N, C) -> ()."""
    scores, labels = _raw(output), _raw(target)
    if labels.ndim == scores.ndim:
        labels = labels.argmax(axis=-1)
    return (scores.argmax(axis=-1) == labels).mean()


def confusion_matrix(target: TensorLike, predicted: TensorLike, num_classes: int) -> Array:
    """Counts by true class (row) and predicted class (column).  target (N,), predicted (N,) -> (C, C), int64."""
    rows, columns = _raw(target), _raw(predicted)
    xp: Any = backend_of(rows, columns).xp
    counts = xp.bincount(rows * num_classes + columns, minlength=num_classes * num_classes)
    return counts.reshape(num_classes, num_classes)
