"""The training loop: epochs, history, early stopping, checkpoints, resume."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np

from xpnet._files import write_atomically
from xpnet.data import ArrayDataset, DataLoader, SequenceLoader
from xpnet.data.dataset import as_array
from xpnet.metrics import named
from xpnet.nn import Module
from xpnet.nn.utils import clip_grad_norm_, keep_modes
from xpnet.optim import EMA, Optimizer
from xpnet.optim.lr_scheduler import ReduceLROnPlateau
from xpnet.serialization import CheckpointError, load, save
from xpnet.tensor import Tensor, no_grad
from xpnet.train.checkpoint import check_state, load_checkpoint, save_checkpoint, under
from xpnet.train.early_stopping import EarlyStopping
from xpnet.train.guard import Guard
from xpnet.train.history import History, Row
from xpnet.train.interrupt import Interrupt
from xpnet.train.meter import Meter, measure
from xpnet.train.provenance import Provenance, overflowing_gradient, trace_step
from xpnet_backends import Array, Backend, backend_of, get_backend, random

Metric: TypeAlias = Callable[[Any, Any], Array]
Data: TypeAlias = "DataLoader | SequenceLoader | ArrayDataset | tuple[Any, Any]"

Loader: TypeAlias = "DataLoader | SequenceLoader"


class NonFiniteLossError(RuntimeError):
    """The loss or a gradient became NaN or infinite.  The run was stopped; weights and checkpoint stand.

    ``provenance`` says where it came from: layer, op, operands, likely cause.
    """

    provenance: Provenance | None = None


class Callback(Protocol):
    """Told what happens.  All methods are called by the trainer, in this order, epoch by epoch."""

    def on_epoch_start(self, trainer: Trainer, epoch: int, batches: int) -> None:
        """Before the first batch of an epoch."""

    def on_batch_end(self, trainer: Trainer, meter: Meter) -> None:
        """After every step; reading the meter waits for the device."""

    def on_epoch_end(self, trainer: Trainer, row: Row) -> None:
        """After the epoch's checkpoint was written."""


class Trainer:
    """Fits a model to data.

    >>> trainer = Trainer(model, F.cross_entropy, optimizer, metrics={"accuracy": accuracy})   # doctest: +SKIP
    >>> history = trainer.fit((x, labels), val=(x_val, labels_val), epochs=5)                  # doctest: +SKIP

    Parameters
    ----------
    model : maps a batch of inputs to outputs.
    loss : ``loss(output, target)`` gives a tensor with one element, the mean over the batch.
    optimizer : updates the model's parameters.
    scheduler : its ``step()`` is called after every epoch (with the monitored value for ``ReduceLROnPlateau``).
    metrics : for the history; names (``["accuracy", "f1"]``), or by name a function ``metric(output, target)`` that
        gives the mean over a batch, or a metric of ``xpnet.metrics``, which is computed over the whole epoch.
    early_stopping : which column decides what is best, and when to stop; without one, the validation loss and never.
    max_grad_norm : clip the norm of the gradients.
    accumulate : batches whose gradients are averaged before each update, as if they were one larger batch.
    penalty : ``penalty(model)`` is added to what is minimised, not to the loss that is shown.
    ema : the average of the weights, updated after every step; it is what is validated and kept as the best.
    folder : where ``best.safetensors``, ``last.safetensors`` and ``history.csv`` go; nothing is written
        without one, and the best weights are kept in memory, where the model is.
    callbacks : told of every epoch and batch.
    """

    def __init__(
        self,
        model: Module,
        loss: Callable[[Any, Any], Tensor],
        optimizer: Optimizer,
        *,
        scheduler: Any = None,
        metrics: Mapping[str, Metric | str] | Sequence[str] | None = None,
        early_stopping: EarlyStopping | None = None,
        max_grad_norm: float | None = None,
        accumulate: int = 1,
        penalty: Callable[[Module], Tensor] | None = None,
        ema: EMA | None = None,
        folder: str | Path | None = None,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        self.model, self.loss, self.optimizer, self.scheduler = model, loss, optimizer, scheduler
        self.metrics = named(metrics)
        self._stopping = early_stopping
        if not isinstance(accumulate, int) or accumulate < 1:
            raise ValueError(f"accumulate must be a positive whole number of batches, got {accumulate!r}")
        self.max_grad_norm, self.accumulate, self.penalty, self.ema = max_grad_norm, accumulate, penalty, ema
        self.folder = None if folder is None else Path(folder)
        self.callbacks = list(callbacks)
        self.history = History()
        self.epoch = 0  # epochs finished
        self.seconds = 0.0  # in training, and
        self.samples = 0  # how many were trained on: both over the whole run, resumed or not
        self._mark = (0.0, 0)  # the moment up to which they are counted, and the samples of its epoch by then
        self._best: dict[str, Array] | None = None  # the best weights, where there is no folder for them
        self._pending: tuple[dict[str, Array], list[int]] | None = None  # the begun epoch of an interrupted run

    @property
    def backend(self) -> Backend:
        """Where the model lives."""
        first = next(self.model.parameters(), None)
        return get_backend() if first is None else first.backend

    @property
    def stopping(self) -> EarlyStopping:
        """What decides which epoch is best."""
        if self._stopping is None:
            self._stopping = EarlyStopping()
        return self._stopping

    # -- fitting -------------------------------------------------------------------------------------------------

    def fit(self, train: Data, val: Data | None = None, epochs: int = 10, batch_size: int = 64) -> History:
        """Train until ``epochs`` epochs are done in all, counting those before a resume.

        ``train`` and ``val`` are loaders, datasets or ``(inputs, targets)``; of the latter two, loaders with
        ``batch_size`` are made, shuffled for training.

        Raises: ``NonFiniteLossError`` with epoch and step; ``KeyboardInterrupt`` after Ctrl-C, when the step at hand
        is done and everything is saved (a second Ctrl-C stops at once).
        """
        if not isinstance(epochs, int) or epochs < 1:
            raise ValueError(f"epochs must be a positive whole number, got {epochs!r}")
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
        loader = self._loader(train, batch_size, shuffle=True)
        val_loader = None if val is None else self._loader(val, max(batch_size, 256), shuffle=False)
        if self._stopping is None:
            self._stopping = EarlyStopping("train_loss" if val_loader is None else "val_loss")
        with Interrupt() as interrupt:
            while self.epoch < epochs and not self.stopping.should_stop:
                self._run_epoch(loader, val_loader, interrupt)
                if interrupt.requested:
                    raise KeyboardInterrupt(f"saved after epoch {self.epoch}")
        return self.history

    def _loader(self, data: Data, batch_size: int, shuffle: bool) -> Loader:
        if isinstance(data, DataLoader | SequenceLoader):
            return data
        dataset = data if isinstance(data, ArrayDataset) else ArrayDataset(*data)
        dataset.check_finite()
        return DataLoader(dataset, min(batch_size, len(dataset)), shuffle=shuffle, backend=self.backend)

    def _run_epoch(self, loader: Loader, val_loader: Loader | None, interrupt: Interrupt) -> None:
        meter = self._start_epoch(loader)
        self._guard = Guard(self.backend, random.state.step, meter.batches // self.accumulate)
        self._mark = (time.perf_counter(), meter.samples)
        self.model.train()
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # what is not finite is our own error below
            for inputs, target in loader:
                updated = self._train_batch(inputs, target, meter, len(loader))
                if self._guard.stopped:
                    self._stop(meter, loader)
                if interrupt.requested and updated:
                    self._save_interrupted(meter, loader)
        if self._guard.found_bad():
            self._stop(meter, loader)
        self._count(meter)
        self._finish_epoch(meter, val_loader)

    def _count(self, meter: Meter) -> None:
        """Add the time and the samples since the last look to the run's."""
        (started, before), now = self._mark, time.perf_counter()
        self.seconds += now - started
        self.samples += meter.samples - before
        self._mark = (now, meter.samples)

    def _start_epoch(self, loader: Loader) -> Meter:
        meter = Meter(self.backend, {"loss": None, **self.metrics}, len(loader))
        position = 0
        if self._pending is not None:
            meter.restore(*self._pending)
            position, self._pending = meter.batches, None
        loader.load_state_dict({"epoch": self.epoch, "position": position})
        for callback in self.callbacks:
            callback.on_epoch_start(self, self.epoch + 1, len(loader))
        return meter

    def _train_batch(self, inputs: Any, target: Any, meter: Meter, batches: int) -> bool:
        """Forward and backward, and after every ``accumulate`` batches an update.  Whether there was one."""
        place = meter.batches % self.accumulate
        share = min(self.accumulate, batches - meter.batches + place)  # the last update may have fewer batches
        if place == 0:
            self.optimizer.zero_grad()
        output = self.model(inputs)
        loss = self.loss(output, target)
        meter.add(_samples(inputs), self._measure(loss, output, target))
        total = loss if self.penalty is None else loss + self.penalty(self.model)
        if not self._guard.passes(total):
            return False
        (total if share == 1 else total / share).backward()
        last = place + 1 == share
        if last:
            self._update()
        for callback in self.callbacks:
            callback.on_batch_end(self, meter)
        return last

    def _update(self) -> None:
        """A step with gradients that are finite; on a device the step itself is told whether they are."""
        fine = self._guard.admits(self.optimizer.squared_gradients())
        if self._guard.stopped:
            return
        if self.max_grad_norm is not None:
            clip_grad_norm_(self.model.parameters(), self.max_grad_norm)
        self.optimizer.step(only_if=fine)
        if self.ema is not None:
            self.ema.update()

    def _measure(self, loss: Tensor, output: Any, target: Any) -> dict[str, Any]:
        raw = output.data if isinstance(output, Tensor) else output
        values = {name: measure(metric, raw, target) for name, metric in self.metrics.items()}
        return {"loss": loss.data, **values}

    def _stop(self, meter: Meter, loader: Loader) -> None:
        """Run the first bad update again, batch by batch, to say where the bad value came from."""
        update = self._guard.good
        first = update * self.accumulate
        random.state.set_step(self._guard.step_of(update))
        loader.load_state_dict({"epoch": self.epoch, "position": first})
        self.optimizer.zero_grad()
        found = None
        for batch, (inputs, target) in zip(range(first, len(loader)), loader, strict=False):
            found = trace_step(self.model, partial(self._replay, inputs, target))
            if found or batch + 1 >= min(first + self.accumulate, meter.batches):
                break
        if found is None:
            found = overflowing_gradient(self.model)
        kept = "" if self.folder is None else f"; {self._last_good()}"
        value = meter.value("loss", batch)
        what = "a gradient was not finite" if math.isfinite(value) else f"the loss became {value}"
        error = NonFiniteLossError(
            f"{what} in epoch {self.epoch + 1}, step {batch + 1}: training was stopped{kept}. Run again, {found}"
        )
        error.provenance = found
        raise error

    def _replay(self, inputs: Any, target: Any) -> tuple[Tensor, Tensor]:
        floating = inputs.dtype.kind == "f"
        x = Tensor(inputs, requires_grad=True) if floating else Tensor(inputs)  # records the ops on data too
        loss = self.loss(self.model(x), target)
        return x, loss if self.penalty is None else loss + self.penalty(self.model)

    def _last_good(self) -> str:
        assert self.folder is not None
        path = self.folder / "last.safetensors"
        return f"the checkpoint of epoch {self.epoch} stands in {path}" if path.exists() else "no epoch was finished"

    def _finish_epoch(self, meter: Meter, val_loader: Loader | None) -> None:
        lr = self.optimizer.param_groups[0]["lr"]
        row: Row = {"epoch": self.epoch + 1}
        row |= {f"train_{name}": value for name, value in meter.means().items()}
        if val_loader is not None:
            with self._averaged():
                row |= {f"val_{name}": value for name, value in self.evaluate(val_loader).items()}
        row["lr"] = lr
        if self.stopping.monitor not in row:
            raise ValueError(f"early stopping watches {self.stopping.monitor!r}, but there are only {', '.join(row)}")
        value = row[self.stopping.monitor]
        best = self.stopping.update(value, self.epoch + 1)
        if isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step(value)
        elif self.scheduler is not None:
            self.scheduler.step()
        self.epoch += 1
        self.history.append(row)
        if self.folder is not None:
            self._save(best)
        elif best:
            with self._averaged():
                self._best = self.model.state_dict()
        for callback in self.callbacks:
            callback.on_epoch_end(self, row)

    def _averaged(self) -> AbstractContextManager[None]:
        """The model with the averaged weights, where there are some."""
        return nullcontext() if self.ema is None else self.ema.applied()

    # -- using ---------------------------------------------------------------------------------------------------

    def evaluate(self, data: Data, batch_size: int = 1024) -> dict[str, float]:
        """Loss and metrics over all of ``data``, in evaluation mode, without gradients."""
        loader = self._loader(data, batch_size, shuffle=False)
        meter = Meter(self.backend, {"loss": None, **self.metrics}, len(loader))
        with keep_modes(self.model), no_grad():
            self.model.eval()
            for inputs, target in loader:
                output = self.model(inputs)
                meter.add(_samples(inputs), self._measure(self.loss(output, target), output, target))
        return meter.means()

    def predict(self, inputs: Any, batch_size: int = 1024) -> Array:
        """The model's outputs for all ``inputs``, in evaluation mode; an array of the model's backend."""
        return predict(self.model, inputs, self.backend, batch_size)

    # -- checkpoints ---------------------------------------------------------------------------------------------

    def _save(self, best: bool) -> None:
        """The best weights first: if the run dies between the two files, the resumed epoch writes them again."""
        assert self.folder is not None
        if best:
            info = {"epoch": str(self.epoch), self.stopping.monitor: repr(self.stopping.best)}
            with self._averaged():
                save(self.model.state_dict(), self.folder / "best.safetensors", info)
        self._save_last({}, [])
        write_atomically(self.folder / "history.csv", self.history.to_csv())

    def _save_interrupted(self, meter: Meter, loader: Loader) -> None:
        """Save in the middle of an epoch, and stop."""
        self._count(meter)
        if self.folder is None:
            raise KeyboardInterrupt
        if self._guard.found_bad():
            self._stop(meter, loader)
        self._save_last(*meter.state())
        raise KeyboardInterrupt(f"saved after epoch {self.epoch}, step {meter.batches}")

    def _save_last(self, values: dict[str, Array], sizes: list[int]) -> None:
        assert self.folder is not None
        state = {
            "epoch": self.epoch,
            "seed": random.state.seed,
            "step": random.state.step,
            "scheduler": None if self.scheduler is None else self.scheduler.state_dict(),
            "early_stopping": self.stopping.state_dict(),
            "history": self.history.rows,
            "seconds": self.seconds,
            "samples": self.samples,
            "batch_sizes": sizes,
            "accumulate": self.accumulate,
        }
        arrays = {f"meter.{name}": value for name, value in values.items()}
        if self.ema is not None:
            average = self.ema.state_dict()
            state["ema_steps"] = average["steps"]
            arrays |= {f"ema.{name}": value for name, value in average["averages"].items()}
        save_checkpoint(
            self.folder / "last.safetensors",
            model=self.model.state_dict(),
            optimizer=self.optimizer.state_dict(),
            arrays=arrays,
            state=state,
        )

    def resume(self, path: str | Path | None = None) -> None:
        """Take up a run where ``last.safetensors`` left it; ``fit`` then goes on as if nothing had happened.

        Raises: ``CheckpointError`` where the file is damaged or of another model or optimizer.
        """
        if path is None:
            if self.folder is None:
                raise ValueError("resume() needs a path, or a trainer with a folder")
            path = self.folder / "last.safetensors"
        saved = load_checkpoint(path, self.backend)
        state = saved["state"]
        try:
            check_state(state, saved["arrays"])
            self.model.load_state_dict(saved["model"])
            self.optimizer.load_state_dict(saved["optimizer"])
            if self.scheduler is not None:
                self.scheduler.load_state_dict(state["scheduler"])
            self.history = History(state["history"])
            if self._stopping is None and len(self.history):
                self._stopping = EarlyStopping("val_loss" if "val_loss" in self.history.columns() else "train_loss")
            if self._stopping is not None:
                self._stopping.load_state_dict(state["early_stopping"])
            self.epoch, self.seconds, self.samples = state["epoch"], state["seconds"], state["samples"]
            arrays = saved["arrays"]
            if state.get("accumulate", 1) != self.accumulate:
                raise ValueError(
                    f"it updated after every {state['accumulate']} batches, now accumulate is {self.accumulate}"
                )
            if self.ema is not None:
                if "ema_steps" not in state:
                    raise ValueError("it has no averaged weights: leave out ema, or start a new run")
                self.ema.load_state_dict({"steps": state["ema_steps"], "averages": under(arrays, "ema.")})
            self._best = None if self.folder is not None else self._best_beside(Path(path))
            self._pending = (under(arrays, "meter."), state["batch_sizes"]) if state["batch_sizes"] else None
            random.state.manual_seed(state["seed"])
            random.state.set_step(state["step"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(f"{path} does not fit this run: {error}") from error

    def _best_beside(self, path: Path) -> dict[str, Array] | None:
        """The best weights that stand beside a checkpoint, if any: the epochs to come may all be worse."""
        beside = path.with_name("best.safetensors")
        return load(beside, self.backend) if beside.exists() else None

    def load_best(self) -> None:
        """Give the model the weights of the best epoch: from the folder, or from memory where there is none.

        Raises: ``CheckpointError`` where the file is damaged or of another model.
        """
        if self.folder is None:
            if self._best is None:
                raise ValueError("load_best(): no epoch was finished yet, so there are no best weights")
            self.model.load_state_dict(self._best)
            return
        path = self.folder / "best.safetensors"
        if not path.exists():
            why = (
                f"although {self.epoch} epochs are done: start anew" if self.epoch else "for no epoch was finished yet"
            )
            raise CheckpointError(f"{path} is missing, {why}")
        try:
            self.model.load_state_dict(load(path, self.backend))
        except CheckpointError:
            raise
        except ValueError as error:
            raise CheckpointError(f"{path} does not fit this model: {error}") from error


def _samples(inputs: Any) -> int:
    """How many there are in a batch; sequences come as (tokens, lengths)."""
    return len(inputs[0] if isinstance(inputs, tuple) else inputs)


def predict(model: Module, inputs: Any, backend: Backend, batch_size: int = 1024) -> Array:
    """A model's outputs for all ``inputs``, in evaluation mode, without gradients, batch by batch."""
    array = as_array(inputs)
    home = backend_of(array)
    with keep_modes(model), no_grad():
        model.eval()
        batches = (array[i : i + batch_size] for i in range(0, len(array), batch_size))
        parts = [model(x if home is backend else backend.asarray(home.to_numpy(x))).data for x in batches]
    if not parts:
        raise ValueError("predict() needs at least one input")
    return backend.xp.concatenate(parts)
