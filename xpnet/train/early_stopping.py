"""Early stopping: stop when a quantity no longer improves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


class EarlyStopping:
    """Monitor one column of the history: ``update(value, epoch)`` returns whether the value is the best so far.

    NaN and infinities are never the best; an epoch with one counts as an epoch without improvement.

    Parameters
    ----------
    monitor : the column.
    mode : "min" for losses, "max" for accuracies.
    patience : the number of epochs without improvement after which ``should_stop`` is true; None never stops, and only
        records the best epoch.
    min_delta : a smaller change does not count as an improvement.

    Source: Prechelt 1998, "Early stopping - but when?".

    >>> stopping = EarlyStopping(patience=2)
    >>> [stopping.update(loss, epoch) for epoch, loss in enumerate([0.9, 0.5, 0.6, 0.7], 1)]
    [True, True, False, False]
    >>> stopping.should_stop, stopping.best
    (True, 0.5)
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
        """Record the value of an epoch; returns whether it is the best so far."""
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
        """The best value, its epoch, and the number of epochs without improvement."""
        return {
            "best": self.best,
            "best_epoch": self.best_epoch,
            "epochs_without_improvement": self.epochs_without_improvement,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a state dict."""
        self.best, self.best_epoch = state["best"], state["best_epoch"]
        if self.best is not None and not math.isfinite(self.best):  # from older versions
            self.best, self.best_epoch = None, 0
        self.epochs_without_improvement = state["epochs_without_improvement"]
