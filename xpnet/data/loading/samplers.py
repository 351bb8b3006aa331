"""Samplers: the order of the samples, a function of (seed, epoch)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Any

import numpy as np

from xpnet_backends import random, to_numpy
from xpnet_backends.random import Stream


class Sampler(ABC):
    """The sample indices of an epoch, in order.

    A loader calls ``order(seed, epoch)``.  Iterating a sampler directly gives the order of its own ``epoch``
    (``set_epoch``) with the seed of ``xpnet.manual_seed``.
    """

    epoch: int = 0

    @abstractmethod
    def order(self, seed: int, epoch: int) -> np.ndarray:
        """The sample indices of an epoch, (N,) int64."""

    @abstractmethod
    def __len__(self) -> int:
        """The number of samples in an epoch."""

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next direct iteration."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        return iter(self.order(random.state.seed, self.epoch).tolist())


class SequentialSampler(Sampler):
    """0, 1, 2, ..."""

    def __init__(self, data: Sized) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data)

    def order(self, seed: int, epoch: int) -> np.ndarray:
        """As they stand."""
        return np.arange(len(self.data))


class RandomSampler(Sampler):
    """A new permutation every epoch, or draws with replacement.

    Parameters
    ----------
    data : any object with a length.
    replacement : draw each sample from all of them, so that some occur twice and others not at all.
    num_samples : samples in an epoch; by default the length of ``data``.

    >>> sorted(RandomSampler(range(4)))
    [0, 1, 2, 3]
    """

    def __init__(self, data: Sized, replacement: bool = False, num_samples: int | None = None) -> None:
        _check_count("num_samples", num_samples)
        if num_samples is not None and not replacement and num_samples > len(data):
            raise ValueError(f"num_samples={num_samples} of {len(data)} samples needs replacement=True")
        self.data, self.replacement, self.num_samples = data, replacement, num_samples

    def __len__(self) -> int:
        return len(self.data) if self.num_samples is None else self.num_samples

    def order(self, seed: int, epoch: int) -> np.ndarray:
        """Drawn from the stream "data.shuffle", as in a loader with ``shuffle=True``."""
        generator = Stream(seed, "data.shuffle", epoch).generator()
        if self.replacement:
            return generator.integers(len(self.data), size=len(self))
        return generator.permutation(len(self.data))[: len(self)]


class SubsetRandomSampler(Sampler):
    """Only the given samples, in a new order every epoch.

    >>> sorted(SubsetRandomSampler([2, 5, 7]))
    [2, 5, 7]
    """

    def __init__(self, indices: Sequence[int]) -> None:
        self.indices = np.asarray(indices, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.indices)

    def order(self, seed: int, epoch: int) -> np.ndarray:
        """Drawn from the stream "data.shuffle"."""
        return self.indices[Stream(seed, "data.shuffle", epoch).generator().permutation(len(self.indices))]


class WeightedRandomSampler(Sampler):
    """Sample i with a probability proportional to ``weights[i]``, for example for imbalanced classes.

    >>> labels = np.array([0, 0, 0, 1])
    >>> sampler = WeightedRandomSampler(1 / np.bincount(labels)[labels], num_samples=4)
    >>> len(sampler)
    4

    Parameters
    ----------
    weights : (N,), not negative, not all 0.
    num_samples : samples in an epoch.
    replacement : whether a sample may occur more than once in an epoch.
    """

    def __init__(self, weights: Any, num_samples: int, replacement: bool = True) -> None:
        self.weights = to_numpy(getattr(weights, "data", weights) if hasattr(weights, "requires_grad") else weights)
        self.weights = self.weights.astype(np.float64)
        _check_count("num_samples", num_samples)
        if self.weights.ndim != 1 or not np.isfinite(self.weights).all() or (self.weights < 0).any():
            raise ValueError(
                f"weights must be a row of finite numbers, none negative, got shape {self.weights.shape} from "
                f"{self.weights.min(initial=np.inf)} to {self.weights.max(initial=-np.inf)}"
            )
        possible = int((self.weights > 0).sum())
        if possible == 0 or (not replacement and possible < num_samples):
            raise ValueError(f"num_samples={num_samples}, but only {possible} weights are above 0")
        self.num_samples, self.replacement = num_samples, replacement

    def __len__(self) -> int:
        return self.num_samples

    def order(self, seed: int, epoch: int) -> np.ndarray:
        """Drawn from the stream "data.sampler"."""
        generator = Stream(seed, "data.sampler", epoch).generator()
        share = self.weights / self.weights.sum()
        return generator.choice(len(share), size=self.num_samples, replace=self.replacement, p=share)


class BatchSampler:
    """Lists of ``batch_size`` indices from a sampler; the last may be shorter unless ``drop_last``.

    >>> [len(batch) for batch in BatchSampler(SequentialSampler(range(5)), 2)]
    [2, 2, 1]
    """

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool = False) -> None:
        _check_count("batch_size", batch_size)
        self.sampler, self.batch_size, self.drop_last = sampler, batch_size, drop_last

    def __len__(self) -> int:
        whole, rest = divmod(len(self.sampler), self.batch_size)  # type: ignore[arg-type]
        return whole + (rest > 0 and not self.drop_last)

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the sampler."""
        if hasattr(self.sampler, "set_epoch"):
            self.sampler.set_epoch(epoch)

    def __iter__(self) -> Iterator[list[int]]:
        return iter(cut(np.fromiter(self.sampler, dtype=np.int64), self.batch_size, self.drop_last, list))


def cut(order: np.ndarray, size: int, drop_last: bool, kind: Any = np.asarray) -> list[Any]:
    """Split an order into batches of ``size`` indices."""
    end = len(order) // size * size if drop_last else len(order)
    return [kind(order[i : min(i + size, end)]) for i in range(0, end, size)]


def order_of(sampler: Any, seed: int, epoch: int) -> np.ndarray:
    """The order of an epoch from a ``Sampler``, or from any iterable."""
    if isinstance(sampler, Sampler):
        return sampler.order(seed, epoch)
    if hasattr(sampler, "set_epoch"):
        sampler.set_epoch(epoch)
    return np.fromiter((int(i) for i in sampler), dtype=np.int64)


def _check_count(name: str, count: Any) -> None:
    if count is not None and (not isinstance(count, (int, np.integer)) or isinstance(count, bool) or count < 1):
        raise ValueError(f"{name} must be a positive whole number, got {count!r}")
