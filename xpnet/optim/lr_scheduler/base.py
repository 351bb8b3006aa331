"""The base class of schedules, and shared checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from xpnet.optim.optimizer import Optimizer

T = TypeVar("T")


class LRScheduler:
    """Base class of schedules that depend only on their step count.

    A schedule has one of two forms, as in PyTorch.  The closed form, ``lr_at``, computes the rate from the count and
    overwrites the current rate.  The chainable form, ``get_lr``, computes the rate of the next epoch by multiplying the
    current rate.  Two chainable schedules on one optimizer apply both factors, and a rate set by hand persists.

    A group that is added to the optimizer later enters at the next step, with its own ``lr``.

    Parameters
    ----------
    optimizer : the optimizer; the schedule writes ``lr`` of its groups and adds ``initial_lr`` to each.
    last_epoch : -1 starts the schedule; another number continues after that epoch and needs groups with ``initial_lr``.
    """

    _starting = False  # True while the rate of the first epoch is set

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        check_optimizer(self, optimizer)
        self.optimizer = optimizer
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise ValueError(
                    f"{type(self).__name__}: last_epoch={last_epoch} continues a schedule, but group {i} has no "
                    "'initial_lr': load the optimizer's state dict first, or leave out last_epoch"
                )
        self.base_lrs: list[float] = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._last_lr: list[float] = []
        self._start()

    def lr_at(self, base_lr: float, epoch: int) -> float:
        """The closed form: the learning rate after ``epoch`` steps of a group that started with ``base_lr``."""
        raise NotImplementedError(f"{type(self).__name__} has no closed form: define lr_at(base_lr, epoch) or get_lr()")

    def rates_at(self, epoch: int) -> list[float]:
        """The closed form for each group."""
        return [self.lr_at(base_lr, epoch) for base_lr in self.base_lrs]

    def get_lr(self) -> list[float]:
        """The rate of each group at ``last_epoch``, from the current rates or from the closed form."""
        return self.rates_at(self.last_epoch)

    def step(self) -> None:
        """Advance to the next epoch."""
        self._welcome()
        self.last_epoch += 1
        self._write(self.get_lr())

    def _rates(self) -> list[float]:
        return [group["lr"] for group in self.optimizer.param_groups]

    def _times(self, factor: float) -> list[float]:
        """The current rates times ``factor``."""
        return [lr * factor for lr in self._rates()]

    def _start(self) -> None:
        """Set the rate of the first epoch."""
        self._starting = True
        try:
            self.step()
        finally:
            del self._starting

    def _rewind(self) -> None:
        """Go back to before the first epoch, as if the schedule had not set a rate yet."""
        self.last_epoch = max(self.last_epoch - 1, -1)

    def _restart(self) -> None:
        """Start from the initial rates of the groups, when ``SequentialLR`` switches to this schedule."""
        self._welcome()
        self.last_epoch = 0
        try:
            rates = self.rates_at(0)
        except NotImplementedError:
            rates = self.get_lr()
        self._write(rates)

    def _welcome(self) -> None:
        """Include groups that were added to the optimizer since the last step."""
        for group in self.optimizer.param_groups[len(self.base_lrs) :]:
            self.base_lrs.append(group.setdefault("initial_lr", group["lr"]))

    def _write(self, rates: Sequence[float]) -> None:
        for group, lr in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = lr
        self._last_lr = self._rates()

    def get_last_lr(self) -> list[float]:
        """The learning rate of each group that this schedule set last."""
        return list(self._last_lr)

    def state_dict(self) -> dict[str, Any]:
        """The step count, the initial rates, the rates set last, and the current rates."""
        self._welcome()
        return {
            "last_epoch": self.last_epoch,
            "base_lrs": [float(lr) for lr in self.base_lrs],
            "_last_lr": [float(lr) for lr in self._last_lr],
            "lrs": [float(lr) for lr in self._rates()],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load a state dict, and set the rates that were current when it was saved.

        Raises: ``ValueError`` if it is not the state of a schedule with the same number of groups.
        """
        groups, rates = len(self.optimizer.param_groups), state.get("lrs", state.get("_last_lr"))
        rates = None if rates is None else check_rates(type(self).__name__, rates, groups)
        if state["last_epoch"] == -1:
            raise ValueError(f"this is not a state of a {type(self).__name__}: last_epoch is -1")
        self._load(state)
        self._write(self.rates_at(self.last_epoch) if rates is None else rates)
        self._last_lr = list(state.get("_last_lr", self._last_lr))

    def _load(self, state: Mapping[str, Any]) -> None:
        """Load a state dict without changing the optimizer."""
        name, epoch = type(self).__name__, state["last_epoch"]
        if type(epoch) is not int or epoch < -1:
            raise ValueError(f"this is not a state of a {name}: last_epoch is {epoch!r}")
        self.base_lrs = check_rates(name, state["base_lrs"], len(self.optimizer.param_groups))
        self.last_epoch = epoch
        self._last_lr = list(state.get("_last_lr", []))


def check_rates(name: str, rates: Sequence[float], groups: int) -> list[float]:
    """The rates as a list.  Raises: ``ValueError`` unless there is one number >= 0 for each parameter group."""
    if len(rates) != groups:
        raise ValueError(
            f"this state belongs to a {name} with {len(rates)} parameter groups, but the optimizer has {groups}: build "
            "it with the same groups (add_param_group) first"
        )
    if not all(isinstance(rate, (int, float)) and 0.0 <= rate < 1e300 for rate in rates):
        raise ValueError(f"the rates of a {name} must be numbers >= 0, got {list(rates)}")
    return list(rates)


def check_optimizer(schedule: object, optimizer: object) -> None:
    """Raises: ``TypeError`` if ``optimizer`` is not an optimizer."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(schedule).__name__} takes an optimizer, got {type(optimizer).__name__}")


def per_group(name: str, value: T | Sequence[T], optimizer: Optimizer) -> list[T]:
    """One value for each group, from a single value or a list.  Raises: ``ValueError`` for a list of another length."""
    groups = len(optimizer.param_groups)
    if not isinstance(value, (list, tuple)):
        return [value] * groups  # type: ignore[list-item]
    if len(value) != groups:
        raise ValueError(f"{name}: {len(value)} values for {groups} parameter groups")
    return list(value)


def positive(name: str, value: int) -> int:
    """``value`` as an int.  Raises: ``ValueError`` unless it is a positive integer."""
    if not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"{name} must be a positive whole number of epochs, got {value!r}")
    return int(value)
