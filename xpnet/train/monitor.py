"""The direction of the monitored quantity, known before the first epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xpnet import metrics
from xpnet.optim import Optimizer
from xpnet.optim.lr_scheduler import ReduceLROnPlateau
from xpnet.train.early_stopping import EarlyStopping

_ERRORS = (
    metrics.BrierScore, metrics.CalibrationError, metrics.LogLoss, metrics.MeanAbsoluteError,
    metrics.MeanAbsolutePercentageError, metrics.MeanSquaredError, metrics.RootMeanSquaredError,
)  # fmt: skip
_ERROR_FUNCTIONS = (
    metrics.brier_score, metrics.calibration_error, metrics.log_loss, metrics.mae, metrics.mape, metrics.mse,
    metrics.rmse,
)  # fmt: skip
_SCORE_FUNCTIONS = (
    metrics.accuracy, metrics.average_precision, metrics.balanced_accuracy, metrics.explained_variance, metrics.f1,
    metrics.fbeta, metrics.matthews_corrcoef, metrics.precision, metrics.r2, metrics.recall, metrics.roc_auc,
    metrics.top_k_accuracy,
)  # fmt: skip


def columns(quantities: Mapping[str, Any], validated: bool) -> list[str]:
    """The history's columns for loss and metrics, with validation data or without."""
    names = ["loss", *quantities]
    parts = ["train", "val"] if validated else ["train"]
    return ["epoch", *[f"{part}_{name}" for part in parts for name in names], "lr"]


def direction(monitor: str, quantities: Mapping[str, Any], optimizer: Optimizer) -> str | None:
    """Whether "min" or "max" of a column is best; None if unknown, as for a user's own function."""
    part, _, name = monitor.partition("_")
    if part not in ("train", "val"):
        return None
    if name == "loss":
        return "max" if any(group.get("maximize") for group in optimizer.param_groups) else "min"
    metric = quantities.get(name)
    if isinstance(metric, metrics.Mean):
        return None
    if isinstance(metric, metrics.Metric):
        return "min" if isinstance(metric, _ERRORS) else "max"
    if metric in _ERROR_FUNCTIONS:
        return "min"
    return "max" if metric in _SCORE_FUNCTIONS else None


def check_monitor(
    stopping: EarlyStopping, scheduler: Any, quantities: Mapping[str, Any], optimizer: Optimizer, validated: bool
) -> None:
    """Check that the monitored column exists, and that early stopping and schedule agree with its direction.

    Raises: ``ValueError`` with the fix.
    """
    known, monitor = columns(quantities, validated), stopping.monitor
    if monitor not in known:
        hint = "; there is no validation data" if str(monitor).startswith("val_") and not validated else ""
        raise ValueError(f"early stopping watches {monitor!r}, but there are only {', '.join(known)}{hint}")
    way = direction(monitor, quantities, optimizer)
    if way is not None and stopping.mode != way:
        raise ValueError(
            f"EarlyStopping(mode={stopping.mode!r}) would take the worst {monitor} for the best: {monitor} gets better "
            f"as it {_ways[way]}, use mode={way!r}"
        )
    if isinstance(scheduler, ReduceLROnPlateau) and scheduler.mode != stopping.mode:
        raise ValueError(
            f"ReduceLROnPlateau(mode={scheduler.mode!r}) would lower the rate while {monitor}, which the Trainer "
            f"monitors, gets better: it gets better as it {_ways[stopping.mode]}, use mode={stopping.mode!r}"
        )


_ways = {"min": "falls", "max": "grows"}
