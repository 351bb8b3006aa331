"""How good a run's outputs are: as numbers by name, and in a line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from xpnet.cli.settings import Settings
from xpnet.data import TablePreprocessor
from xpnet.metrics import accuracy
from xpnet.nn import functional as F
from xpnet_backends import Array, to_numpy


def score(settings: Settings, outputs: Array, target: Array) -> dict[str, float]:
    """Accuracy and loss; for a regression RMSE and mean absolute error in the target's units, R² and loss."""
    if settings.task != "regression":
        return {"test_accuracy": float(accuracy(outputs, target)), "test_loss": float(F.cross_entropy(outputs, target))}
    prepare = TablePreprocessor.from_state(settings.table["preprocessing"])
    predicted, actual = (prepare.inverse_target(to_numpy(y)) for y in (outputs, target))
    error = predicted - actual
    spread = float(np.square(actual - actual.mean()).sum())
    result = {
        "test_rmse": float(np.sqrt(np.square(error).mean())),
        "test_mae": float(np.abs(error).mean()),
        "test_loss": float(F.mse_loss(outputs, target)),
    }
    # R² compares with the mean of these rows; where all are equal it has no value
    return {**result, **({"test_r2": 1.0 - float(np.square(error).sum()) / spread} if spread > 0 else {})}


def headline(result: Mapping[str, Any]) -> str:
    """A score in a line."""
    if "test_accuracy" in result:
        return f"test accuracy {result['test_accuracy']:.4f}, test loss {result['test_loss']:.4f}"
    r2 = f", R² {result['test_r2']:.4f}" if "test_r2" in result else ""
    return f"test RMSE {result['test_rmse']:.4g}, mean absolute error {result['test_mae']:.4g}{r2}"
