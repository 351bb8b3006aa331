"""Ctrl-C that lets the current step finish."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class Interrupt:
    """Inside the block, the first Ctrl-C only sets ``requested``; a second one stops immediately.

    Signals can only be caught in the main thread; in other threads Ctrl-C is unchanged.
    """

    def __init__(self) -> None:
        self.requested = False
        self._before: Any = None
        self._catching = threading.current_thread() is threading.main_thread()

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True

    def __enter__(self) -> Interrupt:
        if self._catching:
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._catching:
            signal.signal(signal.SIGINT, self._before)
