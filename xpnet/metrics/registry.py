"""Metrics by name, for the trainer and the command line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from . import classification, probability, ranking, regression, streaming
from .streaming import Metric

_AVERAGED: dict[str, type[Metric]] = {
    "precision": streaming.Precision,
    "recall": streaming.Recall,
    "f1": streaming.F1,
}
_RANKED: dict[str, type[Metric]] = {
    "roc_auc": streaming.ROCAUC,
    "average_precision": streaming.AveragePrecision,
}
_CLASSES: dict[str, type[Metric]] = {
    "accuracy": streaming.Accuracy,
    "balanced_accuracy": streaming.BalancedAccuracy,
    "matthews_corrcoef": streaming.MatthewsCorrCoef,
    "log_loss": streaming.LogLoss,
    "brier_score": streaming.BrierScore,
    "calibration_error": streaming.CalibrationError,
    **_AVERAGED,
    **_RANKED,
}
_NUMBERS: dict[str, type[Metric]] = {
    "mae": streaming.MeanAbsoluteError,
    "mse": streaming.MeanSquaredError,
    "rmse": streaming.RootMeanSquaredError,
    "mape": streaming.MeanAbsolutePercentageError,
    "r2": streaming.R2,
    "explained_variance": streaming.ExplainedVariance,
}
_NOT_MEANS = (  # the mean over batches is not the value over all samples
    classification.precision, classification.recall, classification.f1, classification.fbeta,
    classification.balanced_accuracy, classification.matthews_corrcoef, ranking.roc_auc, ranking.average_precision,
    probability.calibration_error, regression.rmse, regression.r2, regression.explained_variance,
)  # fmt: skip
_PARTS = (  # of these it is, where each batch counts by the samples whose label is not ignored
    (classification.accuracy, classification.accuracy_part),
    (classification.top_k_accuracy, classification.top_k_part),
    (probability.log_loss, probability.log_loss_part),
    (probability.brier_score, probability.brier_part),
)
_TOP_K = re.compile(r"top_(\d+)_accuracy")


def names(task: str | None = None) -> list[str]:
    """The names that ``get`` knows, of "classification", "regression" or both.

    precision, recall and f1 also with ``_macro, _micro, _weighted``, roc_auc and average_precision with ``_macro,
    _weighted``; ``top_5_accuracy`` with any number; and ``get("fbeta", beta=2.0)``.
    """
    if task not in (None, "classification", "regression"):
        raise ValueError(f"task must be 'classification', 'regression' or None, got {task!r}")
    return [*(_CLASSES if task != "regression" else ()), *(_NUMBERS if task != "classification" else ())]


def get(name: str, **options: Any) -> Metric:
    """A streaming metric of a network's outputs, e.g. ``get("f1")`` or ``get("roc_auc", average="weighted")``.

    For classes it takes logits (N, C), or (N,) or (N, 1) for two classes, and class numbers (N,) or one-hot (N, C);
    with ``logits=False`` probabilities.  For regression (N,), (N, 1) or (N, M).

    Raises: ``ValueError`` for an unknown name.
    """
    if name in _NUMBERS:
        return _NUMBERS[name](**options)
    if name == "fbeta":
        return streaming.FBeta(**{"logits": True, **options})
    if found := _TOP_K.fullmatch(name):
        return streaming.TopKAccuracy(k=int(found[1]), **options)
    base, _, average = name.rpartition("_")
    averages = ("macro", "weighted") if base in _RANKED else ("macro", "micro", "weighted")
    if (base in _AVERAGED or base in _RANKED) and average in averages:
        return get(base, **{"average": average, **options})
    if name not in _CLASSES:
        near = difflib.get_close_matches(name, names(), n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"choose one of {', '.join(names())}"
        raise ValueError(f"unknown metric {name!r}: {hint}")
    return _CLASSES[name](**{"logits": True, **options})


def named(metrics: Mapping[str, Any] | Iterable[str] | None) -> dict[str, Metric | Callable[..., Any]]:
    """The metrics of a trainer by their names in the history: names become metrics, functions are unchanged.

    Raises: ``ValueError`` for an unknown name, a metric that is not one number, or a function of this package whose
    mean over batches would be wrong.
    """
    if isinstance(metrics, str):
        raise TypeError(f"metrics must be a list of names or a dict, got the text {metrics!r}: metrics=[{metrics!r}]")
    given = metrics.items() if isinstance(metrics, Mapping) else ((name, name) for name in metrics or ())
    found = {name: get(metric) if isinstance(metric, str) else metric for name, metric in given}
    for name, metric in found.items():
        if isinstance(metric, Metric) and not metric.scalar:
            raise ValueError(f"metric {name!r} is not one number, which a history needs: choose an average")
        if metric in _NOT_MEANS:
            raise ValueError(
                f"metric {name!r}: the mean of {metric.__name__} over batches would be wrong; give the name "
                f'"{metric.__name__}", or metrics.get("{metric.__name__}", ...) for options'
            )
    return found


def part_of(metric: Any) -> Callable[[Any, Any], dict[str, Any]] | None:
    """What gives the total and the weight of a batch, for a function of ours that is a mean over counted samples."""
    return next((part for function, part in _PARTS if function is metric), None)
