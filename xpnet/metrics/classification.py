"""Classification metrics from class numbers, or from scores whose largest is the prediction.

``output`` is (N, C) scores, (N,) or (N, 1) scores of class 1 (probabilities, or with ``logits=True`` any numbers that
are positive for class 1), or (N,) class numbers, which need ``num_classes``.  ``target`` is (N,) class numbers, or
one-hot (N, C), or the probabilities of mixed samples, whose largest gives the class.  Other values, class numbers out
of range and negative weights are an error on the host and give NaN on a device.  A score that is NaN gives NaN
everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np

from xpnet.tensor import TensorLike
from xpnet_backends import Array, backend_of, sum_rows, to_numpy

from . import _inputs
from ._inputs import Part, divide, namespace, raw

Average: TypeAlias = Literal["auto", "binary", "macro", "micro", "weighted"] | None

AVERAGES = ("auto", "binary", "macro", "micro", "weighted", None)


def accuracy(
    output: TensorLike, target: TensorLike, *, sample_weight: TensorLike | None = None, logits: bool = False
) -> Array:
    """The share of samples whose largest output is the target's class.  output (N, C), target (N,) or (N, C) -> ().

    >>> float(accuracy([[0.2, 0.8], [0.6, 0.4]], [1, 1]))
    0.5
    """
    return _inputs.mean(accuracy_part(output, target, sample_weight, logits=logits))


def accuracy_part(
    output: TensorLike, target: TensorLike, sample_weight: TensorLike | None = None, *, logits: bool = False
) -> Part:
    """Hits, and samples."""
    scores, labels = _inputs.scores_and_labels("accuracy", output, target)
    classes = scores.shape[1] if scores.ndim == 2 else 2 if scores.dtype.kind == "f" else None
    doubt = _inputs.doubt("accuracy", scores, labels, classes, logits=logits)
    hits = _inputs.predicted(scores, logits=logits) == labels
    part = _inputs.weighted_sum(hits, _inputs.weights("accuracy", sample_weight, len(labels), labels))
    return {**part, "total": part["total"] + doubt}


def top_k_accuracy(
    output: TensorLike, target: TensorLike, *, k: int = 2, sample_weight: TensorLike | None = None
) -> Array:
    """The share of samples whose class is among the k largest outputs.  Of equal outputs, the later class ranks first.

    output (N, C), target (N,) or (N, C) -> ().
    """
    return _inputs.mean(top_k_part(output, target, sample_weight, k=k))


def top_k_part(output: TensorLike, target: TensorLike, sample_weight: TensorLike | None = None, *, k: int = 2) -> Part:
    """Hits, and samples."""
    scores, labels = _inputs.scores_and_labels("top_k_accuracy", output, target)
    if scores.ndim != 2:
        raise ValueError(f"top_k_accuracy needs scores (N, C), got an output of shape {tuple(raw(output).shape)}")
    if not 1 <= k <= scores.shape[1]:
        raise ValueError(f"top_k_accuracy: k must be in 1..{scores.shape[1]}, the number of classes, got {k}")
    doubt = _inputs.doubt("top_k_accuracy", scores, labels, scores.shape[1], logits=True)
    xp = namespace(scores)
    place = labels.astype("int64").clip(0, scores.shape[1] - 1)[:, None]  # (N, 1)
    own = xp.take_along_axis(scores, place, 1)
    before = (scores > own) | ((scores == own) & (xp.arange(scores.shape[1]) > place))  # (N, C)
    weight = _inputs.weights("top_k_accuracy", sample_weight, len(labels), labels)
    part = _inputs.weighted_sum(before.sum(axis=1) < k, weight)
    return {**part, "total": part["total"] + doubt}


def confusion_matrix(
    target: TensorLike, predicted: TensorLike, num_classes: int, *, sample_weight: TensorLike | None = None
) -> Array:
    """Counts by true class (row) and predicted class (column).  Note that the target is the first argument.

    target (N,), predicted (N,) -> (C, C), int64; with ``sample_weight`` (N,) sums of weights, float64.

    >>> confusion_matrix([0, 1, 1, 1], [0, 1, 0, 1], 2).tolist()
    [[1, 0], [1, 2]]
    """
    return confusion_part(predicted, target, sample_weight, num_classes=num_classes)["matrix"]


def confusion_part(
    output: TensorLike,
    target: TensorLike,
    sample_weight: TensorLike | None = None,
    *,
    num_classes: int | None = None,
    logits: bool = False,
) -> Part:
    """The confusion matrix.  Counts cannot be NaN: on a device, samples without a valid class are left out."""
    name = "confusion_matrix"
    columns, rows, classes, doubt = _inputs.class_numbers(name, output, target, num_classes, logits=logits)
    xp = namespace(rows)
    if backend_of(rows).on_host and xp.isnan(doubt):
        raise ValueError("confusion_matrix: the output holds NaN, which is not a prediction")
    weight = _inputs.weights(name, sample_weight, len(rows))
    values = xp.ones(len(rows), dtype="int64") if weight is None else weight
    inside = (rows >= 0) & (rows < classes) & (columns >= 0) & (columns < classes)
    place = xp.where(inside, rows * classes + columns, 0)
    counts = sum_rows((values * inside).reshape(-1, 1), place, classes * classes)
    return {"matrix": counts.reshape(classes, classes)}


def matrix_value(part: Part) -> Array:
    """The matrix itself."""
    return part["matrix"]


def class_counts(
    output: TensorLike,
    target: TensorLike,
    sample_weight: TensorLike | None = None,
    *,
    num_classes: int | None = None,
    logits: bool = False,
) -> Part:
    """For each class, the weight of its samples (``true``), of its predictions (``guessed``), and of both (``hits``).

    ``seen`` counts samples without weights, because averages are over the classes that occur.
    """
    guesses, labels, classes, doubt = _inputs.class_numbers(
        "classification", output, target, num_classes, logits=logits
    )
    xp = namespace(labels)
    ones = xp.ones(len(labels), dtype="float64")
    weight = _inputs.weights("classification", sample_weight, len(labels), labels)
    weight = ones if weight is None else weight
    counted = labels != _inputs.IGNORED
    ones = ones * counted
    inside = (labels >= 0) & (labels < classes) & (guesses >= 0) & (guesses < classes)
    bad = doubt + xp.where((inside | ~counted).all(), 0.0, math.nan) + 0.0 * weight.sum()  # a bad weight is NaN
    guesses, labels = xp.where(inside, guesses, 0), xp.where(inside, labels, 0)

    def count(numbers: Array, values: Array) -> Array:
        return sum_rows(values.reshape(-1, 1), numbers, classes)[:, 0] + bad

    return {
        "hits": count(labels, weight * (labels == guesses)),
        "true": count(labels, weight),
        "guessed": count(guesses, weight),
        "seen": count(labels, ones) + count(guesses, ones),
    }


def precision(
    output: TensorLike,
    target: TensorLike,
    *,
    average: Average = "auto",
    pos_label: int = 1,
    zero_division: float = 0.0,
    sample_weight: TensorLike | None = None,
    num_classes: int | None = None,
    logits: bool = False,
) -> Array:
    """``TP / (TP + FP)``: the share of a class's predictions that are correct.  The options are those of ``fbeta``."""
    counts = class_counts(output, target, sample_weight, num_classes=num_classes, logits=logits)
    return precision_value(counts, average=average, pos_label=pos_label, zero_division=zero_division)


def recall(
    output: TensorLike,
    target: TensorLike,
    *,
    average: Average = "auto",
    pos_label: int = 1,
    zero_division: float = 0.0,
    sample_weight: TensorLike | None = None,
    num_classes: int | None = None,
    logits: bool = False,
) -> Array:
    """``TP / (TP + FN)``: the share of a class's samples that are found.  The options are those of ``fbeta``."""
    counts = class_counts(output, target, sample_weight, num_classes=num_classes, logits=logits)
    return recall_value(counts, average=average, pos_label=pos_label, zero_division=zero_division)


def f1(
    output: TensorLike,
    target: TensorLike,
    *,
    average: Average = "auto",
    pos_label: int = 1,
    zero_division: float = 0.0,
    sample_weight: TensorLike | None = None,
    num_classes: int | None = None,
    logits: bool = False,
) -> Array:
    """``2 TP / (2 TP + FP + FN)``, the harmonic mean of precision and recall.  The options are those of ``fbeta``.

    >>> float(f1([0.9, 0.8, 0.1, 0.3], [1, 0, 0, 1]))  # probabilities of class 1
    0.5
    """
    counts = class_counts(output, target, sample_weight, num_classes=num_classes, logits=logits)
    return f1_value(counts, average=average, pos_label=pos_label, zero_division=zero_division)


def fbeta(
    output: TensorLike,
    target: TensorLike,
    *,
    beta: float,
    average: Average = "auto",
    pos_label: int = 1,
    zero_division: float = 0.0,
    sample_weight: TensorLike | None = None,
    num_classes: int | None = None,
    logits: bool = False,
) -> Array:
    """``(1 + β²) TP / ((1 + β²) TP + FP + β² FN)``: recall counts β times as much as precision.

    Parameters
    ----------
    beta : the weight of recall relative to precision.
    average : "binary" for class ``pos_label`` only; "macro", the mean over the classes that occur; "weighted", that
        mean weighted by their frequencies; "micro" over all samples; None for each class, (C,); "auto" is "binary" for
        two classes, else "macro".
    pos_label : the positive class of "binary", 0 or 1.
    zero_division : the value if the denominator is 0; NaN leaves a class out of the mean.
    sample_weight : weights (N,) of the samples.
    num_classes : needed if the output is class numbers.
    logits : the output is logits; matters for scores (N,) of class 1.
    """
    counts = class_counts(output, target, sample_weight, num_classes=num_classes, logits=logits)
    return fbeta_value(counts, beta=beta, average=average, pos_label=pos_label, zero_division=zero_division)


def precision_value(
    counts: Part, *, average: Average = "auto", pos_label: int = 1, zero_division: float = 0.0
) -> Array:
    """Precision from counts."""
    hits, _, guessed = _summed(counts, average)
    return _averaged(divide(hits, guessed, zero_division), counts, average, pos_label)


def recall_value(counts: Part, *, average: Average = "auto", pos_label: int = 1, zero_division: float = 0.0) -> Array:
    """Recall from counts."""
    hits, true, _ = _summed(counts, average)
    return _averaged(divide(hits, true, zero_division), counts, average, pos_label)


def f1_value(counts: Part, *, average: Average = "auto", pos_label: int = 1, zero_division: float = 0.0) -> Array:
    """F1 from counts."""
    return fbeta_value(counts, beta=1.0, average=average, pos_label=pos_label, zero_division=zero_division)


def fbeta_value(
    counts: Part, *, beta: float, average: Average = "auto", pos_label: int = 1, zero_division: float = 0.0
) -> Array:
    """F-beta from counts."""
    if not 0.0 <= beta < math.inf:
        raise ValueError(f"fbeta: beta must be a number >= 0, got {beta}")
    hits, true, guessed = _summed(counts, average)
    score = divide((1.0 + beta**2) * hits, beta**2 * true + guessed, zero_division)
    return _averaged(score, counts, average, pos_label)


def _summed(counts: Part, average: Average) -> tuple[Array, Array, Array]:
    """Hits, true and guessed weights, for each class (C,), or with "micro" over all (1,)."""
    if average not in AVERAGES:
        raise ValueError(f"average must be one of {', '.join(map(repr, AVERAGES))}, got {average!r}")
    found = counts["hits"], counts["true"], counts["guessed"]
    if average != "micro":
        return found
    hits, true, guessed = (x.sum(keepdims=True) for x in found)
    return hits, true, guessed


def _averaged(score: Array, counts: Part, average: Average, pos_label: int) -> Array:
    xp, classes = namespace(score), len(counts["seen"])
    score = score + _void(counts)
    if average == "auto":
        average = "binary" if classes == 2 else "macro"
    if average is None:
        return score
    if average == "micro":
        return xp.asarray(score[0])
    if average == "binary":
        return xp.asarray(score[_positive(pos_label, classes)])
    keep = (counts["seen"] > 0) & ~xp.isnan(score)
    score, each = xp.where(keep, score, 0.0), keep.astype("float64")
    plain = divide(score.sum(), each.sum(), math.nan)
    if average == "macro":
        return plain
    weight = each * xp.where(keep, counts["true"], 0.0)
    return xp.where(weight.sum() == 0, plain, divide((score * weight).sum(), weight.sum(), 0.0))


def _void(counts: Part) -> Array:
    """NaN without samples, or if all weights are 0; else 0."""
    return namespace(counts["true"]).where(counts["true"].sum() == 0, math.nan, 0.0)


def _positive(pos_label: int, classes: int) -> int:
    if classes != 2:
        raise ValueError(f"average='binary' is for two classes, there are {classes}: choose 'macro', 'micro', ...")
    if pos_label not in (0, 1):
        raise ValueError(f"pos_label must be 0 or 1, got {pos_label!r}")
    return pos_label


def balanced_accuracy(
    output: TensorLike,
    target: TensorLike,
    *,
    adjusted: bool = False,
    sample_weight: TensorLike | None = None,
    num_classes: int | None = None,
    logits: bool = False,
) -> Array:
    """The mean recall over the classes that occur in the target; with ``adjusted`` guessing scores 0."""
    counts = class_counts(output, target, sample_weight, num_classes=num_classes, logits=logits)
    return balanced_value(counts, adjusted=adjusted)


def balanced_value(counts: Part, *, adjusted: bool = False) -> Array:
    """Balanced accuracy from counts."""
    classes = (counts["true"] > 0).sum()
    score = divide(divide(counts["hits"], counts["true"], 0.0).sum(), classes, math.nan)
    if not adjusted:
        return score
    chance = divide(1.0, classes, math.nan)
    return divide(score - chance, 1.0 - chance, math.nan)


def matthews_corrcoef(
    output: TensorLike,
    target: TensorLike,
    *,
    sample_weight: TensorLike | None = None,
    num_classes: int | None = None,
    logits: bool = False,
) -> Array:
    """The correlation of predicted and true classes, in -1..1; 0 if one of them is constant.

    ``(N Σ hits_c − Σ p_c t_c) / √((N² − Σ p_c²)(N² − Σ t_c²))``; counts of class c: p predicted, t true, hits both.
    Source: Gorodkin 2004, "Comparing two K-category assignments by a K-category correlation coefficient".
    """
    return matthews_value(class_counts(output, target, sample_weight, num_classes=num_classes, logits=logits))


def matthews_value(counts: Part) -> Array:
    """Matthews' coefficient from counts."""
    true, guessed = counts["true"], counts["guessed"]
    total = true.sum()
    both = counts["hits"].sum() * total - (true * guessed).sum()
    spread = (total**2 - (guessed * guessed).sum()) * (total**2 - (true * true).sum())
    xp = namespace(true)
    return xp.asarray(divide(both, xp.sqrt(spread), 0.0) + _void(counts))


def classification_report(
    output: TensorLike,
    target: TensorLike,
    *,
    class_names: Sequence[str] | None = None,
    digits: int = 2,
    zero_division: float = 0.0,
    sample_weight: TensorLike | None = None,
    num_classes: int | None = None,
    logits: bool = False,
) -> str:
    """Precision, recall, F1 and support as text, for each class that occurs and averaged.  Waits for a device."""
    counts = class_counts(output, target, sample_weight, num_classes=num_classes, logits=logits)
    if np.isnan(to_numpy(counts["seen"])).any():
        raise ValueError("classification_report: the output holds NaN, or a class number is out of range")
    if sample_weight is None:
        counts["true"] = counts["true"].astype("int64")
    classes = len(counts["seen"])
    if class_names is not None and len(class_names) != classes:
        raise ValueError(f"classification_report: {len(class_names)} class_names for {classes} classes")
    names = [str(c) for c in range(classes)] if class_names is None else list(class_names)
    columns = [to_numpy(column) for column in _columns(counts, None, zero_division)]
    support = to_numpy(counts["true"])
    rows = [(names[i], [c[i] for c in columns], support[i]) for i, n in enumerate(to_numpy(counts["seen"])) if n]
    width = max(len("weighted avg"), digits, *(len(name) for name, _, _ in rows)) if rows else len("weighted avg")

    def line(name: str, values: Sequence[float | str], total: object) -> str:
        cells = [f"{v:>9}" if isinstance(v, str) else f"{float(v):>9.{digits}f}" for v in values]
        return f"{name:>{width}}  {' '.join(cells)} {total!s:>9}\n"

    table = f"{'':>{width}}  {'precision':>9} {'recall':>9} {'f1-score':>9} {'support':>9}\n\n"
    table += "".join(line(*row) for row in rows) + "\n"
    total = support.sum()
    table += line("accuracy", ["", "", float(f1_value(counts, average="micro", zero_division=zero_division))], total)
    for average in ("macro", "weighted"):
        table += line(f"{average} avg", [float(v) for v in _columns(counts, average, zero_division)], total)
    return table


def _columns(counts: Part, average: Average, zero_division: float) -> list[Array]:
    values = (precision_value, recall_value, f1_value)
    return [value(counts, average=average, zero_division=zero_division) for value in values]
