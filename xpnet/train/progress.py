"""Progress of ``Trainer.fit``: a bar during an epoch on a terminal, and a line of numbers after each epoch."""

from __future__ import annotations

import math
import sys
import time
from typing import Any

import numpy as np

from xpnet.train.meter import Meter

REFRESH = 0.1  # seconds between two updates of the running loss, because each one waits for a device


def verbosity(verbose: Any, callbacks: Any) -> int:
    """The level 0, 1 or 2 from the argument of ``fit``; None is 1, or 0 if a callback already shows the progress.

    Raises: ``ValueError``.
    """
    if verbose is None:
        return 0 if any(getattr(callback, "shows_progress", False) for callback in callbacks) else 1
    if not isinstance(verbose, int | np.integer | np.bool_) or verbose not in (0, 1, 2):
        raise ValueError(f"verbose must be True, False, 0, 1 (a bar on a terminal) or 2 (lines only), got {verbose!r}")
    return int(verbose)


class FitProgress:
    """Writes to standard output: nothing at level 0, no bar at level 2."""

    def __init__(self, level: int, epochs: int) -> None:
        self._level, self._epochs = level, epochs
        self._interactive = level == 1 and bool(sys.stdout.isatty())
        self._bar: Any = None
        self._task: Any = None
        self._started = self._looked = 0.0

    def __enter__(self) -> FitProgress:
        return self

    def __exit__(self, *error: object) -> None:
        self._close()

    def start_epoch(self, epoch: int, batches: int | None) -> None:
        """Open the bar."""
        self._started = time.monotonic()
        if not self._interactive:
            return
        from rich.progress import BarColumn, Progress, TextColumn

        columns = [TextColumn(f"epoch {epoch}/{self._epochs}"), BarColumn(), TextColumn("{task.description}")]
        self._bar = Progress(*columns, transient=True, auto_refresh=False)
        self._task = self._bar.add_task("", total=batches)
        self._bar.start()

    def end_batch(self, meter: Meter) -> None:
        """Update the bar, a few times a second."""
        if self._bar is None or time.monotonic() - self._looked < REFRESH:
            return
        self._looked = time.monotonic()
        speed = meter.samples / max(self._looked - self._started, 1e-9)
        text = f"{speed:,.0f} samples/s   loss {meter.mean('loss'):.4f}"
        self._bar.update(self._task, completed=meter.batches, description=text, refresh=True)

    def end_epoch(self, row: dict[str, Any], best: bool) -> None:
        """Close the bar and print the epoch's numbers."""
        self._close()
        if not self._level:
            return
        numbers = "  ".join(f"{name} {_number(value)}" for name, value in row.items() if name != "epoch")
        seconds = time.monotonic() - self._started
        mark = "  best" if best else ""
        print(f"epoch {row['epoch']}/{self._epochs}  {numbers}  {seconds:.1f}s{mark}", flush=True)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _number(value: Any) -> str:
    value = math.nan if value is None else value
    return f"{value:.4g}"
