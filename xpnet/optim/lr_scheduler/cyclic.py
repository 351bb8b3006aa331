"""Schedules that raise and lower the rate.  The cyclic ones may change the momentum in the opposite direction."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from xpnet.optim.lr_scheduler.base import LRScheduler, per_group, positive
from xpnet.optim.optimizer import Optimizer


class CosineAnnealingWarmRestarts(LRScheduler):
    """``η = η_min + (η₀ − η_min)(1 + cos(π t / T)) / 2``, t epochs after the last restart.

    ``step(epoch)`` goes to an epoch, which may be fractional: ``step(epoch + batch / batches)`` after every batch.
    Source: Loshchilov & Hutter 2016, arXiv:1608.03983, eq. 5.

    Parameters
    ----------
    optimizer : the optimizer.
    T_0 : the first period T, in epochs.
    T_mult : the factor by which T grows at each restart.
    eta_min : η_min.
    last_epoch : -1 starts; another number continues after that epoch.
    """

    def __init__(
        self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        self.T_0 = positive("CosineAnnealingWarmRestarts: T_0", T_0)
        self.T_mult, self.eta_min = positive("CosineAnnealingWarmRestarts: T_mult", T_mult), eta_min
        self._past = 0.0  # the fractional part of a fractional epoch
        super().__init__(optimizer, last_epoch)

    def lr_at(self, base_lr: float, epoch: float) -> float:
        length = self.T_0
        while epoch >= length:
            epoch -= length
            length *= self.T_mult
        return self.eta_min + (base_lr - self.eta_min) * (1.0 + math.cos(math.pi * epoch / length)) / 2.0

    def get_lr(self) -> list[float]:
        return [self.lr_at(base_lr, self.last_epoch + self._past) for base_lr in self.base_lrs]

    def step(self, epoch: float | None = None) -> None:
        """Advance to the next epoch, or go to ``epoch``."""
        if epoch is None:
            super().step()
            return
        if not epoch >= 0:
            raise ValueError(f"CosineAnnealingWarmRestarts: epoch must be >= 0, got {epoch!r}")
        self._welcome()
        self.last_epoch = math.floor(epoch)
        self._past = epoch - self.last_epoch
        self._write(self.get_lr())

    def _restart(self) -> None:
        self._past = 0.0
        super()._restart()

    def state_dict(self) -> dict[str, Any]:
        """The state of all schedules, and the fraction of an epoch."""
        return {**super().state_dict(), "past": self._past}

    def _load(self, state: Mapping[str, Any]) -> None:
        super()._load(state)
        self._past = float(state.get("past", 0.0))


class _Cyclic(LRScheduler):
    """A schedule that also sets the momentum: the first of ``betas`` if the optimizer has them, else ``momentum``."""

    cycle_momentum: bool

    def _check_momentum(self, optimizer: Optimizer) -> None:
        if self.cycle_momentum and not all("betas" in g or g.get("momentum") for g in optimizer.param_groups):
            name = type(self).__name__
            raise ValueError(f"{name}: this optimizer has no momentum to cycle: pass cycle_momentum=False")

    def momenta_at(self, epoch: int) -> list[float]:
        """The momentum of each group."""
        raise NotImplementedError

    def _write(self, rates: Sequence[float]) -> None:
        super()._write(rates)
        if not self.cycle_momentum:
            return
        for group, value in zip(self.optimizer.param_groups, self.momenta_at(self.last_epoch), strict=True):
            if "betas" in group:
                group["betas"] = (value, *group["betas"][1:])
            else:
                group["momentum"] = value


class OneCycleLR(_Cyclic):
    """One cycle: the rate rises to ``max_lr``, then falls far below the starting rate.  Step it every batch.

    Each phase goes from a to b: ``η = b + (a − b)(1 + cos π s) / 2``, where s is the completed share of the phase.
    Source: Smith & Topin 2017, arXiv:1708.07120.

    Parameters
    ----------
    optimizer : the optimizer.
    max_lr : the highest rate: a number, or one for each parameter group.
    total_steps : the number of batches of the whole training.
    epochs, steps_per_epoch : an alternative to ``total_steps``, which is their product.
    pct_start : the share of the steps in which the rate rises.
    anneal_strategy : "cos", or "linear" for ``η = a + (b − a) s``.
    cycle_momentum : also move the momentum from ``max_momentum`` to ``base_momentum`` and back.
    base_momentum, max_momentum : a number, or one for each parameter group.
    div_factor : the first rate is ``max_lr / div_factor``.
    final_div_factor : the last rate is the first rate divided by this.
    three_phase : return to the first rate before the final decrease.
    last_epoch : -1 starts; another number continues after that step.

    >>> import xpnet
    >>> optimizer = xpnet.optim.SGD([xpnet.nn.Parameter([1.0])], lr=0.1, momentum=0.9)
    >>> schedule = OneCycleLR(optimizer, max_lr=1.0, total_steps=4, pct_start=0.5)
    >>> [(round(optimizer.param_groups[0]["lr"], 4), schedule.step())[0] for _ in range(3)]
    [0.04, 1.0, 0.5]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.85,
        max_momentum: float | Sequence[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"OneCycleLR: anneal_strategy must be 'cos' or 'linear', got {anneal_strategy!r}")
        if not 0.0 <= pct_start <= 1.0:
            raise ValueError(f"OneCycleLR: pct_start must lie in 0..1, got {pct_start!r}")
        self.cycle_momentum, self.cosine = cycle_momentum, anneal_strategy == "cos"
        self._check_momentum(optimizer)
        self.total_steps = _total(total_steps, epochs, steps_per_epoch)
        first, last = float(pct_start * self.total_steps) - 1.0, self.total_steps - 1.0
        self._ends = [first, 2.0 * first, last] if three_phase else [first, last]
        tops = per_group("OneCycleLR: max_lr", max_lr, optimizer)
        starts = [top / div_factor for top in tops]
        lows = [start / final_div_factor for start in starts]
        turns = [starts, tops, starts, lows] if three_phase else [starts, tops, lows]
        self._rate_turns = [list(values) for values in zip(*turns, strict=True)]  # for each group
        slow = per_group("OneCycleLR: base_momentum", base_momentum, optimizer)
        fast = per_group("OneCycleLR: max_momentum", max_momentum, optimizer)
        self._momentum_turns = [[a, b, a, a][: len(turns)] for a, b in zip(fast, slow, strict=True)]
        self._same = not any(isinstance(x, (list, tuple)) for x in (max_lr, base_momentum, max_momentum))
        if last_epoch == -1:
            for group, start in zip(optimizer.param_groups, starts, strict=True):
                group["initial_lr"] = start
        super().__init__(optimizer, last_epoch)

    def _at(self, step: int, turns: Sequence[float]) -> float:
        """The value at ``step``, between the two turning points of its phase."""
        if step > self.total_steps:
            raise ValueError(f"OneCycleLR: step {step} is after total_steps={self.total_steps}")
        phase = next((i for i, end in enumerate(self._ends) if step <= end), len(self._ends) - 1)
        begin, end = self._ends[phase - 1] if phase else 0.0, self._ends[phase]
        a, b = turns[phase], turns[phase + 1]
        share = (step - begin) / (end - begin) if end != begin else 1.0  # a phase of length 0
        return b + (a - b) / 2.0 * (1.0 + math.cos(math.pi * share)) if self.cosine else a + (b - a) * share

    def _of_groups(self, turns: list[list[float]]) -> list[list[float]]:
        groups = len(self.optimizer.param_groups)
        if len(turns) < groups and not self._same:
            raise ValueError(
                f"OneCycleLR: max_lr or momenta were given for {len(turns)} parameter groups, not {groups}"
            )
        return (turns + turns[:1] * groups)[:groups]

    def rates_at(self, epoch: int) -> list[float]:
        return [self._at(epoch, turns) for turns in self._of_groups(self._rate_turns)]

    def momenta_at(self, epoch: int) -> list[float]:
        return [self._at(epoch, turns) for turns in self._of_groups(self._momentum_turns)]


def _total(total_steps: int | None, epochs: int | None, steps_per_epoch: int | None) -> int:
    if total_steps is not None:
        return positive("OneCycleLR: total_steps", total_steps)
    if epochs is None or steps_per_epoch is None:
        raise ValueError("OneCycleLR needs total_steps, or epochs and steps_per_epoch")
    return positive("OneCycleLR: epochs", epochs) * positive("OneCycleLR: steps_per_epoch", steps_per_epoch)


class CyclicLR(_Cyclic):
    """Triangular cycles, ``η = base_lr + (max_lr − base_lr) · rise · size``.  Step it every batch.

    The rise goes from 0 to 1 in ``step_size_up`` steps and back in ``step_size_down`` steps.  The momentum moves in the
    opposite direction.  Source: Smith 2015, arXiv:1506.01186.

    Parameters
    ----------
    optimizer : the optimizer.
    base_lr, max_lr : the lowest and highest rate: a number, or one for each parameter group.
    step_size_up, step_size_down : the lengths of rise and fall in steps; equal by default.
    mode : the size: 1 ("triangular"), ``2^−cycle`` ("triangular2") or ``gamma^step`` ("exp_range").
    gamma : the base of "exp_range".
    scale_fn : a function for the size, instead of ``mode``.
    scale_mode : the argument of ``scale_fn``: "cycle" (counted from 1) or "iterations" (the step).
    cycle_momentum : also move the momentum.
    base_momentum, max_momentum : a number, or one for each parameter group.
    last_epoch : -1 starts; another number continues after that step.

    >>> import xpnet
    >>> optimizer = xpnet.optim.SGD([xpnet.nn.Parameter([1.0])], lr=0.1)
    >>> schedule = CyclicLR(optimizer, 0.0, 1.0, step_size_up=2, cycle_momentum=False)
    >>> [(optimizer.param_groups[0]["lr"], schedule.step())[0] for _ in range(5)]
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: float | Sequence[float],
        max_lr: float | Sequence[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[int], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.8,
        max_momentum: float | Sequence[float] = 0.9,
        last_epoch: int = -1,
    ) -> None:
        if mode not in ("triangular", "triangular2", "exp_range"):
            raise ValueError(f"CyclicLR: mode must be 'triangular', 'triangular2' or 'exp_range', got {mode!r}")
        if scale_mode not in ("cycle", "iterations"):
            raise ValueError(f"CyclicLR: scale_mode must be 'cycle' or 'iterations', got {scale_mode!r}")
        self.cycle_momentum, self.mode, self.gamma = cycle_momentum, mode, gamma
        self.scale_fn, self.scale_mode = scale_fn, scale_mode
        self._check_momentum(optimizer)
        self.up = positive("CyclicLR: step_size_up", step_size_up)
        self.down = self.up if step_size_down is None else positive("CyclicLR: step_size_down", step_size_down)
        given = {"base_lr": base_lr, "max_lr": max_lr, "base_momentum": base_momentum, "max_momentum": max_momentum}
        self._ends = {name: per_group(f"CyclicLR: {name}", value, optimizer) for name, value in given.items()}
        self._same = not any(isinstance(value, (list, tuple)) for value in given.values())
        if last_epoch == -1:
            for group, low in zip(optimizer.param_groups, self._ends["base_lr"], strict=True):
                group["lr"] = low
        super().__init__(optimizer, last_epoch)
        self.base_lrs = list(self._ends["base_lr"])

    def _height(self, step: int) -> float:
        """Rise (0..1) times size."""
        cycle, place = divmod(step, self.up + self.down)
        rise = place / self.up if place <= self.up else 1.0 - (place - self.up) / self.down
        if self.scale_fn is not None:
            return rise * self.scale_fn(cycle + 1 if self.scale_mode == "cycle" else step)
        return rise * {"triangular": 1.0, "triangular2": 0.5**cycle, "exp_range": self.gamma**step}[self.mode]

    def _pairs(self, first: str, second: str) -> list[tuple[float, float]]:
        groups = len(self.optimizer.param_groups)
        pairs = list(zip(self._ends[first], self._ends[second], strict=True))
        if len(pairs) < groups and not self._same:
            raise ValueError(f"CyclicLR: rates or momenta were given for {len(pairs)} parameter groups, not {groups}")
        return (pairs + pairs[:1] * groups)[:groups]

    def rates_at(self, epoch: int) -> list[float]:
        return [low + (high - low) * self._height(epoch) for low, high in self._pairs("base_lr", "max_lr")]

    def momenta_at(self, epoch: int) -> list[float]:
        pairs = self._pairs("base_momentum", "max_momentum")
        return [high - (high - low) * self._height(epoch) for low, high in pairs]
