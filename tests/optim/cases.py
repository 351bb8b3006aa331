"""Optimizers with their options, and the problem on which they are compared; names and arguments are PyTorch's."""

from __future__ import annotations

from typing import Any

import numpy as np

STEPS = 12
SHAPES = {"a": (3, 4), "b": (4,), "c": (2, 3), "d": ()}

CASES: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.02}),
    ("SGD", {"lr": 0.1, "momentum": 0.8, "dampening": 0.3}),
    ("SGD", {"lr": 0.1, "momentum": 0.8, "maximize": True, "weight_decay": 0.1}),
    ("RMSprop", {"lr": 0.01}),
    ("RMSprop", {"lr": 0.01, "alpha": 0.9, "eps": 1e-5, "weight_decay": 0.05}),
    ("RMSprop", {"lr": 0.01, "momentum": 0.9, "centered": True}),
    ("RMSprop", {"lr": 0.01, "centered": True, "maximize": True}),
    ("Adam", {"lr": 0.01}),
    ("Adam", {"lr": 0.05, "betas": (0.8, 0.99), "eps": 1e-6, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.01, "amsgrad": True, "maximize": True}),
    ("AdamW", {"lr": 0.01}),
    ("AdamW", {"lr": 0.02, "weight_decay": 0.3, "amsgrad": True}),
    ("AdamW", {"lr": 0.02, "maximize": True}),
    ("Adagrad", {"lr": 0.1}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.05, "initial_accumulator_value": 0.2, "eps": 1e-6}),
    ("Adadelta", {"lr": 1.0}),
    ("Adadelta", {"lr": 0.5, "rho": 0.8, "eps": 1e-4, "weight_decay": 0.1, "maximize": True}),
    ("Adamax", {"lr": 0.02}),
    ("Adamax", {"lr": 0.02, "betas": (0.8, 0.9), "weight_decay": 0.1, "eps": 1e-4}),
    ("NAdam", {"lr": 0.02}),
    ("NAdam", {"lr": 0.02, "weight_decay": 0.1, "momentum_decay": 0.02, "decoupled_weight_decay": True}),
    ("NAdam", {"lr": 0.02, "weight_decay": 0.1, "maximize": True}),
    ("RAdam", {"lr": 0.02}),
    ("RAdam", {"lr": 0.02, "betas": (0.8, 0.9), "weight_decay": 0.1}),
    ("RAdam", {"lr": 0.02, "betas": (0.8, 0.95), "weight_decay": 0.1, "decoupled_weight_decay": True}),
]

SCHEDULES: list[tuple[str, dict[str, Any]]] = [
    ("StepLR", {"step_size": 4}),
    ("StepLR", {"step_size": 3, "gamma": 0.5}),
    ("CosineAnnealingLR", {"T_max": 10}),
    ("CosineAnnealingLR", {"T_max": 7, "eta_min": 0.01}),
    ("LinearLR", {}),
    ("LinearLR", {"start_factor": 1.0, "end_factor": 0.1, "total_iters": 8}),
    ("MultiStepLR", {"milestones": [3, 7, 20], "gamma": 0.5}),
    ("ExponentialLR", {"gamma": 0.9}),
    ("PolynomialLR", {"total_iters": 12, "power": 2.0}),
    ("CosineAnnealingWarmRestarts", {"T_0": 4, "T_mult": 2, "eta_min": 0.01}),
    ("CosineAnnealingWarmRestarts", {"T_0": 5}),
    ("OneCycleLR", {"max_lr": 1.0, "total_steps": 31}),
    (
        "OneCycleLR",
        {"max_lr": 0.5, "total_steps": 40, "pct_start": 0.2, "three_phase": True, "anneal_strategy": "linear"},
    ),
    ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.2, "step_size_up": 4, "step_size_down": 3}),
    ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.2, "step_size_up": 3, "mode": "triangular2"}),
    ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.2, "step_size_up": 5, "mode": "exp_range", "gamma": 0.95}),
]

PLATEAUS: list[dict[str, Any]] = [
    {"patience": 2},
    {"patience": 1, "factor": 0.5, "cooldown": 2, "min_lr": 0.02},
    {"mode": "max", "patience": 1, "threshold": 0.05, "threshold_mode": "abs"},
]


def name_of(case: tuple[str, dict[str, Any]]) -> str:
    return f"{case[0]}({','.join(f'{k}={v}' for k, v in case[1].items())})"


def start() -> dict[str, np.ndarray]:
    rng = np.random.Generator(np.random.Philox(key=1))
    return {name: rng.uniform(-1, 1, shape) for name, shape in SHAPES.items()}


def gradients() -> list[dict[str, np.ndarray | None]]:
    """A gradient for every step; "b" has none in some steps, "c" none before the fourth."""
    rng = np.random.Generator(np.random.Philox(key=2))
    found = []
    for step in range(STEPS):
        g: dict[str, Any] = {name: rng.uniform(-1, 1, shape) for name, shape in SHAPES.items()}
        if step in (2, 3, 7):
            g["b"] = None
        if step < 3:
            g["c"] = None
        found.append(g)
    return found


def metrics() -> list[float]:
    """A loss that gets better, and stops to."""
    rng = np.random.Generator(np.random.Philox(key=3))
    return [round(float(max(0.3, 1.0 - 0.1 * i) + 0.02 * rng.uniform()), 4) for i in range(30)]
