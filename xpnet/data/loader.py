"""Batches."""

from __future__ import annotations

import contextvars
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from xpnet.data.augment import Draw, Mix, Transform
from xpnet.data.dataset import ArrayDataset
from xpnet_backends import Array, Backend, backend_of, get_backend, random
from xpnet_backends.random import Stream

Batch = tuple[Array, Array | None]


class DataLoader:
    """Batches of a dataset, as arrays of ``backend``; each pass is an epoch.

    The order of epoch e is a function of (seed, e) alone: the permutation drawn from the stream "data.shuffle".  So a
    resumed run sees what the uninterrupted one would have seen.  ``prefetch`` batches are made ready in a thread.

    ``transform`` changes the inputs of each batch, on ``backend``: a function of them, or a transform of
    ``xpnet.data.augment``, whose random numbers for a sample are a function of (seed, epoch, its index in the dataset).
    ``mix`` then mixes each sample with another one of the dataset.

    Raises: ``ValueError`` for a batch size that is no positive number or larger than the dataset.
    """

    def __init__(
        self,
        dataset: ArrayDataset,
        batch_size: int = 64,
        *,
        shuffle: bool = False,
        drop_last: bool = False,
        seed: int | None = None,
        backend: str | Backend | None = None,
        transform: Transform | Callable[[Array], Array] | None = None,
        mix: Mix | None = None,
        prefetch: int = 0,
    ) -> None:
        if not isinstance(batch_size, int) or batch_size < 1:
            raise ValueError(f"batch_size must be a positive whole number, got {batch_size!r}")
        if batch_size > len(dataset):
            raise ValueError(
                f"batch_size {batch_size} is larger than the dataset ({len(dataset)} samples): choose at most that"
            )
        if prefetch < 0:
            raise ValueError(f"prefetch must be >= 0 batches, got {prefetch!r}")
        if mix is not None and dataset.targets is None:
            raise ValueError(f"mix={mix!r} mixes the targets as well, but the dataset has none")
        self.dataset, self.batch_size = dataset, batch_size
        self.shuffle, self.drop_last, self.prefetch = shuffle, drop_last, prefetch
        self.transform, self.mix = transform, mix
        self.seed = random.state.seed if seed is None else seed
        self.backend = get_backend(backend)
        self.epoch = 0  # the epoch that the next pass gives
        self.position = 0  # the batch that the next pass starts with

    def __len__(self) -> int:
        whole, rest = divmod(len(self.dataset), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[Batch]:
        epoch, start = self.epoch, self.position
        self.epoch, self.position = epoch + 1, 0
        batches = self._batches(epoch, start)
        return _prefetched(batches, self.prefetch) if self.prefetch else batches

    def _batches(self, epoch: int, start: int) -> Iterator[Batch]:
        n = len(self.dataset)
        home = backend_of(self.dataset.inputs)
        order = None
        if self.shuffle:  # one transfer an epoch where the data live on a device
            order = home.asarray(Stream(self.seed, "data.shuffle", epoch).generator().permutation(n))
        for i in range(start, len(self)):
            where = slice(i * self.batch_size, min((i + 1) * self.batch_size, n))
            index = home.xp.arange(where.start, where.stop) if order is None else order[where]
            batch = self._samples(where if order is None else index, index, epoch)
            yield batch if self.mix is None else self._mixed(self.mix, batch, index, epoch)

    def _samples(self, where: Any, index: Array, epoch: int) -> Batch:
        """The samples ``where`` the dataset finds them, whose numbers are ``index``, as they are in this epoch."""
        inputs, targets = self.dataset[where]
        inputs = self._bring(inputs)
        if isinstance(self.transform, Transform):
            inputs = self.transform(inputs, Draw(self.seed, epoch, self._bring(index)))
        elif self.transform is not None:
            inputs = self.transform(inputs)
        return inputs, None if targets is None else self._bring(targets)

    def _mixed(self, mix: Mix, batch: Batch, index: Array, epoch: int) -> Batch:
        partners = mix.partners(Draw(self.seed, epoch, index, "data.mix"), len(self.dataset))  # where the data live
        others = self._samples(partners, partners, epoch)
        return mix(*batch, *others, Draw(self.seed, epoch, self._bring(index), "data.mix"))

    def _bring(self, array: Array) -> Array:
        home = backend_of(array)
        return array if home is self.backend else self.backend.asarray(home.to_numpy(array))

    def state_dict(self) -> dict[str, int]:
        """The epoch and the batch that the next pass starts with."""
        return {"epoch": self.epoch, "position": self.position}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Start the next pass there."""
        epoch, position = int(state["epoch"]), int(state["position"])
        if epoch < 0 or not 0 <= position <= len(self):
            raise ValueError(f"there is no batch {position} of {len(self)} in epoch {epoch}")
        self.epoch, self.position = epoch, position


@contextmanager
def keep_place(batches: Any) -> Iterator[None]:
    """After the block a loader's next pass is the one that it would have been: passes inside it do not count.

    Inside, a pass starts with the first batch.  What has no epoch and position is left alone.
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
    """The same batches, made ready in a thread; it ends when the consumer does."""
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
        except BaseException as error:  # whatever it is, it belongs to the consumer
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
