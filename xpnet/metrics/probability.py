"""How far predicted probabilities can be trusted.

``output`` is (N, C) probabilities, or (N,) or (N, 1) that of class 1; with ``logits=True`` what a network gives before
softmax or sigmoid.  ``target`` is (N,) class numbers, or one-hot (N, C).
"""

from __future__ import annotations

import numpy as np

from xpnet.tensor import TensorLike
from xpnet_backends import Array, sum_rows

from . import _inputs
from ._inputs import Part, divide, namespace


def log_softmax(x: Array) -> Array:
    """``x − ln Σ eˣ`` along the last axis."""
    xp = namespace(x)
    shifted = x - x.max(axis=-1, keepdims=True)  # exp cannot overflow: shifted <= 0
    return shifted - xp.log(xp.exp(shifted).sum(axis=-1, keepdims=True))


def softmax(x: Array) -> Array:
    """``eˣ / Σ eˣ`` along the last axis."""
    return namespace(x).exp(log_softmax(x))


def _columns(name: str, output: TensorLike, target: TensorLike, logits: bool) -> tuple[Array, Array]:
    """(N, C) probabilities or logits, float64 with at least two columns; class numbers (N,)."""
    scores, labels = _inputs.scores_and_labels(name, output, target)
    scores = scores.astype("float64")
    if scores.ndim == 1:
        xp = namespace(scores)
        scores = xp.stack([xp.zeros_like(scores) if logits else 1.0 - scores, scores], axis=1)
    _inputs.check_labels(name, scores.shape[1], target=labels)
    return scores, labels.astype("int64")


def log_loss(
    output: TensorLike, target: TensorLike, *, sample_weight: TensorLike | None = None, logits: bool = False
) -> Array:
    """``−ln p(class)``, the mean over the samples.  Probabilities are kept away from 0 by their dtype's precision."""
    return _inputs.mean(log_loss_part(output, target, sample_weight, logits=logits))


def log_loss_part(
    output: TensorLike, target: TensorLike, sample_weight: TensorLike | None = None, *, logits: bool = False
) -> Part:
    """The sum of losses."""
    values, labels = _columns("log_loss", output, target, logits)
    xp = namespace(values)
    if logits:
        values = log_softmax(values)
    else:
        given = _inputs.raw(output).dtype
        eps = float(np.finfo(given if given.kind == "f" else "float64").eps)
        values = xp.log(values.clip(eps, 1.0 - eps))
    own = xp.take_along_axis(values, labels[:, None], 1)[:, 0]
    return _inputs.weighted_sum(-own, _inputs.weights("log_loss", sample_weight, len(labels)))


def brier_score(
    output: TensorLike, target: TensorLike, *, sample_weight: TensorLike | None = None, logits: bool = False
) -> Array:
    """``(p − y)²``, the mean over the samples; of more than two classes, summed over the classes.

    Source: Brier 1950, "Verification of forecasts expressed in terms of probability".
    """
    return _inputs.mean(brier_part(output, target, sample_weight, logits=logits))


def brier_part(
    output: TensorLike, target: TensorLike, sample_weight: TensorLike | None = None, *, logits: bool = False
) -> Part:
    """The sum of squared differences."""
    values, labels = _columns("brier_score", output, target, logits)
    values = softmax(values) if logits else values
    classes = values.shape[1]
    squares = ((values - (labels[:, None] == namespace(values).arange(classes))) ** 2).sum(axis=1)
    squares = squares / 2.0 if classes == 2 else squares
    return _inputs.weighted_sum(squares, _inputs.weights("brier_score", sample_weight, len(labels)))


def calibration_error(
    output: TensorLike,
    target: TensorLike,
    *,
    bins: int = 15,
    sample_weight: TensorLike | None = None,
    logits: bool = False,
) -> Array:
    """``Σ (nᵇ/n) |accuracy − confidence|`` over bins of the confidence, the largest probability (ECE).

    Bins of equal width, closed above.  Source: Guo, Pleiss, Sun, Weinberger 2017, arXiv:1706.04599, eq. 3.
    """
    return calibration_value(calibration_part(output, target, sample_weight, bins=bins, logits=logits))


def calibration_part(
    output: TensorLike,
    target: TensorLike,
    sample_weight: TensorLike | None = None,
    *,
    bins: int = 15,
    logits: bool = False,
) -> Part:
    """By bin, the sum of ``hit − confidence``."""
    if bins < 1:
        raise ValueError(f"calibration_error: bins must be at least 1, got {bins}")
    values, labels = _columns("calibration_error", output, target, logits)
    xp = namespace(values)
    values = softmax(values) if logits else values
    weight = _inputs.weights("calibration_error", sample_weight, len(labels))
    weight = xp.ones(len(labels), dtype="float64") if weight is None else weight
    confidence = values.max(axis=1)
    upper = xp.arange(1, bins + 1) / bins
    place = xp.searchsorted(upper, confidence, "left").clip(0, bins - 1)
    misses = weight * ((values.argmax(axis=1) == labels) - confidence)
    return {"gap": sum_rows(misses.reshape(-1, 1), place, bins)[:, 0], "weight": xp.asarray(weight.sum())}


def calibration_value(part: Part) -> Array:
    """ECE from the sums of its bins."""
    return divide(abs(part["gap"]).sum(), part["weight"], float("nan"))
