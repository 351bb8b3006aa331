"""Learning-rate schedules in the training loop: when they step, and whether their length fits the run."""

from __future__ import annotations

from typing import Any

from xpnet.optim.lr_scheduler import OneCycleLR, PolynomialLR, ReduceLROnPlateau

INTERVALS = ("epoch", "step")


def check_interval(interval: str) -> str:
    """``interval`` if it is known.  Raises: ``ValueError``."""
    if interval not in INTERVALS:
        raise ValueError(f"interval must be 'epoch' or 'step' (after every update), got {interval!r}")
    return interval


def step_after_update(scheduler: Any, interval: str) -> None:
    """Step a schedule that counts updates."""
    if scheduler is not None and interval == "step":
        scheduler.step()


def step_after_epoch(scheduler: Any, interval: str, value: float) -> None:
    """Step a schedule that counts epochs; ``ReduceLROnPlateau`` gets the monitored value."""
    if isinstance(scheduler, ReduceLROnPlateau):
        scheduler.step(value)
    elif scheduler is not None and interval == "epoch":
        scheduler.step()


def check_schedule(scheduler: Any, interval: str, epochs: int, updates: int, done: int = 0) -> None:
    """Check that a schedule fits a run of ``epochs`` more epochs with ``updates`` updates each.

    ``done`` updates of the first epoch are already done.

    Raises: ``ValueError`` with the numbers.
    """
    check_interval(interval)
    if isinstance(scheduler, ReduceLROnPlateau):
        if interval == "step":
            raise ValueError(
                "ReduceLROnPlateau looks at the monitored value, which there is once an epoch: use interval='epoch'"
            )
        return
    if scheduler is None:
        return
    counted, left = f"{epochs} epochs", epochs
    if interval == "step":
        left = epochs * updates - done
        counted = f"{left} updates ({epochs} epochs of {updates} each{f', {done} of them done' if done else ''})"
    hint = ""
    if interval == "epoch" and getattr(scheduler, "total_steps", 0) >= epochs * updates > epochs:
        hint = f"; to step it after every one of {epochs * updates} updates, give the Trainer interval='step'"
    _check_total(scheduler, int(getattr(scheduler, "last_epoch", 0)), left, counted, hint)


def _check_total(scheduler: Any, behind: int, left: int, counted: str, hint: str) -> None:
    """Check a schedule with ``behind`` steps taken and ``left`` steps to come."""
    for part, begin, end in _parts(scheduler, behind + left):
        _check_total(part, 0, end - begin, counted, hint)
    ends = behind + left
    if isinstance(scheduler, OneCycleLR) and scheduler.total_steps != ends:
        taken = f" after the {behind} steps it has taken" if behind else ""
        raise ValueError(
            f"OneCycleLR has total_steps={scheduler.total_steps}, but{taken} {counted} lie ahead: "
            f"use total_steps={ends}{hint}"
        )
    if isinstance(scheduler, PolynomialLR) and scheduler.total_iters < ends:
        raise ValueError(
            f"PolynomialLR has total_iters={scheduler.total_iters}, from where on its rate is 0, but {counted} lie "
            f"ahead: use total_iters={ends}"
        )


def _parts(scheduler: Any, ends: int) -> list[tuple[Any, int, int]]:
    """The schedules inside a schedule, each with its first and last step."""
    inside = list(getattr(scheduler, "schedulers", ()) or getattr(scheduler, "_schedulers", ()))
    marks = list(getattr(scheduler, "milestones", ()) or getattr(scheduler, "_milestones", ()))
    if not inside:
        return []
    if len(marks) != len(inside) - 1:
        return [(part, 0, ends) for part in inside]
    stops = [*marks, max(ends, marks[-1] if marks else 0)]
    return list(zip(inside, [0, *marks], stops, strict=True))
