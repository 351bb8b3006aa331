"""What all metrics share: the shapes they take, weights, and sums that are merged batch by batch."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from xpnet.tensor import Tensor, TensorLike
from xpnet_backends import Array, Namespace, backend_of

Part: TypeAlias = dict[str, Array]
"""What a metric keeps of some samples: the parts of batches merge into the part of all samples."""


def raw(x: TensorLike) -> Array:
    """The array behind a tensor."""
    return x.data if isinstance(x, Tensor) else x


def namespace(*arrays: Array) -> Namespace:
    """The array functions of the arrays' backend; NumPy's own numbers, such as a sum, count as its arrays."""
    return backend_of(*[np.asarray(x) if isinstance(x, np.generic) else x for x in arrays]).xp


def scores_and_labels(name: str, output: TensorLike, target: TensorLike) -> tuple[Array, Array]:
    """``output`` as (N, C) scores or (N,), ``target`` as (N,) class numbers.

    output (..., C) with target (...) or one-hot (..., C); or both (N,) or (N, 1).  Raises: ``ValueError``.
    """
    output, target = raw(output), raw(target)
    namespace(output, target)  # of two backends, or of none: an error that says so
    if output.shape == target.shape and output.ndim > 1 and output.dtype.kind == "f":
        target = target.argmax(axis=-1) if output.shape[-1] > 1 else target[..., 0]  # one-hot
    if output.ndim == target.ndim + 1 and output.shape[:-1] == target.shape:
        classes = output.shape[-1]
        return output.reshape((-1, classes) if classes > 1 else (-1,)), target.reshape(-1)
    if output.shape != target.shape:
        raise ValueError(
            f"{name}: output {tuple(output.shape)} and target {tuple(target.shape)} do not fit: expected scores "
            "(N, C) and class numbers (N,), or both (N,)"
        )
    return output.reshape(-1), target.reshape(-1)


def predicted(output: Array, *, logits: bool) -> Array:
    """The class numbers that scores stand for: the largest of (N, C); of (N,) scores, whether class 1 is likelier."""
    if output.ndim == 2:
        return output.argmax(axis=1)
    if output.dtype.kind != "f":
        return output
    return output > (0.0 if logits else 0.5)


def class_numbers(
    name: str, output: TensorLike, target: TensorLike, num_classes: int | None, *, logits: bool
) -> tuple[Array, Array, int]:
    """Predicted and true class numbers, int64 (N,), and how many classes there are."""
    scores, labels = scores_and_labels(name, output, target)
    classes = num_classes
    if scores.ndim == 2 or scores.dtype.kind == "f":
        classes = scores.shape[1] if scores.ndim == 2 else 2
        if num_classes not in (None, classes):
            raise ValueError(f"{name}: num_classes={num_classes}, but the output has {classes}")
    if classes is None:
        raise ValueError(f"{name}: an output of class numbers does not tell how many classes there are: num_classes=10")
    guesses = predicted(scores, logits=logits)
    check_labels(name, classes, output=guesses, target=labels)
    return guesses.astype("int64"), labels.astype("int64"), classes


def check_labels(name: str, classes: int, **labels: Array) -> None:
    """Class numbers in range; only on a host, for on a device looking at them would stop the pipeline."""
    for what, numbers in labels.items():
        backend = backend_of(numbers)
        if not backend.on_host or numbers.dtype.kind == "b":
            continue
        wrong = numbers[~((numbers >= 0) & (numbers < classes) & (numbers % 1 == 0))]
        if wrong.size:
            raise ValueError(f"{name}: {what} holds {wrong[0]}, but {classes} classes are numbered 0..{classes - 1}")


def weights(name: str, sample_weight: TensorLike | None, samples: int) -> Array | None:
    """Weights as float64 (N,), or None."""
    if sample_weight is None:
        return None
    weight = raw(sample_weight)
    if weight.size != samples:
        raise ValueError(f"{name}: sample_weight has shape {tuple(weight.shape)}, but there are {samples} samples")
    return weight.reshape(-1).astype("float64")


def divide(a: Array, b: Array, otherwise: float) -> Array:
    """``a / b``, and ``otherwise`` where b is 0."""
    xp = namespace(b)
    nothing = b == 0
    return xp.where(nothing, otherwise, a / xp.where(nothing, 1.0, b))


def weighted_sum(values: Array, weight: Array | None) -> Part:
    """``Σ w v`` and ``Σ w``.  values (N, ...), weight (N,)."""
    xp = namespace(values)
    if weight is None:
        total, weight = values.sum(axis=0, dtype="float64"), xp.full((), len(values), dtype="float64")
    else:
        shaped = weight.reshape(-1, *[1] * (values.ndim - 1))
        total, weight = (values * shaped).sum(axis=0), weight.sum()
    return {"total": xp.asarray(total), "weight": xp.asarray(weight)}


def mean(part: Part) -> Array:
    """``Σ w v / Σ w``, NaN without samples."""
    return divide(part["total"], part["weight"], float("nan"))


def add(a: Part, b: Part) -> Part:
    """Parts that are sums merge by adding."""
    return {key: a[key] + b[key] for key in a}
