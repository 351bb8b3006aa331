"""Metrics of predictions.

Functions are called as ``metric(output, target)``, like losses, and like them they ignore samples with the label -100.
They take arrays of either backend (or tensors) and return a float64 array of the same backend, without a transfer to
the host.  Classes compute the same over batches; ``get("f1")`` creates one by name, for a network's logits.
"""

from .bootstrap import Interval, bootstrap
from .classification import (
    accuracy,
    balanced_accuracy,
    classification_report,
    confusion_matrix,
    f1,
    fbeta,
    matthews_corrcoef,
    precision,
    recall,
    top_k_accuracy,
)
from .probability import brier_score, calibration_error, log_loss
from .ranking import average_precision, precision_recall_curve, roc_auc, roc_curve
from .registry import get, named, names
from .regression import explained_variance, mae, mape, mse, r2, rmse
from .streaming import (
    F1,
    R2,
    ROCAUC,
    Accuracy,
    AveragePrecision,
    BalancedAccuracy,
    BrierScore,
    CalibrationError,
    ConfusionMatrix,
    ExplainedVariance,
    FBeta,
    LogLoss,
    MatthewsCorrCoef,
    Mean,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    Metric,
    Precision,
    Recall,
    RootMeanSquaredError,
    TopKAccuracy,
)

__all__ = [
    "F1", "R2", "ROCAUC", "Accuracy", "AveragePrecision", "BalancedAccuracy", "BrierScore", "CalibrationError",
    "ConfusionMatrix", "ExplainedVariance", "FBeta", "Interval", "LogLoss", "MatthewsCorrCoef", "Mean",
    "MeanAbsoluteError", "MeanAbsolutePercentageError", "MeanSquaredError", "Metric", "Precision", "Recall",
    "RootMeanSquaredError", "TopKAccuracy", "accuracy", "average_precision", "balanced_accuracy", "bootstrap",
    "brier_score", "calibration_error", "classification_report", "confusion_matrix", "explained_variance", "f1",
    "fbeta", "get", "log_loss", "mae", "mape", "matthews_corrcoef", "mse", "named", "names", "precision",
    "precision_recall_curve", "r2", "recall", "rmse", "roc_auc", "roc_curve", "top_k_accuracy",
]  # fmt: skip
