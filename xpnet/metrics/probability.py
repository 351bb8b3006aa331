"""Metrics of predicted probabilities.

``output`` is (N, C) probabilities, or (N,) or (N, 1) probabilities of class 1; with ``logits=True`` the network's
outputs before softmax or sigmoid.  ``target`` is (N,) class numbers, or one-hot (N, C), or the probabilities of mixed
samples. Values that are not probabilities are an error on the host and give NaN on a device; NaN gives NaN everywhere.
"""

from __future__ import annotations

import numpy as np

from xpnet.tensor import TensorLike
from xpnet_backends import Array, backend_of, sum_rows

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


def _columns(
    name: str, output: TensorLike, target: TensorLike, logits: bool, *, sums: bool = True
) -> tuple[Array, Array, Array, Array]:
    """Probabilities or logits (N, C), target probabilities (N, C), class numbers (N,), and ``doubt``.

    The first is float64 with at least two columns.  Target probabilities are one-hot, or those of mixed samples.
    """
    scores, labels = _inputs.scores_and_labels(name, output, target)
    scores = scores.astype("float64")
    xp = namespace(scores)
    doubt = _inputs.doubt(name, scores, labels, scores.shape[1] if scores.ndim == 2 else 2, logits=logits)
    if not logits and scores.ndim == 2:
        doubt = doubt + xp.where(_inputs.check_probabilities(name, scores, sums=sums), np.nan, 0.0)
    elif scores.ndim == 2 and _are_probabilities(scores):
        raise ValueError(
            f"{name}: with logits=True the output is what comes before softmax, got probabilities: logits=False"
        )
    if scores.ndim == 1:
        scores = xp.stack([xp.zeros_like(scores) if logits else 1.0 - scores, scores], axis=1)
    classes = scores.shape[1]
    labels = labels.astype("int64")
    shares = (labels[:, None] == xp.arange(classes)).astype("float64")
    if _inputs.is_by_class(_inputs.raw(output), _inputs.raw(target)):
        shares = _inputs.raw(target).reshape(-1, classes).astype("float64")
    return scores, shares, labels, doubt


def _are_probabilities(scores: Array) -> bool:
    """Whether logits are certainly probabilities; on the host only.  A single row, or zeros and ones, may be either."""
    if not backend_of(scores).on_host or len(scores) < 2 or not (scores >= 0).all():
        return False
    certain: bool = (abs(scores.sum(axis=1) - 1.0) < 1e-5).all() and not ((scores == 0) | (scores == 1)).all()
    return bool(certain)


def log_loss(
    output: TensorLike, target: TensorLike, *, sample_weight: TensorLike | None = None, logits: bool = False
) -> Array:
    """``−ln p(class)``, the mean over the samples.  Probabilities are clipped at the precision of their dtype."""
    return _inputs.mean(log_loss_part(output, target, sample_weight, logits=logits))


def log_loss_part(
    output: TensorLike, target: TensorLike, sample_weight: TensorLike | None = None, *, logits: bool = False
) -> Part:
    """The sum of losses."""
    values, shares, labels, doubt = _columns("log_loss", output, target, logits)
    xp = namespace(values)
    if logits:
        values = log_softmax(values)
    else:
        given = _inputs.raw(output).dtype
        eps = float(np.finfo(given if given.kind == "f" else "float64").eps)
        values = xp.log(values.clip(eps, 1.0 - eps))
    losses = -(shares * xp.where(shares > 0, values, 0.0)).sum(axis=1)
    part = _inputs.weighted_sum(losses, _inputs.weights("log_loss", sample_weight, len(labels), labels))
    return {**part, "total": part["total"] + doubt}


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
    values, shares, labels, doubt = _columns("brier_score", output, target, logits)
    values = softmax(values) if logits else values
    squares = ((values - shares) ** 2).sum(axis=1)
    squares = squares / 2.0 if values.shape[1] == 2 else squares
    part = _inputs.weighted_sum(squares, _inputs.weights("brier_score", sample_weight, len(labels), labels))
    return {**part, "total": part["total"] + doubt}


def calibration_error(
    output: TensorLike,
    target: TensorLike,
    *,
    bins: int = 15,
    sample_weight: TensorLike | None = None,
    logits: bool = False,
) -> Array:
    """``Σ (nᵇ/n) |accuracy − confidence|`` over bins of the confidence, the largest probability (ECE).

    Bins have equal width and include their upper end.  Source: Guo, Pleiss, Sun, Weinberger 2017, arXiv:1706.04599, eq.
    3.
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
    """The sum of ``hit − confidence`` in each bin."""
    if bins < 1:
        raise ValueError(f"calibration_error: bins must be at least 1, got {bins}")
    values, _, labels, doubt = _columns("calibration_error", output, target, logits, sums=False)
    xp = namespace(values)
    values = softmax(values) if logits else values
    weight = _inputs.weights("calibration_error", sample_weight, len(labels), labels)
    weight = xp.ones(len(labels), dtype="float64") if weight is None else weight
    confidence = values.max(axis=1)
    upper = xp.arange(1, bins + 1) / bins
    place = xp.searchsorted(upper, confidence, "left").clip(0, bins - 1)
    misses = weight * ((values.argmax(axis=1) == labels) - confidence)
    gap = sum_rows(misses.reshape(-1, 1), place, bins)[:, 0]
    return {"gap": gap + doubt, "weight": xp.asarray(weight.sum())}


def calibration_value(part: Part) -> Array:
    """ECE from the sums of its bins."""
    return divide(abs(part["gap"]).sum(), part["weight"], float("nan"))
