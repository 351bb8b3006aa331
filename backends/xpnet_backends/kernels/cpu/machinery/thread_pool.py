"""A thread pool that splits a batch.  Compiled code releases the GIL, so that the threads run in parallel.

Waking a sleeping thread takes about 50 microseconds, as long as many kernels run.  So an idle thread spins for about
100 microseconds before it sleeps, as OpenMP threads do.
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

WORTH = 2_000_000  # multiplications that take a little longer than posting a task to another thread
LOOKS = 3_000  # spins before sleeping
MOMENT = 150  # spins until the posting thread releases the GIL, because waiting for the GIL would put this one to sleep
PAUSE = "llvm.x86.sse2.pause" if platform.machine() in ("x86_64", "AMD64") else None  # frees resources while spinning


def cores() -> int:
    """The number of processors that this process may use, or ``XPNET_THREADS``."""
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


_seen: Any = intrinsic(_look)  # reads an integer that another thread may write
_yield: Any = intrinsic(_pass_on)  # lets another thread run on this processor


@compiled(write(1, dtype="int64"), LONG, LONG)
def _wait(bell: Array, heard: int, moment: int) -> None:
    """Spin until ``bell`` exceeds ``heard``, then ``moment`` spins longer.  Gives up after ``LOOKS`` spins."""
    for look in range(LOOKS):
        if _seen(bell.ctypes.data) > heard:
            break
        if look % 64 == 63:
            _yield()
    for _ in range(moment):
        _seen(bell.ctypes.data)


class _Worker:
    """A thread with a queue of tasks and a queue of answers.  A counter beside each holds the number of its last entry.

    Every answer carries the number of its task.  ``answer`` drops older ones, which a Ctrl-C may have left behind.
    """

    def __init__(self, number: int) -> None:
        self.lock = threading.Lock()  # the caller holds it until the answer has arrived
        self.tasks: SimpleQueue[Any] = SimpleQueue()
        self.answers: SimpleQueue[Any] = SimpleQueue()
        self.asked, self.answered = np.zeros(1, np.int64), np.zeros(1, np.int64)
        self.tickets = itertools.count(1)
        threading.Thread(target=self._serve, name=f"xpnet-{number}", daemon=True).start()

    def _serve(self) -> None:
        ticket = 0
        while True:
            _wait(self.asked, ticket, MOMENT)
            ticket, work, start, stop = self.tasks.get()  # sleeps if no task has been posted
            result, error = None, None
            try:
                result = work(start, stop)
            except BaseException as wrong:
                error = wrong
            self.answers.put((ticket, result, error))
            del work, result, error  # keep no references while waiting
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


if hasattr(os, "register_at_fork"):  # a forked process has no copies of the threads
    os.register_at_fork(after_in_child=_workers.cache_clear)


def in_threads(work: Callable[[int, int], Any], count: int, cost: int) -> list[Any]:
    """Call ``work(start, stop)`` on parts of ``range(count)``, one per thread.  Returns the results in order.

    ``cost``, in multiplications, determines the number of threads; ``work`` should be compiled code.  If a thread is
    busy for another caller, this thread computes its part.  So the split, and with it every sum, is always the same.
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
            except Exception as wrong:  # the other answers must still be fetched
                result, error = None, wrong
            results.append(result)
            failed = failed or error
    finally:
        for worker in held:
            worker.lock.release()
    if failed is not None:
        raise failed
    return results
