"""Schedules that go up and down.  The cyclic ones may move the momentum the other way."""

from __future__ import annotations

import math
from typing import Any

from xpnet.optim.lr_scheduler.base import LRScheduler, positive
from xpnet.optim.optimizer import Optimizer


class CosineAnnealingWarmRestarts(LRScheduler):
    """``η = η_min + (η₀ − η_min)(1 + cos(π t / T)) / 2``, t epochs after the last restart.

    It restarts every T epochs; T is first ``T_0`` and ``T_mult`` times as long after each restart.
    Source: Loshchilov & Hutter 2016, arXiv:1608.03983, eq. 5.
    """

    def __init__(self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0) -> None:
        self.T_0 = positive("CosineAnnealingWarmRestarts: T_0", T_0)
        self.T_mult, self.eta_min = positive("CosineAnnealingWarmRestarts: T_mult", T_mult), eta_min
        super().__init__(optimizer)

    def lr_at(self, base_lr: float, epoch: int) -> float:
        length = self.T_0
        while epoch >= length:
            epoch -= length
            length *= self.T_mult
        return self.eta_min + (base_lr - self.eta_min) * (1.0 + math.cos(math.pi * epoch / length)) / 2.0


def _set_momentum(group: dict[str, Any], value: float) -> None:
    """Momentum where the optimizer has one, else the first β."""
    if "betas" in group:
        group["betas"] = (value, group["betas"][1])
    else:
        group["momentum"] = value


def _check_momentum(name: str, optimizer: Optimizer) -> None:
    if not all("betas" in group or group.get("momentum") for group in optimizer.param_groups):
        raise ValueError(f"{name}: this optimizer has no momentum to cycle: pass cycle_momentum=False")


class OneCycleLR(LRScheduler):
    """Up to ``max_lr`` in the first ``pct_start`` of ``total_steps``, then down to far below the start.

    From a to b: ``η = b + (a − b)(1 + cos π s) / 2``, s the share of the way; or "linear", ``η = a + (b − a) s``.
    Step it every batch.  It starts at ``max_lr / div_factor`` and ends at ``max_lr / div_factor / final_div_factor``;
    ``three_phase`` goes back to the start first.  Momentum goes from ``max_momentum`` to ``base_momentum`` and back.
    Source: Smith & Topin 2017, arXiv:1708.07120.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float,
        total_steps: int,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float = 0.85,
        max_momentum: float = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
    ) -> None:
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"OneCycleLR: anneal_strategy must be 'cos' or 'linear', got {anneal_strategy!r}")
        if not 0.0 <= pct_start <= 1.0:
            raise ValueError(f"OneCycleLR: pct_start must lie in 0..1, got {pct_start!r}")
        if cycle_momentum:
            _check_momentum("OneCycleLR", optimizer)
        self.total_steps, self.cosine = positive("OneCycleLR: total_steps", total_steps), anneal_strategy == "cos"
        self.cycle_momentum = cycle_momentum
        start = max_lr / div_factor
        low = start / final_div_factor
        first = float(pct_start * total_steps) - 1.0
        ends = [first, 2.0 * first, total_steps - 1.0] if three_phase else [first, total_steps - 1.0]
        rates = [start, max_lr, start, low] if three_phase else [start, max_lr, low]
        momenta = [max_momentum, base_momentum, max_momentum, max_momentum][: len(rates)]
        self._phases = list(zip(ends, rates, rates[1:], momenta, momenta[1:], strict=False))
        super().__init__(optimizer)

    def _at(self, step: int, which: int) -> float:
        """Between the ends of the phase that ``step`` lies in; ``which`` is 1 for the rate, 3 for the momentum."""
        if step >= self.total_steps + 1:
            raise ValueError(f"OneCycleLR: step {step} lies behind total_steps={self.total_steps}")
        begin = 0.0
        for i, phase in enumerate(self._phases):
            end, low, high = phase[0], phase[which], phase[which + 1]
            if step <= end or i == len(self._phases) - 1:
                share = (step - begin) / (end - begin)
                return (
                    high + (low - high) / 2.0 * (1.0 + math.cos(math.pi * share))
                    if self.cosine
                    else low + (high - low) * share
                )
            begin = end
        raise AssertionError("the last phase takes all")

    def lr_at(self, base_lr: float, epoch: int) -> float:
        return self._at(epoch, 1)

    def _write(self) -> None:
        super()._write()
        if self.cycle_momentum:
            for group in self.optimizer.param_groups:
                _set_momentum(group, self._at(self.last_epoch, 3))


class CyclicLR(LRScheduler):
    """``η = base_lr + (max_lr − base_lr) · rise · size``: triangles; momentum the other way.  Step it every batch.

    The rise goes from 0 to 1 in ``step_size_up`` steps, and back in ``step_size_down``.  The size by ``mode``: 1
    ("triangular"), ``2^−cycle`` ("triangular2"), ``gamma^step`` ("exp_range").
    Source: Smith 2015, arXiv:1506.01186.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: float,
        max_lr: float,
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        cycle_momentum: bool = True,
        base_momentum: float = 0.8,
        max_momentum: float = 0.9,
    ) -> None:
        if mode not in ("triangular", "triangular2", "exp_range"):
            raise ValueError(f"CyclicLR: mode must be 'triangular', 'triangular2' or 'exp_range', got {mode!r}")
        if cycle_momentum:
            _check_momentum("CyclicLR", optimizer)
        self.low, self.high, self.mode, self.gamma = base_lr, max_lr, mode, gamma
        self.up = positive("CyclicLR: step_size_up", step_size_up)
        self.down = self.up if step_size_down is None else positive("CyclicLR: step_size_down", step_size_down)
        self.cycle_momentum, self.base_momentum, self.max_momentum = cycle_momentum, base_momentum, max_momentum
        super().__init__(optimizer)

    def _height(self, step: int) -> float:
        """How far up the triangle, 0..1, times what is left of its size."""
        cycle, place = divmod(step, self.up + self.down)
        rise = place / self.up if place <= self.up else 1.0 - (place - self.up) / self.down
        size = {"triangular": 1.0, "triangular2": 0.5**cycle, "exp_range": self.gamma**step}[self.mode]
        return rise * size

    def lr_at(self, base_lr: float, epoch: int) -> float:
        return self.low + (self.high - self.low) * self._height(epoch)

    def _write(self) -> None:
        super()._write()
        if self.cycle_momentum:
            fall = (self.max_momentum - self.base_momentum) * self._height(self.last_epoch)
            for group in self.optimizer.param_groups:
                _set_momentum(group, self.max_momentum - fall)
