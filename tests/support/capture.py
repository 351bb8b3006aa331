"""Recordings of device calls, with the rules of a CUDA graph.

During a recording every call is stored with its operands and its results, and what a CUDA graph refuses is an error:
transfers, synchronisation, products by CuPy's own cuBLAS.  As on a GPU, a recording computes nothing: changes to older
memory are undone, and results hold garbage until the first replay.  A replay runs the calls again on the same memory.
Values from the host are frozen.
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
RUBBISH = 0x7F  # the value of every byte: a huge integer (0x7F7F... as a double is 1e306)


@dataclass
class Call:
    """One call: ``function(*args, **kwargs)`` on host arrays, and the memory for its results."""

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
    """Records the calls of the thread that created it."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._thread = threading.get_ident()
        self._made: dict[int, np.ndarray] = {}  # memory allocated by the recording, by identity
        self._older: dict[int, tuple[np.ndarray, np.ndarray]] = {}  # other memory that it accesses, with its values

    def here(self) -> bool:
        return threading.get_ident() == self._thread

    def see(self, what: str, call: str) -> None:
        """Refuse what a CUDA graph refuses (reported by ``counters``)."""
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
        """Restore older memory, and fill the recording's own memory with garbage."""
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
    """Run a function on the values of device arrays.  All computation of the device happens here."""
    kwargs = kwargs or {}
    with np.errstate(all="ignore"):
        for recorder in _active:
            if recorder.here():
                return recorder.perform(function, args, kwargs)
        return function(*args, **kwargs)


def refuse_cublas(name: str) -> None:
    """Refuse products by CuPy's cuBLAS; ``xpnet_backends.matmul`` can be recorded."""
    if any(recorder.here() for recorder in _active):
        raise CaptureError(f"{name} (a product by CuPy's cuBLAS) cannot be recorded: use xpnet_backends.matmul")


def capture(function: Callable[[], R]) -> Callable[[], R]:
    """A callable that repeats the device work of ``function()``; see ``Backend.capture``."""
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
    """A result with its numbers as 0-d arrays, which have an address."""
    if isinstance(x, np.generic | bool | int | float | complex):
        return np.asarray(x)
    if isinstance(x, list | tuple):
        items = [_without_scalars(item) for item in x]
        return type(x)._make(items) if hasattr(x, "_make") else type(x)(items)
    return x


def _own_memory(x: Any, operands: list[np.ndarray]) -> np.ndarray | None:
    """Memory for a result; None for views of operands and for results that are not arrays."""
    if not isinstance(x, np.ndarray) or any(np.may_share_memory(x, a) or _owner(x) is _owner(a) for a in operands):
        return None
    return x  # an empty view shares no memory, only an owner


def _owner(x: np.ndarray) -> np.ndarray:
    """The array that owns the memory of ``x``."""
    base: Any = x
    while (below := getattr(base, "base", None)) is not None:  # as_strided puts an object in between
        base = below
        if isinstance(base, np.ndarray):
            x = base
    return x
