"""Two kinds of threads that must not fight: ours over the parts of a batch, and the BLAS's within one product."""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..base import Array

WORTH = 5_000_000  # multiplications that take about as long as handing them to another thread
TINY_PRODUCT = 250_000  # multiplications of a matrix product that a BLAS does on one thread anyway
SMALL_PRODUCT = 4_000_000  # and that it should do on one thread


def cores() -> int:
    """The processors that this process may use, or ``XPNET_THREADS``."""
    if threads := os.environ.get("XPNET_THREADS"):
        return int(threads)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(cores(), thread_name_prefix="xpnet")


if hasattr(os, "register_at_fork"):  # threads do not live on in a forked process
    os.register_at_fork(after_in_child=_pool.cache_clear)


def in_threads(work: Callable[[int, int], Any], count: int, cost: int) -> list[Any]:
    """``work(start, stop)`` for stretches of ``range(count)``, one a thread, as many as ``cost`` is worth.

    The results come in order.  ``cost`` is in multiplications; ``work`` should be compiled code, which runs without
    Python's lock.
    """
    threads = min(cores(), count, 1 + cost // WORTH)
    if threads < 2:
        return [work(0, count)]
    ends = [count * i // threads for i in range(threads + 1)]
    waiting = [_pool().submit(work, start, stop) for start, stop in itertools.pairwise(ends[1:])]
    mine = work(0, ends[1])
    return [mine, *(each.result() for each in waiting)]


class SmallProducts:
    """Keeps the BLAS to one thread for products that several would take longer for.

    The threads of a BLAS wait for each other by turning in place, which costs more than a small product, and very much
    more where another program, or our own threads, want the processors too.
    """

    @functools.cached_property
    def _libraries(self) -> list[Any]:
        try:  # optional: it comes with the extra "fast"
            from threadpoolctl import ThreadpoolController
        except ImportError:
            return []
        return list(ThreadpoolController().select(user_api="blas").lib_controllers)

    def __call__(self, product: Callable[[Array, Array], Array], a: Array, b: Array) -> Array:
        """``product(a, b)`` of matrices."""
        if not TINY_PRODUCT < a.shape[-2] * a.shape[-1] * b.shape[-1] < SMALL_PRODUCT:
            return product(a, b)
        before = [each.get_num_threads() for each in self._libraries]
        self._limit(1 for _ in before)
        try:
            return product(a, b)
        finally:
            self._limit(before)

    def _limit(self, threads: Iterable[int]) -> None:
        for library, number in zip(self._libraries, threads, strict=True):
            library.set_num_threads(number)
