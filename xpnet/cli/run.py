"""A trained run, loaded from its folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from xpnet.cli.settings import Settings, UsageError, build_model, choose_backend, move_data, read_settings
from xpnet.nn import Module
from xpnet.serialization import CheckpointError, load
from xpnet_backends import Backend


@dataclass(frozen=True)
class TrainedRun:
    """Settings, and the network with its best weights."""

    settings: Settings
    model: Module
    backend: Backend


def load_run(folder: Path, backend: str | None, data_dir: str | None = None, before: Sequence[str] = ()) -> TrainedRun:
    """Load a run; ``data_dir`` is the new folder of its data, ``before`` the other arguments on the command line.

    Raises: ``UsageError`` if there is no run, ``CheckpointError`` for weights that do not fit.
    """
    if not (folder / "config.json").is_file():
        for other in before:
            if (Path(other) / "config.json").is_file():
                raise UsageError(f"{folder} is not the folder of a run, but {other} is: the run's folder goes first")
    settings = read_settings(folder)
    move_data(settings, data_dir)
    target = choose_backend(backend)
    weights = folder / "best.safetensors"
    if not weights.exists():
        raise CheckpointError(f"{folder} has no best.safetensors yet: train it with `xpnet train --resume {folder}`")
    model = build_model(settings, target)
    try:
        model.load_state_dict(load(weights, target))
    except CheckpointError:
        raise
    except ValueError as error:
        raise CheckpointError(f"{weights} does not fit the network in config.json: {error}") from error
    return TrainedRun(settings, model.eval(), target)
