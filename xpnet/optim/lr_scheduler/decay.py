"""Schedules that only go down (or, for a warm-up, only up)."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence

from xpnet.optim.lr_scheduler.base import LRScheduler, positive
from xpnet.optim.optimizer import Optimizer


class StepLR(LRScheduler):
    """``η = η₀ γ^⌊t / step_size⌋``."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        self.step_size, self.gamma = positive("StepLR: step_size", step_size), gamma
        super().__init__(optimizer)

    def lr_at(self, base_lr: float, epoch: int) -> float:
        return float(base_lr * self.gamma ** (epoch // self.step_size))


class MultiStepLR(LRScheduler):
    """``η = η₀ γ^(milestones passed)``."""

    def __init__(self, optimizer: Optimizer, milestones: Sequence[int], gamma: float = 0.1) -> None:
        self.milestones, self.gamma = sorted(positive("MultiStepLR: a milestone", m) for m in milestones), gamma
        super().__init__(optimizer)

    def lr_at(self, base_lr: float, epoch: int) -> float:
        return float(base_lr * self.gamma ** bisect_right(self.milestones, epoch))


class ExponentialLR(LRScheduler):
    """``η = η₀ γᵗ``."""

    def __init__(self, optimizer: Optimizer, gamma: float) -> None:
        self.gamma = gamma
        super().__init__(optimizer)

    def lr_at(self, base_lr: float, epoch: int) -> float:
        return float(base_lr * self.gamma**epoch)


class PolynomialLR(LRScheduler):
    """``η = η₀ (1 − t/total_iters)^power``, 0 from then on."""

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0) -> None:
        self.total_iters, self.power = positive("PolynomialLR: total_iters", total_iters), power
        super().__init__(optimizer)

    def lr_at(self, base_lr: float, epoch: int) -> float:
        return float(base_lr * (1.0 - min(epoch, self.total_iters) / self.total_iters) ** self.power)


class CosineAnnealingLR(LRScheduler):
    """``η = η_min + (η₀ − η_min)(1 + cos(π t / T_max)) / 2`` (Loshchilov & Hutter 2016, arXiv:1608.03983, eq. 5)."""

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        self.T_max, self.eta_min = positive("CosineAnnealingLR: T_max", T_max), eta_min
        super().__init__(optimizer)

    def lr_at(self, base_lr: float, epoch: int) -> float:
        return self.eta_min + (base_lr - self.eta_min) * (1.0 + math.cos(math.pi * epoch / self.T_max)) / 2.0


class LinearLR(LRScheduler):
    """``η = η₀ · f``, the factor f going linearly from ``start_factor`` to ``end_factor`` in ``total_iters`` steps."""

    def __init__(
        self, optimizer: Optimizer, start_factor: float = 1.0 / 3.0, end_factor: float = 1.0, total_iters: int = 5
    ) -> None:
        for name, factor in (("start_factor", start_factor), ("end_factor", end_factor)):
            if not 0.0 <= factor <= 1.0 or (name == "start_factor" and factor == 0.0):
                raise ValueError(f"LinearLR: {name} must lie in 0..1 (and start above 0), got {factor!r}")
        self.start_factor, self.end_factor = start_factor, end_factor
        self.total_iters = positive("LinearLR: total_iters", total_iters)
        super().__init__(optimizer)

    def lr_at(self, base_lr: float, epoch: int) -> float:
        t = min(epoch, self.total_iters) / self.total_iters
        return base_lr * (self.start_factor + (self.end_factor - self.start_factor) * t)


class LambdaLR(LRScheduler):
    """``η = η₀ · f(t)``; one function, or one for each parameter group."""

    def __init__(
        self, optimizer: Optimizer, lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]]
    ) -> None:
        groups = len(optimizer.param_groups)
        self.lr_lambdas = [lr_lambda] * groups if callable(lr_lambda) else list(lr_lambda)
        if len(self.lr_lambdas) != groups:
            raise ValueError(f"LambdaLR: {len(self.lr_lambdas)} functions for {groups} parameter groups")
        super().__init__(optimizer)

    def lr_at(self, base_lr: float, epoch: int) -> float:
        return base_lr * self.lr_lambdas[0](epoch)

    def _write(self) -> None:
        parts = zip(self.optimizer.param_groups, self.base_lrs, self.lr_lambdas, strict=True)
        for group, base_lr, f in parts:
            group["lr"] = base_lr * f(self.last_epoch)


class SequentialLR(LRScheduler):
    """One schedule after the other: from ``milestones[i]`` on ``schedulers[i + 1]`` counts its own steps.

    A warm-up: ``SequentialLR(optimizer, [LinearLR(optimizer, 0.01), CosineAnnealingLR(optimizer, 95)], [5])``.
    """

    def __init__(self, optimizer: Optimizer, schedulers: Sequence[LRScheduler], milestones: Sequence[int]) -> None:
        if len(schedulers) != len(milestones) + 1 or list(milestones) != sorted(set(milestones)):
            raise ValueError(
                f"SequentialLR: {len(schedulers)} schedules need {len(schedulers) - 1} rising milestones, "
                f"got {list(milestones)}"
            )
        if any(part.optimizer is not optimizer for part in schedulers):
            raise ValueError("SequentialLR: all schedules must be of this optimizer")
        self.schedulers, self.milestones = list(schedulers), list(milestones)
        super().__init__(optimizer)

    def lr_at(self, base_lr: float, epoch: int) -> float:
        part = bisect_right(self.milestones, epoch)
        start = self.milestones[part - 1] if part else 0
        return self.schedulers[part].lr_at(base_lr, epoch - start)
