"""Schedules that combine other schedules."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from xpnet.optim.lr_scheduler.base import LRScheduler
from xpnet.optim.optimizer import Optimizer


class _Combined(LRScheduler):
    """Base of the combined schedules: several schedules on one optimizer, and their states."""

    schedulers: list[LRScheduler]

    def _check_parts(self, optimizer: Optimizer) -> None:
        name = type(self).__name__
        if not self.schedulers:
            raise ValueError(f"{name} needs at least one schedule")
        for i, part in enumerate(self.schedulers):
            if not isinstance(part, LRScheduler):
                raise ValueError(
                    f"{name}: schedule {i} is a {type(part).__name__}, which depends on more than the step count: "
                    "step it separately"
                )
            if part.optimizer is not optimizer:
                raise ValueError(f"{name}: all schedules must be of this optimizer, but schedule {i} has another")

    def _welcome(self) -> None:
        super()._welcome()
        for part in self.schedulers:
            part._welcome()

    def state_dict(self) -> dict[str, Any]:
        """Its own state and the state of each schedule."""
        return {**super().state_dict(), "_schedulers": [part.state_dict() for part in self.schedulers]}

    def _load(self, state: Mapping[str, Any]) -> None:
        super()._load(state)
        saved = state["_schedulers"]
        if len(saved) != len(self.schedulers):
            raise ValueError(f"this state has {len(saved)} schedules, expected {len(self.schedulers)}")
        for part, own in zip(self.schedulers, saved, strict=True):
            part._load(own)

    def _rewind(self) -> None:
        for part in self.schedulers:
            part._rewind()


class SequentialLR(_Combined):
    """One schedule after the other: at ``milestones[i]`` it switches to ``schedulers[i + 1]``.

    Each schedule counts its own steps and starts from the initial rates of the groups.

    Parameters
    ----------
    optimizer : the optimizer of all schedules.
    schedulers : the schedules, in order.
    milestones : the epochs at which the next schedule begins, one fewer than schedules.
    last_epoch : -1 starts; another number continues after that epoch.

    >>> import xpnet
    >>> optimizer = xpnet.optim.SGD([xpnet.nn.Parameter([1.0])], lr=0.1)
    >>> warmup = xpnet.optim.lr_scheduler.LinearLR(optimizer, 0.5, total_iters=2)
    >>> decay = xpnet.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    >>> schedule = SequentialLR(optimizer, [warmup, decay], [2])
    >>> [(schedule.step(), round(optimizer.param_groups[0]["lr"], 4))[1] for _ in range(4)]
    [0.075, 0.1, 0.05, 0.025]
    """

    def __init__(
        self, optimizer: Optimizer, schedulers: Sequence[LRScheduler], milestones: Sequence[int], last_epoch: int = -1
    ) -> None:
        self.schedulers, self.milestones = list(schedulers), list(milestones)
        self._check_parts(optimizer)
        if len(self.schedulers) != len(self.milestones) + 1 or self.milestones != sorted(set(self.milestones)):
            raise ValueError(
                f"SequentialLR: {len(self.schedulers)} schedules need {len(self.schedulers) - 1} increasing milestones"
                f", got {self.milestones}"
            )
        self.optimizer = optimizer
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch + 1
        self._write(self.base_lrs)  # each part set its first rate when it was made
        for part in self.schedulers:
            part._rewind()
        self._part(0)._start()
        self._last_lr = self._rates()

    def _part(self, epoch: int) -> LRScheduler:
        return self.schedulers[bisect_right(self.milestones, epoch)]

    def rates_at(self, epoch: int) -> list[float]:
        number = bisect_right(self.milestones, epoch)
        return self.schedulers[number].rates_at(epoch - (self.milestones[number - 1] if number else 0))

    def step(self) -> None:
        """Advance to the next epoch."""
        self._welcome()
        self.last_epoch += 1
        part = self._part(self.last_epoch)
        if self.last_epoch in self.milestones:
            part._restart()
        else:
            part.step()
        self._last_lr = self._rates()

    def _start(self) -> None:
        self.last_epoch = 0
        self._part(0)._start()
        self._last_lr = self._rates()

    def _restart(self) -> None:
        self._welcome()
        self.last_epoch = 0
        self._part(0)._restart()
        self._last_lr = self._rates()

    def _load(self, state: Mapping[str, Any]) -> None:
        if "_schedulers" in state:
            super()._load(state)
            return
        LRScheduler._load(self, state)  # an older state has only the count
        ends = [*self.milestones, self.last_epoch + 1]
        for part, start, end in zip(self.schedulers, [0, *self.milestones], ends, strict=True):
            part.last_epoch = max(min(self.last_epoch, end - 1) - start, 0)


class ChainedScheduler(_Combined):
    """Several schedules that step together: ``η = η₀ · f₁(t) · f₂(t) …`` if they are chainable.

    Example: ``ChainedScheduler([LinearLR(optimizer, 0.1), ExponentialLR(optimizer, 0.9)])``.
    """

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None) -> None:
        self.schedulers = list(schedulers)
        first: Any = self.schedulers[0] if self.schedulers else None
        whose: Any = getattr(first, "optimizer", None) if optimizer is None else optimizer
        self._check_parts(whose)
        self.optimizer = whose
        self.base_lrs = [group["initial_lr"] for group in self.optimizer.param_groups]
        self.last_epoch = self.schedulers[0].last_epoch
        self._last_lr = self._rates()

    def rates_at(self, epoch: int) -> list[float]:
        raise NotImplementedError("ChainedScheduler has no closed form: its schedules multiply the current rate")

    def step(self) -> None:
        """Advance to the next epoch."""
        self._welcome()
        self.last_epoch += 1
        for part in self.schedulers:
            part.step()
        self._last_lr = self._rates()

    def _start(self) -> None:
        self.last_epoch = 0
        for part in self.schedulers:
            part._start()
        self._last_lr = self._rates()

    def _restart(self) -> None:
        self._welcome()
        self._write(self.base_lrs)
        for part in self.schedulers:
            part.last_epoch = -1
        self._start()
