"""Shared parts of all metrics: input shapes, weights, and sums that are merged batch by batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from xpnet.tensor import Tensor, TensorLike
from xpnet_backends import Array, Namespace, backend_of, is_array

Part: TypeAlias = dict[str, Array]
"""The state of a metric for some samples: the parts of batches merge into the part of all samples."""


IGNORED = -100
"""A label that no metric counts, as it is the one that the losses ignore unless told otherwise."""


def raw(x: Any) -> Array:
    """The array behind a tensor; lists become NumPy arrays.  Raises: ``ValueError`` for values that are not numbers."""
    if isinstance(x, np.ma.MaskedArray):
        raise ValueError(
            "metrics do not look at masks: leave the masked samples out, or give them a sample_weight of 0"
        )
    array = x.data if isinstance(x, Tensor) else x if is_array(x) else np.asarray(x)
    if array.dtype.kind not in "biuf":
        raise ValueError(
            f"metrics take numbers, got an array of {array.dtype}: number classes with "
            "np.unique(labels, return_inverse=True)"
        )
    return array


def namespace(*arrays: Array) -> Namespace:
    """The array functions of the arrays' backend; NumPy scalars, such as a sum, count as NumPy arrays."""
    return backend_of(*[np.asarray(x) if isinstance(x, np.generic) else x for x in arrays]).xp


def scores_and_labels(name: str, output: TensorLike, target: TensorLike) -> tuple[Array, Array]:
    """``output`` as (N, C) scores or (N,), ``target`` as (N,) class numbers.

    output (..., C) with target (...), one-hot (..., C), or probabilities (..., C) of mixed samples, whose largest gives
    the class; or both (N,) or (N, 1).  Other rows are an error on the host, and become the invalid class -1 on a
    device.
    Raises: ``ValueError``.
    """
    output, target = raw(output), raw(target)
    namespace(output, target)  # raises for arrays of two backends, or of an unknown one
    if is_by_class(output, target):
        rows = are_shares(target)
        if backend_of(target).on_host and not rows.all():
            _refuse_rows(name, target[~rows][0])
        target = namespace(target).where(rows, target.argmax(axis=-1), -1)
    elif output.shape == target.shape and output.ndim > 1 and output.shape[-1] == 1:
        output, target = output[..., 0], target[..., 0]
    elif output.shape == target.shape and output.ndim == 2:
        raise ValueError(
            f"{name}: output and target are class numbers {tuple(output.shape)}, one axis too many: flatten both, or, "
            "of several labels a sample, measure each by itself"
        )
    elif output.ndim == 1 and target.shape == (*output.shape, 1):
        target = target[:, 0]
    if output.ndim == target.ndim + 1 and output.shape[:-1] == target.shape and output.shape[-1]:
        classes = output.shape[-1]
        return output.reshape((-1, classes) if classes > 1 else (-1,)), target.reshape(-1)
    if output.shape != target.shape or not output.ndim:
        raise ValueError(
            f"{name}: output {tuple(output.shape)} and target {tuple(target.shape)} do not fit: expected scores "
            "(N, C) and class numbers (N,), or both (N,)"
        )
    return output.reshape(-1), target.reshape(-1)


def is_by_class(output: Array, target: Array) -> bool:
    """Whether a target has a column for each class, like one-hot rows."""
    return bool(output.shape == target.shape and output.ndim > 1 and output.shape[-1] > 1 and output.dtype.kind == "f")


def are_shares(target: Array) -> Array:
    """Which rows are one-hot or probabilities.  target (..., C) -> (...)."""
    total = target.sum(axis=-1, dtype="float64")
    shares: Array = (target >= 0).all(axis=-1) & (abs(total - 1.0) < 1e-3)
    return shares


def _refuse_rows(name: str, row: Array) -> None:
    shown = ", ".join(f"{float(x):g}" for x in row[:8]) + (", ..." if len(row) > 8 else "")
    raise ValueError(
        f"{name}: the target has as many columns as the output, but the row [{shown}] is not one-hot; of several "
        "labels a sample, measure each by itself (output[:, c], target[:, c]); of one label a pixel, flatten both"
    )


def predicted(output: Array, *, logits: bool) -> Array:
    """The predicted class numbers: the largest score of (N, C); for scores (N,), whether class 1 is more likely."""
    if output.ndim == 2:
        return output.argmax(axis=1)
    if output.dtype.kind != "f":
        return output
    return output > (0.0 if logits else 0.5)


def class_numbers(
    name: str, output: TensorLike, target: TensorLike, num_classes: int | None, *, logits: bool
) -> tuple[Array, Array, int, Array]:
    """Predicted and true class numbers, int64 (N,), the number of classes, and ``doubt``."""
    scores, labels = scores_and_labels(name, output, target)
    classes = num_classes
    if scores.ndim == 1 and scores.dtype.kind == "f" and classes is not None and classes > 2:
        unclear = doubt(name, scores, labels, classes, logits=True)  # class numbers as floats
        check_labels(name, classes, output=scores)
        unclear = unclear + namespace(scores).where(are_classes(scores, classes).all(), 0.0, float("nan"))
        return scores.astype("int64"), labels.astype("int64"), classes, unclear
    if scores.ndim == 2 or scores.dtype.kind == "f":
        classes = scores.shape[1] if scores.ndim == 2 else 2
        if num_classes not in (None, classes):
            raise ValueError(f"{name}: num_classes={num_classes}, but the output has {classes}")
    if classes is None:
        raise ValueError(f"{name}: an output of class numbers does not tell how many classes there are: num_classes=10")
    unclear = doubt(name, scores, labels, classes, logits=logits)
    guesses = predicted(scores, logits=logits)
    check_labels(name, classes, output=guesses)
    return guesses.astype("int64"), labels.astype("int64"), classes, unclear


def doubt(name: str, scores: Array, labels: Array, classes: int | None, *, logits: bool) -> Array:
    """A term to add to results: NaN for a score that is NaN, and on a device also for an invalid label; else 0.

    classes : None if it is unknown, for an output of class numbers.

    Raises: ``ValueError``, on the host, for invalid labels, and for scores (N,) that are not probabilities.
    """
    check_labels(name, classes, target=labels, ignored=True)
    xp = namespace(scores)
    bad = xp.isnan(scores).any()
    if scores.ndim == 1 and scores.dtype.kind == "f" and not logits:
        bad = bad | check_probabilities(name, scores)
    if not backend_of(labels).on_host:
        bad = bad | ~(are_classes(labels, classes) | (labels == IGNORED)).all()
    return xp.where(bad, float("nan"), 0.0)


def check_probabilities(name: str, scores: Array, *, sums: bool = False) -> Array:
    """Whether any score is not a probability; on the host an error.  scores (N,) or (N, C).

    sums : also check that rows add up to 1.

    Raises: ``ValueError``.
    """
    outside = (scores < -1e-3) | (scores > 1.0 + 1e-3)
    wrong = outside.any()
    total = scores.sum(axis=-1, dtype="float64") if sums and scores.ndim == 2 else None
    off = None if total is None else abs(total - 1.0) > 0.05
    if backend_of(scores).on_host:
        hint = "for what comes before softmax or sigmoid, logits=True"
        outside = outside & (abs(scores) < float("inf"))  # a diverged network gives NaN, not an error
        if outside.any():
            raise ValueError(f"{name}: the output holds {float(scores[outside][0]):g}, which is no probability: {hint}")
        if off is not None and total is not None and off.any() and not wrong:
            raise ValueError(
                f"{name}: probabilities must add up to 1, a row adds up to {float(total[off][0]):g}: {hint}"
            )
    return wrong if off is None else wrong | off.any()


def are_classes(numbers: Array, classes: int | None) -> Array:
    """Which numbers are valid class numbers."""
    whole: Array = numbers % 1 == 0
    return whole if classes is None else (numbers >= 0) & (numbers < classes) & whole


def check_labels(name: str, classes: int | None, *, ignored: bool = False, **labels: Array) -> None:
    """Check the range of class numbers (with ``ignored`` also ``IGNORED``), on the host only: a device would wait."""
    for what, numbers in labels.items():
        if not backend_of(numbers).on_host or numbers.dtype.kind == "b":
            continue
        known = are_classes(numbers, classes)
        wrong = numbers[~(known | (numbers == IGNORED) if ignored else known)]
        if not wrong.size:
            continue
        if classes is None:
            raise ValueError(f"{name}: {what} holds {wrong[0]}, which is no class number")
        raise ValueError(f"{name}: {what} holds {wrong[0]}, but {classes} classes are numbered 0..{classes - 1}")


def weights(name: str, sample_weight: Any, samples: int, labels: Array | None = None) -> Array | None:
    """Weights as float64 (N,), or None; 0 where a label is ``IGNORED``.

    Raises: ``ValueError``; on the host also for a negative weight or NaN.
    """
    given = None if sample_weight is None else _checked_weights(name, sample_weight, samples)
    if labels is None or labels.dtype.kind not in "if":
        return given
    counted = labels != IGNORED
    if backend_of(labels).on_host and counted.all():
        return given
    return counted.astype("float64") if given is None else namespace(given).where(counted, given, 0.0)


def _checked_weights(name: str, sample_weight: Any, samples: int) -> Array:
    weight = raw(sample_weight)
    if weight.size != samples:
        raise ValueError(f"{name}: sample_weight has shape {tuple(weight.shape)}, but there are {samples} samples")
    weight = weight.reshape(-1).astype("float64")
    wrong = ~((weight >= 0) & (weight < float("inf")))
    if backend_of(weight).on_host and wrong.any():
        raise ValueError(f"{name}: sample_weight holds {weight[wrong][0]}: weights are numbers >= 0")
    return namespace(weight).where(wrong, float("nan"), weight)


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


def check_alike(name: str, a: Mapping[str, Array], b: Mapping[str, Array], *, first_axis: bool = True) -> None:
    """Check that parts of two batches can be merged.  Raises: ``ValueError``."""
    for key in a:
        shapes = [tuple(part[key].shape[0 if first_axis else 1 :]) for part in (a, b)]
        if shapes[0] != shapes[1]:
            raise ValueError(f"{name}: this batch has {shapes[1]} classes or outputs, those before had {shapes[0]}")


def add(a: Part, b: Part) -> Part:
    """Merge parts that are sums by adding."""
    return {key: a[key] + b[key] for key in a}
