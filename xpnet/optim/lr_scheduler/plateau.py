"""The schedule that depends on a metric."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from xpnet.optim.lr_scheduler.base import check_optimizer, check_rates, per_group
from xpnet.optim.optimizer import Optimizer


class ReduceLROnPlateau:
    """``η ← max(factor · η, min_lr)`` when the metric has not improved for more than ``patience`` epochs.

    Parameters
    ----------
    optimizer : the optimizer.
    mode : "min" if a smaller metric is better, "max" if a larger one is.
    factor : the factor of the rate.
    patience : the number of epochs without improvement that are tolerated.
    threshold : the smallest change that counts as an improvement.
    threshold_mode : "rel" (relative to the best metric) or "abs".
    cooldown : the number of epochs after a reduction in which none is counted as bad.
    min_lr : the lowest rate: a number, or one for each parameter group.
    eps : changes of the rate up to this are skipped.

    >>> import xpnet
    >>> optimizer = xpnet.optim.SGD([xpnet.nn.Parameter([1.0])], lr=0.1)
    >>> schedule = ReduceLROnPlateau(optimizer, factor=0.5, patience=0)
    >>> for metric in (1.0, 2.0):
    ...     schedule.step(metric)
    >>> schedule.get_last_lr()
    [0.05]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0.0,
        eps: float = 1e-8,
    ) -> None:
        if mode not in ("min", "max"):
            raise ValueError(f"ReduceLROnPlateau: mode must be 'min' or 'max', got {mode!r}")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(f"ReduceLROnPlateau: threshold_mode must be 'rel' or 'abs', got {threshold_mode!r}")
        if not 0.0 <= factor < 1.0:
            raise ValueError(f"ReduceLROnPlateau: factor must lie in [0, 1), got {factor!r}")
        check_optimizer(self, optimizer)
        per_group("ReduceLROnPlateau: min_lr", min_lr, optimizer)
        self.optimizer, self.mode, self.factor, self.patience = optimizer, mode, factor, patience
        self.threshold, self.threshold_mode, self.cooldown = threshold, threshold_mode, cooldown
        self.min_lr, self.eps = min_lr, eps
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = self.cooldown_counter = self.last_epoch = 0

    def _is_better(self, metric: float) -> bool:
        sign = 1.0 if self.mode == "min" else -1.0
        if not math.isfinite(metric):
            return False  # NaN and infinities are never the best
        if math.isinf(self.best):
            return sign * metric < sign * self.best
        margin = self.threshold * (abs(self.best) if self.threshold_mode == "rel" else 1.0)
        return sign * metric < sign * self.best - margin

    def step(self, metric: float) -> None:
        """Record the metric of this epoch, and reduce the learning rate if it has stopped improving."""
        self.last_epoch += 1
        if self._is_better(float(metric)):
            self.best, self.num_bad_epochs = float(metric), 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0

    def _reduce(self) -> None:
        least = per_group("ReduceLROnPlateau: min_lr", self.min_lr, self.optimizer)
        for group, min_lr in zip(self.optimizer.param_groups, least, strict=True):
            lower = max(group["lr"] * self.factor, min_lr)
            if group["lr"] - lower > self.eps:
                group["lr"] = lower

    def get_last_lr(self) -> list[float]:
        """The learning rate of each group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """The best metric, the counters, and the current rates."""
        names = ("best", "num_bad_epochs", "cooldown_counter", "last_epoch")
        return {**{name: getattr(self, name) for name in names}, "lrs": self.get_last_lr()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load a state dict.  Raises: ``ValueError`` if it has another number of groups."""
        rates = check_rates("ReduceLROnPlateau", state["lrs"], len(self.optimizer.param_groups))
        for name in ("best", "num_bad_epochs", "cooldown_counter", "last_epoch"):
            setattr(self, name, state[name])
        for group, lr in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = lr
