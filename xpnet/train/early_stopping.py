"""Stop when a number no longer gets better."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


class EarlyStopping:
    """Watch one column of the history: ``update(value)`` says whether it is the best so far.

    ``mode`` is "min" for losses, "max" for accuracies; an improvement of less than ``min_delta`` does not count.
    NaN and infinities are never the best; an epoch with one counts as one without improvement.
    ``patience`` epochs without improvement set ``should_stop``; None never does, and only the best is kept track of.
    Source: Prechelt 1998, "Early stopping - but when?".
    """

    def __init__(
        self, monitor: str = "val_loss", mode: str = "min", patience: int | None = None, min_delta: float = 0.0
    ) -> None:
        if mode not in ("min", "max"):
            raise ValueError(f"mode must be 'min' or 'max', got {mode!r}")
        if patience is not None and patience < 1:
            raise ValueError(f"patience must be at least 1 epoch, got {patience!r}")
        self.monitor, self.mode, self.patience, self.min_delta = monitor, mode, patience, float(min_delta)
        self.best: float | None = None
        self.best_epoch = 0
        self.epochs_without_improvement = 0

    def update(self, value: float, epoch: int) -> bool:
        """Take in an epoch's value; True where it is the best so far."""
        sign = 1.0 if self.mode == "min" else -1.0
        better = self.best is None or sign * value < sign * self.best - self.min_delta
        if math.isfinite(value) and better:
            self.best, self.best_epoch, self.epochs_without_improvement = value, epoch, 0
            return True
        self.epochs_without_improvement += 1
        return False

    @property
    def should_stop(self) -> bool:
        """Whether patience has run out."""
        return self.patience is not None and self.epochs_without_improvement >= self.patience

    def state_dict(self) -> dict[str, Any]:
        """The best value, its epoch and the count."""
        return {
            "best": self.best,
            "best_epoch": self.best_epoch,
            "epochs_without_improvement": self.epochs_without_improvement,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a state dict."""
        self.best, self.best_epoch = state["best"], state["best_epoch"]
        if self.best is not None and not math.isfinite(self.best):  # as older versions kept it
            self.best, self.best_epoch = None, 0
        self.epochs_without_improvement = state["epochs_without_improvement"]
