"""The scores of a run: as numbers by name, and as one line of text."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from xpnet import metrics
from xpnet.cli.settings import Settings, UsageError
from xpnet.data import TablePreprocessor
from xpnet.metrics import Metric, accuracy, named
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
    """Metrics by name, as ``test_NAME``; None for a metric without a value, because JSON has no NaN.

    Raises: ``UsageError`` for a classification metric on a regression, or the reverse.
    """
    found = named(list(names))
    check_metrics(settings, found)
    if settings.task == "regression":
        prepare = TablePreprocessor.from_state(settings.table["preprocessing"])
        outputs, target = (prepare.inverse_target(to_numpy(y)) for y in (outputs, target))
    values = {f"test_{name}": float(metric(outputs, target)) for name, metric in found.items()}
    return {name: None if math.isnan(value) else value for name, value in values.items()}


class InUnits(Metric):
    """A regression metric in the target's units, for a network that learns ``(y - center) / scale``."""

    task = "regression"

    def __init__(self, metric: Metric, scale: float, center: float) -> None:
        super().__init__()
        self._metric, self._scale, self._center = metric, scale, center

    def _in_units(self, y: Array) -> Array:
        return y.astype("float64") * self._scale + self._center

    def part(self, output: Array, target: Array, sample_weight: Array | None = None) -> dict[str, Array]:
        """The statistics that the metric keeps of a batch."""
        return self._metric.part(self._in_units(output), self._in_units(target), sample_weight)

    def value(self, part: dict[str, Array]) -> Array:
        """The metric's value."""
        return self._metric.value(part)

    def merge(self, part: dict[str, Array]) -> None:
        """Add the statistics of a batch."""
        self._metric.merge(part)

    def reset(self) -> None:
        """Forget all batches; instances made by ``fresh`` have their own statistics."""
        self._metric = self._metric.fresh()

    def state_dict(self) -> dict[str, Array]:
        """The statistics of the metric."""
        return self._metric.state_dict()

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Continue from a state dict."""
        self._metric.load_state_dict(state)


def in_units(settings: Settings, name: str) -> Metric:
    """A metric by name, for the history of a regression run."""
    prepare = TablePreprocessor.from_state(settings.table["preprocessing"])
    return InUnits(metrics.get(name), prepare.scale, prepare.center)


def check_metrics(settings: Settings, names: Iterable[str]) -> None:
    """Check that each metric applies to this task."""
    task = "regression" if settings.task == "regression" else "classification"
    for name in names:
        if metrics.get(name).task != task:
            raise UsageError(f"--metric {name} is not for a {task}: choose from {', '.join(metrics.names(task))}")


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
