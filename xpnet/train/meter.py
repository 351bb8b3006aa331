"""Loss and metrics of an epoch, kept on the device until they are read."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from xpnet.metrics import Metric
from xpnet.metrics.registry import part_of
from xpnet.serialization import CheckpointError
from xpnet_backends import Array, Backend, to_numpy

SUMMED = -1.0  # in place of a count: the loss is a sum, and the batches' losses add up


def measure(metric: Any, output: Array, target: Array) -> Any:
    """The value of a metric for a batch: the mean of a function, or a part.

    Streaming metrics give parts, and so do functions that do not count every sample.
    """
    if isinstance(metric, Metric):
        return metric.part(output, target)
    part = part_of(metric)
    return metric(output, target) if part is None else part(output, target)


class Meter:
    """One value for each batch and quantity, and the mean over the samples; for a streaming metric its state.

    ``write`` is the part on the backend: on a device it stores the values at the index of a counter there, so that it
    can be recorded once and replayed.  ``advance`` is the host's part.  Only ``mean`` and ``value`` read values, which
    waits for a device.
    """

    def __init__(self, backend: Backend, quantities: Mapping[str, Any], batches: int = 0) -> None:
        self._backend = backend
        self._names = list(quantities)
        self._metrics = {name: metric.fresh() for name, metric in quantities.items() if isinstance(metric, Metric)}
        self._means = [name for name in quantities if name not in self._metrics]
        self._counting = [name for name in self._means if name == "loss" or part_of(quantities[name]) is not None]
        self._place = backend.xp.zeros(1, dtype="int64")
        self._allocate(batches)
        self.start(batches)

    def _allocate(self, batches: int) -> None:
        self._values = {name: self._backend.xp.zeros(batches, dtype="float32") for name in self._means}
        # the count that the mean of each batch was divided by, if not the number of samples
        self._counts = {name: self._backend.xp.zeros(batches, dtype="float64") for name in self._counting}
        self._room = batches

    def start(self, batches: int) -> None:
        """Begin an epoch of ``batches`` batches, in the same memory unless it is too small."""
        if batches > self.capacity:
            self._allocate(batches)
        self._expected = batches
        self._sizes: list[int] = []
        self._place[...] = 0
        for metric in self._metrics.values():
            metric.reset()

    def add(self, size: int, values: Mapping[str, Any], count: Any = None) -> None:
        """Record a batch of ``size`` samples: the results of ``measure``, by name.

        ``count`` is the count that the mean of the loss was divided by, if not the number of samples.
        """
        self.write(values, size if count is None else count)
        self.advance(size, values)

    def write(self, values: Mapping[str, Any], count: Any) -> None:
        """Store the values of a batch, except for streaming metrics, at the index of the counter."""
        on_host = self._backend.on_host
        place = len(self._sizes) if on_host else self._place
        for name in self._means:
            value, taken = values[name], count
            if name != "loss" and name in self._counts:
                value, taken = value["total"] / value["weight"], value["weight"]
            self._values[name][place] = value if on_host else self._here(value, "float32")
            if name in self._counts:
                self._counts[name][place] = taken if on_host else self._here(taken, "float64")
        if not on_host:
            self._place += 1

    def _here(self, value: Any, dtype: str) -> Any:
        """A number for a place on the device: one of the host would be transferred each time."""
        return self._backend.xp.full(1, value, dtype=dtype) if isinstance(value, int | float | np.generic) else value

    def lasting(self) -> Iterator[Array]:
        """All arrays that live from one step to the next."""
        yield self._place
        yield from self._counts.values()
        yield from self._values.values()

    def advance(self, size: int, values: Mapping[str, Any]) -> None:
        """Count a batch on the host, and update streaming metrics."""
        for name, metric in self._metrics.items():
            metric.merge(values[name])
        self._sizes.append(size)

    @property
    def capacity(self) -> int:
        """The number of batches that fit."""
        return self._room

    def grow(self) -> None:
        """Allocate memory for twice as many batches, for loaders of unknown length."""
        arrays, sizes = self.state()
        self._allocate(max(16, 2 * self.capacity))
        self._expected = self.capacity
        self._copy(arrays, len(sizes))

    def _copy(self, arrays: Mapping[str, Any], count: int) -> None:
        for name, vector in {**self._values, **{_count(name): counts for name, counts in self._counts.items()}}.items():
            vector[:count] = self._backend.asarray(to_numpy(arrays[name]))

    @property
    def batches(self) -> int:
        """The number of recorded batches."""
        return len(self._sizes)

    @property
    def samples(self) -> int:
        """The number of recorded samples."""
        return sum(self._sizes)

    def mean(self, name: str) -> float:
        """``Σ nᵢ vᵢ / Σ nᵢ`` or the metric's value over the batches so far, NaN before the first.

        nᵢ is the number of samples; for the loss, its count; for accuracies and losses of this library, the number of
        samples whose label is not ignored.  A loss that is a sum is added.
        """
        if not self._sizes:
            return math.nan
        if name in self._metrics:
            return float(self._metrics[name].compute())
        values = to_numpy(self._values[name][: self.batches]).astype(np.float64)
        if name not in self._counts:
            return _mean(values, np.array(self._sizes, dtype=np.float64))
        counts = to_numpy(self._counts[name][: self.batches])
        return float(values.sum()) if (counts == SUMMED).any() else _mean(values, counts)

    def means(self) -> dict[str, float]:
        """The mean of every quantity."""
        return {name: self.mean(name) for name in self._names}

    def value(self, name: str, batch: int) -> float:
        """The value of one batch."""
        return float(self._values[name][batch])

    def state(self) -> tuple[dict[str, Array], list[int]]:
        """Values and sizes so far, to save in the middle of an epoch."""
        arrays = {name: values[: self.batches].copy() for name, values in self._values.items()}
        arrays |= {_count(name): counts[: self.batches].copy() for name, counts in self._counts.items()}
        for name, metric in self._metrics.items():
            arrays |= {f"{name}.{key}": array for key, array in metric.state_dict().items()}
        return arrays, list(self._sizes)

    def restore(self, values: Mapping[str, Any], sizes: Sequence[int]) -> None:
        """Continue from a saved state.

        Raises: ``CheckpointError`` if it was saved with other metrics; ``ValueError`` if it has more batches than the
        loader.
        """
        for name in self._names:
            if name not in values and not any(key.startswith(f"{name}.") for key in values):
                raise CheckpointError(f"the epoch was begun without the metric {name!r}: resume with the same metrics")
        if len(sizes) > self._expected:
            raise ValueError(
                f"the run was stopped after batch {len(sizes)} of an epoch, which has only {self._expected} here: "
                "the same batch size and data are needed to go on"
            )
        self._sizes = list(sizes)
        self._place[...] = len(sizes)
        older = {_count(name): np.array(sizes, dtype=np.float64) for name in self._counts}  # files without: the samples
        self._copy({**older, **values}, len(sizes))
        for name, metric in self._metrics.items():
            kept = {key.removeprefix(f"{name}."): array for key, array in values.items() if key.startswith(f"{name}.")}
            metric.load_state_dict({key: self._backend.asarray(to_numpy(array)) for key, array in kept.items()})


def _count(name: str) -> str:
    """What a quantity's counts are called in a saved state."""
    return f"{name}.count"


def _mean(values: np.ndarray, weights: np.ndarray) -> float:
    """``Σ wᵢ vᵢ / Σ wᵢ``; values of weight 0 are ignored, even NaN; NaN if all weights are 0."""
    total = float(weights.sum())
    return float(np.dot(np.where(weights == 0, 0.0, values), weights) / total) if total else math.nan
