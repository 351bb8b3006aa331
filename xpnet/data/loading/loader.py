"""Batches."""

from __future__ import annotations

import contextvars
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from xpnet.data.augment import Draw, Mix, Transform
from xpnet.data.loading.collate import brought, default_collate
from xpnet.data.loading.dataset import ArrayDataset
from xpnet.data.loading.datasets import takes_many
from xpnet.data.loading.protocols import Batch
from xpnet.data.loading.samplers import RandomSampler, SequentialSampler, cut, order_of
from xpnet.data.loading.workers import Workers, fetch
from xpnet_backends import Array, Backend, backend_of, get_backend, is_array, random


class DataLoader:
    """Batches of a dataset, as arrays of ``backend``; each pass is an epoch.

    The order of epoch e is a function of (seed, e) only: the permutation drawn from the stream "data.shuffle".  A
    resumed run therefore gets the same batches as an uninterrupted one, with any number of workers.

    >>> loader = DataLoader(list(zip([1.0, 2.0, 3.0], [0, 1, 0])), batch_size=2)
    >>> [(x.tolist(), y.tolist()) for x, y in loader]
    [([1.0, 2.0], [0, 1]), ([3.0], [0])]

    Parameters
    ----------
    dataset : any object with ``__len__`` and ``__getitem__``; or any iterable, without workers, shuffling or sampler.
        An ``ArrayDataset`` or ``TensorDataset`` is read one batch at a time, on the backend of its arrays.
    batch_size : samples per batch; a smaller dataset is one batch.
    shuffle : use a new order every epoch.
    drop_last : leave out a shorter last batch.
    sampler : the order, instead of ``shuffle``: a ``Sampler``, or any iterable of sample indices.
    batch_sampler : yields a list of indices for each batch, instead of the four options above.
    collate_fn : makes a batch from a list of samples; by default ``default_collate``.
    num_workers : the number of workers that fetch samples ahead.
    worker_type : "thread", for files and array operations, or "process", for slow Python code.  Processes are spawned,
        and each gets a copy of the dataset once.
    seed : the seed of every order; by default that of ``xpnet.manual_seed``.
    backend : the backend of the batches.
    transform : changes the inputs of each batch, on ``backend``: a function, or a transform of ``xpnet.data.augment``,
        whose random numbers for a sample are a function of (seed, epoch, its index).
    mix : mixes each sample with another one of an ``ArrayDataset``, after ``transform``.
    prefetch : the number of batches that a thread prepares ahead, including transforms.

    Raises: ``ValueError`` for options that contradict each other or leave no batch.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int = 64,
        *,
        shuffle: bool = False,
        drop_last: bool = False,
        sampler: Iterable[int] | None = None,
        batch_sampler: Iterable[Sequence[int]] | None = None,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        num_workers: int = 0,
        worker_type: str = "thread",
        seed: int | None = None,
        backend: str | Backend | None = None,
        transform: Transform | Callable[[Array], Array] | None = None,
        mix: Mix | None = None,
        prefetch: int = 0,
    ) -> None:
        self.dataset, self.batch_size, self.collate_fn = dataset, batch_size, collate_fn
        self.shuffle, self.drop_last, self.prefetch = shuffle, drop_last, prefetch
        self.batch_sampler, self.num_workers, self.worker_type = batch_sampler, num_workers, worker_type
        self.transform, self.mix = transform, mix
        self._check(sampler)
        self.sampler: Any = sampler
        if sampler is None and not self._streams:
            self.sampler = RandomSampler(dataset) if shuffle else SequentialSampler(dataset)
        self.seed = random.state.seed if seed is None else seed
        self.backend = get_backend(backend)
        self.epoch = 0  # the epoch of the next pass
        self.position = 0  # the first batch of the next pass
        self._workers: Workers | None = None

    @property
    def _streams(self) -> bool:
        """Whether the dataset is only iterable."""
        return not hasattr(self.dataset, "__getitem__")

    def _check(self, sampler: Any) -> None:
        size = self.batch_size
        if not isinstance(size, (int, np.integer)) or isinstance(size, bool) or size < 1:
            raise ValueError(f"batch_size must be a positive whole number, got {size!r}")
        if self.prefetch < 0:
            raise ValueError(f"prefetch must be >= 0 batches, got {self.prefetch!r}")
        if not isinstance(self.num_workers, int) or self.num_workers < 0:
            raise ValueError(f"num_workers must be a whole number >= 0, got {self.num_workers!r}")
        if self.worker_type not in ("thread", "process"):
            raise ValueError(f'worker_type must be "thread" or "process", got {self.worker_type!r}')
        if not hasattr(self.dataset, "__getitem__") and not hasattr(self.dataset, "__iter__"):
            raise TypeError(
                f"a dataset needs __len__ and __getitem__, or __iter__: {type(self.dataset).__name__} has neither"
            )
        if self.batch_sampler is not None and (self.shuffle or sampler is not None or self.drop_last):
            raise ValueError("batch_sampler decides the batches: leave out shuffle, sampler and drop_last")
        if sampler is not None and self.shuffle:
            raise ValueError("sampler decides the order: leave out shuffle")
        if self._streams:
            if self.shuffle or sampler is not None or self.batch_sampler is not None or self.num_workers:
                raise ValueError("a dataset without __getitem__ comes in its own order: no shuffle, sampler or workers")
        elif len(self.dataset) == 0:
            raise ValueError("the dataset is empty: it has no samples")
        elif self.drop_last and sampler is None and size > len(self.dataset):
            raise ValueError(
                f"batch_size {size} is larger than the dataset ({len(self.dataset)} samples), and drop_last leaves out "
                "what is shorter than a batch: nothing would be left"
            )
        if self.mix is not None and not isinstance(self.dataset, ArrayDataset):
            raise ValueError(f"mix={self.mix!r} needs an ArrayDataset, got {type(self.dataset).__name__}")
        if self.mix is not None and self.dataset.targets is None:
            raise ValueError(f"mix={self.mix!r} mixes the targets as well, but the dataset has none")

    def __len__(self) -> int:
        if self._streams:
            raise TypeError(f"{type(self.dataset).__name__} can be iterated only: how many batches it has is not known")
        if self.batch_sampler is not None:
            return len(self.batch_sampler)  # type: ignore[arg-type]
        whole, rest = divmod(len(self.sampler), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[Batch]:
        epoch, start = self.epoch, self.position
        self.epoch, self.position = epoch + 1, 0
        batches = self._streamed(start) if self._streams else self._batches(epoch, start)
        return _prefetched(batches, self.prefetch) if self.prefetch else batches

    # -- whole batches of arrays ---------------------------------------------------------------------------------

    def _batches(self, epoch: int, start: int) -> Iterator[Batch]:
        if not takes_many(self.dataset) or self.collate_fn is not None:
            yield from self._collated(epoch, start)
            return
        home = self._home()
        if self.batch_sampler is None and type(self.sampler) is SequentialSampler:
            n = len(self.dataset)
            for i in range(start, len(self)):
                where = slice(i * self.batch_size, min((i + 1) * self.batch_size, n))
                yield self._many(where, home.xp.arange(where.start, where.stop), epoch)
            return
        for index in self._on_device(self._orders(epoch)[start:], home):
            yield self._many(index, index, epoch)

    def _home(self) -> Backend:
        """The backend of the dataset's arrays."""
        first = self.dataset[:1]
        return backend_of(next(part for part in first if part is not None))

    @staticmethod
    def _on_device(orders: list[np.ndarray], home: Backend) -> Iterator[Array]:
        """The indices of each batch on the backend of the data, with one transfer per epoch."""
        if not orders:
            return
        whole, end = home.asarray(np.concatenate(orders)), 0
        for order in orders:
            yield whole[end : end + len(order)]
            end += len(order)

    def _many(self, where: Any, index: Array, epoch: int) -> Batch:
        batch = self._samples(where, index, epoch)
        return batch if self.mix is None else self._mixed(self.mix, batch, index, epoch)

    def _samples(self, where: Any, index: Array, epoch: int) -> Batch:
        """The samples at the dataset's positions ``where``, with the numbers ``index``, transformed for this epoch."""
        return self._changed(brought(self.dataset[where], self.backend), index, epoch)

    def _mixed(self, mix: Mix, batch: Batch, index: Array, epoch: int) -> Batch:
        partners = mix.partners(Draw(self.seed, epoch, index, "data.mix"), len(self.dataset))  # where the data are
        others = self._samples(partners, partners, epoch)
        (inputs, targets), (other_inputs, other_targets) = batch, others
        return mix(
            inputs,
            targets,
            other_inputs,
            other_targets,
            Draw(self.seed, epoch, brought(index, self.backend), "data.mix"),
        )

    def _changed(self, batch: Batch, index: Array, epoch: int) -> Batch:
        """The batch with transformed inputs."""
        if self.transform is None:
            return batch
        if not isinstance(batch, (tuple, list)) or not is_array(batch[0]):
            raise TypeError(
                f"transform changes the inputs of batches (inputs, target), but a batch here is a "
                f"{type(batch).__name__}: change the samples in the dataset instead"
            )
        if isinstance(self.transform, Transform):
            inputs = self.transform(batch[0], Draw(self.seed, epoch, brought(index, self.backend)))
        else:
            inputs = self.transform(batch[0])
        return (inputs, *batch[1:])

    # -- sample by sample ----------------------------------------------------------------------------------------

    def _orders(self, epoch: int) -> list[np.ndarray]:
        """The sample indices, batch by batch."""
        if self.batch_sampler is not None:
            if hasattr(self.batch_sampler, "set_epoch"):
                self.batch_sampler.set_epoch(epoch)
            return [np.asarray(list(order), dtype=np.int64) for order in self.batch_sampler]
        return cut(order_of(self.sampler, self.seed, epoch), self.batch_size, self.drop_last)

    def _collated(self, epoch: int, start: int) -> Iterator[Batch]:
        orders = self._orders(epoch)[start:]
        numbers = [order.tolist() for order in orders]
        collate = self.collate_fn or default_collate
        if self.num_workers:
            if self._workers is None:
                self._workers = Workers(self.num_workers, self.worker_type, self.dataset, collate)
            fetched = self._workers.batches(numbers, self.seed, epoch)
        else:
            fetched = (fetch(self.dataset, collate, some, self.seed, epoch) for some in numbers)
        for order, batch in zip(orders, fetched, strict=True):
            yield self._changed(brought(batch, self.backend), order, epoch)

    def _streamed(self, start: int) -> Iterator[Batch]:
        """Batches in the order of the iterable; those before ``start`` are skipped."""
        collate, samples, number = self.collate_fn or default_collate, [], 0
        for sample in self.dataset:
            samples.append(sample)
            if len(samples) == self.batch_size:
                number += 1
                if number > start:
                    yield self._changed(brought(collate(samples), self.backend), np.arange(0), 0)
                samples = []
        if samples and not self.drop_last and number >= start:
            yield self._changed(brought(collate(samples), self.backend), np.arange(0), 0)

    def close(self) -> None:
        """Stop the workers; the next pass starts new ones."""
        if self._workers is not None:
            self._workers.close()
            self._workers = None

    def __del__(self) -> None:
        if getattr(self, "_workers", None) is not None:
            self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_workers": None}  # the copy starts its own workers

    def state_dict(self) -> dict[str, int]:
        """The epoch and the first batch of the next pass."""
        return {"epoch": self.epoch, "position": self.position}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Start the next pass at a saved position."""
        epoch, position = int(state["epoch"]), int(state["position"])
        if epoch < 0 or position < 0 or (not self._streams and position > len(self)):
            raise ValueError(f"there is no batch {position} of {len(self)} in epoch {epoch}")
        self.epoch, self.position = epoch, position


@contextmanager
def keep_place(batches: Any) -> Iterator[None]:
    """A context that restores a loader's epoch and position, so that passes inside it do not count.

    Inside, a pass starts with the first batch.  Objects without epoch and position are unchanged.
    """
    if not (hasattr(batches, "state_dict") and hasattr(batches, "load_state_dict")):
        yield
        return
    before = dict(batches.state_dict())
    if before.keys() >= {"epoch", "position"}:
        batches.load_state_dict({**before, "position": 0})
    try:
        yield
    finally:
        batches.load_state_dict(before)


_END = object()


def _prefetched(batches: Iterator[Batch], ahead: int) -> Iterator[Batch]:
    """The same batches, prepared in a thread that ends with the consumer."""
    ready: queue.Queue[Any] = queue.Queue(maxsize=ahead)
    stop = threading.Event()

    def put(item: Any) -> None:
        while not stop.is_set():
            try:
                ready.put(item, timeout=0.05)
                return
            except queue.Full:
                continue

    def produce() -> None:
        try:
            for batch in batches:
                put(batch)
                if stop.is_set():
                    return
            put(_END)
        except BaseException as error:  # any error is raised in the consumer
            put(error)

    thread = threading.Thread(target=contextvars.copy_context().run, args=(produce,), daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not _END:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()
