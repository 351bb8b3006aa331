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

from ....base import Array
from .compiler import LONG, compiled, write

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
    """A thread with two queues, and beside each a bell: the number of the last task that was put there.

    An answer says what it answers: one that nobody fetched, because Ctrl-C came between, is thrown away.
    """

    def __init__(self, number: int) -> None:
        self.lock = threading.Lock()  # held by who asks, until the answer is there
        self.tasks: SimpleQueue[Any] = SimpleQueue()
        self.answers: SimpleQueue[Any] = SimpleQueue()
        self.asked, self.answered = np.zeros(1, np.int64), np.zeros(1, np.int64)
        self.tickets = itertools.count(1)
        threading.Thread(target=self._serve, name=f"xpnet-{number}", daemon=True).start()

    def _serve(self) -> None:
        ticket = 0
        while True:
            _wait(self.asked, ticket, MOMENT)
            ticket, work, start, stop = self.tasks.get()  # sleeps where nothing came
            result, error = None, None
            try:
                result = work(start, stop)
            except BaseException as wrong:
                error = wrong
            self.answers.put((ticket, result, error))
            del work, result, error  # hold nothing while waiting
            self.answered[0] = ticket

    def ask(self, work: Callable[[int, int], Any], start: int, stop: int) -> int:
        ticket = next(self.tickets)
        self.tasks.put((ticket, work, start, stop))
        self.asked[0] = ticket
        return ticket

    def answer(self, ticket: int) -> tuple[Any, BaseException | None]:
        _wait(self.answered, ticket - 1, 0)
        while True:
            answered, result, error = self.answers.get()
            if answered == ticket:
                return result, error


@functools.cache
def _workers(number: int) -> list[_Worker]:
    return [_Worker(i) for i in range(number)]


if hasattr(os, "register_at_fork"):  # threads do not live on in a forked process
    os.register_at_fork(after_in_child=_workers.cache_clear)


def in_threads(work: Callable[[int, int], Any], count: int, cost: int) -> list[Any]:
    """``work(start, stop)`` for stretches of ``range(count)``, one a thread, as many as ``cost`` is worth.

    The results come in order.  ``cost`` is in multiplications; ``work`` should be compiled code.  What a thread that
    is busy with another caller's work should do, this one does itself: the stretches are the same, and so the sums.
    """
    threads = max(1, min(cores(), count, 1 + cost // WORTH))
    if threads == 1:
        return [work(0, count)]
    stretches = list(itertools.pairwise([count * i // threads for i in range(threads + 1)]))
    held: list[_Worker] = []
    try:
        asked = {}
        for i, worker in enumerate(_workers(cores() - 1)[: threads - 1], start=1):
            if worker.lock.acquire(blocking=False):
                held.append(worker)
                asked[i] = worker, worker.ask(work, *stretches[i])
        results, failed = [], None
        for i, stretch in enumerate(stretches):
            try:
                result, error = (work(*stretch), None) if i not in asked else asked[i][0].answer(asked[i][1])
            except Exception as wrong:  # the others' answers are fetched all the same
                result, error = None, wrong
            results.append(result)
            failed = failed or error
    finally:
        for worker in held:
            worker.lock.release()
    if failed is not None:
        raise failed
    return results
