"""How long training took, and how many samples it saw."""

from __future__ import annotations

import time


class Stopwatch:
    """Seconds and samples of the whole run, resumed or not, evaluation and saving aside."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.samples = 0
        self._mark = (0.0, 0)  # the moment up to which they are counted, and the samples of its epoch by then

    def start(self, samples: int) -> None:
        """Go on counting from here; ``samples`` of this epoch were counted before."""
        self._mark = (time.perf_counter(), samples)

    def count(self, samples: int) -> None:
        """Add the time and the samples since the last look; ``samples`` are those of this epoch by now."""
        (started, before), now = self._mark, time.perf_counter()
        self.seconds += now - started
        self.samples += samples - before
        self._mark = (now, samples)
