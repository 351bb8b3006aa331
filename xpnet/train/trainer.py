"""The training loop: epochs, callbacks, early stopping, checkpoints.

One batch is the business of ``Step``; what is written down of it, of ``Meter`` and ``History``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Generic, Protocol, TypeAlias, TypeVar, overload

from xpnet._files import write_atomically
from xpnet.data import ArrayDataset, DataLoader, SequenceLoader
from xpnet.nn import Module
from xpnet.nn.utils import keep_modes
from xpnet.optim import EMA, Optimizer
from xpnet.tensor import Tensor, no_grad
from xpnet.train.best import BestWeights
from xpnet.train.counting import weighed
from xpnet.train.diagnosis import NonFiniteLossError, diagnose
from xpnet.train.early_stopping import EarlyStopping
from xpnet.train.history import History, Row
from xpnet.train.interrupt import Interrupt
from xpnet.train.meter import Meter, measure
from xpnet.train.monitor import check_monitor
from xpnet.train.schedule import check_interval, check_schedule, step_after_epoch, step_after_update
from xpnet.train.snapshot import resume_trainer, save_trainer
from xpnet.train.step import Step, samples_of, unwarned
from xpnet.train.stopwatch import Stopwatch
from xpnet_backends import Array, Backend

__all__ = ["Callback", "NonFiniteLossError", "Trainer", "predict"]

Metric: TypeAlias = Callable[[Any, Any], Array]
Data: TypeAlias = "DataLoader | SequenceLoader | ArrayDataset | tuple[Any, Any]"

Loader: TypeAlias = "DataLoader | SequenceLoader"
T = TypeVar("T")


class Callback(Protocol):
    """Told what happens.  All methods are called by the trainer, in this order, epoch by epoch."""

    def on_epoch_start(self, trainer: Trainer, epoch: int, batches: int) -> None:
        """Before the first batch of an epoch."""

    def on_batch_end(self, trainer: Trainer, meter: Meter) -> None:
        """After every step; reading the meter waits for the device."""

    def on_epoch_end(self, trainer: Trainer, row: Row) -> None:
        """After the epoch's checkpoint was written."""


class _OfStep(Generic[T]):
    """An attribute that the trainer's step holds: it may be changed between two calls of ``fit``."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, trainer: None, owner: type) -> _OfStep[T]: ...
    @overload
    def __get__(self, trainer: Trainer, owner: type) -> T: ...
    def __get__(self, trainer: Trainer | None, owner: type) -> Any:
        return self if trainer is None else getattr(trainer.step, self._name)

    def __set__(self, trainer: Trainer, value: T) -> None:
        setattr(trainer.step, self._name, value)


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
    interval : "step" calls it after every update instead, as ``OneCycleLR`` and ``CyclicLR`` want it.
    metrics : for the history; names (``["accuracy", "f1"]``), or by name a function ``metric(output, target)`` that
        gives the mean over a batch, or a metric of ``xpnet.metrics``, which is computed over the whole epoch.
    early_stopping : which column decides what is best, and when to stop; without one, the validation loss and never.
    max_grad_norm : clip the norm of the gradients.
    accumulate : batches whose gradients are averaged before each update, as if they were one larger batch: each counts
        by what its loss is the mean of.
    penalty : ``penalty(model)`` is added to what is minimised, not to the loss that is shown.
    ema : the average of the weights, updated after every step; it is what is validated and kept as the best.
    count : ``count(output, target)`` says what the mean of a loss of one's own is taken over, as a mask's sum.
        The losses of ``xpnet.nn`` say so themselves: the targets that are not ignored, or the sum of their weights.
    folder : where ``best.safetensors``, ``last.safetensors`` and ``history.csv`` go; nothing is written
        without one, and the best weights are kept in memory, where the model is.
    callbacks : told of every epoch and batch.
    """

    model = _OfStep[Module]()
    loss = _OfStep[Callable[[Any, Any], Tensor]]()
    optimizer = _OfStep[Optimizer]()
    metrics = _OfStep[dict[str, Any]]()
    max_grad_norm = _OfStep["float | None"]()
    accumulate = _OfStep[int]()
    penalty = _OfStep["Callable[[Module], Tensor] | None"]()
    ema = _OfStep["EMA | None"]()
    count = _OfStep["Callable[[Any, Any], Any] | None"]()

    def __init__(
        self,
        model: Module,
        loss: Callable[[Any, Any], Tensor],
        optimizer: Optimizer,
        *,
        scheduler: Any = None,
        interval: str = "epoch",
        metrics: Mapping[str, Metric | str] | Sequence[str] | None = None,
        early_stopping: EarlyStopping | None = None,
        max_grad_norm: float | None = None,
        accumulate: int = 1,
        penalty: Callable[[Module], Tensor] | None = None,
        ema: EMA | None = None,
        count: Callable[[Any, Any], Any] | None = None,
        folder: str | Path | None = None,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        options: dict[str, Any] = {"max_grad_norm": max_grad_norm, "accumulate": accumulate, "penalty": penalty}
        self.step = Step(model, loss, optimizer, metrics=metrics, ema=ema, count=count, **options)
        self.scheduler, self.interval = scheduler, check_interval(interval)
        self.early_stopping = early_stopping
        self.folder = None if folder is None else Path(folder)
        self.callbacks = list(callbacks)
        self.history = History()
        self.epoch = 0  # epochs finished
        self.best = BestWeights()
        self.last_lr: float | None = None  # of the last update
        self.pending: tuple[dict[str, Array], list[int]] | None = None  # the begun epoch of an interrupted run
        self.watch = Stopwatch()

    @property
    def backend(self) -> Backend:
        """Where the model lives."""
        return self.step.backend

    @property
    def stopping(self) -> EarlyStopping:
        """What decides which epoch is best."""
        return EarlyStopping() if self.early_stopping is None else self.early_stopping

    @property
    def seconds(self) -> float:
        """Time in training over the whole run, resumed or not."""
        return self.watch.seconds

    @property
    def samples(self) -> int:
        """How many samples were trained on over the whole run, resumed or not."""
        return self.watch.samples

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
        loader = self._loader(train, batch_size, shuffle=True)
        val_loader = None if val is None else self._loader(val, max(batch_size, 256), shuffle=False)
        self._check(loader, val_loader, epochs)
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
        with Interrupt() as interrupt:
            while self.epoch < epochs and not self.stopping.should_stop:
                self._run_epoch(loader, val_loader, interrupt)
                if interrupt.requested:
                    raise KeyboardInterrupt(f"saved after epoch {self.epoch}")
        return self.history

    def _check(self, loader: Loader, val_loader: Loader | None, epochs: int) -> None:
        """Refuse what could not go well, before anything is spent on it."""
        stopping = self.early_stopping or EarlyStopping("train_loss" if val_loader is None else "val_loss")
        check_monitor(stopping, self.scheduler, self.metrics, self.optimizer, val_loader is not None)
        updates = -(-len(loader) // self.accumulate)
        done = -(-len(self.pending[1]) // self.accumulate) if self.pending else 0
        if epochs > self.epoch:
            check_schedule(self.scheduler, self.interval, epochs - self.epoch, updates, done)
        self.early_stopping = stopping

    def _loader(self, data: Data, batch_size: int, shuffle: bool) -> Loader:
        if isinstance(data, DataLoader | SequenceLoader):
            return data
        dataset = data if isinstance(data, ArrayDataset) else ArrayDataset(*data)
        dataset.check_finite()
        return DataLoader(dataset, min(batch_size, len(dataset)), shuffle=shuffle, backend=self.backend)

    def _run_epoch(self, loader: Loader, val_loader: Loader | None, interrupt: Interrupt) -> None:
        self._start_epoch(loader)
        step, meter = self.step, self.step.meter
        self.model.train()
        for inputs, target in loader:
            step(inputs, target, last=meter.batches + 1 == len(loader))
            if step.stopped:
                self._stop(loader)
            if step.place == 0:
                self._after_update()
            for callback in self.callbacks:
                callback.on_batch_end(self, meter)
            if interrupt.requested and step.place == 0:
                self._save_interrupted(loader)
        if step.guard.found_bad():
            self._stop(loader)
        self.watch.count(meter.samples)
        self._finish_epoch(val_loader)

    def _start_epoch(self, loader: Loader) -> None:
        self.step.start(len(loader), self.pending)
        self.pending = None
        loader.load_state_dict({"epoch": self.epoch, "position": self.step.meter.batches})
        for callback in self.callbacks:
            callback.on_epoch_start(self, self.epoch + 1, len(loader))
        self.watch.start(self.step.meter.samples)

    def _after_update(self) -> None:
        self.last_lr = self.optimizer.param_groups[0]["lr"]
        step_after_update(self.scheduler, self.interval)

    def _stop(self, loader: Loader) -> None:
        kept = "" if self.folder is None else f"; {self._last_good(self.folder)}"
        raise diagnose(self.step, loader, self.epoch, kept)

    def _last_good(self, folder: Path) -> str:
        path = folder / "last.safetensors"
        return f"the checkpoint of epoch {self.epoch} stands in {path}" if path.exists() else "no epoch was finished"

    def _finish_epoch(self, val_loader: Loader | None) -> None:
        row: Row = {"epoch": self.epoch + 1}
        row |= {f"train_{name}": value for name, value in self.step.meter.means().items()}
        if val_loader is not None:
            with self._averaged():
                row |= {f"val_{name}": value for name, value in self.evaluate(val_loader).items()}
        row["lr"] = self.optimizer.param_groups[0]["lr"] if self.last_lr is None else self.last_lr
        value = row[self.stopping.monitor]
        best = self.stopping.update(value, self.epoch + 1)
        step_after_epoch(self.scheduler, self.interval, value)
        self.epoch += 1
        self.history.append(row)
        self._save(best)
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
        with keep_modes(self.model), no_grad(), unwarned():
            self.model.eval()
            for inputs, target in loader:
                output = self.model(inputs)
                loss, count = weighed(self.loss, output, target, self.count)
                raw = output.data if isinstance(output, Tensor) else output
                values = {name: measure(metric, raw, target) for name, metric in self.metrics.items()}
                meter.add(samples_of(inputs), {"loss": loss.data, **values}, count)
        return meter.means()

    def predict(self, inputs: Any, batch_size: int = 1024) -> Array:
        """The model's outputs for all ``inputs``, in evaluation mode; an array of the model's backend."""
        return predict(self.model, inputs, self.backend, batch_size)

    # -- checkpoints ---------------------------------------------------------------------------------------------

    def _save(self, best: bool) -> None:
        """The best weights first: if the run dies between the two files, the resumed epoch writes them again."""
        if best:
            info = {"epoch": str(self.epoch), self.stopping.monitor: repr(self.stopping.best)}
            with self._averaged():
                self.best.keep(self.model, self.folder, info)
        if self.folder is not None:
            save_trainer(self, self.folder / "last.safetensors", {}, [])
            write_atomically(self.folder / "history.csv", self.history.to_csv())

    def _save_interrupted(self, loader: Loader) -> None:
        """Save in the middle of an epoch, and stop."""
        meter = self.step.meter
        self.watch.count(meter.samples)
        if self.folder is None:
            raise KeyboardInterrupt
        if self.step.guard.found_bad():
            self._stop(loader)
        save_trainer(self, self.folder / "last.safetensors", *meter.state())
        raise KeyboardInterrupt(f"saved after epoch {self.epoch}, step {meter.batches}")

    def resume(self, path: str | Path | None = None) -> None:
        """Take up a run where ``last.safetensors`` left it; ``fit`` then goes on as if nothing had happened.

        Raises: ``CheckpointError`` where the file is damaged or of another model or optimizer.
        """
        if path is None:
            if self.folder is None:
                raise ValueError("resume() needs a path, or a trainer with a folder")
            path = self.folder / "last.safetensors"
        resume_trainer(self, Path(path))

    def load_best(self) -> None:
        """Give the model the weights of the best epoch: from the folder, or from memory where there is none.

        Raises: ``CheckpointError`` where the file is damaged or of another model.
        """
        self.best.load_into(self.model, self.folder, self.backend, self.epoch, self.stopping.best is not None)


def predict(model: Module, inputs: Any, backend: Backend, batch_size: int = 1024) -> Array:
    """A model's outputs for all ``inputs``, in evaluation mode, without gradients, batch by batch."""
    with keep_modes(model), no_grad():
        model.eval()
        starts = range(0, len(inputs), batch_size)
        parts = [model(backend.asarray(inputs[i : i + batch_size])).data for i in starts]
    if not parts:
        raise ValueError("predict() needs at least one input")
    return backend.xp.concatenate(parts)
