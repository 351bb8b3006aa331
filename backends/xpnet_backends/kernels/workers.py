"""Two kinds of threads that must not fight: ours over the parts of a batch, and the BLAS's within one product."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any


def cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@functools.cache
def _blas() -> Any:
    """What sets the number of BLAS threads, or None: the package threadpoolctl is optional."""
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return None
    found = ThreadpoolController().select(user_api="blas")
    return found if found.lib_controllers else None


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(cores(), thread_name_prefix="xpnet")


if hasattr(os, "register_at_fork"):  # threads do not live on in a forked process
    os.register_at_fork(after_in_child=_pool.cache_clear)


def over_parts(work: Callable[[int, int], Any], count: int, size: int) -> list[Any]:
    """``work(start, stop)`` for pieces of ``range(count)`` of at most ``size``; the results in order.

    The pieces go to as many threads as there are processors, each with a BLAS of one thread, which is faster than one
    piece after the other with a BLAS of many: what lies between the products runs in parallel too.
    """
    pieces = [(start, min(start + size, count)) for start in range(0, count, size)]
    if len(pieces) < 2 or cores() < 2 or _blas() is None:
        return [work(*piece) for piece in pieces]
    limit = _blas().limit(limits=1) if _threads_of_blas() > 1 else contextlib.nullcontext()
    with limit:
        waiting = [_pool().submit(partial(copy_context().run, work, *piece)) for piece in pieces]
        return [each.result() for each in waiting]


def _threads_of_blas() -> int:
    return max(int(library.num_threads) for library in _blas().lib_controllers)
