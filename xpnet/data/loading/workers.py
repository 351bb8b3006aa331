"""Fetch samples ahead in threads or processes, always in order."""

from __future__ import annotations

import contextvars
import functools
import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextvars import ContextVar
from typing import Any

import numpy as np

from xpnet.data.errors import DataError
from xpnet_backends.random import Stream

AHEAD = 2  # batches in progress per worker

_sample: ContextVar[tuple[int, int, int] | None] = ContextVar("xpnet_sample", default=None)


def sample_generator(name: str = "") -> np.random.Generator:
    """Random numbers for the sample that a loader is fetching: a function of (seed, epoch, index of the sample).

    It is for datasets that change their samples at random.  The numbers are the same for any number of workers, and
    after a resume.  Different names give independent numbers.

    Raises: ``RuntimeError`` outside a dataset that a loader reads.
    """
    moment = _sample.get()
    if moment is None:
        raise RuntimeError("sample_generator() is for the __getitem__ of a dataset, while a DataLoader fetches from it")
    seed, epoch, index = moment
    return Stream(seed, f"data.sample.{name}", epoch, index).generator()


def fetch(dataset: Any, collate: Callable[[list[Any]], Any], indices: Sequence[int], seed: int, epoch: int) -> Any:
    """The samples at these indices as a batch."""
    token = _sample.set(None)
    try:
        samples = []
        for i in indices:
            _sample.set((seed, epoch, i))
            samples.append(dataset[i])
    finally:
        _sample.reset(token)
    return collate(samples)


class Workers:
    """Threads or spawned processes that fetch batches ahead of their use.

    Threads share the dataset; they suit reading files and array operations, which release the GIL.  Each process gets a
    copy of the dataset once, through a pipe, and sends batches back; processes suit slow Python code.
    """

    def __init__(self, number: int, kind: str, dataset: Any, collate: Callable[[list[Any]], Any]) -> None:
        self._job = dataset, collate
        self._number, self._kind = number, kind
        self._pool: Executor
        if kind == "thread":
            self._pool = ThreadPoolExecutor(number, thread_name_prefix="xpnet-data")
        else:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(number, mp_context=context, initializer=_start, initargs=self._job)

    def batches(self, orders: Iterable[Sequence[int]], seed: int, epoch: int) -> Iterator[Any]:
        """A batch for each list of indices, in order."""
        waiting: deque[Future[Any]] = deque()
        try:
            for indices in orders:
                waiting.append(self._ask(indices, seed, epoch))
                if len(waiting) >= AHEAD * self._number:
                    yield self._result(waiting.popleft())
            while waiting:
                yield self._result(waiting.popleft())
        finally:
            for future in waiting:
                future.cancel()

    def _ask(self, indices: Sequence[int], seed: int, epoch: int) -> Future[Any]:
        try:
            if self._kind == "thread":
                job = functools.partial(fetch, *self._job, indices, seed, epoch)
                return self._pool.submit(contextvars.copy_context().run, job)
            return self._pool.submit(_fetch_here, indices, seed, epoch)
        except BrokenProcessPool as error:
            raise _died() from error

    def _result(self, future: Future[Any]) -> Any:
        try:
            return future.result()
        except BrokenProcessPool as error:
            raise _died() from error

    def close(self) -> None:
        """Stop the workers."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _died() -> DataError:
    return DataError(
        "a worker process of the loader ended before it delivered its batch: it was killed, ran out of memory, or did "
        'not start. With worker_type="process", a script needs its own code under `if __name__ == "__main__":`, and '
        "dataset and collate_fn must be defined in a module, without lambdas, so that they can be sent to a process"
    )


_here: tuple[Any, Callable[[list[Any]], Any]]  # the job of a worker process


def _start(dataset: Any, collate: Callable[[list[Any]], Any]) -> None:
    global _here
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process handles Ctrl-C
    _here = dataset, collate


def _fetch_here(indices: Sequence[int], seed: int, epoch: int) -> Any:
    return fetch(*_here, indices, seed, epoch)
