"""The progress of a training run in the terminal."""

from __future__ import annotations

import math
import shutil
import sys
import time
from collections.abc import Callable
from typing import Any

from xpnet.train import Trainer
from xpnet.train.history import Row
from xpnet.train.meter import Meter

REFRESH = 0.1  # seconds between two reads of the running loss, because each read synchronises with a device
_ALWAYS = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")


def _label(name: str) -> str:
    """``train loss, accuracy, f1, val loss, accuracy, f1``: columns after a loss belong to the same part."""
    part, _, kind = name.partition("_")
    return f"{part} loss" if kind == "loss" else kind.replace("_", " ")


def _cell(value: float | None, width: int) -> str:
    value = math.nan if value is None else value
    text = f"{value:.4f}"
    return f"{text if len(text) < width else format(value, '.4g'):>{width}}"


class Progress:
    """A progress bar with speed and running loss during an epoch, and a line of numbers after it."""

    def __init__(self, epochs: int, names: list[str]) -> None:
        self._epochs = epochs
        self._interactive = sys.stdout.isatty()
        self._first = 5 + len(str(epochs))
        self._widths = {name: max(12 if name in _ALWAYS else 9, len(_label(name)) + 2) for name in names}
        self._rest = True  # whether there is room for rate and seconds
        room = shutil.get_terminal_size().columns if self._interactive else math.inf
        choices: list[Callable[[str], bool]] = [
            lambda name: (
                name in _ALWAYS or name.startswith("val_")
            ),  # the training values of additional metrics go first
            lambda name: name in _ALWAYS,
            lambda name: name in _ALWAYS and (name.startswith("val_") or "val_loss" not in names),
        ]
        for rest, shows in [(True, choices[0]), *((False, shows) for shows in choices)]:
            if self._first + sum(self._widths.values()) + (20 if self._rest else 1) <= room:
                break
            self._rest = rest
            self._widths = {name: max(9, len(_label(name)) + 2) for name in names if shows(name)}
        self._bar: Any = None
        self._task: Any = None
        self._looked = self._started = 0.0

    def header(self) -> None:
        """The header of the columns."""
        columns = "".join(f"{_label(name):>{width}}" for name, width in self._widths.items())
        rest = f"{'lr':>10}{'seconds':>9}" if self._rest else ""
        print(f"{'epoch':>{self._first}}{columns}{rest}", flush=True)

    def on_epoch_start(self, trainer: Trainer, epoch: int, batches: int) -> None:
        """Open the bar."""
        self._started = time.perf_counter()
        if not self._interactive:
            return
        from rich.progress import BarColumn, Progress, TextColumn

        columns = [TextColumn(f"{epoch:>4}/{self._epochs}"), BarColumn(), TextColumn("{task.description}")]
        self._bar = Progress(*columns, transient=True, auto_refresh=False)
        self._task = self._bar.add_task("", total=batches)
        self._bar.start()

    def on_batch_end(self, trainer: Trainer, meter: Meter) -> None:
        """Update the bar a few times per second."""
        now = time.perf_counter()
        if self._bar is None or now - self._looked < REFRESH:
            return
        self._looked = now
        speed = meter.samples / (now - self._started)
        text = f"{speed:>9,.0f} samples/s   loss {meter.mean('loss'):.4f}"
        self._bar.update(self._task, completed=meter.batches, description=text, refresh=True)

    def on_epoch_end(self, trainer: Trainer, row: Row) -> None:
        """Remove the bar and print the epoch's numbers; a star marks the best epoch so far."""
        self.close()
        star = "*" if trainer.stopping.best_epoch == row["epoch"] else " "
        columns = "".join(_cell(row.get(name), width) for name, width in self._widths.items())
        seconds = time.perf_counter() - self._started
        rest = f"{row['lr']:>10.6f}{seconds:>8.1f}s" if self._rest else ""
        print(f"{row['epoch']:>4}/{self._epochs}{columns}{rest}{star}", flush=True)

    def close(self) -> None:
        """Remove the bar, also when training was interrupted."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
