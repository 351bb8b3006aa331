"""Schedules that only decrease the rate, or only increase it for a warm-up."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence

from xpnet.optim.lr_scheduler.base import LRScheduler, positive
from xpnet.optim.optimizer import Optimizer


class StepLR(LRScheduler):
    """``η = η₀ γ^⌊t / step_size⌋``.

    >>> import xpnet
    >>> optimizer = xpnet.optim.SGD([xpnet.nn.Parameter([1.0])], lr=0.1)
    >>> schedule = StepLR(optimizer, step_size=2, gamma=0.5)
    >>> [(optimizer.param_groups[0]["lr"], schedule.step())[0] for _ in range(4)]
    [0.1, 0.1, 0.05, 0.05]
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.step_size, self.gamma = positive("StepLR: step_size", step_size), gamma
        super().__init__(optimizer, last_epoch)

    def lr_at(self, base_lr: float, epoch: int) -> float:
        return float(base_lr * self.gamma ** (epoch // self.step_size))

    def get_lr(self) -> list[float]:
        passed = self.last_epoch > 0 and self.last_epoch % self.step_size == 0
        return self._times(self.gamma) if passed else self._rates()


class MultiStepLR(LRScheduler):
    """``η = η₀ γᵏ``, where k is the number of milestones passed."""

    def __init__(
        self, optimizer: Optimizer, milestones: Sequence[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.milestones, self.gamma = sorted(positive("MultiStepLR: a milestone", m) for m in milestones), gamma
        super().__init__(optimizer, last_epoch)

    def lr_at(self, base_lr: float, epoch: int) -> float:
        return float(base_lr * self.gamma ** bisect_right(self.milestones, epoch))

    def get_lr(self) -> list[float]:
        passed = self.milestones.count(self.last_epoch)
        return self._times(self.gamma**passed) if passed else self._rates()


class ConstantLR(LRScheduler):
    """``η = η₀ · factor`` in the first ``total_iters`` epochs, then η₀.

    Parameters
    ----------
    optimizer : the optimizer.
    factor, total_iters : as in the formula.
    last_epoch : -1 starts; another number continues after that epoch.
    """

    def __init__(
        self, optimizer: Optimizer, factor: float = 1.0 / 3, total_iters: int = 5, last_epoch: int = -1
    ) -> None:
        if not 0.0 <= factor <= 1.0:
            raise ValueError(f"ConstantLR: factor must lie in 0..1, got {factor!r}")
        self.factor, self.total_iters = factor, positive("ConstantLR: total_iters", total_iters)
        super().__init__(optimizer, last_epoch)

    def lr_at(self, base_lr: float, epoch: int) -> float:
        return base_lr * (self.factor if epoch < self.total_iters else 1.0)

    def get_lr(self) -> list[float]:
        if self.last_epoch == 0:
            return self._times(self.factor)
        if self.last_epoch != self.total_iters:
            return self._rates()
        return self._times(1.0 / self.factor) if self.factor else self.rates_at(self.last_epoch)  # 0 cannot be scaled


class ExponentialLR(LRScheduler):
    """``η = η₀ γᵗ``."""

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def lr_at(self, base_lr: float, epoch: int) -> float:
        return float(base_lr * self.gamma**epoch)

    def get_lr(self) -> list[float]:
        return self._rates() if self._starting else self._times(self.gamma)


class PolynomialLR(LRScheduler):
    """``η = η₀ (1 − t/total_iters)^power`` up to ``total_iters``, then 0.

    Parameters
    ----------
    optimizer : the optimizer.
    total_iters, power : as in the formula.
    last_epoch : -1 starts; another number continues after that epoch.
    """

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1) -> None:
        self.total_iters, self.power = positive("PolynomialLR: total_iters", total_iters), power
        super().__init__(optimizer, last_epoch)

    def lr_at(self, base_lr: float, epoch: int) -> float:
        return float(base_lr * (1.0 - min(epoch, self.total_iters) / self.total_iters) ** self.power)

    def get_lr(self) -> list[float]:
        if self._starting or self.last_epoch > self.total_iters:
            return self._rates()
        left, before = (1.0 - t / self.total_iters for t in (self.last_epoch, self.last_epoch - 1))
        return self._times((left / before) ** self.power)


class CosineAnnealingLR(LRScheduler):
    """``η = η_min + (η₀ − η_min)(1 + cos(π t / T_max)) / 2`` (Loshchilov & Hutter 2016, arXiv:1608.03983, eq. 5).

    >>> import xpnet
    >>> optimizer = xpnet.optim.SGD([xpnet.nn.Parameter([1.0])], lr=1.0)
    >>> schedule = CosineAnnealingLR(optimizer, T_max=2)
    >>> [(round(optimizer.param_groups[0]["lr"], 4), schedule.step())[0] for _ in range(3)]
    [1.0, 0.5, 0.0]
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.T_max, self.eta_min = positive("CosineAnnealingLR: T_max", T_max), eta_min
        super().__init__(optimizer, last_epoch)

    def lr_at(self, base_lr: float, epoch: int) -> float:
        return self.eta_min + (base_lr - self.eta_min) * (1.0 + math.cos(math.pi * epoch / self.T_max)) / 2.0

    def get_lr(self) -> list[float]:
        t, low = self.last_epoch, self.eta_min
        if self._starting:
            return self._rates()
        if (t - 1 - self.T_max) % (2 * self.T_max) == 0:  # at the minimum there is nothing to multiply
            rise = (1.0 - math.cos(math.pi / self.T_max)) / 2.0
            return [lr + (base - low) * rise for lr, base in zip(self._rates(), self.base_lrs, strict=True)]
        height, before = (1.0 + math.cos(math.pi * n / self.T_max) for n in (t, t - 1))
        return [height / before * (lr - low) + low for lr in self._rates()]


class LinearLR(LRScheduler):
    """``η = η₀ · f``, where f goes linearly from ``start_factor`` to ``end_factor`` in ``total_iters`` steps.

    Parameters
    ----------
    optimizer : the optimizer.
    start_factor, end_factor, total_iters : as in the formula.
    last_epoch : -1 starts; another number continues after that epoch.

    >>> import xpnet
    >>> optimizer = xpnet.optim.SGD([xpnet.nn.Parameter([1.0])], lr=1.0)
    >>> schedule = LinearLR(optimizer, start_factor=0.5, total_iters=2)
    >>> [(optimizer.param_groups[0]["lr"], schedule.step())[0] for _ in range(3)]
    [0.5, 0.75, 1.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3.0,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        for name, factor in (("start_factor", start_factor), ("end_factor", end_factor)):
            if not 0.0 <= factor <= 1.0 or (name == "start_factor" and factor == 0.0):
                raise ValueError(f"LinearLR: {name} must lie in 0..1 (and start above 0), got {factor!r}")
        self.start_factor, self.end_factor = start_factor, end_factor
        self.total_iters = positive("LinearLR: total_iters", total_iters)
        super().__init__(optimizer, last_epoch)

    def lr_at(self, base_lr: float, epoch: int) -> float:
        t = min(epoch, self.total_iters) / self.total_iters
        return base_lr * (self.start_factor + (self.end_factor - self.start_factor) * t)

    def get_lr(self) -> list[float]:
        if self.last_epoch == 0:
            return self._times(self.start_factor)
        if self._starting or self.last_epoch > self.total_iters:
            return self._rates()
        rise = self.end_factor - self.start_factor
        return self._times(1.0 + rise / (self.total_iters * self.start_factor + (self.last_epoch - 1) * rise))


class _ByFunction(LRScheduler):
    """One function of the epoch, or one for each parameter group."""

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
        last_epoch: int = -1,
    ) -> None:
        self._functions = _Functions(self, lr_lambda, optimizer)
        super().__init__(optimizer, last_epoch)

    @property
    def lr_lambdas(self) -> list[Callable[[int], float]]:
        """The function of each group."""
        return self._functions.of_groups(len(self.optimizer.param_groups))


class LambdaLR(_ByFunction):
    """``η = η₀ · f(t)``, with one function, or one for each parameter group.

    >>> import xpnet
    >>> optimizer = xpnet.optim.SGD([xpnet.nn.Parameter([1.0])], lr=1.0)
    >>> schedule = LambdaLR(optimizer, lambda t: 1 / (1 + t))
    >>> schedule.step()
    >>> schedule.get_last_lr()
    [0.5]
    """

    def rates_at(self, epoch: int) -> list[float]:
        return [base_lr * f(epoch) for base_lr, f in zip(self.base_lrs, self.lr_lambdas, strict=True)]


class MultiplicativeLR(_ByFunction):
    """``η ← η · f(t)`` at each step, with one function, or one for each parameter group."""

    def get_lr(self) -> list[float]:
        if self._starting:
            return self._rates()
        return [lr * f(self.last_epoch) for lr, f in zip(self._rates(), self.lr_lambdas, strict=True)]


class _Functions:
    """The functions of a schedule: one for all groups, including later ones, or one for each group."""

    def __init__(
        self,
        schedule: LRScheduler,
        given: Callable[[int], float] | Sequence[Callable[[int], float]],
        optimizer: Optimizer,
    ) -> None:
        self.name = type(schedule).__name__
        self.one = given if callable(given) else None
        self.each = [] if callable(given) else list(given)
        if not all(callable(f) for f in self.each):
            raise TypeError(f"{self.name}: lr_lambda must be a function, or one for each group, got {given!r}")
        self.of_groups(len(optimizer.param_groups))

    def of_groups(self, groups: int) -> list[Callable[[int], float]]:
        if self.one is not None:
            return [self.one] * groups
        if len(self.each) != groups:
            raise ValueError(
                f"{self.name}: {len(self.each)} functions for {groups} parameter groups: give one for each, or one "
                "function for all of them"
            )
        return self.each
