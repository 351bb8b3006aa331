"""Datasets built from arrays and from other datasets."""

from __future__ import annotations

import bisect
import functools
import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from xpnet.tensor import Tensor
from xpnet_backends import Array, backend_of, is_array
from xpnet_backends.random import Stream

from .protocols import Dataset


def takes_many(dataset: Any) -> bool:
    """Whether ``dataset[array of indices]`` returns a whole batch at once."""
    return bool(getattr(dataset, "takes_many", False))


class TensorDataset:
    """Arrays of equal length; sample i is the tuple of their i-th entries.

    >>> dataset = TensorDataset(np.zeros((3, 2)), np.arange(3))
    >>> dataset[2]
    (array([0., 0.]), np.int64(2))

    Raises: ``ValueError`` for no arrays, or arrays of different lengths.
    """

    takes_many = True

    def __init__(self, *arrays: Any) -> None:
        if not arrays:
            raise ValueError("TensorDataset needs at least one array")
        raw = [a.data if isinstance(a, Tensor) else a for a in arrays]
        self.arrays: tuple[Array, ...] = tuple(a if is_array(a) else np.asarray(a) for a in raw)
        if len({len(a) for a in self.arrays}) > 1:
            raise ValueError(f"the arrays differ in length: {', '.join(str(len(a)) for a in self.arrays)}")

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __getitem__(self, index: Any) -> tuple[Array, ...]:
        return tuple(a[index] for a in self.arrays)


class Subset:
    """The samples of ``dataset`` at ``indices``, in that order.

    >>> Subset(range(10, 20), [3, 0])[0]
    13
    """

    def __init__(self, dataset: Dataset, indices: Any) -> None:
        self.dataset, self.indices = dataset, np.asarray(indices, dtype=np.int64)
        if self.indices.size and not -len(dataset) <= self.indices.min() <= self.indices.max() < len(dataset):
            raise IndexError(
                f"indices from {self.indices.min()} to {self.indices.max()}, but the dataset has {len(dataset)} samples"
            )

    @property
    def takes_many(self) -> bool:
        """Whether the dataset returns whole batches."""
        return takes_many(self.dataset)

    def __len__(self) -> int:
        return len(self.indices)

    @functools.cached_property
    def _indices_at_home(self) -> Array:
        """The indices on the backend of the dataset's arrays."""
        return backend_of(next(part for part in self.dataset[:1] if part is not None)).asarray(self.indices)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, (int, np.integer)):
            return self.dataset[int(self.indices[index])]
        return self.dataset[self._indices_at_home[index]]


class ConcatDataset:
    """The concatenation of datasets."""

    def __init__(self, datasets: Iterable[Dataset]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("ConcatDataset needs at least one dataset")
        self._ends = list(itertools.accumulate(len(d) for d in self.datasets))

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> Any:
        place = index + len(self) if index < 0 else index
        if not 0 <= place < len(self):
            raise IndexError(f"there is no sample {index} among {len(self)}")
        which = bisect.bisect_right(self._ends, place)
        return self.datasets[which][int(place - (self._ends[which - 1] if which else 0))]


def random_split(dataset: Dataset, lengths: Sequence[float], seed: int = 0) -> list[Subset]:
    """Split a dataset at random into parts without overlap, drawn from the stream "data.split".

    ``lengths`` are numbers of samples that add up to all samples, or shares that add up to 1; samples left by rounding
    go to the first parts.

    >>> [len(part) for part in random_split(range(10), [0.75, 0.25])]
    [8, 2]

    Raises: ``ValueError`` if the lengths do not add up.
    """
    n = len(dataset)
    if any(length < 0 for length in lengths):
        raise ValueError(f"lengths must not be negative, got {list(lengths)}")
    if any(isinstance(length, (float, np.floating)) for length in lengths):
        if abs(sum(lengths) - 1) > 1e-6:
            raise ValueError(f"shares must add up to 1, got {list(lengths)}, which add up to {sum(lengths):g}")
        counts = [int(n * share) for share in lengths]
        for i in range(n - sum(counts)):
            counts[i % len(counts)] += 1
    else:
        counts = [int(length) for length in lengths]
    if sum(counts) != n:
        raise ValueError(f"lengths add up to {sum(counts)}, but the dataset has {n} samples: {counts}")
    order = Stream(seed, "data.split").generator().permutation(n)
    ends = list(itertools.accumulate(counts))
    return [Subset(dataset, order[end - count : end]) for end, count in zip(ends, counts, strict=True)]
