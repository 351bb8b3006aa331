"""What a run looks like in the terminal while it trains."""

from __future__ import annotations

import sys
import time
from typing import Any

from xpnet.train import Trainer
from xpnet.train.history import Row
from xpnet.train.meter import Meter

REFRESH = 0.1  # seconds between two looks at the running loss: on a device each look waits for it
_SHORT = {
    "train_loss": "train loss",
    "train_accuracy": "accuracy",
    "val_loss": "val loss",
    "val_accuracy": "accuracy",
}


class Progress:
    """A bar with speed and running loss during an epoch, and a line of numbers after it."""

    def __init__(self, epochs: int, names: list[str]) -> None:
        self._epochs = epochs
        self._names = names
        self._bar: Any = None
        self._task: Any = None
        self._looked = self._started = 0.0
        self._interactive = sys.stdout.isatty()

    def header(self) -> None:
        """The names over the columns."""
        columns = "".join(f"{_SHORT.get(name, name):>12}" for name in self._names)
        print(f"{'epoch':>7}{columns}{'lr':>10}{'seconds':>9}", flush=True)

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
        """Move the bar on, a few times a second."""
        now = time.perf_counter()
        if self._bar is None or now - self._looked < REFRESH:
            return
        self._looked = now
        speed = meter.samples / (now - self._started)
        text = f"{speed:>9,.0f} samples/s   loss {meter.mean('loss'):.4f}"
        self._bar.update(self._task, completed=meter.batches, description=text, refresh=True)

    def on_epoch_end(self, trainer: Trainer, row: Row) -> None:
        """Close the bar and print the epoch's numbers; a star marks the best so far."""
        self.close()
        star = "*" if trainer.stopping.best_epoch == row["epoch"] else " "
        columns = "".join(f"{row.get(name, float('nan')):>12.4f}" for name in self._names)
        seconds = time.perf_counter() - self._started
        print(f"{row['epoch']:>4}/{self._epochs}{columns}{row['lr']:>10.6f}{seconds:>8.1f}s{star}", flush=True)

    def close(self) -> None:
        """Take the bar away, also when training was stopped."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
