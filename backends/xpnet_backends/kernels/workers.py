"""Threads that take their part of a batch; compiled code runs without Python's lock, so that they run side by side.

A thread that sleeps is awake again only after some 50 microseconds, as long as many a kernel takes.  So a thread that
has nothing to do looks for work for about 100 microseconds, as those of OpenMP do, before it goes to sleep.
"""

from __future__ import annotations

import functools
import itertools
import os
import platform
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ..base import Array
from .machine import LONG, compiled, write

WORTH = 2_000_000  # multiplications that take somewhat longer than handing them to another thread
LOOKS = 3_000
MOMENT = 150  # looks, until who rang has let go of Python's lock; to queue for it means to sleep
PAUSE = "llvm.x86.sse2.pause" if platform.machine() in ("x86_64", "AMD64") else None  # leaves more to the others


def cores() -> int:
    """The processors that this process may use, or ``XPNET_THREADS``."""
    return _cores(os.environ.get("XPNET_THREADS"))


@functools.cache
def _cores(threads: str | None) -> int:
    if threads:
        return int(threads)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _look(_: Any, address: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if PAUSE is not None:
            builder.call(cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.VoidType(), []), PAUSE), [])
        return builder.load_atomic(builder.inttoptr(arguments[0], ir.IntType(64).as_pointer()), "acquire", 8)

    return types.int64(types.int64), generate


def _pass_on(_: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if os.name == "posix":
            give = cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.IntType(32), []), "sched_yield")
            builder.call(give, [])
        return context.get_dummy_value()

    return types.void(), generate


_seen: Any = intrinsic(_look)  # a number that another thread may write
_yield: Any = intrinsic(_pass_on)  # the processor, to a thread that waits for the same one


@compiled(write(1, dtype="int64"), LONG, LONG)
def _wait(bell: Array, heard: int, moment: int) -> None:
    """Until the bell has been rung more often than was heard, and a moment longer; or in vain."""
    for look in range(LOOKS):
        if _seen(bell.ctypes.data) > heard:
            break
        if look % 64 == 63:
            _yield()
    for _ in range(moment):
        _seen(bell.ctypes.data)


class _Worker:
    """A thread with two queues, and a bell beside each that says that something was put there."""

    def __init__(self, number: int) -> None:
        self.lock = threading.Lock()  # its answers go to whoever asked
        self.tasks: SimpleQueue[Any] = SimpleQueue()
        self.results: SimpleQueue[Any] = SimpleQueue()
        self.asked, self.answered = np.zeros(1, np.int64), np.zeros(1, np.int64)
        threading.Thread(target=self._serve, name=f"xpnet-{number}", daemon=True).start()

    def _serve(self) -> None:
        for done in itertools.count():
            _wait(self.asked, done, MOMENT)
            work, start, stop = self.tasks.get()  # sleeps where nothing came
            try:
                self.results.put((work(start, stop), None))
            except BaseException as error:
                self.results.put((None, error))
            del work  # hold nothing while waiting
            self.answered += 1

    def ask(self, work: Callable[[int, int], Any], start: int, stop: int) -> None:
        self.tasks.put((work, start, stop))
        self.asked += 1

    def answer(self) -> tuple[Any, BaseException | None]:
        _wait(self.answered, int(self.asked[0]) - 1, 0)
        found: tuple[Any, BaseException | None] = self.results.get()
        return found


@functools.cache
def _workers(number: int) -> list[_Worker]:
    return [_Worker(i) for i in range(number)]


if hasattr(os, "register_at_fork"):  # threads do not live on in a forked process
    os.register_at_fork(after_in_child=_workers.cache_clear)


def in_threads(work: Callable[[int, int], Any], count: int, cost: int) -> list[Any]:
    """``work(start, stop)`` for stretches of ``range(count)``, one a thread, as many as ``cost`` is worth.

    The results come in order.  ``cost`` is in multiplications; ``work`` should be compiled code.  Where the threads
    are at work for another thread of the program already, it is done by this one alone.
    """
    threads = max(1, min(cores(), count, 1 + cost // WORTH))
    workers = [worker for worker in _workers(cores() - 1)[: threads - 1] if worker.lock.acquire(blocking=False)]
    try:
        parts = len(workers) + 1
        ends = [count * i // parts for i in range(parts + 1)]
        for worker, stretch in zip(workers, itertools.pairwise(ends[1:]), strict=True):
            worker.ask(work, *stretch)
        mine: list[Any] = []
        failed: BaseException | None = None
        try:
            mine.append(work(0, ends[1]))
        except BaseException as error:  # the others' answers must be taken all the same
            failed = error
        for worker in workers:
            result, wrong = worker.answer()
            mine.append(result)
            failed = failed or wrong
    finally:
        for worker in workers:
            worker.lock.release()
    if failed is not None:
        raise failed
    return mine
