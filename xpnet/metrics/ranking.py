"""Ranking metrics: how well scores rank the samples of a class above the others, without a threshold; ties are exact.

``output`` is (N,) or (N, 1) scores of class 1, or (N, C) scores of each class; two columns are the binary case.  With
``logits=True`` (N, C) are first converted to probabilities, because logits of different samples cannot be compared.
``target`` is (N,) class numbers, or one-hot (N, C); or, for the areas, several labels per sample as zeros and ones
(N, C), with each class against its absence.  On a device, which is not read, two columns are taken as one-hot.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, TypeAlias

from xpnet.tensor import TensorLike
from xpnet_backends import Array, backend_of

from . import _inputs
from ._inputs import divide, namespace
from .probability import softmax

OverClasses: TypeAlias = Literal["macro", "weighted"] | None


def roc_auc(
    output: TensorLike,
    target: TensorLike,
    *,
    average: OverClasses = "macro",
    sample_weight: TensorLike | None = None,
    logits: bool = False,
) -> Array:
    """The probability that a sample of the class scores higher than one of another class; ties count half.

    For more than two classes, each is compared with the rest.  NaN if a class, or the rest, does not occur.

    Parameters
    ----------
    average : for more than two classes: "macro", the mean; "weighted", the mean weighted by the classes' frequencies;
        None for each class, (C,).
    sample_weight : weights (N,) of the samples.
    logits : the output is logits.

    Source: Fawcett 2006, "An introduction to ROC analysis".

    >>> float(roc_auc([0.9, 0.8, 0.1, 0.3], [1, 0, 0, 1]))
    0.75
    """
    return _over_classes("roc_auc", _auc, output, target, average, sample_weight, logits)


def average_precision(
    output: TensorLike,
    target: TensorLike,
    *,
    average: OverClasses = "macro",
    sample_weight: TensorLike | None = None,
    logits: bool = False,
) -> Array:
    """``Σ (Rₙ − Rₙ₋₁) Pₙ``, precision weighted by the recall that each threshold adds.  Options as in ``roc_auc``.

    0 if the class does not occur.
    """
    return _over_classes("average_precision", _average_precision, output, target, average, sample_weight, logits)


def _over_classes(
    name: str,
    measure: Callable[[Array, Array, Array], Array],
    output: TensorLike,
    target: TensorLike,
    average: OverClasses,
    sample_weight: TensorLike | None,
    logits: bool,
) -> Array:
    """Apply a binary measure ``(scores, weight of positives, weight of negatives)``, once or for each class."""
    if average not in ("macro", "weighted", None):
        raise ValueError(f"{name}: average must be 'macro', 'weighted' or None, got {average!r}")
    scores, positive, weight = _ranked(name, output, target, sample_weight, logits, several=True)
    xp = namespace(scores)
    if scores.ndim == 1:
        return xp.asarray(measure(scores, weight * positive, weight * ~positive))
    columns = [(scores[:, c], positive[:, c]) for c in range(scores.shape[1])]
    values = xp.stack([measure(score, weight * true, weight * ~true) for score, true in columns])
    if average is None:
        return values
    if average == "macro":
        return xp.asarray(values.mean())
    shares = (weight[:, None] * positive).sum(axis=0)
    return divide((xp.where(shares == 0, 0.0, values) * shares).sum(), shares.sum(), math.nan)


def _ranked(
    name: str,
    output: TensorLike,
    target: TensorLike,
    sample_weight: TensorLike | None,
    logits: bool,
    *,
    several: bool = False,
) -> tuple[Array, Array, Array]:
    """Scores (N,) of two classes or (N, C) of more, float64; which samples are positive, same shape; weights (N,).

    several : allow several labels per sample, (N, C) zeros and ones.
    """
    raw_output, raw_target = _inputs.raw(output), _inputs.raw(target)
    on_host = backend_of(raw_output).on_host
    by_class = several and _inputs.is_by_class(raw_output, raw_target) and (on_host or raw_output.shape[-1] > 2)
    if by_class:
        classes = raw_output.shape[-1]
        scores, rows = raw_output.reshape(-1, classes).astype("float64"), raw_target.reshape(-1, classes)
        one_hot, labels = _inputs.are_shares(rows).all(), rows.argmax(axis=1)
        flags = ((rows == 0) | (rows == 1)).all()
        if on_host and not (one_hot or flags):
            _inputs.scores_and_labels(name, output, target)  # raises the error
        by_class = not on_host or not one_hot
        spoiled = ~(one_hot | flags)
    if not by_class:
        scores, labels = _inputs.scores_and_labels(name, output, target)
        scores = scores.astype("float64")
        classes = scores.shape[1] if scores.ndim == 2 else 2
        _inputs.check_labels(name, classes, target=labels, ignored=True)
        spoiled = ~(_inputs.are_classes(labels, classes) | (labels == _inputs.IGNORED)).all()
    if not scores.size:
        raise ValueError(f"{name} needs at least one sample")
    xp = namespace(scores)
    if by_class:
        positive = xp.where(one_hot, labels[:, None] == xp.arange(classes), rows == 1)
        scores = xp.where(one_hot, softmax(scores), scores) if logits else scores
    elif scores.ndim == 1 or classes == 2:
        two = scores.ndim == 2
        positive = labels == 1
        scores = scores if not two else scores[:, 1] - scores[:, 0] if logits else scores[:, 1]  # cannot saturate
    else:
        positive = labels[:, None] == xp.arange(classes)
        scores = softmax(scores) if logits else scores
    weight = _inputs.weights(name, sample_weight, len(scores), None if by_class else labels)
    weight = xp.ones(len(scores), dtype="float64") if weight is None else weight
    spoiled = spoiled | xp.isnan(scores).any() | (weight.sum() == 0)  # NaN has no rank
    return scores, positive, weight + xp.where(spoiled, math.nan, 0.0)


def _sums(values: Array) -> Array:
    """Sums of the first 0, 1, ..., N values, (N + 1,)."""
    xp = namespace(values)
    return xp.concatenate([xp.zeros(1, dtype="float64"), values.cumsum()])


def _auc(scores: Array, positive: Array, negative: Array) -> Array:
    """``Σ w⁺ (W⁻(lower) + ½ W⁻(equal)) / (W⁺ W⁻)``."""
    xp = namespace(scores)
    order = scores.argsort()
    ranked, below = scores[order], _sums(negative[order])
    lower, up_to = below[xp.searchsorted(ranked, ranked, "left")], below[xp.searchsorted(ranked, ranked, "right")]
    area = (positive[order] * (lower + up_to)).sum() / 2.0
    return divide(area, positive.sum() * negative.sum(), math.nan)


def _average_precision(scores: Array, positive: Array, negative: Array) -> Array:
    """``Σ w⁺ P(score or higher) / W⁺``: each positive sample adds its weight to the recall at its own threshold."""
    xp = namespace(scores)
    order = (-scores).argsort()
    ranked, gain = -scores[order], positive[order]
    last = xp.searchsorted(ranked, ranked, "right")  # index after the samples with an equal score
    hits = _sums(gain)[last]
    return divide((gain * divide(hits, hits + _sums(negative[order])[last], 0.0)).sum(), gain.sum(), 0.0)


def roc_curve(
    output: TensorLike,
    target: TensorLike,
    *,
    sample_weight: TensorLike | None = None,
    drop_intermediate: bool = True,
    logits: bool = False,
) -> tuple[Array, Array, Array]:
    """False positive rate, true positive rate and decreasing thresholds, from (0, 0) at ∞ to (1, 1); two classes.

    The number of points depends on the scores, so this waits for a device.

    Parameters
    ----------
    sample_weight : weights (N,) of the samples.
    drop_intermediate : leave out points on a straight line.
    logits : the output is logits.
    """
    hits, alarms, thresholds = _at_thresholds("roc_curve", output, target, sample_weight, logits)
    xp = namespace(hits)
    if drop_intermediate and len(hits) > 2:
        end = xp.ones(1, dtype=bool)
        corner = (xp.diff(alarms, 2) != 0) | (xp.diff(hits, 2) != 0)
        kept = xp.concatenate([end, corner, end]).nonzero()[0]
        hits, alarms, thresholds = hits[kept], alarms[kept], thresholds[kept]
    zero = xp.zeros(1, dtype="float64")
    hits, alarms = xp.concatenate([zero, hits]), xp.concatenate([zero, alarms])
    thresholds = xp.concatenate([xp.full(1, math.inf), thresholds])
    return divide(alarms, alarms[-1], math.nan), divide(hits, hits[-1], math.nan), thresholds


def precision_recall_curve(
    output: TensorLike, target: TensorLike, *, sample_weight: TensorLike | None = None, logits: bool = False
) -> tuple[Array, Array, Array]:
    """Precision and recall (T + 1,) at increasing thresholds (T,), ending with precision 1 and recall 0; two classes.

    The number of points depends on the scores, so this waits for a device.
    """
    hits, alarms, thresholds = _at_thresholds("precision_recall_curve", output, target, sample_weight, logits)
    xp = namespace(hits)
    precision, recall = divide(hits, hits + alarms, 0.0), divide(hits, hits[-1], 1.0)
    one, zero = xp.ones(1, dtype="float64"), xp.zeros(1, dtype="float64")
    return xp.concatenate([precision[::-1], one]), xp.concatenate([recall[::-1], zero]), thresholds[::-1].copy()


def _at_thresholds(
    name: str, output: TensorLike, target: TensorLike, sample_weight: TensorLike | None, logits: bool
) -> tuple[Array, Array, Array]:
    """Total weights of positives and negatives with at least each distinct score, highest score first."""
    scores, true, weight = _ranked(name, output, target, sample_weight, logits)
    if scores.ndim != 1:
        raise ValueError(f"{name} is of two classes, got {scores.shape[1]}: take one class, {name}(p[:, c], target==c)")
    xp = namespace(scores)
    order = (-scores).argsort()
    order = order[(weight[order] != 0).nonzero()[0]]
    scores, positive, weight = scores[order], true[order], weight[order]
    last = xp.concatenate([scores[1:] != scores[:-1], xp.ones(min(1, len(scores)), dtype=bool)]).nonzero()[0]
    return (weight * positive).cumsum()[last], (weight * ~positive).cumsum()[last], scores[last]
