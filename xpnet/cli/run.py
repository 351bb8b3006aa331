"""A trained run, read back from its folder."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from xpnet.cli.settings import Settings, build_model, choose_backend, read_settings
from xpnet.metrics import named
from xpnet.nn import Module
from xpnet.serialization import CheckpointError, load
from xpnet_backends import Array, Backend


@dataclass(frozen=True)
class Run:
    """Settings, and the network with its best weights."""

    settings: Settings
    model: Module
    backend: Backend


def load_run(folder: Path, backend: str | None) -> Run:
    """Read a run.  Raises: ``UsageError`` where there is no run, ``CheckpointError`` for weights that do not fit."""
    settings = read_settings(folder)
    target = choose_backend(backend)
    weights = folder / "best.safetensors"
    if not weights.exists():
        raise CheckpointError(f"{folder} has no best.safetensors yet: train it with `xpnet train --resume {folder}`")
    settings.backend = target.name
    model = build_model(settings)
    try:
        model.load_state_dict(load(weights, target))
    except CheckpointError:
        raise
    except ValueError as error:
        raise CheckpointError(f"{weights} is not of the network in config.json: {error}") from error
    return Run(settings, model.eval(), target)


def measured(names: Iterable[str], logits: Array, target: Array) -> dict[str, float | None]:
    """Metrics by name, as ``test_NAME``; None where one has no value, for JSON knows no NaN."""
    values = {f"test_{name}": float(metric(logits, target)) for name, metric in named(names).items()}
    return {name: None if math.isnan(value) else value for name, value in values.items()}


def in_words(values: Iterable[tuple[str, float | None]]) -> str:
    """``test f1 0.9123, ...``."""
    numbers = [(name.replace("_", " "), "has no value" if v is None else f"{v:.4f}") for name, v in values]
    return ", ".join(f"{name} {number}" for name, number in numbers)
