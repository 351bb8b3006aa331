"""Schedules that share an optimizer, with several groups, for many steps; names and arguments are PyTorch's."""

from __future__ import annotations

from typing import Any

STEPS = 200
RATES = (0.1, 0.02)  # of the two groups
BY_HAND = 60  # the step before which the second group's rate is set by hand
HAND = 0.037


def slower(t: int) -> float:
    return 1.0 / (1.0 + 0.1 * t)


def warm(t: int) -> float:
    return min(1.0, (t + 1) / 20)


def less(t: int) -> float:
    return 0.99


def more(t: int) -> float:
    return 1.0 + 0.5 / (t + 5)


Spec = tuple[str, Any]

ALONE: dict[str, Spec] = {
    "step": ("StepLR", {"step_size": 30, "gamma": 0.5}),
    "milestones": ("MultiStepLR", {"milestones": [3, 7, 7, 120], "gamma": 0.5}),
    "constant": ("ConstantLR", {"factor": 0.3, "total_iters": 20}),
    "linear": ("LinearLR", {"start_factor": 0.1, "total_iters": 70}),
    "to nothing": ("LinearLR", {"start_factor": 1.0, "end_factor": 0.0, "total_iters": 150}),
    "exponential": ("ExponentialLR", {"gamma": 0.97}),
    "polynomial": ("PolynomialLR", {"total_iters": 150, "power": 2.0}),
    "cosine": ("CosineAnnealingLR", {"T_max": 45, "eta_min": 1e-3}),
    "restarts": ("CosineAnnealingWarmRestarts", {"T_0": 7, "T_mult": 2, "eta_min": 1e-3}),
    "function": ("LambdaLR", {"lr_lambda": slower}),
    "functions": ("LambdaLR", {"lr_lambda": [slower, warm]}),
    "multiplied": ("MultiplicativeLR", {"lr_lambda": less}),
    "each multiplied": ("MultiplicativeLR", {"lr_lambda": [less, more]}),
    "one cycle": ("OneCycleLR", {"max_lr": [1.0, 3.0], "epochs": 10, "steps_per_epoch": 20}),
    "three phases": ("OneCycleLR", {"max_lr": 1.0, "total_steps": 201, "three_phase": True}),
    "cyclic": ("CyclicLR", {"base_lr": [0.01, 0.02], "max_lr": [0.2, 0.3], "step_size_up": 9, "step_size_down": 4}),
    "scaled": ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.2, "step_size_up": 9, "scale_fn": slower}),
}

TOGETHER: dict[str, list[Spec]] = {
    "two": [ALONE["step"], ALONE["exponential"]],
    "warm-up and cosine": [ALONE["linear"], ALONE["cosine"]],
    "three": [ALONE["constant"], ALONE["polynomial"], ALONE["milestones"]],
    "chained": [("chain", [ALONE["linear"], ALONE["exponential"]])],
    "one after the other": [("sequence", ([ALONE["linear"], ALONE["cosine"]], [30]))],
    "functions in a sequence": [("sequence", ([ALONE["functions"], ALONE["functions"]], [50]))],
    "three in a sequence": [("sequence", ([ALONE["constant"], ALONE["restarts"], ALONE["step"]], [10, 90]))],
    "multiplied in a sequence": [("sequence", ([ALONE["exponential"], ALONE["each multiplied"]], [40]))],
    "a cycle in a sequence": [("sequence", ([ALONE["linear"], ALONE["three phases"]], [25]))],
    "a sequence in a chain": [
        ("chain", [ALONE["exponential"], ("sequence", ([ALONE["linear"], ("CosineAnnealingLR", {"T_max": 45})], [30]))])
    ],
}

CASES: dict[str, list[Spec]] = {**{name: [spec] for name, spec in ALONE.items()}, **TOGETHER}

GOES_ON = ("step", "milestones", "exponential", "polynomial", "cosine", "linear", "function")  # with last_epoch=29


def build(schedules: Any, optimizer: Any, spec: Spec, **more: Any) -> Any:
    """A schedule of the library whose ``lr_scheduler`` is given."""
    kind, options = spec
    if kind == "chain":
        return schedules.ChainedScheduler([build(schedules, optimizer, part) for part in options])
    if kind == "sequence":
        parts, milestones = options
        return schedules.SequentialLR(optimizer, [build(schedules, optimizer, part) for part in parts], milestones)
    return getattr(schedules, kind)(optimizer, **options, **more)


def run(optimizer: Any, schedules: list[Any], *, by_hand: bool, first: int = 0, last: int = STEPS) -> list[list[float]]:
    """Rates of both groups, momentum, and the last rate that the first schedule computed, before and after steps."""

    def seen() -> list[float]:
        a, b = optimizer.param_groups
        return [a["lr"], b["lr"], a["momentum"], schedules[0].get_last_lr()[0]]

    found = [] if first else [seen()]
    for t in range(first, last):
        if by_hand and t == BY_HAND:
            optimizer.param_groups[1]["lr"] = HAND
        for schedule in schedules:
            schedule.step()
        found.append(seen())
    return found
