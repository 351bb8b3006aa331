"""Recordings of device calls, with the rules of a CUDA graph.

While a recording is made every call is written down with its operands and its results, and what a graph refuses is an
error: transfers, waiting for the device, products by CuPy's own cuBLAS.  As on a GPU nothing is computed for good
meanwhile: what the calls changed in older memory is put back, and results hold rubbish until the first replay.  A
replay runs the calls again on the same memory.  What the host contributed is frozen.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from xpnet_backends import CaptureError

from .traffic import NAMES, counters

R = TypeVar("R")
RUBBISH = 0x7F  # every byte: NaN as a float (0x7F7F... as a double is 1e306), a huge whole number


@dataclass
class Call:
    """One call: ``function(*args, **kwargs)`` on host arrays, and the memory in which its results belong."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    results: list[np.ndarray | None]  # None for a view, or for an argument that was changed in place

    def run(self) -> None:
        with np.errstate(all="ignore"):
            again = self.function(*self.args, **self.kwargs)
        for memory, values in zip(self.results, _leaves(again), strict=True):
            if memory is not None:
                memory[...] = values


class Recorder:
    """Writes down the calls of the thread that made it."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._thread = threading.get_ident()
        self._made: dict[int, np.ndarray] = {}  # memory that the recording allocates, by identity
        self._older: dict[int, tuple[np.ndarray, np.ndarray]] = {}  # other memory that it touches, and its values

    def here(self) -> bool:
        return threading.get_ident() == self._thread

    def see(self, what: str, call: str) -> None:
        """Refuse what a graph refuses (told by ``counters``)."""
        if what in NAMES and self.here():
            raise CaptureError(f"{call} ({NAMES[what]}) cannot be recorded")

    def perform(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        operands = [x for x in _leaves((args, tuple(kwargs.values()))) if isinstance(x, np.ndarray)]
        for x in operands:
            self._keep(x)
        result = _without_scalars(function(*args, **kwargs))
        results = list(_leaves(result))
        memory = [_own_memory(x, operands) for x in results]
        for x in memory:
            if x is not None:
                self._made[id(_owner(x))] = _owner(x)
        viewed = memory and all(x is None for x in memory) and not any(y is x for y in results for x in operands)
        if not viewed or not all(isinstance(y, np.ndarray) for y in results):
            self.calls.append(Call(function, args, kwargs, memory))
        return result

    def _keep(self, x: np.ndarray) -> None:
        memory = _owner(x)
        if id(memory) not in self._made and id(memory) not in self._older:
            self._older[id(memory)] = memory, memory.copy()

    def told(self) -> list[Any]:
        """The calls in words: numbers by value, older memory by its address."""
        return [
            (
                getattr(call.function, "__name__", ""),
                [self._told(x) for x in _leaves((call.args, tuple(call.kwargs.items())))],
            )
            for call in self.calls
        ]

    def _told(self, x: Any) -> Any:
        if isinstance(x, np.ndarray):
            older = id(_owner(x)) in self._older
            return x.shape, x.dtype.str, x.strides, x.ctypes.data if older else None
        return repr(x)

    def undo(self) -> None:
        """Leave older memory as it was, and rubbish in that of the recording."""
        for memory, values in self._older.values():
            if memory.flags.writeable:
                memory[...] = values
        for memory in self._made.values():
            if memory.flags.writeable and memory.size:
                memory.reshape(-1, order="A").view(np.uint8)[...] = RUBBISH

    def replay(self) -> None:
        counters.count("launches", "a graph")
        for call in self.calls:
            call.run()


_active: list[Recorder] = []


def perform(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any] | None = None) -> Any:
    """Run a function on the values of device arrays: the one place in which the device computes."""
    kwargs = kwargs or {}
    with np.errstate(all="ignore"):
        for recorder in _active:
            if recorder.here():
                return recorder.perform(function, args, kwargs)
        return function(*args, **kwargs)


def refuse_cublas(name: str) -> None:
    """Products by CuPy's cuBLAS: ``xpnet_backends.matmul`` is the one that can be recorded."""
    if any(recorder.here() for recorder in _active):
        raise CaptureError(f"{name} (a product by CuPy's cuBLAS) cannot be recorded: use xpnet_backends.matmul")


def capture(function: Callable[[], R]) -> Callable[[], R]:
    """A callable that does again what ``function()`` did on the device; see ``Backend.capture``."""
    if any(recorder.here() for recorder in _active):
        raise CaptureError("a recording inside a recording")
    recorder = Recorder()
    _active.append(recorder)
    counters.watch(recorder)
    try:
        result = function()
    finally:
        counters.forget(recorder)
        _active.remove(recorder)
        recorder.undo()

    def replay() -> R:
        if any(other.here() for other in _active):
            raise CaptureError("a replay inside a recording")
        recorder.replay()
        return result

    replay.calls = recorder.told()  # type: ignore[attr-defined]  # to be compared with those of another recording
    return replay


def _leaves(x: Any) -> Iterator[Any]:
    if isinstance(x, list | tuple):
        for item in x:
            yield from _leaves(item)
    else:
        yield x


def _without_scalars(x: Any) -> Any:
    """A result whose numbers are 0-d arrays, which have a place in memory."""
    if isinstance(x, np.generic | bool | int | float | complex):
        return np.asarray(x)
    if isinstance(x, list | tuple):
        items = [_without_scalars(item) for item in x]
        return type(x)._make(items) if hasattr(x, "_make") else type(x)(items)
    return x


def _own_memory(x: Any, operands: list[np.ndarray]) -> np.ndarray | None:
    """A result in memory of its own; None for views of operands and for what is no array."""
    if not isinstance(x, np.ndarray) or any(np.may_share_memory(x, a) or _owner(x) is _owner(a) for a in operands):
        return None
    return x  # an empty view shares no memory, but an owner


def _owner(x: np.ndarray) -> np.ndarray:
    """The array whose memory ``x`` shows."""
    base: Any = x
    while (below := getattr(base, "base", None)) is not None:  # as_strided puts an object in between
        base = below
        if isinstance(base, np.ndarray):
            x = base
    return x
