"""What a step did, in a form that can be compared: its ops in order, with shapes, options and numbers."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from xpnet.tape import Recorded
from xpnet_backends import is_array


class Signature:
    """An observer of the tape that records the ops of one step.

    Arrays are compared by shape and dtype.  Numbers, strings and options are compared by value, because a recording
    freezes them.
    """

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []  # what was done, and the line of code that asked for it
        self.drawn: list[Any] = []  # random streams

    def __call__(self, op: Any, args: tuple[Any, ...], options: Mapping[str, Any], result: Any) -> None:
        self._write(op.__name__, args, options, result)

    def plain(self, name: str, args: tuple[Any, ...], options: Mapping[str, Any], result: Any) -> None:
        """Include results without a derivative."""
        self._write(name, args, options, result)

    def _write(self, name: str, args: tuple[Any, ...], options: Mapping[str, Any], result: Any) -> None:
        given = [told(x) for x in args] + [f"{key}={told(value)}" for key, value in options.items()]
        self.lines.append((f"{name}({', '.join(given)}) -> {told(result)}", _line()))

    def difference(self, earlier: Signature) -> str | None:
        """The first op that differs from an earlier step, in words; None if the steps are alike."""
        for (now, line), (before, _) in zip(self.lines, earlier.lines, strict=False):
            if now != before:
                return f"{now}, before {before}, in {line}"
        if len(self.lines) != len(earlier.lines):
            longer = max(self.lines, earlier.lines, key=len)
            now, line = longer[min(len(self.lines), len(earlier.lines))]
            return f"{len(self.lines)} operations, before {len(earlier.lines)}: {now} is not always there, in {line}"
        if self.drawn != earlier.drawn:
            return "its random numbers are of another stream"
        return None


def told(x: Any) -> str:
    """A value in words: arrays by shape and dtype, numbers by value, other objects by type."""
    if isinstance(x, Recorded) or is_array(x):
        return f"{x.dtype}{tuple(x.shape)}"
    if isinstance(x, (tuple, list)):
        return f"({', '.join(told(item) for item in x)})"
    if isinstance(x, Mapping):
        return f"{{{', '.join(f'{key}: {told(value)}' for key, value in x.items())}}}"
    if x is None or isinstance(x, (bool, int, float, complex, str, bytes, slice)):
        return repr(x)
    return type(x).__name__


def _line() -> str:
    """The innermost line of code outside the library."""
    frame = inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in ("xpnet", "xpnet_backends"):
        frame = frame.f_back
    if frame is None:
        return "the library"
    return f"{frame.f_code.co_filename.rpartition('/')[2]}:{frame.f_lineno}"
