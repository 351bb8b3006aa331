"""Checkpoints: everything that a resumed run needs, in one file.

``last.safetensors`` stores weights and optimizer vectors as tensors, and the rest as JSON in its metadata.  It is
written to a temporary file, flushed and renamed, so that a complete checkpoint exists at any time.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from xpnet.serialization import CheckpointError, load_with_metadata, save
from xpnet_backends import Array, Backend

FORMAT = "xpnet-checkpoint-1"


def save_checkpoint(
    path: str | os.PathLike[str],
    *,
    model: Mapping[str, Array],
    optimizer: Mapping[str, Any],
    arrays: Mapping[str, Array],
    state: Mapping[str, Any],
) -> None:
    """Write the state dicts of a model and an optimizer, other arrays, and ``state``, which must be JSON."""
    vectors = {
        f"optimizer.{key}.{name}": value
        for key, entry in optimizer["state"].items()
        for name, value in entry.items()
        if name != "step"
    }
    steps = {key: entry["step"] for key, entry in optimizer["state"].items()}
    meta = {"optimizer": {"steps": steps, "param_groups": optimizer["param_groups"]}, "state": state}
    tensors = {
        **{f"model.{key}": value for key, value in model.items()},
        **vectors,
        **{f"arrays.{key}": value for key, value in arrays.items()},
    }
    save(tensors, path, {"format": FORMAT, "checkpoint": json.dumps(meta, default=_python)})


def _python(value: Any) -> Any:
    """A NumPy number, as in a rate or a schedule, as a Python number."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a checkpoint cannot hold {value!r}, a {type(value).__name__}")


def load_checkpoint(path: str | os.PathLike[str], backend: str | Backend | None = None) -> dict[str, Any]:
    """Read a file that ``save_checkpoint`` wrote: ``model, optimizer, arrays, state``.

    Raises: ``CheckpointError`` if the file is damaged or is not a checkpoint.
    """
    tensors, metadata = load_with_metadata(path, backend)
    if metadata.get("format") != FORMAT:
        found = metadata.get("format", "plain weights")
        raise CheckpointError(f"{os.fspath(path)} is not a checkpoint to resume from (format {FORMAT}), but {found}")
    try:
        meta = json.loads(metadata["checkpoint"])
        state = {key: {"step": step} for key, step in meta["optimizer"]["steps"].items()}
        for name in [n for n in tensors if n.startswith("optimizer.")]:
            key, _, vector = name.removeprefix("optimizer.").rpartition(".")
            state[key][vector] = tensors[name]
        groups = meta["optimizer"]["param_groups"]
        saved_state = meta["state"]
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        why = f"was edited or damaged: its metadata does not fit ({error!r})"
        raise CheckpointError(f"{os.fspath(path)} {why}") from error
    return {
        "model": under(tensors, "model."),
        "optimizer": {"state": state, "param_groups": groups},
        "arrays": under(tensors, "arrays."),
        "state": saved_state,
    }


def check_state(state: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
    """Check that a trainer could have written this.  Raises: ``ValueError``, ``KeyError`` or ``TypeError`` if not."""
    stopping = state["early_stopping"]
    sizes, history, best = state["batch_sizes"], state["history"], stopping["best"]
    counts = [state["epoch"], state["step"], state["samples"], *sizes]
    counts += [stopping["best_epoch"], stopping["epochs_without_improvement"]]
    if not all(type(n) is int and 0 <= n < 1 << 53 for n in counts) or 0 in sizes:
        raise ValueError("a count is not a whole number")
    if not all(type(x) in (int, float) for x in (state["seconds"], *([] if best is None else [best]))):
        raise ValueError("'seconds' or 'best' is not a number")
    cells = [cell for row in history for cell in row.values()]
    if type(history) is not list or not all(type(cell) in (int, float, str, type(None)) for cell in cells):
        raise ValueError("the history is not made of rows of numbers")
    columns = {name: values for name, values in under(arrays, "meter.").items() if "." not in name}
    if type(sizes) is not list or any(values.shape != (len(sizes),) for values in columns.values()):
        raise ValueError("the begun epoch has not one value for each batch")
    if sizes and "loss" not in columns:
        raise ValueError("the begun epoch has no losses")


def under(tensors: Mapping[str, Array], prefix: str) -> dict[str, Array]:
    """The entries whose names begin with ``prefix``, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
