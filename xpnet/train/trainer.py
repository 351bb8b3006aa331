"""The training loop: epochs, callbacks, early stopping, checkpoints.

``Step`` trains on one batch; ``Meter`` and ``History`` record the results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from xpnet._files import write_atomically
from xpnet.data import ArrayDataset
from xpnet.data.loading.loader import keep_place
from xpnet.nn import Module
from xpnet.optim import EMA, Optimizer
from xpnet.tensor import Tensor
from xpnet.train.best import BestWeights
from xpnet.train.callback import Callback
from xpnet.train.delegate import OfStep
from xpnet.train.diagnosis import NonFiniteLossError, diagnose
from xpnet.train.early_stopping import EarlyStopping
from xpnet.train.evaluation import evaluate, predict
from xpnet.train.feed import Feed
from xpnet.train.history import History, Row
from xpnet.train.intake import as_loader, refuse_names, split, whole_epochs
from xpnet.train.interrupt import Interrupt
from xpnet.train.monitor import check_monitor
from xpnet.train.parts import check_complete
from xpnet.train.progress import FitProgress, verbosity
from xpnet.train.rehearsal import rehearse
from xpnet.train.schedule import check_interval, check_schedule, step_after_epoch, step_after_update
from xpnet.train.snapshot import resume_trainer, save_trainer
from xpnet.train.step import Step
from xpnet.train.stopwatch import Stopwatch
from xpnet_backends import Array, Backend

__all__ = ["Callback", "NonFiniteLossError", "Trainer", "predict"]


class Trainer:
    """Fits a model to data.

    >>> import numpy as np
    >>> from xpnet import nn, optim
    >>> x = np.linspace(-1.0, 1.0, 20, dtype="float32")[:, None]
    >>> model = nn.Linear(1, 1)
    >>> trainer = Trainer(model, nn.MSELoss(), optim.SGD(model.parameters(), lr=0.5))
    >>> history = trainer.fit(x, 2 * x, epochs=20, verbose=0)
    >>> len(history), history["train_loss"][-1] < 1e-3
    (20, True)

    Parameters
    ----------
    model : maps a batch of inputs to outputs.
    loss : ``loss(output, target)`` returns a tensor with one element, the mean over the batch.
    optimizer : updates the model's parameters.
    scheduler : its ``step()`` is called after every epoch (with the monitored value for ``ReduceLROnPlateau``).
    interval : "step" calls it after every update instead, as ``OneCycleLR`` and ``CyclicLR`` require.
    metrics : for the history: names (``["accuracy", "f1"]``), or by name a function ``metric(output, target)`` that
        returns the mean over a batch, or a metric of ``xpnet.metrics``, which is computed over the whole epoch.
    early_stopping : the column that decides which epoch is best, and when to stop; by default the validation loss,
        without stopping.
    max_grad_norm : clip the norm of the gradients.
    accumulate : the number of batches per update.  Their gradients are averaged as in one larger batch, each weighted
        by the count of its loss.
    penalty : ``penalty(model)`` is added to the objective, but not to the displayed loss.
    ema : the average of the weights, updated after every step; it is used for validation and for the best weights.
    count : ``count(output, target)`` is the count that a custom loss divides by in its mean, e.g. the sum of a mask.
        The losses of ``xpnet.nn`` need none: it is the number of targets that are not ignored, or the sum of weights.
    capture : on a device, record steps that are alike and replay them; see ``Step``.
    folder : for ``best.safetensors``, ``last.safetensors`` and ``history.csv``.  Without a folder nothing is written,
        and the best weights are kept in memory, on the model's backend.
    callbacks : called in every epoch and batch, see ``Callback``.
    """

    model = OfStep[Module]()
    loss = OfStep[Callable[[Any, Any], Tensor]]()
    optimizer = OfStep[Optimizer]()
    metrics = OfStep[dict[str, Any]]()
    max_grad_norm = OfStep["float | None"]()
    accumulate = OfStep[int]()
    penalty = OfStep["Callable[[Module], Tensor] | None"]()
    ema = OfStep["EMA | None"]()
    count = OfStep["Callable[[Any, Any], Any] | None"]()
    capture = OfStep[bool]()

    def __init__(
        self,
        model: Module,
        loss: Callable[[Any, Any], Tensor],
        optimizer: Optimizer,
        *,
        scheduler: Any = None,
        interval: str = "epoch",
        metrics: Mapping[str, Any] | Sequence[str] | None = None,
        early_stopping: EarlyStopping | None = None,
        max_grad_norm: float | None = None,
        accumulate: int = 1,
        penalty: Callable[[Module], Tensor] | None = None,
        ema: EMA | None = None,
        count: Callable[[Any, Any], Any] | None = None,
        capture: bool = True,
        folder: str | Path | None = None,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        options: dict[str, Any] = {"max_grad_norm": max_grad_norm, "accumulate": accumulate, "penalty": penalty}
        self.step = Step(model, loss, optimizer, metrics=metrics, ema=ema, count=count, capture=capture, **options)
        self.scheduler, self.interval = scheduler, check_interval(interval)
        self.early_stopping = early_stopping
        self.folder = None if folder is None else Path(folder)
        self.callbacks = list(callbacks)
        self.history = History()
        self.epoch = 0  # epochs finished
        self.best = BestWeights()
        self.last_lr: float | None = None  # of the last update
        self.pending: tuple[dict[str, Array], list[int]] | None = None  # the unfinished epoch of an interrupted run
        self.watch = Stopwatch()

    @property
    def backend(self) -> Backend:
        """The model's backend."""
        return self.step.backend

    @property
    def stopping(self) -> EarlyStopping:
        """The early stopping that decides which epoch is best."""
        return EarlyStopping() if self.early_stopping is None else self.early_stopping

    @property
    def seconds(self) -> float:
        """Training time of the whole run, across resumes."""
        return self.watch.seconds

    @property
    def samples(self) -> int:
        """The number of training samples of the whole run, across resumes."""
        return self.watch.samples

    def fit(
        self,
        train: Any = None,
        y: Any = None,
        epochs: int = 10,
        batch_size: int = 64,
        *,
        val: Any = None,
        verbose: bool | int | None = None,
        **unknown: Any,
    ) -> History:
        """Train until ``epochs`` epochs are done in total, including those before a resume.

        In ``fit(x, y)`` the first argument is an array and the second its targets.  In ``fit((x, y), (x_val, y_val))``
        the first argument is a pair, a dataset or a loader, and the second the validation data, like ``val``.

        Parameters
        ----------
        train, y : arrays, pandas frames or lists; or a pair, a dataset or a loader, and validation data.
        epochs : the total number.
        batch_size : for loaders that are created from arrays; training data are shuffled.
        val : validation data: a pair ``(inputs, targets)``, a dataset or a loader.
        verbose : False or 0 shows nothing; True or 1 a bar on a terminal and a line after each epoch; 2 the lines only.
            The default is 1, or 0 if a callback shows the progress.

        Raises: ``ValueError`` or ``TypeError`` before training for data that do not fit the model or the loss;
        ``NonFiniteLossError`` with epoch and step; ``KeyboardInterrupt`` after Ctrl-C, when the current step is done
        and everything is saved (a second Ctrl-C stops immediately).
        """
        refuse_names(unknown)
        check_complete(self.loss, self.optimizer)
        epochs = whole_epochs(epochs)
        progress = FitProgress(verbosity(verbose, self.callbacks), epochs)
        train, val = split(train, y, val)
        loader = self._loader(train, batch_size, shuffle=True, what="training data")
        val_loader = None
        if val is not None:
            val_loader = self._loader(val, max(batch_size, 256), shuffle=False, what="validation data")
        feed = Feed(loader)
        self._check(feed, val_loader is not None, epochs)
        for own, made, what in ((train, loader, "training data"), (val, val_loader, "validation data")):
            if made is not None and own is not made and isinstance(made.dataset, ArrayDataset) and self.epoch < epochs:
                rehearse(self.step, made, what)
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
        with Interrupt() as interrupt, progress:
            while self.epoch < epochs and not self.stopping.should_stop:
                self._run_epoch(feed, val_loader, interrupt, progress)
                if interrupt.requested:
                    raise KeyboardInterrupt(f"saved after epoch {self.epoch}")
        return self.history

    def _check(self, feed: Feed, validated: bool, epochs: int) -> None:
        """Reject invalid settings and data before training."""
        stopping = self.early_stopping or EarlyStopping("val_loss" if validated else "train_loss")
        check_monitor(stopping, self.scheduler, self.metrics, self.optimizer, validated)
        feed.check_passes(epochs - self.epoch)
        done = -(-len(self.pending[1]) // self.accumulate) if self.pending else 0
        if epochs > self.epoch and feed.size is not None:
            updates = -(-feed.size // self.accumulate)
            check_schedule(self.scheduler, self.interval, epochs - self.epoch, updates, done)
        self.early_stopping = stopping

    def _loader(self, data: Any, batch_size: int, shuffle: bool, what: str = "data") -> Any:
        return as_loader(data, self.model, self.backend, batch_size, shuffle=shuffle, what=what)

    def _run_epoch(self, feed: Feed, val_loader: Any, interrupt: Interrupt, progress: FitProgress) -> None:
        self._start_epoch(feed)
        progress.start_epoch(self.epoch + 1, feed.size)
        step, meter = self.step, self.step.meter
        self.model.train()
        for inputs, target, last in feed:
            step(inputs, target, last=last)
            if step.stopped:
                self._stop(feed)
            if step.place == 0:
                self._after_update()
            for callback in self.callbacks:
                callback.on_batch_end(self, meter)
            progress.end_batch(meter)
            if interrupt.requested and step.place == 0:
                self._save_interrupted(feed)
        if step.guard.found_bad():
            self._stop(feed)
        self.watch.count(meter.samples)
        self._finish_epoch(val_loader)
        progress.end_epoch(self.history.rows[-1], self.stopping.best_epoch == self.epoch)

    def _start_epoch(self, feed: Feed) -> None:
        begun = 0 if self.pending is None else len(self.pending[1])
        self.step.start(feed.size if feed.size is not None else begun, self.pending)
        feed.start_at(self.epoch, begun)
        self.pending = None
        for callback in self.callbacks:
            callback.on_epoch_start(self, self.epoch + 1, feed.size or 0)
        self.watch.start(self.step.meter.samples)

    def _after_update(self) -> None:
        self.last_lr = self.optimizer.param_groups[0]["lr"]
        step_after_update(self.scheduler, self.interval)

    def _stop(self, feed: Feed) -> None:
        raise diagnose(self.step, feed, self.epoch, self.folder)

    def _finish_epoch(self, val_loader: Any) -> None:
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
        """A context in which the model has the averaged weights, if there are any."""
        return nullcontext() if self.ema is None else self.ema.applied()

    def evaluate(self, data: Any, batch_size: int = 1024) -> dict[str, float]:
        """Loss and metrics over all of ``data``, in evaluation mode, without gradients.

        A loader is iterated once, from its first batch; its epoch and position are restored afterwards.
        """
        loader = self._loader(data, batch_size, shuffle=False)
        with keep_place(loader):
            return evaluate(self.step, loader)

    def predict(self, inputs: Any, batch_size: int = 1024) -> Array:
        """The model's outputs for all ``inputs``, in evaluation mode; an array of the model's backend."""
        return predict(self.model, inputs, self.backend, batch_size)

    def _save(self, best: bool) -> None:
        """Write the best weights first: if the run is killed between the two files, the resumed epoch repeats it."""
        if best:
            info = {"epoch": str(self.epoch), self.stopping.monitor: repr(self.stopping.best)}
            with self._averaged():
                self.best.keep(self.model, self.folder, info)
        if self.folder is not None:
            self._save_last({}, [])
            write_atomically(self.folder / "history.csv", self.history.to_csv())

    def _save_interrupted(self, feed: Feed) -> None:
        """Save within an epoch, and stop."""
        meter = self.step.meter
        self.watch.count(meter.samples)
        if self.folder is None:
            raise KeyboardInterrupt
        if self.step.guard.found_bad():
            self._stop(feed)
        self._save_last(*meter.state())
        raise KeyboardInterrupt(f"saved after epoch {self.epoch}, step {meter.batches}")

    def _save_last(self, values: dict[str, Array], sizes: list[int]) -> None:
        assert self.folder is not None
        save_trainer(self, self.folder / "last.safetensors", values, sizes)

    def resume(self, path: str | Path | None = None) -> None:
        """Restore a run from ``last.safetensors``; ``fit`` then continues as if it had not been interrupted.

        Raises: ``CheckpointError`` if the file is damaged, or of another model or optimizer.
        """
        if path is None:
            if self.folder is None:
                raise ValueError("resume() needs a path, or a trainer with a folder")
            path = self.folder / "last.safetensors"
        resume_trainer(self, Path(path))

    def load_best(self) -> None:
        """Load the weights of the best epoch into the model, from the folder, or from memory without a folder.

        Raises: ``CheckpointError`` if the file is damaged or of another model.
        """
        self.best.load_into(self.model, self.folder, self.backend, self.epoch, self.stopping.best is not None)
