"""The numbers of an epoch, kept on the device until somebody looks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from xpnet.metrics import Metric
from xpnet.serialization import CheckpointError
from xpnet_backends import Array, Backend, to_numpy


def measure(metric: Any, output: Array, target: Array) -> Any:
    """What a meter takes in of a batch: a function's mean over it, or a streaming metric's part of it."""
    return metric.part(output, target) if isinstance(metric, Metric) else metric(output, target)


class Meter:
    """One value for each batch and quantity, and the mean over the samples; or, for a streaming metric, what it keeps.

    Writing a value is one copy on the backend; only ``mean`` and ``value`` read, which on a device waits for it.
    """

    def __init__(self, backend: Backend, quantities: Mapping[str, Any], batches: int) -> None:
        self._backend = backend
        self._names = list(quantities)
        self._metrics = {name: metric.fresh() for name, metric in quantities.items() if isinstance(metric, Metric)}
        means = [name for name in quantities if name not in self._metrics]
        self._values = {name: backend.xp.zeros(batches, dtype="float32") for name in means}
        self._sizes: list[int] = []

    def add(self, size: int, values: Mapping[str, Any]) -> None:
        """Note a batch of ``size`` samples: what ``measure`` gave, by name."""
        for name, value in values.items():
            if name in self._metrics:
                self._metrics[name].merge(value)
            else:
                self._values[name][len(self._sizes)] = value
        self._sizes.append(size)

    @property
    def batches(self) -> int:
        """How many batches were noted."""
        return len(self._sizes)

    @property
    def samples(self) -> int:
        """How many samples were noted."""
        return sum(self._sizes)

    def mean(self, name: str) -> float:
        """``Σ nᵢ vᵢ / Σ nᵢ`` or the metric's value over the batches so far, NaN before the first."""
        if not self._sizes:
            return math.nan
        if name in self._metrics:
            return float(self._metrics[name].compute())
        values = to_numpy(self._values[name][: self.batches]).astype(np.float64)
        return float(np.dot(values, self._sizes) / self.samples)

    def means(self) -> dict[str, float]:
        """The mean of every quantity."""
        return {name: self.mean(name) for name in self._names}

    def value(self, name: str, batch: int) -> float:
        """The value of one batch."""
        return float(self._values[name][batch])

    def state(self) -> tuple[dict[str, Array], list[int]]:
        """Values and sizes so far, to save in the middle of an epoch."""
        arrays = {name: values[: self.batches].copy() for name, values in self._values.items()}
        for name, metric in self._metrics.items():
            arrays |= {f"{name}.{key}": array for key, array in metric.state_dict().items()}
        return arrays, list(self._sizes)

    def restore(self, values: Mapping[str, Any], sizes: Sequence[int]) -> None:
        """Go on from a saved state.

        Raises: ``CheckpointError`` where it was saved with other metrics, ``ValueError`` where it has more batches
        than there are.
        """
        self._sizes = list(sizes)
        for name in self._names:
            if name not in values and not any(key.startswith(f"{name}.") for key in values):
                raise CheckpointError(f"the epoch was begun without the metric {name!r}: resume with the same metrics")
        for name, vector in self._values.items():
            if len(sizes) > len(vector):
                raise ValueError(
                    f"the run was stopped after batch {len(sizes)} of an epoch, which has only {len(vector)} here: "
                    "the same batch size and data are needed to go on"
                )
            vector[: len(sizes)] = self._backend.asarray(to_numpy(values[name]))
        for name, metric in self._metrics.items():
            kept = {key.removeprefix(f"{name}."): array for key, array in values.items() if key.startswith(f"{name}.")}
            metric.load_state_dict({key: self._backend.asarray(to_numpy(array)) for key, array in kept.items()})
