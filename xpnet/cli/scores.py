"""How good a run's outputs are: as numbers by name, and in a line."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from xpnet import metrics
from xpnet.cli.settings import Settings, UsageError
from xpnet.data import TablePreprocessor
from xpnet.metrics import accuracy, named
from xpnet.nn import functional as F
from xpnet_backends import Array, to_numpy


def score(settings: Settings, outputs: Array, target: Array) -> dict[str, float | None]:
    """Accuracy and loss; for a regression RMSE, mean absolute error and R², in the target's units, and the loss."""
    if settings.task != "regression":
        return {"test_accuracy": float(accuracy(outputs, target)), "test_loss": float(F.cross_entropy(outputs, target))}
    return {
        **measured(settings, ["rmse", "mae", "r2"], outputs, target),
        "test_loss": float(F.mse_loss(outputs, target)),
    }


def measured(settings: Settings, names: Iterable[str], outputs: Array, target: Array) -> dict[str, float | None]:
    """Metrics by name, as ``test_NAME``; None where one has no value, for JSON knows no NaN.

    Raises: ``UsageError`` for a metric of classification on a regression, or the other way round.
    """
    found = named(list(names))
    check_metrics(settings, found)
    if settings.task == "regression":
        prepare = TablePreprocessor.from_state(settings.table["preprocessing"])
        outputs, target = (prepare.inverse_target(to_numpy(y)) for y in (outputs, target))
    values = {f"test_{name}": float(metric(outputs, target)) for name, metric in found.items()}
    return {name: None if math.isnan(value) else value for name, value in values.items()}


def check_metrics(settings: Settings, names: Iterable[str]) -> None:
    """See that each metric is for this task."""
    task = "regression" if settings.task == "regression" else "classification"
    for name in names:
        if metrics.get(name).task != task:
            raise UsageError(f"--metric {name} is not for a {task}: choose among {', '.join(metrics.names(task))}")


def in_words(values: Iterable[tuple[str, float | None]]) -> str:
    """``test f1 0.9123, ...``."""
    numbers = [(name.replace("_", " "), "has no value" if v is None else f"{v:.4f}") for name, v in values]
    return ", ".join(f"{name} {number}" for name, number in numbers)


def headline(result: Mapping[str, Any]) -> str:
    """A score in a line."""
    if "test_accuracy" in result:
        return f"test accuracy {result['test_accuracy']:.4f}, test loss {result['test_loss']:.4f}"
    r2 = f", R² {result['test_r2']:.4f}" if result["test_r2"] is not None else ""
    return f"test RMSE {result['test_rmse']:.4g}, mean absolute error {result['test_mae']:.4g}{r2}"
