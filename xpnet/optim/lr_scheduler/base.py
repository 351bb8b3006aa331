"""What all schedules share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from xpnet.optim.optimizer import Optimizer


class LRScheduler(ABC):
    """Base of the schedules that depend on nothing but the count."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self.last_epoch = 0
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
        self.base_lrs: list[float] = [group["initial_lr"] for group in optimizer.param_groups]
        self._write()

    @abstractmethod
    def lr_at(self, base_lr: float, epoch: int) -> float:
        """The learning rate after ``epoch`` steps, for a group that started with ``base_lr``."""

    def step(self) -> None:
        """Go on to the next epoch."""
        self.last_epoch += 1
        self._write()

    def _write(self) -> None:
        for group, base_lr in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
            group["lr"] = self.lr_at(base_lr, self.last_epoch)

    def get_last_lr(self) -> list[float]:
        """The learning rate of each group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """The count and the starting rates."""
        return {"last_epoch": self.last_epoch, "base_lrs": list(self.base_lrs)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a state dict.  Raises: ``ValueError`` where it is not one of a schedule of as many groups."""
        epoch, rates = state["last_epoch"], list(state["base_lrs"])
        if not isinstance(epoch, int) or epoch < 0 or len(rates) != len(self.optimizer.param_groups):
            raise ValueError(f"no state of this schedule: epoch {epoch!r}, {len(rates)} rates")
        if not all(isinstance(rate, (int, float)) and 0.0 <= rate < 1e300 for rate in rates):
            raise ValueError(f"the rates of a schedule must be numbers >= 0, got {rates}")
        self.last_epoch, self.base_lrs = epoch, rates
        self._write()


def positive(name: str, value: int) -> int:
    """``value``.  Raises: ``ValueError`` unless it is a positive whole number."""
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be a positive whole number of epochs, got {value!r}")
    return value
