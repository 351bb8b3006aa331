"""Training time and number of samples."""

from __future__ import annotations

import time


class Stopwatch:
    """Seconds and samples of the whole run, across resumes, without evaluation and saving."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.samples = 0
        self._mark = (0.0, 0)  # time of the last count, and samples of the epoch at that time

    def start(self, samples: int) -> None:
        """Start counting now; ``samples`` of this epoch were counted before."""
        self._mark = (time.perf_counter(), samples)

    def count(self, samples: int) -> None:
        """Add the time and the samples since the last count; ``samples`` is the number in this epoch so far."""
        (started, before), now = self._mark, time.perf_counter()
        self.seconds += now - started
        self.samples += samples - before
        self._mark = (now, samples)
