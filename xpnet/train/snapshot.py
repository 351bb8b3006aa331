"""Save a trainer's state to its checkpoint, and restore it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xpnet.serialization import CheckpointError
from xpnet.train.checkpoint import check_state, load_checkpoint, save_checkpoint, under
from xpnet.train.early_stopping import EarlyStopping
from xpnet.train.history import History
from xpnet_backends import Array, random

if TYPE_CHECKING:
    from xpnet.train.trainer import Trainer


def save_trainer(trainer: Trainer, path: Path, values: dict[str, Array], sizes: Sequence[int]) -> None:
    """Write everything that a resumed run needs; ``values`` and ``sizes`` are the meter's, within an epoch."""
    state: dict[str, Any] = {
        "epoch": trainer.epoch,
        "seed": random.state.seed,
        "step": random.state.step,
        "scheduler": None if trainer.scheduler is None else trainer.scheduler.state_dict(),
        "early_stopping": trainer.stopping.state_dict(),
        "history": trainer.history.rows,
        "seconds": trainer.seconds,
        "samples": trainer.samples,
        "batch_sizes": list(sizes),
        "accumulate": trainer.accumulate,
        "lr": trainer.last_lr,
    }
    arrays = {f"meter.{name}": value for name, value in values.items()}
    if trainer.ema is not None:
        average = trainer.ema.state_dict()
        state["ema_steps"] = average["steps"]
        arrays |= {f"ema.{name}": value for name, value in average["averages"].items()}
    model, optimizer = trainer.model.state_dict(), trainer.optimizer.state_dict()
    save_checkpoint(path, model=model, optimizer=optimizer, arrays=arrays, state=state)


def resume_trainer(trainer: Trainer, path: Path) -> None:
    """Restore the state that ``save_trainer`` wrote.

    Raises: ``CheckpointError`` if the file is damaged, or of another model or optimizer.
    """
    saved = load_checkpoint(path, trainer.backend)
    state, arrays = saved["state"], saved["arrays"]
    try:
        check_state(state, arrays)
        trainer.model.load_state_dict(saved["model"])
        trainer.optimizer.load_state_dict(saved["optimizer"])
        if trainer.scheduler is not None:
            trainer.scheduler.load_state_dict(state["scheduler"])
        _take_progress(trainer, state)
        _take_averages(trainer, state, arrays)
        trainer.best.take_over(path, trainer.folder, trainer.backend)
        trainer.pending = (under(arrays, "meter."), state["batch_sizes"]) if state["batch_sizes"] else None
        random.state.manual_seed(state["seed"])
        random.state.set_step(state["step"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path} does not fit this run: {error}") from error


def _take_progress(trainer: Trainer, state: dict[str, Any]) -> None:
    trainer.history = History(state["history"])
    if trainer.early_stopping is None and len(trainer.history):
        trainer.early_stopping = EarlyStopping("val_loss" if "val_loss" in trainer.history.columns() else "train_loss")
    if trainer.early_stopping is not None:
        trainer.early_stopping.load_state_dict(state["early_stopping"])
    trainer.epoch = state["epoch"]
    trainer.watch.seconds, trainer.watch.samples = state["seconds"], state["samples"]
    trainer.last_lr = state.get("lr")
    if type(trainer.last_lr) not in (int, float, type(None)):
        raise ValueError("'lr' is not a number")
    if state.get("accumulate", 1) != trainer.accumulate:
        raise ValueError(
            f"it updated after every {state['accumulate']} batches, now accumulate is {trainer.accumulate}"
        )


def _take_averages(trainer: Trainer, state: dict[str, Any], arrays: dict[str, Array]) -> None:
    if trainer.ema is None:
        return
    if "ema_steps" not in state:
        raise ValueError("it has no averaged weights: leave out ema, or start a new run")
    trainer.ema.load_state_dict({"steps": state["ema_steps"], "averages": under(arrays, "ema.")})
